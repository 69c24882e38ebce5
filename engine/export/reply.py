"""Answers on their way to one client: in one send at the end of a batch, or late and by themselves."""

from __future__ import annotations

import contextlib
import socket
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar, cast

from engine.dataplane.request import Op, Request
from engine.export import codec
from engine.export.buffers import Buffer
from engine.runtime import Runtime, Thread

Found = TypeVar("Found")

SIMPLE_HEAD = codec.SIMPLE_REPLY.size
READ_CHUNK_HEAD = codec.READ_CHUNK.size

_VECTOR = 512
_COOKIE = slice(8, 16)
_ERROR_AT = 4


class Flight:
    """One batch on its way through the data plane: its sink, and what must stay in place until it has landed.

    Each request has a slot in `outbox`, at the position in its `cookie`: the header of a good answer stands there
    already, with the payload of a small READ right behind it. A large payload is in `big`, and then the
    request is the only one of its batch.
    """

    __slots__ = ("_replies", "big", "failed", "inbox", "late", "outbox", "results", "waiting")

    def __init__(self, replies: Replies) -> None:
        self._replies = replies
        self.results: dict[Request, int] = {}
        self.failed = False
        self.late = False
        self.waiting: set[Request] = set()
        self.inbox: Buffer | None = None
        self.outbox: Buffer | None = None
        self.big: Buffer | None = None

    def finish(self, request: Request, error: int) -> None:
        """The sink's end of a request; the order of these steps is what makes it safe on any thread."""
        if error:
            self.failed = True
        self.results[request] = error
        if self.late:
            self._replies.finish_late(self, (request,), error)

    def finish_all(self, requests: Sequence[Request], error: int) -> None:
        """As `finish`, with one send for all answers."""
        if error:
            self.failed = True
        self.results.update(dict.fromkeys(requests, error))
        if self.late:
            self._replies.finish_late(self, requests, error)


class _Late(NamedTuple):
    flight: Flight
    request: Request
    views: list[memoryview]


