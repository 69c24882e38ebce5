"""The control server and its client: who may come in, who falls behind, who breaks off, and who was there before."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine import commands
from engine.api import Snapshot
from engine.commands import Command
from engine.errors import ConnectionLost, EngineBusy, EngineError
from engine.events import Batch, Listener, Upsert
from engine.plans import Plan
from engine.records import Group, Kind, Ref, new_ref
from engine.remote import outbox, wire
from engine.remote.client import RemoteEngine
from engine.remote.server import ControlServer
from engine.runtime import ThreadRuntime

PATIENCE_S = 60.0
HOST = "a" * 32
ME = Ref(Kind.HOST, HOST, HOST)


class Told:
    """An engine that says what a test tells it to. Its verbs can be made to wait, or to fail."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.listeners: list[Listener] = []
        self.sequence = 0
        self.asked: list[Command] = []
        self.raises: Exception | None = None
        self.go = threading.Event()
        self.go.set()
        self.entered = threading.Event()
        self.records: tuple[Group, ...] = ()

    def attach(self, listener: Listener) -> Snapshot:
        with self.lock:
            self.listeners.append(listener)
            return Snapshot(ME, self.sequence, self.records)

    def detach(self, listener: Listener) -> None:
        with self.lock:
            self.listeners.remove(listener)

    def plan(self, command: Command) -> Plan:
        self.asked.append(command)
        self.entered.set()
        self.go.wait(PATIENCE_S)
        if self.raises is not None:
            raise self.raises
        return Plan(title="planned")

    def submit(self, command: Command, basis: int | None = None) -> Ref:
        self.plan(command)
        return Ref(Kind.TASK, str(basis or 0), HOST)

    def close(self) -> None:
        raise AssertionError("the server must not end its engine")

    def publish(self, name: str = "g", events: int = 1, skip: int = 0) -> None:
        with self.lock:
            self.sequence += 1 + skip
            record = Group(ref=new_ref(Kind.GROUP, HOST), name=name)
            batch = Batch(self.sequence, (Upsert(record),) * events)
            for listener in self.listeners:
                listener(batch)


@pytest.fixture
def api() -> Told:
    return Told()


@pytest.fixture
def shown() -> threading.Event:
    return threading.Event()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "c.sock"


@pytest.fixture
def server(path: Path, api: Told, shown: threading.Event) -> Iterator[ControlServer]:
    serving = ControlServer(path, api, ThreadRuntime(), show=lambda: not shown.set())
    serving.start()
    yield serving
    api.go.set()
    serving.close()


@pytest.fixture
def connect(server: ControlServer) -> Iterator[Callable[..., RemoteEngine]]:
    made: list[RemoteEngine] = []

    def one(on_lost: Callable[[str], None] | None = None) -> RemoteEngine:
        engine = RemoteEngine.connect(server.path, on_lost)
        assert engine is not None
        made.append(engine)
        return engine

    yield one
    for engine in made:
        engine.close()


@pytest.fixture
def raw(server: ControlServer) -> Iterator[Callable[[], socket.socket]]:
    made: list[socket.socket] = []

    def one() -> socket.socket:
        link = socket.socket(socket.AF_UNIX)
        link.settimeout(PATIENCE_S)
        link.connect(str(server.path))
        made.append(link)
        return link

    yield one
    for link in made:
        link.close()


def greeted(link: socket.socket) -> socket.socket:
    wire.send_hello(link)
    assert wire.read_hello(link) == wire.PROTOCOL
    return link


class Lost:
    """An `on_lost` hook that can be waited for."""

    def __init__(self) -> None:
        self.happened = threading.Event()
        self.reasons: list[str] = []

    def __call__(self, reason: str) -> None:
        self.reasons.append(reason)
        self.happened.set()

    def wait(self) -> str:
        assert self.happened.wait(PATIENCE_S)
        return self.reasons[0]


COMMAND = commands.Rescan()


# --- the socket ---
def test_nobody_there_is_none(path: Path) -> None:
    assert RemoteEngine.connect(path) is None


def test_a_socket_left_by_a_killed_engine_is_nobody_and_is_replaced(path: Path, api: Told) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    assert RemoteEngine.connect(path) is None
    server = ControlServer(path, api, ThreadRuntime(), show=lambda: False)
    server.start()
    engine = RemoteEngine.connect(path)
    assert engine is not None
    engine.close()
    server.close()
    assert not path.exists()


def test_a_socket_that_is_served_is_refused(server: ControlServer, api: Told) -> None:
    second = ControlServer(server.path, api, ThreadRuntime(), show=lambda: False)
    with pytest.raises(EngineBusy, match="Another process serves"):
        second.start()
    second.close()
    engine = RemoteEngine.connect(server.path)
    assert engine is not None
    engine.close()


