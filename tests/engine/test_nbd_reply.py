"""The moment at which a batch ends while its last request does: every order of the two, one answer each."""

from __future__ import annotations

import errno
import socket
import struct
import threading
from collections.abc import Callable, Iterator

import pytest

from engine.dataplane.request import Op, Request
from engine.export import codec
from engine.export.buffers import Buffer
from engine.export.reply import READ_CHUNK_HEAD, SIMPLE_HEAD, Flight, Replies
from engine.runtime import ThreadRuntime
from tests.engine.nbd_peer import DEADLINE_S

COOKIE = 0x1122334455667788
PAYLOAD = bytes(range(200))


class Meeting(dict[Request, int]):
    """Results during whose noting the batch ends: just before, or just after."""

    def __init__(self, before: Callable[[], None], after: Callable[[], None]) -> None:
        super().__init__()
        self._before = before
        self._after = after

    def __setitem__(self, request: Request, error: int) -> None:
        self._before()
        super().__setitem__(request, error)
        self._after()


class Case:
    """One request in one batch, on a connection of its own."""

    def __init__(self, op: Op, large: bool, structured: bool) -> None:
        self.link, self.peer = socket.socketpair()
        self.peer.settimeout(DEADLINE_S)
        self.structured = structured
        self.replies = Replies(self.link, ThreadRuntime(), "nbd-test-send", structured=structured)
        self.flight = Flight(self.replies)
        self.outbox, self.inbox, self.big = Buffer(4096), Buffer(4096), Buffer(4096) if large else None
        self.flight.outbox, self.flight.inbox, self.flight.big = self.outbox, self.inbox, self.big
        self.end = self._gather(op)
        self.settled = 0

    def _gather(self, op: Op) -> int:
        """Puts the request behind 16 bytes of another answer, as a batch does."""
        self.outbox.view[:SIMPLE_HEAD] = codec.simple_reply(1, 0)
        chunked = self.structured and op is Op.READ
        head = codec.read_chunk(COOKIE, 0, len(PAYLOAD)) if chunked else codec.simple_reply(COOKIE, 0)
        body = SIMPLE_HEAD + len(head)
        self.outbox.view[SIMPLE_HEAD:body] = head
        where = self.big.view if self.big else self.outbox.view[body:] if op is Op.READ else self.inbox.view
        where[: len(PAYLOAD)] = PAYLOAD
        self.request = Request(op, 0, len(PAYLOAD), where[: len(PAYLOAD)], cookie=SIMPLE_HEAD)
        return body + (len(PAYLOAD) if op is Op.READ and not self.big else 0)

    def settle(self) -> None:
        """The batch ends: what the connection's thread does then."""
        self.settled += 1
        self.replies.send(self.replies.settle(self.flight, [self.request], 0, self.end))

    def received(self) -> bytes:
        self.link.shutdown(socket.SHUT_WR)
        said = bytearray()
        while piece := self.peer.recv(65536):
            said += piece
        return bytes(said)

    def expected(self, error: int) -> bytes:
        first = codec.simple_reply(1, 0)
        if error and self.structured and self.request.op is Op.READ:
            return first + codec.error_chunk(COOKIE, error)
        if error or self.request.op is not Op.READ:
            return first + codec.simple_reply(COOKIE, error)
        chunk = codec.read_chunk(COOKIE, 0, len(PAYLOAD)) if self.structured else codec.simple_reply(COOKIE, 0)
        return first + chunk + PAYLOAD

    def close(self) -> None:
        self.replies.close()
        self.link.close()
        self.peer.close()


@pytest.fixture(params=[(Op.READ, False), (Op.READ, True), (Op.WRITE, False), (Op.WRITE, True)], ids=str)
def case(request: pytest.FixtureRequest) -> Iterator[Case]:
    op, large = request.param
    case = Case(op, large, structured=True)
    yield case
    case.close()


def _nothing() -> None:
    pass


@pytest.mark.parametrize("error", [0, errno.EIO])
@pytest.mark.parametrize("order", ["ends first", "meets before", "meets after", "ends last"])
def test_one_answer_whichever_comes_first(case: Case, order: str, error: int) -> None:
    meeting = {"meets before": (case.settle, _nothing), "meets after": (_nothing, case.settle)}.get(order)
    if meeting is not None:
        case.flight.results = Meeting(*meeting)
    if order == "ends last":
        case.settle()
        assert case.replies.held == 1
        assert case.outbox.live == 1
        pinned = case.big or (case.inbox if case.request.op is Op.WRITE else case.outbox)
        assert pinned.live == 1
    case.flight.finish(case.request, error)
    if order == "ends first":
        case.settle()
    assert case.settled == 1
    assert case.replies.held == 0
    assert not any(buffer.live for buffer in (case.outbox, case.inbox, case.big) if buffer)
    assert case.received() == case.expected(error)


@pytest.mark.parametrize("error", [0, errno.ENOSPC])
def test_simple_replies_tell_errors_in_their_header(error: int) -> None:
    case = Case(Op.READ, large=False, structured=False)
    case.settle()
    case.flight.finish(case.request, error)
    said = case.received()
    case.close()
    assert said == case.expected(error)
    assert struct.unpack(">IIQ", said[SIMPLE_HEAD:][:SIMPLE_HEAD]) == (0x67446698, error, COOKIE)


@pytest.mark.parametrize("one", [False, True])
def test_while_a_sender_is_stalled_the_others_wait_their_turn(one: bool) -> None:
    """A peer that reads nothing stalls the first late answer halfway; every other one comes out whole, behind it."""
    link, peer = socket.socketpair()
    peer.settimeout(DEADLINE_S)
    link.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    replies = Replies(link, ThreadRuntime(), "nbd-test-send", structured=True)
    outbox, slot, length = Buffer(1 << 20), READ_CHUNK_HEAD + 60_000, 16 * (READ_CHUNK_HEAD + 60_000)
    late = [_held(replies, outbox, number, slot) for number in range(15)]
    for flight, request in late:
        flight.finish(request, 0)
    assert replies.held == 15
    own = outbox.view[15 * slot : length]
    own[:] = b"x" * slot
    session = threading.Thread(target=replies.send_one, args=(own,))
    if not one:
        session = threading.Thread(target=replies.send, args=([own[:100], own[100:]],))
    session.start()
    said = bytearray()
    while len(said) < length:
        said += peer.recv(65536)
    session.join()
    replies.wait_until_held(0)
    assert outbox.live == 0
    replies.close()
    link.close()
    peer.close()
    answers = {bytes(said[at : at + slot]) for at in range(0, length, slot)}
    assert answers == {bytes(outbox.view[at : at + slot]) for at in range(0, length, slot)}


def _held(replies: Replies, outbox: Buffer, number: int, slot: int) -> tuple[Flight, Request]:
    """A small READ that was unfinished at the end of its batch."""
    at = number * slot
    length = slot - READ_CHUNK_HEAD
    outbox.view[at : at + READ_CHUNK_HEAD] = codec.read_chunk(number, 0, length)
    payload = outbox.view[at + READ_CHUNK_HEAD : at + slot]
    payload[:] = bytes([number]) * length
    flight, request = Flight(replies), Request(Op.READ, 0, length, payload, cookie=at)
    flight.outbox = outbox
    assert replies.settle(flight, [request], at, at + slot) == []
    return flight, request
