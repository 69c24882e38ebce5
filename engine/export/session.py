"""Transmission with one client: every complete request of one receive becomes a batch, answered in one send."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from typing import Any, NamedTuple

from engine.dataplane.request import Op, Request
from engine.export import codec
from engine.export.buffers import Arenas, Buffer, Payloads
from engine.export.codec import EINVAL, EIO, ENOSPC, EPERM, ESHUTDOWN, ProtocolError
from engine.export.constants import (
    BASE_ALLOCATION_ID,
    CHUNK_DONE,
    CHUNK_MAGIC,
    CHUNK_OFFSET_DATA,
    CMD_BLOCK_STATUS,
    CMD_DISC,
    CMD_FLUSH,
    CMD_READ,
    CMD_TRIM,
    CMD_WRITE,
    CMD_WRITE_ZEROES,
    DIRTY_BITMAP_ID,
    FLAG_DF,
    FLAG_FUA,
    FLAG_NO_HOLE,
    FLAG_REQ_ONE,
    HANG_UP_PAYLOAD,
    KIB,
    MAXIMUM_EXTENTS,
    MAXIMUM_PAYLOAD,
    REQUEST_MAGIC,
    SIMPLE_REPLY_MAGIC,
    SMALL_PAYLOAD,
    STATE_DIRTY,
)
from engine.export.handshake import Negotiated
from engine.export.reply import READ_CHUNK_HEAD, SIMPLE_HEAD, Flight, Replies
from engine.export.source import Extent, KnowsAllocation, KnowsChanges
from engine.runtime import Runtime

_HEAD = codec.REQUEST.size
_UNFINISHED = 512
"""Unfinished requests with which a connection still reads on; what one receive brings may come on top."""

_LONGEST_ANSWER = 2 * (24 + 8 * MAXIMUM_EXTENTS)
_AFTER_LARGE_WRITE = 4 * KIB
"""How much is received at first after a large payload: what is likely to be the next one needn't be copied."""

_ALLOWED_FLAGS = {
    CMD_READ: FLAG_FUA,
    CMD_WRITE: FLAG_FUA,
    CMD_FLUSH: FLAG_FUA,
    CMD_TRIM: FLAG_FUA,
    CMD_WRITE_ZEROES: FLAG_FUA | FLAG_NO_HOLE,
    CMD_BLOCK_STATUS: FLAG_FUA | FLAG_REQ_ONE,
}
_CHANGES = frozenset((CMD_WRITE, CMD_TRIM, CMD_WRITE_ZEROES))
_PAST_END = {CMD_WRITE: ENOSPC, CMD_WRITE_ZEROES: ENOSPC}
_READ, _WRITE = Op.READ, Op.WRITE
_OPS = {CMD_FLUSH: Op.FLUSH, CMD_TRIM: Op.DISCARD, CMD_WRITE_ZEROES: Op.ZERO}


class _Header(NamedTuple):
    flags: int
    command: int
    cookie: int
    offset: int
    length: int