class Replies:
    """The sending half of a connection. One sender at a time; only the connection's own thread ever waits.

    A thread of the data plane that finishes a request late sends as much as the socket takes at once and leaves
    the rest to a writer thread, which is started the first time that a slow client makes it necessary.
    """

    def __init__(self, link: socket.socket, runtime: Runtime, name: str, *, structured: bool) -> None:
        self.held = 0
        self._link = link
        self._runtime = runtime
        self._name = name
        self._structured = structured
        self._read_head = READ_CHUNK_HEAD if structured else SIMPLE_HEAD
        self._changed = runtime.condition()
        self._queue: deque[_Late] = deque()
        self._busy = False
        self._broken = False
        self._closed = False
        self._stalled: tuple[list[memoryview], list[_Late]] | None = None
        self._writer: Thread | None = None

    def settle(self, flight: Flight, batch: Sequence[Request], start: int, end: int) -> list[memoryview]:
        """What can be sent of a batch that didn't just succeed; unfinished requests are held from now on."""
        with self._changed:
            flight.late = True
            results = dict(flight.results)
            for request in batch:
                if request not in results:
                    self._hold(flight, request)
        pieces = self._pieces(flight, batch, results, start, end)
        if flight.big is not None and batch[0].op is Op.READ and results.get(batch[0]) == 0:
            pieces.append(flight.big.view[: batch[0].length])
        return pieces

    def _hold(self, flight: Flight, request: Request) -> None:
        flight.waiting.add(request)
        self.held += 1
        for buffer in _pinned(flight, request):
            buffer.live += 1

    def _pieces(
        self, flight: Flight, batch: Sequence[Request], results: dict[Request, int], start: int, end: int
    ) -> list[memoryview]:
        outbox = cast(Buffer, flight.outbox)
        pieces: list[memoryview] = []
        for request in batch:
            error = results.get(request)
            if error == 0:
                continue
            at = cast(int, request.cookie)
            kept = at if error is None else at + self._write_error(outbox, request, error)
            if kept > start:
                pieces.append(outbox.view[start:kept])
            start = at + self._slot(flight, request)
        if start < end:
            pieces.append(outbox.view[start:end])
        return pieces

    def _slot(self, flight: Flight, request: Request) -> int:
        if request.op is not Op.READ:
            return SIMPLE_HEAD
        return self._read_head + (request.length if flight.big is None else 0)

    def _write_error(self, outbox: Buffer, request: Request, error: int) -> int:
        at = cast(int, request.cookie)
        number = codec.wire_error(error)
        if self._structured and request.op is Op.READ:
            cookie = int.from_bytes(outbox.view[at:][_COOKIE], "big")
            chunk = codec.error_chunk(cookie, number)
            outbox.view[at : at + len(chunk)] = chunk
            return len(chunk)
        outbox.view[at + _ERROR_AT : at + _ERROR_AT + 4] = number.to_bytes(4, "big")
        return SIMPLE_HEAD

    def finish_late(self, flight: Flight, requests: Sequence[Request], error: int) -> None:
        """Requests that had been unfinished at the end of their batch have ended: send their answers."""
        with self._changed:
            for request in requests:
                if request in flight.waiting:
                    flight.waiting.discard(request)
                    self._queue.append(_Late(flight, request, self._late_views(flight, request, error)))
            if self._busy or not self._queue:
                return
            self._busy = True
        self._drain(socket.MSG_DONTWAIT)

    def _late_views(self, flight: Flight, request: Request, error: int) -> list[memoryview]:
        outbox = cast(Buffer, flight.outbox)
        at = cast(int, request.cookie)
        if error:
            return [outbox.view[at : at + self._write_error(outbox, request, error)]]
        views = [outbox.view[at : at + self._slot(flight, request)]]
        if flight.big is not None and request.op is Op.READ:
            views.append(flight.big.view[: request.length])
        return views

    def send(self, views: list[memoryview]) -> None:
        """Send now, on the connection's own thread; waits for the client as long as it takes."""
        if not views:
            return
        if not self.held:
            self._write(views, 0)
            return
        with self._changed:
            while self._busy:
                self._changed.wait()
            self._busy = True
        self._write(views, 0)
        self._drain(0)

    def send_one(self, view: memoryview) -> None:
        """Like `send` for a single piece: the usual case, so it is the quickest way."""
        if self.held:
            self.send([view])
            return
        try:
            sent = self._link.send(view)
        except OSError:
            self._break()
            return
        if sent != len(view):
            self._write([view[sent:]], 0)

    def wait_for(self, ready: Callable[[], Found | None]) -> Found:
        """What `ready` answers, asked again after each held request that has been answered."""
        with self._changed:
            while True:
                found = ready()
                if found is not None:
                    return found
                self._changed.wait()

    def wait_until_held(self, at_most: int) -> None:
        """Wait until no more than so many unfinished requests remain unanswered."""
        if self.held > at_most:
            self.wait_for(lambda: True if self.held <= at_most else None)

    def close(self) -> None:
        """End the writer thread; nothing is held any more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._writer is not None:
            self._writer.join()

    def _drain(self, flags: int) -> None:
        while True:
            with self._changed:
                if not self._queue:
                    self._busy = False
                    self._changed.notify_all()
                    return
                entries = list(self._queue)
                self._queue.clear()
            rest = self._write([view for entry in entries for view in entry.views], flags)
            if rest:
                self._leave_to_writer(rest, entries)
                return
            self._landed(entries)

    def _landed(self, entries: list[_Late]) -> None:
        with self._changed:
            for flight, request, _ in entries:
                for buffer in _pinned(flight, request):
                    buffer.live -= 1
            self.held -= len(entries)
            self._changed.notify_all()

    def _leave_to_writer(self, rest: list[memoryview], entries: list[_Late]) -> None:
        with self._changed:
            self._stalled = (rest, entries)
            self._changed.notify_all()
            if self._writer is not None:
                return
            try:
                self._writer = self._runtime.thread(self._name, self._write_what_stalled)
                return
            except RuntimeError:  # no thread to be had: this client is too slow for a crowded machine
                self._stalled = None
        self._break()
        self._landed(entries)
        self._drain(0)

    def _write_what_stalled(self) -> None:
        while True:
            with self._changed:
                while self._stalled is None and not self._closed:
                    self._changed.wait()
                if self._stalled is None:
                    return
                rest, entries = self._stalled
                self._stalled = None
            self._write(rest, 0)
            self._landed(entries)
            self._drain(0)

    def _write(self, views: list[memoryview], flags: int) -> list[memoryview]:
        """Send; answers what the socket didn't take, which is nothing unless `flags` forbid to wait.

        On a broken connection everything counts as sent: nobody is there to read it.
        """
        while views and not self._broken:
            try:
                sent = self._link.sendmsg(views[:_VECTOR], (), flags)
            except BlockingIOError:
                return views
            except OSError:
                self._break()
                return []
            views = _after(views, sent)
        return []

    def _break(self) -> None:
        self._broken = True
        with contextlib.suppress(OSError):
            self._link.shutdown(socket.SHUT_RDWR)


def _after(views: list[memoryview], sent: int) -> list[memoryview]:
    for index, view in enumerate(views):
        if sent < len(view):
            return [view[sent:], *views[index + 1 :]]
        sent -= len(view)
    return []


def _pinned(flight: Flight, request: Request) -> list[Buffer]:
    payload = flight.big
    if payload is None and request.op is Op.WRITE:
        payload = flight.inbox
    return [buffer for buffer in (flight.outbox, payload) if buffer is not None]
