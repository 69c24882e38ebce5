"""An engine without a window on a lab of its own, and the command line tools beside whichever engine runs."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PATIENCE = 60.0


class Tools:
    """The command line of the engine that serves the socket of an environment."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.folder = folder
        self.socket = folder / "s"
        self.nbd = folder / "nbd.sock"
        self.environment = {**environment, "VEA_SOCKET": str(self.socket), "PYTHONPATH": str(ROOT)}

    def vx(self, tool: str, *words: str) -> str:
        """What a tool answers; the test fails when it refuses."""
        program = f"from engine.cli.{tool} import main; main()"
        done = subprocess.run(
            [sys.executable, "-c", program, *words],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
            cwd=self.folder,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def vx_json(self, tool: str, *words: str) -> Any:
        return json.loads(self.vx(tool, "--json", *words))

    def uri(self, volume: str) -> str:
        """The NBD address of `GROUP/VOLUME`."""
        return f"nbd+unix:///{volume}?socket={self.nbd}"

    def group(self, name: str = "dg1") -> Any:
        """One group as vxprint tells it."""
        [found] = self.vx_json("vxprint", "-g", name)["groups"]
        return found


@contextlib.contextmanager
def service(folder: Path, state: str = "state") -> Iterator[Tools]:
    """`vxsvc` on the lab of a folder, made with default numbers on first use; ended in order.

    Another `state` is another host at the same LUNs.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tools = Tools(folder, os.environ)
    program = "from engine.cli.vxsvc import main; main()"
    words = ["--lab", str(folder / "lab"), "--state", str(folder / state), "--socket", str(tools.socket)]
    with (folder / "service.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", program, *words, "--nbd", str(tools.nbd)],
            env=tools.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
        )
        assert process.stdout is not None
        try:
            ready, _, _ = select.select([process.stdout], [], [], PATIENCE)
            if not ready or process.stdout.readline().strip() != b"ready":
                pytest.fail(f"no engine: {(folder / 'service.log').read_text()}")
            yield tools
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(PATIENCE)
            process.stdout.close()
    said = (folder / "service.log").read_text()
    assert process.returncode == 0, said
    assert not said, said
