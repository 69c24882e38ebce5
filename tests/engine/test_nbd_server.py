"""The server around its connections: its socket's path, its limits, who is connected, and ends in order."""

from __future__ import annotations

import contextlib
import logging
import os
import resource
import signal
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.dataplane.request import Op
from engine.errors import EngineBusy, EngineError
from engine.export import server as server_module
from engine.export.server import NbdServer
from engine.runtime import Thread, ThreadRuntime
from tests.engine.nbd_peer import (
    MIB,
    NAME,
    REQUEST,
    Client,
    MemoryVolume,
    Served,
    Shelf,
    assert_serves,
    info,
    serving,
)

READ, WRITE, DISC, FLUSH = range(4)
SHUTDOWN = 108


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with serving(tmp_path, MemoryVolume(4 * MIB)) as served:
        yield served


def test_only_the_owner_may_connect(served: Served) -> None:
    assert stat.S_IMODE(served.path.stat().st_mode) == 0o600


def test_the_path_is_never_open_to_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    real = os.lstat
    bind = socket.socket.bind

    class Watched(socket.socket):
        def bind(self, address: str) -> None:  # type: ignore[override]
            bind(self, address)
            seen.append(stat.S_IMODE(real(address).st_mode))

    monkeypatch.setattr(socket, "socket", Watched)
    before = os.umask(0)
    try:
        with serving(tmp_path, MemoryVolume(MIB)):
            assert seen == [0o600]
    finally:
        os.umask(before)


KILLED = """
import sys
from pathlib import Path
from tests.engine.nbd_peer import MemoryVolume, serving
with serving(Path(sys.argv[1]), MemoryVolume(1 << 20)):
    print("ready", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def other_process(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A server in a process of its own, in the same folder."""
    root = Path(__file__).parents[2]
    other = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    with other:
        try:
            assert other.stdout is not None
            assert other.stdout.readline() == "ready\n"
            yield other
        finally:
            other.kill()


def test_the_socket_of_a_killed_server_is_replaced(tmp_path: Path, other_process: subprocess.Popen[str]) -> None:
    other_process.send_signal(signal.SIGKILL)
    other_process.wait()
    assert (tmp_path / "nbd").is_socket()
    with serving(tmp_path, MemoryVolume(MIB)) as served:
        assert_serves(served)


def test_a_living_servers_socket_is_refused_and_left_alone(
    tmp_path: Path, other_process: subprocess.Popen[str]
) -> None:
    server = NbdServer(tmp_path / "nbd", Shelf(), ThreadRuntime())
    with pytest.raises(EngineBusy, match=r"serves the socket .*nbd\."):
        server.start()
    assert server.stop()
    with Client(tmp_path / "nbd") as client:
        client.go()
        assert client.call(READ, 0, 512) == (0, bytes(512))


def test_what_is_no_socket_is_never_removed(tmp_path: Path) -> None:
    (tmp_path / "nbd").write_text("precious")
    with pytest.raises(EngineError, match="is not a socket"):
        NbdServer(tmp_path / "nbd", Shelf(), ThreadRuntime()).start()
    assert (tmp_path / "nbd").read_text() == "precious"


@pytest.mark.parametrize("path", ["nowhere/nbd", "x" * 120])
def test_a_path_that_cannot_be_had_is_one_sentence(tmp_path: Path, path: str) -> None:
    with pytest.raises(EngineError, match=r"can't be made: .*\.$"):
        NbdServer(tmp_path / path, Shelf(), ThreadRuntime()).start()


def test_the_path_goes_with_the_server_but_not_when_it_is_anothers(tmp_path: Path) -> None:
    with serving(tmp_path, MemoryVolume(MIB)):
        pass
    assert not (tmp_path / "nbd").exists()
    with serving(tmp_path, MemoryVolume(MIB)):
        (tmp_path / "nbd").unlink()
        (tmp_path / "nbd").write_text("another's")
    assert (tmp_path / "nbd").read_text() == "another's"


def test_clients_tells_who_is_connected_to_what(served: Served) -> None:
    assert served.server.clients() == ()
    with Client(served.path) as client, Client(served.path) as undecided:
        client.go()
        undecided.greet()
        [who] = served.server.clients()
        assert (who.export, who.pid, who.uid, who.gid) == (NAME, os.getpid(), os.getuid(), os.getgid())
        assert who.program == Path("/proc/self/comm").read_text().strip()
        assert who.since_s > 1.6e9
        assert served.shelf.opened == [who]
    served.shelf.wait_closed(1)