class Session:
    """One client in transmission, run by its own thread until either side ends it; the socket is the caller's."""

    def __init__(self, link: socket.socket, agreed: Negotiated, runtime: Runtime, name: str) -> None:
        self._link = link
        self._runtime = runtime
        self._name = name
        self._source = agreed.opened.source
        self._size = agreed.size
        self._read_only = agreed.opened.read_only
        self._structured = agreed.structured
        self._allocation = agreed.allocation
        self._changes = agreed.changes
        self._changed = agreed.opened if isinstance(agreed.opened, KnowsChanges) else None
        self._replies = Replies(link, runtime, f"{name}-send", structured=agreed.structured)
        self._slot: Any = None
        self._ending = False
        self._over = False
        self._flush_at_end = False
        self._read_head = READ_CHUNK_HEAD if agreed.structured else SIMPLE_HEAD
        self._odd_read_flags = ~(FLAG_FUA | FLAG_DF if agreed.structured else FLAG_FUA)
        self._known = self._source if isinstance(self._source, KnowsAllocation) else None
        self._inboxes, self._outboxes, self._payloads = Arenas(), Arenas(), Payloads()
        self._inbox = self._next_arena(self._inboxes, None)
        self._start = self._end = 0  # what of the inbox isn't parsed yet
        self._skip = 0  # bytes of a refused payload still to be thrown away
        self._appetite = self._inbox.size
        self._outbox = self._next_arena(self._outboxes, None)
        self._first = self._filled = 0  # what of the outbox belongs to the batch being gathered
        self._batch: list[Request] = []
        self._flight = Flight(self._replies)
        self._large: _Header | None = None

    def end(self) -> None:
        """From any thread: what is under way is finished, what is still to come gets ESHUTDOWN."""
        self._ending = True

    def run(self) -> None:
        """Serve until the client leaves. Raises ProtocolError when it broke the protocol."""
        self._slot = self._source.slot(self._name)
        try:
            self._serve()
        finally:
            self._replies.wait_until_held(0)
            try:
                if self._flush_at_end:
                    self._flush()
            finally:
                self._replies.close()
                self._source.retire(self._slot)

    def _serve(self) -> None:
        while not self._over:
            starved = self._parse()
            moved = self._filled != self._first
            if moved:
                self._answer(None)
            if self._large is not None:
                self._transfer_large(self._large)
            elif starved and not self._over:
                self._replies.wait_until_held(_UNFINISHED)
                if not self._receive():
                    return
            elif not moved:
                self._renew_outbox()

    def _parse(self) -> bool:
        """Gather complete requests; True when nothing more can be done without receiving more."""
        if self._skip:
            self._throw_away()
        inbox, out, room = self._inbox.view, self._outbox.view, self._outbox.size
        start, end, filled = self._start, self._end, self._filled
        small, size = SMALL_PAYLOAD, 0 if self._ending else self._size
        writable = 0 if self._read_only else size
        unpack, gather = codec.REQUEST.unpack_from, self._batch.append
        pack_simple, pack_chunk = codec.SIMPLE_REPLY.pack_into, codec.READ_CHUNK.pack_into
        structured, head, odd_flags = self._structured, self._read_head, self._odd_read_flags
        while end - start >= _HEAD:
            magic, flags, command, cookie, offset, length = unpack(inbox, start)
            if magic != REQUEST_MAGIC:
                raise ProtocolError("wrong magic in a request")
            if command == CMD_READ and 0 < length <= small and offset + length <= size and not flags & odd_flags:
                body = filled + head
                after = body + length
                if after > room:
                    break
                if structured:
                    pack_chunk(out, filled, CHUNK_MAGIC, CHUNK_DONE, CHUNK_OFFSET_DATA, cookie, 8 + length, offset)
                else:
                    pack_simple(out, filled, SIMPLE_REPLY_MAGIC, 0, cookie)
                gather(Request(_READ, offset, length, out[body:after], cookie=filled))
                filled = after
                start += _HEAD
            elif command == CMD_WRITE and 0 < length <= small and offset + length <= writable and flags <= FLAG_FUA:
                body = start + _HEAD
                after = body + length
                if after > end:
                    self._start, self._filled = start, filled
                    return True
                if room - filled < SIMPLE_HEAD:
                    break
                pack_simple(out, filled, SIMPLE_REPLY_MAGIC, 0, cookie)
                gather(Request(_WRITE, offset, length, inbox[body:after], durable=flags != 0, cookie=filled))
                filled += SIMPLE_HEAD
                start = after
            else:
                self._start, self._filled = start, filled
                if not self._admit(_Header(flags, command, cookie, offset, length)):
                    return False
                start, filled = self._start, self._filled
        else:
            self._start, self._filled = start, filled
            return True
        self._start, self._filled = start, filled
        return False

    def _admit(self, header: _Header) -> bool:
        """Take a request off the usual path; False when what was gathered has to be answered first."""
        needed = _LONGEST_ANSWER if header.command == CMD_BLOCK_STATUS else READ_CHUNK_HEAD
        if self._outbox.size - self._filled < needed:
            return False
        if header.command == CMD_DISC:
            self._over = self._flush_at_end = True
            return False
        error = self._objection(header)
        if error:
            self._refuse(header, error)
        elif header.length > SMALL_PAYLOAD and header.command in (CMD_READ, CMD_WRITE):
            self._large = header
            return False
        elif header.command == CMD_BLOCK_STATUS:
            self._start += _HEAD
            self._put(self._status(header))
        else:
            self._start += _HEAD
            self._gather(header, _OPS[header.command], None)
        return True

    def _objection(self, header: _Header) -> int:
        """The wire error that forbids a request, or 0."""
        command, offset, length = header.command, header.offset, header.length
        if self._ending:
            return ESHUTDOWN
        allowed = _ALLOWED_FLAGS.get(command)
        if allowed is None or header.flags & ~allowed & (self._odd_read_flags if command == CMD_READ else -1):
            return EINVAL
        if command == CMD_FLUSH:
            return EINVAL if offset or length else 0
        if self._read_only and command in _CHANGES:
            return EPERM
        if not length or (command == CMD_BLOCK_STATUS and not (self._allocation or self._changes)):
            return EINVAL
        if length > MAXIMUM_PAYLOAD and command in (CMD_READ, CMD_WRITE):
            return EINVAL
        return _PAST_END.get(command, EINVAL) if offset + length > self._size else 0

    def _refuse(self, header: _Header, error: int) -> None:
        self._start += _HEAD
        if header.command == CMD_WRITE:
            if header.length > HANG_UP_PAYLOAD:
                raise ProtocolError("a payload is far too long")
            self._skip = header.length
            self._throw_away()
        self._put(self._error_answer(header, error))

    def _error_answer(self, header: _Header, error: int) -> bytes:
        chunked = self._structured and header.command in (CMD_READ, CMD_BLOCK_STATUS)
        return codec.error_chunk(header.cookie, error) if chunked else codec.simple_reply(header.cookie, error)

    def _throw_away(self) -> None:
        taken = min(self._skip, self._end - self._start)
        self._start += taken
        self._skip -= taken

    def _put(self, answer: bytes) -> None:
        self._outbox.view[self._filled : self._filled + len(answer)] = answer
        self._filled += len(answer)

    def _gather(self, header: _Header, op: Op, payload: memoryview | None) -> None:
        """Put a request into the batch, with the header of its good answer into its slot."""
        flags, command, cookie, offset, length = header
        durable, may_unmap = bool(flags & FLAG_FUA) and command in _CHANGES, not flags & FLAG_NO_HOLE
        request = Request(op, offset, length, payload, durable=durable, may_unmap=may_unmap, cookie=self._filled)
        self._batch.append(request)
        if op is Op.READ and self._structured:
            self._put(codec.read_chunk(cookie, offset, length))
        else:
            self._put(codec.simple_reply(cookie, 0))

    def _status(self, header: _Header) -> bytes:
        """One chunk for each context that was chosen."""
        only_one = bool(header.flags & FLAG_REQ_ONE)
        told: list[tuple[int, list[tuple[int, int]]]] = []
        try:
            if self._allocation:
                extents = self._allocated(header.offset, header.length)
                told.append((BASE_ALLOCATION_ID, codec.descriptors(extents, header.length, only_one=only_one)))
            if self._changes:
                runs = self._changed.changes(header.offset, header.length) if self._changed is not None else ()
                dirty = ((length, STATE_DIRTY * changed) for length, changed in runs)
                found = codec.states(dirty, header.length, otherwise=STATE_DIRTY, only_one=only_one)
                told.append((DIRTY_BITMAP_ID, found))
        except OSError as error:
            return self._error_answer(header, codec.wire_error(error.errno or EIO))
        last = len(told) - 1
        chunks = (codec.status_chunk(header.cookie, *one, last=at == last) for at, one in enumerate(told))
        return b"".join(chunks)

    def _allocated(self, offset: int, length: int) -> Iterable[Extent]:
        if self._known is None:
            return (Extent(length, hole=False, zero=False),)
        return list(self._known.allocation(offset, length))

    def _answer(self, big: Buffer | None) -> None:
        """Run what was gathered and send all answers that are ready at its end."""
        batch, flight, replies, outbox = self._batch, self._flight, self._replies, self._outbox
        first, filled = self._first, self._filled
        if batch:
            flight.inbox, flight.outbox, flight.big = self._inbox, outbox, big
            self._source.execute(batch, self._slot, flight)
        if len(flight.results) == len(batch) and not flight.failed:
            flight.results.clear()
            if big is not None and batch[0].op is _READ:
                replies.send([outbox.view[first:filled], big.view[: batch[0].length]])
            else:
                replies.send_one(outbox.view[first:filled])
            self._filled = first
        else:
            replies.send(replies.settle(flight, batch, first, filled))
            self._flight = Flight(replies)
            self._first = filled
        batch.clear()
        if self._first and not outbox.live:
            self._first = self._filled = 0

    def _transfer_large(self, header: _Header) -> None:
        """One request whose payload goes straight between the socket and a buffer of its own."""
        self._large = None
        self._start += _HEAD
        big = self._replies.wait_for(lambda: self._payloads.take(header.length))
        payload = big.view[: header.length]
        writing = header.command == CMD_WRITE
        if writing and not self._receive_payload(payload):
            self._over = True
            return
        self._appetite = _AFTER_LARGE_WRITE if writing else self._inbox.size
        self._gather(header, _WRITE if writing else _READ, payload)
        self._answer(big)
        self._payloads.trim()

    def _receive_payload(self, payload: memoryview) -> bool:
        got = min(len(payload), self._end - self._start)
        payload[:got] = self._inbox.view[self._start : self._start + got]
        self._start += got
        while got < len(payload):
            try:
                taken = self._link.recv_into(payload[got:], 0, socket.MSG_WAITALL)
            except OSError:
                return False
            if not taken:
                return False
            got += taken
        return True

    def _receive(self) -> bool:
        """Receive behind what isn't parsed yet; False when the client is gone."""
        if self._start == self._end and not self._inbox.live:
            self._start = self._end = 0
        elif self._inbox.size - self._end < _HEAD + SMALL_PAYLOAD:
            self._make_room()
        try:
            taken = self._link.recv_into(self._inbox.view[self._end : self._end + self._appetite])
        except OSError:
            return False
        self._appetite = self._inbox.size
        self._end += taken
        return taken > 0

    def _make_room(self) -> None:
        """Bring the incomplete request at the end of the inbox to the front of a buffer that nobody points into."""
        kept = self._end - self._start
        if self._inbox.live:
            fresh = self._next_arena(self._inboxes, self._inbox)
            fresh.view[:kept] = self._inbox.view[self._start : self._end]
            self._inbox = fresh
        else:
            self._inbox.memory.move(0, self._start, kept)
        self._start, self._end = 0, kept

    def _renew_outbox(self) -> None:
        self._outbox = self._next_arena(self._outboxes, self._outbox)
        self._first = self._filled = 0

    def _next_arena(self, arenas: Arenas, current: Buffer | None) -> Buffer:
        return self._replies.wait_for(lambda: arenas.other_than(current))

    def _flush(self) -> None:
        ended = _Ended(self._runtime)
        self._source.execute([Request(Op.FLUSH)], self._slot, ended)
        ended.wait()


class _Ended:
    """The sink of one request whose answer nobody gets."""

    def __init__(self, runtime: Runtime) -> None:
        self._changed = runtime.condition()
        self._done = False

    def finish(self, request: Request, error: int) -> None:
        with self._changed:
            self._done = True
            self._changed.notify_all()

    def wait(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._done)
