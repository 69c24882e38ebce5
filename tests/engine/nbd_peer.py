"""Both ends of an NBD server under test: a volume in memory behind it, and a client that can say anything."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from engine.dataplane.request import Op, Request, Sink
from engine.export.server import NbdServer
from engine.export.source import ClientInfo, ExportFacts, Extent
from engine.runtime import Runtime, ThreadRuntime

DEADLINE_S = 60.0
NAME = "dg1/vol1"
MIB = 1024 * 1024


class MemoryVolume:
    """Real bytes in a memory file. Requests that `defer` picks end later, in random order, on other threads."""

    def __init__(
        self,
        size: int,
        *,
        defer: Callable[[Request], bool] = lambda request: False,
        fail: Callable[[Request], int] = lambda request: 0,
        workers: int = 0,
        seed: int = 0,
    ) -> None:
        self.size = size
        self.served: list[tuple[Op, int, int, bool, bool]] = []
        self.slots: list[str] = []
        self.released: list[str] = []
        self.deferred = threading.Condition()
        self.waiting: list[tuple[Request, Sink]] = []
        self._defer = defer
        self._fail = fail
        self._random = Random(seed)
        self._fd = os.memfd_create("volume")
        os.ftruncate(self._fd, size)
        self._closed = False
        self._workers = [threading.Thread(target=self._work, name=f"volume-{n}") for n in range(workers)]
        for worker in self._workers:
            worker.start()

    def slot(self, name: str) -> str:
        self.slots.append(name)
        return name

    def retire(self, slot: Any) -> None:
        self.released.append(slot)

    def execute(self, batch: Sequence[Request], slot: Any, sink: Sink) -> None:
        for request in batch:
            if self._defer(request):
                with self.deferred:
                    self.waiting.append((request, sink))
                    self.deferred.notify_all()
            else:
                sink.finish(request, self._perform(request))

    def _perform(self, request: Request) -> int:
        self.served.append((request.op, request.offset, request.length, request.durable, request.may_unmap))
        error = self._fail(request)
        if error:
            return error
        if request.op is Op.READ:
            assert os.preadv(self._fd, [request.buffer], request.offset) == request.length
        elif request.op is Op.WRITE:
            assert os.pwritev(self._fd, [request.buffer], request.offset) == request.length
        elif request.op in (Op.ZERO, Op.DISCARD):
            self.fill(request.offset, request.length)
        return 0

    def _work(self) -> None:
        while True:
            with self.deferred:
                self.deferred.wait_for(lambda: self.waiting or self._closed)
                if not self.waiting:
                    return
                request, sink = self.waiting.pop(self._random.randrange(len(self.waiting)))
            sink.finish(request, self._perform(request))

    def let_one_end(self) -> None:
        """End the oldest deferred request on this thread."""
        with self.deferred:
            assert self.deferred.wait_for(lambda: self.waiting, DEADLINE_S)
            request, sink = self.waiting.pop(0)
        sink.finish(request, self._perform(request))

    def wait_deferred(self, count: int) -> None:
        """Until so many requests are unfinished."""
        with self.deferred:
            assert self.deferred.wait_for(lambda: len(self.waiting) >= count, DEADLINE_S)

    def fill(self, offset: int, length: int) -> None:
        """Zeros, in pieces, however long."""
        end = offset + length
        for at in range(offset, end, MIB):
            os.pwrite(self._fd, bytes(min(MIB, end - at)), at)

    def content(self, offset: int = 0, length: int | None = None) -> bytes:
        """What is on the volume now."""
        return os.pread(self._fd, self.size - offset if length is None else length, offset)

    def put(self, offset: int, data: bytes) -> None:
        """Write behind the server's back."""
        os.pwrite(self._fd, data, offset)

    def close(self) -> None:
        with self.deferred:
            self._closed = True
            self.deferred.notify_all()
        for worker in self._workers:
            worker.join()
        os.close(self._fd)


