"""Programs at the control socket that ask and never listen, and a machine that has no thread left for them."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine import commands
from engine.api import Snapshot
from engine.commands import Command
from engine.events import Listener
from engine.plans import Plan
from engine.records import Kind, Ref
from engine.remote import outbox, session, wire
from engine.remote.client import RemoteEngine
from engine.remote.server import ControlServer
from engine.runtime import Runtime, Thread, ThreadRuntime

PATIENCE_S = 60.0
QUESTION = wire.AskPlan(number=1, command=commands.Rescan())
ME = Ref(Kind.HOST, "a" * 32, "a" * 32)


class Planner:
    """An engine that plans, and counts how often."""

    def __init__(self) -> None:
        self.planned = 0
        self.changed = threading.Condition()

    def attach(self, listener: Listener) -> Snapshot:
        return Snapshot(ME, 0, ())

    def detach(self, listener: Listener) -> None:
        """Nobody is told anything here."""

    def plan(self, command: Command) -> Plan:
        with self.changed:
            self.planned += 1
            self.changed.notify_all()
        return Plan(title="planned " + "x" * 1000)

    def submit(self, command: Command, basis: int | None = None) -> Ref:
        raise AssertionError("nobody submits here")

    def close(self) -> None:
        raise AssertionError("the server must not end its engine")


class Poor(ThreadRuntime):
    """A machine that has only so many threads left."""

    threads_left = 1000

    def thread(self, name: str, target: Callable[[], None]) -> Thread:
        if not self.threads_left:
            raise RuntimeError("can't start new thread")
        self.threads_left -= 1
        return super().thread(name, target)


@contextlib.contextmanager
def control(folder: Path, api: Planner, runtime: Runtime) -> Iterator[ControlServer]:
    server = ControlServer(folder / "c", api, runtime, show=lambda: False)  # type: ignore[arg-type]
    server.start()
    try:
        yield server
    finally:
        server.close()


def plans_once(path: Path) -> None:
    engine = RemoteEngine.connect(path)
    assert engine is not None
    assert engine.plan(commands.Rescan()).title.startswith("planned")
    engine.close()


def test_answers_that_nobody_takes_stop_the_asking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "MESSAGES_MAX", 50)
    api = Planner()
    with control(tmp_path, api, ThreadRuntime()), socket.socket(socket.AF_UNIX) as deaf:
        deaf.connect(str(tmp_path / "c"))
        wire.send_hello(deaf)
        asking = threading.Thread(target=_send_all, args=(deaf, wire.frame(QUESTION) * 20_000))
        asking.start()
        with api.changed:
            assert api.changed.wait_for(lambda: api.planned > 0, PATIENCE_S)
            while api.changed.wait(0.5):  # until it plans no more
                pass
        assert api.planned < 5_000
        plans_once(tmp_path / "c")
        deaf.shutdown(socket.SHUT_RDWR)
        asking.join()


def _send_all(link: socket.socket, data: bytes) -> None:
    with contextlib.suppress(OSError):
        link.sendall(data)


@pytest.mark.parametrize("left", [0, 1])
def test_a_program_for_which_no_thread_can_be_had_is_sent_away(
    tmp_path: Path, left: int, expect_log: Callable[[str], None]
) -> None:
    expect_log("could not be let in: can't start new thread")
    runtime = Poor()
    with control(tmp_path, Planner(), runtime):
        runtime.threads_left = left
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(PATIENCE_S)
            link.connect(str(tmp_path / "c"))
            while link.recv(4096):
                pass
        runtime.threads_left = 1000
        plans_once(tmp_path / "c")


def test_a_flood_of_connections_that_say_nothing_keeps_nobody_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, expect_log: Callable[[str], None]
) -> None:
    expect_log(f"was sent away: process {os.getpid()}")
    with control(tmp_path, Planner(), ThreadRuntime()) as server, contextlib.ExitStack() as stack:
        monkeypatch.setattr(session, "HELLO_PATIENCE_S", 3)
        for _ in range(140):
            link = stack.enter_context(socket.socket(socket.AF_UNIX))
            link.settimeout(PATIENCE_S)
            link.connect(str(server.path))
        while link.recv(4096):  # the last one was one too many
            pass
        for thread in [each for each in threading.enumerate() if each.name.startswith("control-serve")]:
            thread.join(PATIENCE_S)
        monkeypatch.undo()
        plans_once(server.path)
