"""The engine's process is killed while a file system and a guest are frozen for a Snap Shot: both are thawed."""

from __future__ import annotations

import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.engine.cli_program import command_line
from tests.engine.fake_agent import FakeAgent
from tests.engine.mounted_volume import mounted_volume
from tests.engine.service import PATIENCE_S, Service, needs_loop_mounts


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    needs_loop_mounts()
    made = Service(tmp_path / "host")
    made.folder.mkdir()
    made.create()
    yield made
    made.stop()


def held_up(files: Path) -> subprocess.Popen[bytes]:
    """A program that waits for the thaw: the first that does not end by itself."""
    for number in range(1000):
        program = subprocess.Popen(["touch", str(files / f"file-{number}")], stderr=subprocess.DEVNULL)
        try:
            program.wait(2.0)
        except subprocess.TimeoutExpired:
            return program
    pytest.fail("nothing was ever frozen")


def test_a_killed_engine_leaves_nothing_frozen(service: Service, tmp_path: Path) -> None:
    asked = threading.Event()

    def freezes_and_hangs(agent: FakeAgent, name: str) -> Any:
        agent.frozen = True
        asked.set()
        agent.released.wait(100)
        return 1

    agent = FakeAgent(tmp_path, guest_fsfreeze_freeze=freezes_and_hangs)
    try:
        service.make("v", "24m")
        assert service.run("vxsnap", "-g", "dg1", "prepare", "v").returncode == 0
        assert service.run("vxsnap", "quiesce", "set", "limit=60").returncode == 0
        with mounted_volume(service.folder / "n", "dg1/v", tmp_path / "mount") as files:
            words = ["vxsnap", "-x", "set.xml", "-g", "dg1", "create", f"source=v/agent={agent.path}"]
            taking = subprocess.Popen(
                command_line(words), cwd=service.folder, env=service.environment, stderr=subprocess.DEVNULL
            )
            assert asked.wait(PATIENCE_S)
            waiting = held_up(files)
            assert (service.folder / "state/frozen.json").exists()
            service.end(signal.SIGKILL)
            waiting.wait(PATIENCE_S)
            assert taking.wait(PATIENCE_S) != 0
        agent.released.set()
        agent.await_thawed()
        assert not (service.folder / "set.xml").exists()
        service.start()
        agent.await_heard("guest-fsfreeze-thaw", 2)
    finally:
        agent.close()