class MappedVolume(MemoryVolume):
    """One that can tell its holes."""

    extents: Sequence[Extent] = ()

    def allocation(self, offset: int, length: int) -> Sequence[Extent]:
        return self.extents


class OpenedVolume:
    """What the server gets for one client."""

    def __init__(self, source: MemoryVolume, read_only: bool, closed: Callable[[], None]) -> None:
        self.source = source
        self.read_only = read_only
        self.close = closed


class Shelf:
    """The exports: volumes by name, and a record of who opened what."""

    def __init__(self) -> None:
        self.volumes: dict[str, MemoryVolume] = {}
        self.read_only = False
        self.opened: list[ClientInfo] = []
        self.closed: list[ClientInfo] = []
        self.changed = threading.Condition()

    def names(self) -> list[str]:
        return list(self.volumes)

    def describe(self, name: str) -> ExportFacts | None:
        volume = self.volumes.get(name)
        return None if volume is None else ExportFacts(volume.size, self.read_only, "A volume in memory")

    def open(self, name: str, client: ClientInfo) -> OpenedVolume | None:
        volume = self.volumes.get(name)
        if volume is None:
            return None
        with self.changed:
            self.opened.append(client)
            self.changed.notify_all()
        return OpenedVolume(volume, self.read_only, lambda: self._close(client))

    def _close(self, client: ClientInfo) -> None:
        with self.changed:
            self.closed.append(client)
            self.changed.notify_all()

    def wait_closed(self, count: int) -> None:
        """Until so many clients have gone again."""
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.closed) >= count, DEADLINE_S)


class Served(NamedTuple):
    """A running server with one volume."""

    path: Path
    volume: MemoryVolume
    shelf: Shelf
    server: NbdServer

    def uri(self, name: str = NAME) -> str:
        return f"nbd+unix:///{name}?socket={self.path}"


@contextlib.contextmanager
def serving(
    folder: Path, volume: MemoryVolume, name: str = NAME, *, read_only: bool = False, runtime: Runtime | None = None
) -> Iterator[Served]:
    """A server for `volume`, stopped at the end with whatever is attached."""
    shelf = Shelf()
    shelf.volumes[name] = volume
    shelf.read_only = read_only
    server = NbdServer(folder / "nbd", shelf, runtime or ThreadRuntime())
    server.start()
    try:
        yield Served(folder / "nbd", volume, shelf, server)
    finally:
        stopped = server.stop(DEADLINE_S)
        volume.close()
        assert stopped


REQUEST = struct.Struct(">IHHQQI")


class Answer(NamedTuple):
    """One reply; `body` is a READ's data or the raw descriptors of a BLOCK_STATUS."""

    cookie: int
    error: int
    body: bytes = b""