def test_what_is_no_engine_is_one_sentence(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        thread = threading.Thread(target=lambda: _answer(other, b"HTTP/1.1 400 no\r\n"))
        thread.start()
        with pytest.raises(EngineError, match="not a VEA console's engine"):
            RemoteEngine.connect(path)
        thread.join()


def test_an_engine_of_another_protocol_is_one_sentence(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        thread = threading.Thread(target=lambda: _answer(other, struct.pack(">6sH", b"VEACTL", 99)))
        thread.start()
        with pytest.raises(EngineError, match="speaks protocol 99"):
            RemoteEngine.connect(path)
        thread.join()


def _answer(listening: socket.socket, data: bytes) -> None:
    link, _ = listening.accept()
    with link:
        link.recv(8)
        link.sendall(data)


def test_an_engine_that_never_answers_is_one_sentence(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        with pytest.raises(EngineError, match="does not answer"):
            RemoteEngine.connect(path, patience_s=0.05)


def test_who_connects_early_is_served_from_the_start(path: Path, api: Told) -> None:
    server = ControlServer(path, api, ThreadRuntime(), show=lambda: False)
    server.reserve()
    found: list[RemoteEngine | None] = []
    waiting = threading.Thread(target=lambda: found.append(RemoteEngine.connect(path)))
    waiting.start()
    server.start()
    waiting.join()
    assert found[0] is not None
    assert found[0].plan(COMMAND).title == "planned"
    found[0].close()
    server.close()


# --- who may come in ---
def test_a_stranger_is_sent_away_before_a_byte_of_it_is_read(
    raw: Callable[[], socket.socket], monkeypatch: pytest.MonkeyPatch, expect_log: Callable[[str], None]
) -> None:
    monkeypatch.setattr("engine.remote.server.peer", lambda link: (4711, os.geteuid() + 1))
    monkeypatch.setattr(wire, "read_hello", lambda link: pytest.fail("a stranger was read"))
    expect_log("process 4711 of user")
    assert raw().recv(100) == b""


def test_the_kernel_says_who_it_is(raw: Callable[[], socket.socket], connect: Callable[..., RemoteEngine]) -> None:
    assert wire.peer(raw()) == (os.getpid(), os.geteuid())
    assert connect().process_id == os.getpid()
    assert wire.may_connect(0)
    assert wire.may_connect(os.geteuid())
    assert not wire.may_connect(os.geteuid() + 1)


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\n\r\n", struct.pack(">6sH", b"VEACTL", 9), b"\xff" * 64])
def test_another_language_is_left_alone(
    raw: Callable[[], socket.socket], connect: Callable[..., RemoteEngine], data: bytes
) -> None:
    link = raw()
    link.sendall(data)
    assert wire.read_hello(link) == wire.PROTOCOL
    last = wire.read_frame(link, wire.MESSAGES)
    assert isinstance(last, wire.Goodbye)
    with contextlib.suppress(ConnectionResetError):  # what it sent and nobody read makes the end a reset
        assert link.recv(10) == b""
    assert connect().plan(COMMAND).title == "planned"


@pytest.mark.parametrize("data", [struct.pack(">I", 1 << 31), struct.pack(">I", 3) + b"abc", struct.pack(">I", 0)])
def test_what_breaks_the_protocol_is_told_and_cut_off(
    raw: Callable[[], socket.socket], connect: Callable[..., RemoteEngine], data: bytes
) -> None:
    link = greeted(raw())
    link.sendall(data)
    last = wire.read_frame(link, wire.MESSAGES)
    assert isinstance(last, wire.Goodbye)
    assert last.reason.endswith(".")
    with contextlib.suppress(ConnectionResetError):
        assert wire.read_frame(link, wire.MESSAGES) is None
    assert connect().plan(COMMAND).title == "planned"


def test_a_client_that_drops_in_the_middle_harms_nobody(
    api: Told, raw: Callable[[], socket.socket], connect: Callable[..., RemoteEngine]
) -> None:
    for cut in range(0, 40, 3):
        link = greeted(raw())
        link.sendall((wire.frame(wire.Attach(number=1)) + wire.frame(wire.AskPlan(number=2, command=COMMAND)))[:cut])
        link.close()
    engine = connect()
    told: list[Batch] = []
    engine.attach(told.append)
    api.publish()
    assert engine.plan(COMMAND).title == "planned"
    assert len(told) == 1
    assert [each for each in api.listeners[:-1] if each in api.listeners] == api.listeners[:-1]


# --- verbs ---
def test_a_bug_in_the_engine_is_a_sentence_and_the_connection_goes_on(
    api: Told, connect: Callable[..., RemoteEngine], expect_log: Callable[[str], None]
) -> None:
    expect_log("A request of client .* failed: AskPlan")
    logging.getLogger("engine.remote").setLevel(logging.INFO)
    engine = connect()
    api.raises = KeyError("lost")
    with pytest.raises(EngineError, match="error of its own"):
        engine.plan(COMMAND)
    api.raises = EngineError("A sentence.")
    with pytest.raises(EngineError, match=r"A sentence\."):
        engine.plan(COMMAND)
    api.raises = None
    assert engine.submit(COMMAND, 3) == Ref(Kind.TASK, "3", HOST)


def test_show_reaches_the_one_who_serves(connect: Callable[..., RemoteEngine], shown: threading.Event) -> None:
    assert connect().show()
    assert shown.is_set()


def test_a_slow_verb_of_one_client_holds_up_no_other(api: Told, connect: Callable[..., RemoteEngine]) -> None:
    slow, other = connect(), connect()
    api.go.clear()
    thread = threading.Thread(target=lambda: slow.plan(COMMAND))
    thread.start()
    assert api.entered.wait(PATIENCE_S)
    told = threading.Event()
    other.attach(lambda batch: told.set())
    api.publish()
    assert told.wait(PATIENCE_S)
    api.go.set()
    thread.join()


def test_large_snapshots_come_in_parts_and_whole(api: Told, connect: Callable[..., RemoteEngine]) -> None:
    api.records = tuple(Group(ref=new_ref(Kind.GROUP, HOST), name=f"g{n}") for n in range(wire.RECORDS_AT_ONCE * 3 + 1))
    assert connect().attach(lambda batch: None).records == api.records


def test_several_listeners_of_one_client_each_hear_everything(api: Told, connect: Callable[..., RemoteEngine]) -> None:
    engine = connect()
    heard: tuple[list[int], list[int]] = ([], [])
    engine.attach(lambda batch: heard[0].append(batch.sequence))
    api.publish()
    snapshot = engine.attach(second := lambda batch: heard[1].append(batch.sequence))
    api.publish()
    engine.plan(COMMAND)
    engine.detach(second)
    api.publish()
    engine.plan(COMMAND)
    assert snapshot.sequence == 1
    assert heard == ([1, 2, 3], [2])


# --- falling behind, and being lost ---
def test_a_slow_client_never_blocks_the_engine_and_is_cut_off_with_the_reason(
    api: Told, raw: Callable[[], socket.socket], connect: Callable[..., RemoteEngine], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "WAITING_MAX", 5_000)
    link = greeted(raw())
    link.sendall(wire.frame(wire.Attach(number=1)))
    assert isinstance(wire.read_frame(link, wire.MESSAGES), wire.Attached)
    quick = connect()
    arrived = threading.Semaphore(0)
    quick.attach(lambda batch: arrived.release())
    for _ in range(200):
        api.publish(events=100)
        assert arrived.acquire(timeout=PATIENCE_S)
    last: wire.AnyMessage | None = None
    while (message := wire.read_frame(link, wire.MESSAGES)) is not None:
        last = message
    assert isinstance(last, wire.Goodbye)
    assert "does not take them fast enough" in last.reason
    assert quick.plan(COMMAND).title == "planned"


def test_a_gap_in_what_is_told_ends_the_connection(api: Told, connect: Callable[..., RemoteEngine]) -> None:
    lost = Lost()
    engine = connect(lost)
    told: list[int] = []
    engine.attach(lambda batch: told.append(batch.sequence))
    api.publish()
    api.publish(skip=1)
    assert "Changes are missing" in lost.wait()
    assert told == [1]
    with pytest.raises(ConnectionLost, match="Changes are missing"):
        engine.plan(COMMAND)


def test_an_engine_that_stops_says_so_to_those_who_wait(
    server: ControlServer, api: Told, connect: Callable[..., RemoteEngine]
) -> None:
    lost = Lost()
    engine = connect(lost)
    engine.attach(lambda batch: None)
    server.close()
    assert lost.wait() == "The engine has been stopped."
    with pytest.raises(ConnectionLost, match="has been stopped"):
        engine.submit(COMMAND)
    assert api.listeners == []
    assert not server.path.exists()


def test_stopping_lets_a_request_end_and_joins_every_thread(
    server: ControlServer, api: Told, connect: Callable[..., RemoteEngine]
) -> None:
    engine = connect()
    api.go.clear()
    errors: list[Exception] = []

    def ask() -> None:
        try:
            engine.plan(COMMAND)
        except ConnectionLost as error:
            errors.append(error)

    asking = threading.Thread(target=ask)
    asking.start()
    assert api.entered.wait(PATIENCE_S)
    closing = threading.Thread(target=server.close)
    closing.start()
    asking.join()
    assert errors
    api.go.set()
    closing.join(PATIENCE_S)
    assert not closing.is_alive()


def test_leaving_on_purpose_is_no_loss(connect: Callable[..., RemoteEngine], api: Told) -> None:
    lost = Lost()
    engine = connect(lost)
    engine.attach(lambda batch: None)
    engine.close()
    engine.close()
    assert lost.reasons == []
    with pytest.raises(ConnectionLost):
        engine.plan(COMMAND)


def test_a_listener_that_fails_ends_its_own_connection_only(
    api: Told, connect: Callable[..., RemoteEngine], expect_log: Callable[[str], None]
) -> None:
    expect_log("A listener failed")
    lost = Lost()
    bad, good = connect(lost), connect()

    def fail(batch: Batch) -> None:
        raise RuntimeError("no")

    bad.attach(fail)
    heard = threading.Event()
    good.attach(lambda batch: heard.set())
    api.publish()
    assert "listener" in lost.wait()
    assert heard.wait(PATIENCE_S)