def test_the_volume_is_opened_only_at_go(served: Served) -> None:
    with Client(served.path) as client:
        client.greet()
        for number in (3, 6, 8, 9, 10, 6, 3):
            client.option(number, info(NAME) if number == 6 else b"")
            client.answers(number)
        assert not served.shelf.opened
        assert not served.volume.slots


def test_two_hundred_idle_clients_keep_nobody_out(served: Served) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(200):
            stack.enter_context(Client(served.path))
        assert_serves(served)
        for _ in range(200):
            stack.enter_context(Client(served.path)).go()
        assert_serves(served)


def test_clients_are_counted(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "MOST_CLIENTS", 3)
    with contextlib.ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(Client(served.path)).go()
        fourth = stack.enter_context(Client(served.path))
        fourth.greet()
        fourth.option(7, info(NAME))
        assert fourth.answers(7) == [(0x80000002, b"too many clients are connected")]
        fifth = stack.enter_context(Client(served.path))
        fifth.greet()
        fifth.option(1, NAME.encode())
        assert fifth.is_dropped()


# Ends


def test_stop_ends_idle_clients_of_every_kind(served: Served) -> None:
    with Client(served.path) as silent, Client(served.path) as negotiating, Client(served.path) as idle:
        negotiating.greet()
        idle.go()
        assert served.server.stop()
        assert silent.take(18)
        for client in (silent, negotiating, idle):
            assert client.is_dropped()
    assert served.server.stop()
    assert served.server.clients() == ()


def _in_background(action: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=action)
    thread.start()
    return thread


def _shut_for_reading(client: Client) -> None:
    """Until the server takes no more requests: then a peer's send fails, also one that was waiting for room."""
    deadline = client.link.gettimeout()
    client.link.settimeout(None)
    with contextlib.suppress(BrokenPipeError):
        while True:
            client.link.send(REQUEST.pack(0x25609513, 0, FLUSH, 99, 0, 0))
    client.link.settimeout(deadline)


def test_stop_finishes_what_is_under_way_and_refuses_what_comes_later(tmp_path: Path) -> None:
    volume = MemoryVolume(4 * MIB, defer=lambda request: request.op is Op.WRITE)
    with serving(tmp_path, volume) as served, Client(served.path) as client:
        client.go()
        client.ask(WRITE, 1, 0, 4, b"data")
        client.ask(WRITE, 2, MIB, 100_000, b"d" * 100_000)
        volume.wait_deferred(2)
        stopping = _in_background(lambda: served.server.stop(60))
        _shut_for_reading(client)
        volume.let_one_end()
        volume.let_one_end()
        answers = []
        with contextlib.suppress(EOFError):
            while True:
                answers.append(client.answer())
        stopping.join()
        assert {(1, 0, b""), (2, 0, b"")} <= set(answers)
        assert {answer.error for answer in answers if answer.cookie == 99} <= {0, SHUTDOWN}
        assert volume.content(0, 4) == b"data"
        assert volume.slots == volume.released


def test_requests_that_arrive_while_it_stops_get_eshutdown(tmp_path: Path) -> None:
    """The queue of the socket is full of requests while the thread is kept busy, so they are parsed after the end."""
    inside, go_on = threading.Event(), threading.Event()

    def wait(request: object) -> int:
        inside.set()
        assert go_on.wait(60)
        return 0

    with serving(tmp_path, MemoryVolume(4 * MIB, fail=wait)) as served, Client(served.path) as client:
        client.go(structured=True)
        client.ask(READ, 1, 0, 512)
        assert inside.wait(60)
        client.ask(READ, 2, 0, 512)
        client.ask(WRITE, 3, 0, 512, bytes(512))
        client.ask(WRITE, 4, 0, 5000, bytes(5000))
        client.ask(FLUSH, 5)
        stopping = _in_background(lambda: served.server.stop(60))
        _shut_for_reading(client)
        go_on.set()
        assert client.answer() == (1, 0, bytes(512))
        for cookie in (2, 3, 4, 5):
            assert client.answer() == (cookie, SHUTDOWN, b"")
        stopping.join()


def test_a_client_that_takes_no_answers_is_cut_off(served: Served) -> None:
    with Client(served.path) as deaf:
        deaf.go()
        deaf.link.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                deaf.link.send(REQUEST.pack(0x25609513, 0, READ, 1, 0, MIB))
        assert served.server.stop(0.2) or served.server.stop(60)  # whoever was cut off may need a moment to end