class Client:
    """An NBD client that checks nothing of what it sends."""

    def __init__(self, path: Path) -> None:
        self.link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.link.connect(str(path))
        self.link.settimeout(DEADLINE_S)
        self.structured = False
        self.lengths: dict[int, int] = {}

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.link.close()

    def take(self, length: int) -> bytes:
        """Exactly so many bytes. Raises EOFError when the server hangs up before."""
        data = bytearray()
        while len(data) < length:
            piece = self.link.recv(min(length - len(data), MIB))
            if not piece:
                raise EOFError
            data += piece
        return bytes(data)

    def is_dropped(self) -> bool:
        """Whether the server hangs up without another word; waits for it."""
        try:
            return self.link.recv(1) == b""
        except ConnectionResetError:
            return True

    def greet(self, flags: int = 3) -> None:
        assert self.take(18) == b"NBDMAGICIHAVEOPT\0\3"
        self.link.sendall(struct.pack(">I", flags))

    def option(self, number: int, body: bytes = b"", *, length: int | None = None) -> None:
        self.link.sendall(option(number, body, length=length))

    def option_answer(self) -> tuple[int, int, bytes]:
        magic, number, kind, length = struct.unpack(">QIII", self.take(20))
        assert magic == 0x3E889045565A9
        return number, kind, self.take(length)

    def answers(self, number: int) -> list[tuple[int, bytes]]:
        """All answers to an option, up to the last one."""
        found = []
        while True:
            which, kind, body = self.option_answer()
            assert which == number
            found.append((kind, body))
            if kind == 1 or kind >> 31:
                return found

    def go(self, name: str = NAME, *, structured: bool = False, allocation: bool = False) -> dict[int, bytes]:
        """Negotiate; answers the pieces of information about the export."""
        self.greet()
        if structured:
            self.option(8)
            assert self.answers(8) == [(1, b"")]
        if allocation:
            self.option(10, meta(name, b"base:allocation"))
            assert [kind for kind, _ in self.answers(10)] == [4, 1]
        self.option(7, info(name, 3))
        answers = self.answers(7)
        assert answers[-1][0] == 1, answers
        self.structured = structured
        return {int.from_bytes(body[:2], "big"): body[2:] for kind, body in answers if kind == 3}

    def ask(
        self, command: int, cookie: int, offset: int = 0, length: int = 0, payload: bytes = b"", *, flags: int = 0
    ) -> None:
        if command == 0:
            self.lengths[cookie] = length
        self.link.sendall(REQUEST.pack(0x25609513, flags, command, cookie, offset, length) + payload)

    def answer(self) -> Answer:
        magic = struct.unpack(">I", self.take(4))[0]
        if magic == 0x67446698:
            error, cookie = struct.unpack(">IQ", self.take(12))
            assert not (self.structured and cookie in self.lengths)
            length = self.lengths.pop(cookie, 0)
            return Answer(cookie, error, b"" if error else self.take(length))
        assert magic == 0x668E33EF
        assert self.structured
        flags, kind, cookie, length = struct.unpack(">HHQI", self.take(16))
        assert flags == 1
        body = self.take(length)
        asked = self.lengths.pop(cookie, None)
        if kind == 0x8001:
            return Answer(cookie, struct.unpack(">IH", body)[0])
        if kind == 1:
            assert asked == len(body) - 8
            return Answer(cookie, 0, body[8:])
        assert kind == 5
        return Answer(cookie, 0, body)

    def call(
        self, command: int, offset: int = 0, length: int = 0, payload: bytes = b"", *, flags: int = 0
    ) -> tuple[int, bytes]:
        """One request and its answer: error and data."""
        self.ask(command, 77, offset, length, payload, flags=flags)
        answer = self.answer()
        assert answer.cookie == 77
        return answer.error, answer.body


def option(number: int, body: bytes = b"", *, length: int | None = None) -> bytes:
    """An option as sent; `length` lies about the body's."""
    return b"IHAVEOPT" + struct.pack(">II", number, len(body) if length is None else length) + body


def info(name: str, *wanted: int) -> bytes:
    """The body of INFO and GO."""
    encoded = name.encode()
    return struct.pack(">I", len(encoded)) + encoded + struct.pack(f">H{len(wanted)}H", len(wanted), *wanted)


def meta(name: str, *queries: bytes) -> bytes:
    """The body of LIST_META_CONTEXT and SET_META_CONTEXT."""
    encoded = name.encode()
    body = struct.pack(">I", len(encoded)) + encoded + struct.pack(">I", len(queries))
    return body + b"".join(struct.pack(">I", len(query)) + query for query in queries)


def run(*words: str, check: bool = True, text: str | None = None) -> subprocess.CompletedProcess[str]:
    """A program with a deadline; its complaints are in the error when it fails."""
    done = subprocess.run(words, capture_output=True, text=True, timeout=240, input=text, check=False)
    if check and done.returncode:
        raise AssertionError(f"{words} ended with {done.returncode}: {done.stdout}\n{done.stderr}")
    return done


def assert_serves(served: Served) -> None:
    """A well-behaved client is still served."""
    with Client(served.path) as client:
        client.go(structured=True)
        error, data = client.call(0, 0, 4096)
        assert (error, data) == (0, served.volume.content(0, 4096))