def test_stop_tells_when_the_volume_still_owes_answers(tmp_path: Path) -> None:
    volume = MemoryVolume(MIB, defer=lambda request: request.op is Op.READ)
    with serving(tmp_path, volume) as served, Client(served.path) as client:
        client.go()
        client.ask(READ, 1, 0, 512)
        volume.wait_deferred(1)
        assert not served.server.stop(0.1)
        assert not volume.released
        volume.let_one_end()
        served.shelf.wait_closed(1)
        assert served.server.stop()


def test_disconnect_ends_the_clients_of_one_export_only(served: Served) -> None:
    served.shelf.volumes["dg1/other"] = served.volume
    with Client(served.path) as mine, Client(served.path) as others:
        mine.go()
        others.go("dg1/other")
        assert served.server.disconnect(NAME)
        assert mine.is_dropped()
        assert others.call(READ, 0, 512) == (0, bytes(512))
        assert [who.export for who in served.server.clients()] == ["dg1/other"]
        assert [who.export for who in served.shelf.closed] == [NAME]


def test_stop_under_load_loses_no_acknowledged_write(tmp_path: Path) -> None:
    volume = MemoryVolume(4 * MIB, defer=lambda request: request.offset % 1024 == 0, workers=2)
    acknowledged: list[int] = []

    def write(first: int) -> None:
        with Client(served.path) as client, contextlib.suppress(EOFError, OSError):
            client.go()
            ready.wait()
            for slot in range(first, 8192, 4):
                error, _ = client.call(WRITE, 512 * slot, 512, slot.to_bytes(2, "big") * 256)
                if error:
                    assert error == SHUTDOWN
                    return
                acknowledged.append(slot)
                if len(acknowledged) == 200:
                    enough.set()

    ready, enough = threading.Barrier(4), threading.Event()
    with serving(tmp_path, volume) as served:
        writers = [_in_background(lambda first=first: write(first)) for first in range(4)]
        assert enough.wait(60)
        assert served.server.stop()
        for writer in writers:
            writer.join()
        for slot in acknowledged:
            assert volume.content(512 * slot, 512) == slot.to_bytes(2, "big") * 256


def test_running_out_of_descriptors_is_survived(served: Served, expect_log: Callable[[str], None]) -> None:
    expect_log("A client could not be let in: Too many open files")
    noticed = _LogEvent("could not be let in")
    logging.getLogger("engine.export.listener").addHandler(noticed)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        with socket.socket(socket.AF_UNIX) as link:
            resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, os.listdir("/proc/self/fd"))), hard))
            held = _fill_descriptors()
            try:
                link.connect(str(served.path))
                assert noticed.seen.wait(60)
            finally:
                for fd in held:
                    os.close(fd)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        logging.getLogger("engine.export.listener").removeHandler(noticed)
    assert_serves(served)


def _fill_descriptors() -> list[int]:
    held = []
    with contextlib.suppress(OSError):
        while True:
            held.append(os.open(os.devnull, os.O_RDONLY))
    return held


class _LogEvent(logging.Handler):
    """Set when a line with this text is logged."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = text
        self.seen = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        if self._text in record.getMessage():
            self.seen.set()


def test_a_client_for_whom_no_thread_can_be_had_is_sent_away(tmp_path: Path, expect_log: Callable[[str], None]) -> None:
    expect_log("A client could not be let in: can't start new thread")
    runtime = Poor(threads=1)
    with serving(tmp_path, MemoryVolume(MIB), runtime=runtime) as served:
        with Client(served.path) as client:
            assert client.is_dropped()
        runtime.threads_left = 1
        assert_serves(served)


def test_a_slow_client_for_whom_no_second_thread_can_be_had_is_cut_off(tmp_path: Path) -> None:
    volume = MemoryVolume(4 * MIB, defer=lambda request: request.op is Op.READ and request.length == MIB)
    with serving(tmp_path, volume, runtime=Poor(threads=2)) as served, Client(served.path) as deaf:
        deaf.go()
        for cookie in range(40):  # more than any socket's buffer takes
            deaf.ask(READ, cookie, 0, MIB)
        for _ in range(40):
            volume.let_one_end()
        served.shelf.wait_closed(1)
        assert volume.slots == volume.released


class Poor(ThreadRuntime):
    """A machine that has only so many threads left."""

    def __init__(self, threads: int) -> None:
        super().__init__()
        self.threads_left = threads

    def thread(self, name: str, target: Callable[[], None]) -> Thread:
        self.threads_left -= 1
        if self.threads_left < 0:
            raise RuntimeError("can't start new thread")
        return super().thread(name, target)
