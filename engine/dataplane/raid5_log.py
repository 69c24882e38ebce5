"""The journal that closes RAID-5's write hole: every change of a row is durable in it before any leg is touched.

A ring of entries, the same on each copy. An entry counts while the superblock's head is not past it; the head moves
only over entries whose legs have all returned, after a flush that began behind them. A log lives for one generation:
whatever changes the volume's columns draws a new one, makes a new `Raid5Log` for it, and names it in the same
transaction.
"""

from __future__ import annotations

import errno
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from engine.dataplane.fault import LEG_ERRORS, errno_of
from engine.dataplane.raid5_log_format import (
    BLOCK,
    RING_AT,
    Entry,
    ExtentKind,
    LogCopy,
    LogExtent,
    LogOwner,
    Superblock,
    entry_head,
    first_chain,
    head_size,
    payload_checksum,
    read_superblock,
    ring_bytes,
    seal_of,
    superblock_bytes,
)
from engine.dataplane.raid5_marks import Mark, Marks
from engine.devices.gathered import write_parts
from engine.units import MIB, align_up

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from engine.devices.base import Data
    from engine.runtime import Runtime

SMALLEST = MIB
"""A log of fewer bytes is refused."""

_SHARE = 8
"""No entry takes more than this part of the ring."""

_ROOMS = 4
"""So many batches may have whole rows on their way that are not in the ring."""


class LogFailed(Exception):
    """A copy of the log could not be written. Nothing of what it should have held has gone to any leg."""

    def __init__(self, copy: LogCopy, number: int) -> None:
        super().__init__(f"The log on {copy.device.name} cannot be written.")
        self.copy = copy
        self.number = number


class _Pending(NamedTuple):
    """An entry whose legs have not all returned, or whose predecessors' have not."""

    sequence: int
    position: int
    chain: int


class Raid5Log:
    """One generation of a volume's log on all of its copies, empty at first.

    Making one writes its superblock durably, into the slot that does not hold the newest one of the generation
    `previous`: until the new generation is on record, the old log is whole. LogFailed when a copy cannot be written.
    """

    def __init__(
        self,
        copies: Sequence[LogCopy],
        volume: bytes,
        generation: bytes,
        runtime: Runtime,
        *,
        previous: bytes | None = None,
    ) -> None:
        if not copies or min(copy.length for copy in copies) < SMALLEST:
            raise ValueError(f"A log has copies, of at least {SMALLEST} bytes.")
        self.copies = tuple(copies)
        self.owner = LogOwner(volume, generation)
        length = min(copy.length for copy in copies)
        self.capacity = ring_bytes(length)
        self.largest = self.capacity // _SHARE // BLOCK * BLOCK
        self.room = (length - RING_AT - self.capacity) // _ROOMS // BLOCK * BLOCK
        self.failed: LogFailed | None = None
        self._rooms = [RING_AT + self.capacity + number * self.room for number in range(_ROOMS)]
        self._in_room: dict[int, int] = {}
        self._summed: dict[int, int] = {}
        self._marks = Marks()
        self._stable = 0
        self._changed = runtime.condition()
        self._trimming = self._retired = self._frozen = False
        self._pins: set[object] = set()
        self._head = self._clean = Superblock(0, 0, -1, first_chain(self.owner))
        self._next = self._tail = self._reserved = 0
        self._chain = self._head.chain
        self._durable = -1
        self._landed: set[int] = set()
        self._pending: deque[_Pending] = deque()
        self._done: set[int] = set()
        old = LogOwner(volume, previous) if previous is not None else None
        self._slots = [1 - newest[0] if (newest := newest_superblock(copy, old)) else 0 for copy in self.copies]
        self._write_superblock(self._head)

    # What a writer does, in this order.

    def reserve(self, size: int, trim: Callable[[], bool], stop: Callable[[], bool]) -> bool:
        """Set `size` bytes of the ring aside, waiting for them; only outside of the gate and without any lock.

        `trim` is called when the ring is full: it flushes what the volume has written. False, and nothing set aside,
        when this log is replaced or failed meanwhile, or `stop` says so. ValueError for more than `largest`.
        """
        if size > self.largest:
            raise ValueError(f"{size} bytes are too many for one entry of this log.")
        while True:
            with self._changed:
                if self._fits(size):
                    self._reserved += size
                    return True
            if self._useless() or stop():
                return False
            if not self.trim(trim):
                with self._changed:
                    self._changed.wait_for(lambda: self._fits(size) or self._useless() or stop() or self._can_trim())

    def release(self, size: int) -> None:
        """Give back what was set aside; what has been appended meanwhile has taken its own."""
        with self._changed:
            self._reserved -= size
            self._changed.notify_all()

    def append(
        self,
        extents: Sequence[LogExtent],
        parts: Sequence[Data],
        sums: Sequence[int] = (),
        rows: Sequence[memoryview] = (),
        room: int = 0,
        tells: Sequence[range] = (),
    ) -> int:
        """Bring one entry to every copy, with all before it, and answer its sequence. LogFailed when that fails.

        The caller has set aside at least `entry_size` of it, and holds the locks of the rows that it changes, which it
        `tells` of. `rows` are the data of SUM rows, which go to the `room` that `take_room` gave; only their `sums`
        become durable.
        """
        checksum = payload_checksum(parts)
        length = sum(map(len, parts))
        with self._changed:
            if self.failed is not None:
                raise self.failed
            entry, at = self._place(tuple(extents), length, checksum, tuple(sums), room)
            self._note_sums(entry)
            self._marks.tell(tells, entry.sequence)
        try:
            for copy in self.copies:
                self._keep_rows(copy, room, rows)
                self._write_entry(copy, at, entry, parts)
        except LogFailed as failure:
            self._fail(failure)
            raise
        except BaseException:  # whoever waits for this entry must hear of it
            self._fail(LogFailed(self.copies[0], errno.EIO))
            raise
        self._land(entry.sequence)
        return entry.sequence

    def take_room(self, size: int) -> int:
        """Room for `size` bytes of whole rows; it is given back by `done`. 0 when there is none."""
        with self._changed:
            return self._rooms.pop() if self._rooms and size <= self.room else 0

    def give_back(self, room: int) -> None:
        """Room that was taken, and is not needed."""
        if room:
            with self._changed:
                self._rooms.append(room)

    def is_summed(self, row: int) -> bool:
        """Whether the log has no more than checksums of a row that may not be stable yet: then nothing may change a
        part of it without logging all of it."""
        return self._summed.get(row, -1) >= self._stable

    @property
    def summed_rows(self) -> int:
        """Of how many rows, which may not be stable yet, it has no more than checksums, or less."""
        return len(self._summed)

    def hold_marks(self, rows: Sequence[range], ranges: Sequence[range], size: int) -> list[Mark]:
        """The marks of these `ranges`, durable, under which whole `rows` may be written without an entry; `drop_marks`
        when all legs have returned, well. Empty when the log has something of these rows, or new marks would take more
        than `size` bytes of it. LogFailed as in `append`."""
        with self._changed:
            if self.failed is not None:
                raise self.failed
            if not self._marks.may_go(rows) or self._marks.lacking(ranges) * BLOCK > size:
                return []
            held, lacking = self._marks.hold(ranges)
        try:
            for each in lacking:
                held.append(self._mark(each))
        except BaseException:
            self.drop_marks(held)
            raise
        return held

    def drop_marks(self, marks: Sequence[Mark]) -> None:
        """All legs that were written under them have returned, well, and count as written."""
        with self._changed:
            self._all_done(self._marks.drop(marks))

    def done(self, sequence: int) -> None:
        """All legs of that entry have returned, well, and count as written."""
        with self._changed:
            room = self._in_room.pop(sequence, 0)
            if room:
                self._rooms.append(room)
            self._done.add(sequence)
            while self._pending and self._pending[0].sequence in self._done:
                self._done.discard(self._pending.popleft().sequence)
            self._changed.notify_all()

    # What a flush of everything that the volume has written says to it.

    def mark(self) -> Superblock:
        """Before a flush: where the log may begin after it, at the first entry whose legs have not all returned."""
        with self._changed:
            self._all_done(self._marks.end())
            return self._first_needed()

    def flushed(self, mark: Superblock) -> None:
        """The flush that began behind `mark` has gone well. Where rows were unlogged, and none is any more, that is
        on record when this returns: what a flush has covered is not to be held back."""
        with self._changed:
            if self._pinned or mark.head <= self._stable:
                return
            marked = self._marks.unstable
            self._stable = mark.head
            self._summed = {row: sequence for row, sequence in self._summed.items() if sequence >= mark.head}
            self._marks.flushed(mark.head)
            self._all_done(self._marks.end())  # what a mark says of stable entries must hold for all under it
            self._clean = mark
            if not marked or self._marks.unstable or self._trimming or self._frozen or self._useless():
                return
            self._trimming = True
        self._move_head(mark)

    # What keeps the ring from running full.

    @property
    def trim_due(self) -> bool:
        """Whether so much of it is in use that space has to be made."""
        if self._tail - self._head.position <= self.capacity * 5 // 8 and not self._marks.many:
            return False
        with self._changed:
            return self._can_trim()

    @property
    def marked(self) -> bool:
        """Whether rows are being written without an entry, or were since the last flush."""
        return self._marks.unstable

    def trim(self, flush: Callable[[], bool]) -> bool:
        """Make the space of entries free that nobody needs any more. False when there are none, or it is not certain.

        `flush` brings everything that the volume has written to stable storage; False when any of that is in doubt.
        """
        with self._changed:
            if self._trimming:
                self._changed.wait_for(lambda: not self._trimming)
                return True
            if not self._can_trim():
                return False
            self._all_done(self._marks.end())
            self._trimming = True
            head = self._first_needed()
        return self._move_head(head, flush)

    def _move_head(self, head: Superblock, flush: Callable[[], bool] | None = None) -> bool:
        """Only for whoever has set `_trimming`, which ends here."""
        try:
            return self._trim_to(head, flush)
        finally:
            with self._changed:
                self._trimming = False
                self._changed.notify_all()

    def _trim_to(self, head: Superblock, flush: Callable[[], bool] | None) -> bool:
        if flush is not None and not flush():
            self.pin()
        if self._pinned or self._retired:
            return False
        head = max(head, self._clean)  # what was flushed meanwhile has been left to us
        try:
            self._write_superblock(head)
        except LogFailed as failure:
            self._fail(failure)
            return False
        with self._changed:
            self._head = head
        return True

    @property
    def _pinned(self) -> bool:
        return bool(self._pins)

    def pin(self, cause: object = None) -> None:
        """Something that entries stand for is in doubt: none of them is given up in this generation.

        A `cause` that turns out to be none may be taken back by `unpin`.
        """
        with self._changed:
            self._pins.add(cause)
            self._changed.notify_all()

    def unpin(self, cause: object) -> None:
        """It has been decided that nothing depends on this any more."""
        with self._changed:
            self._pins.discard(cause)
            self._changed.notify_all()

    def freeze(self) -> None:
        """From now on no superblock is written: a log of the next generation is about to be made on these copies."""
        with self._changed:
            self._frozen = True
            self._changed.wait_for(lambda: not self._trimming)

    def thaw(self) -> None:
        """The next generation was given up."""
        with self._changed:
            self._frozen = False
            self._changed.notify_all()

    def withdraw(self) -> bool:
        """The transaction that names this generation was given up, and may come true all the same: disks that have it
        tell it at the next start. Nobody shall take this for a log without entries then. False when that is in doubt.
        """
        gone = True
        for copy, slot in zip(self.copies, self._slots, strict=True):
            try:
                self._write(copy, copy.offset + (1 - slot) * BLOCK, bytes(BLOCK))
            except LogFailed:
                gone = False
        return gone

    def retire(self) -> None:
        """Another log has taken over, or none: nothing waits here any more."""
        with self._changed:
            self._retired = True
            self._changed.notify_all()

    def wake(self) -> None:
        """Whoever waits for space looks again whether he should."""
        with self._changed:
            self._changed.notify_all()

    # Inside.

    def _fits(self, size: int) -> bool:
        """One entry's worth is left free, as an entry that does not fit before the ring's end leaves a gap there."""
        return self._tail - self._head.position + self._reserved + size + self.largest <= self.capacity

    def _useless(self) -> bool:
        return self._retired or self.failed is not None

    def _can_trim(self) -> bool:
        if self._trimming or self._frozen or self._pinned or self._useless():
            return False
        idle = self._marks.idle
        first = next((entry.sequence for entry in self._pending if entry.sequence not in idle), self._next)
        return first > self._head.head

    def _first_needed(self) -> Superblock:
        if self._pending:
            first = self._pending[0]
            return Superblock(first.sequence, first.position, self._durable, first.chain)
        return Superblock(self._next, self._tail, self._durable, self._chain)

    def _place(
        self, extents: tuple[LogExtent, ...], length: int, checksum: int, sums: tuple[int, ...], room: int
    ) -> tuple[Entry, int]:
        """The next entry, and where it goes in a copy."""
        head_bytes = head_size(len(extents), len(sums))
        size = head_bytes + align_up(length, BLOCK)
        start = self._tail % self.capacity
        position = self._tail if start + size <= self.capacity else self._tail + self.capacity - start
        at = RING_AT + position % self.capacity
        told = self._next, position, self._durable, self._chain, 0, head_bytes, length, checksum
        entry = Entry(*told, extents, sums, room, self._stable)
        self._pending.append(_Pending(entry.sequence, position, entry.chain))
        self._chain = seal_of(entry_head(self.copies[0], self.owner, at, entry))
        self._tail = position + size
        self._next += 1
        return entry, at

    def _mark(self, rows: range) -> Mark:
        """A new one, held by the caller."""
        stable = self._stable
        extent = LogExtent(ExtentKind.MARK, 0, 0, rows.start, len(rows))
        mark = Mark(self.append([extent], []), rows)
        with self._changed:
            known = self._summed
            known.update((row, mark.sequence) for row in rows if known.get(row, -1) < mark.sequence)
            self._all_done(self._marks.add(mark, live=self._stable == stable))
        return mark

    def _all_done(self, sequences: Sequence[int]) -> None:
        for sequence in sequences:
            self.done(sequence)

    def _note_sums(self, entry: Entry) -> None:
        for extent in entry.extents if self._summed else ():
            if extent.kind in (ExtentKind.ROW, ExtentKind.ZERO):
                count = extent.length if extent.kind is ExtentKind.ZERO else 1
                for row in range(extent.first, extent.first + count):
                    self._summed.pop(row, None)
        if entry.sums:
            rows = [extent.first for extent in entry.extents if extent.kind is ExtentKind.SUM]
            self._summed.update(dict.fromkeys(rows, entry.sequence))
            self._in_room[entry.sequence] = entry.rows_at

    def _keep_rows(self, copy: LogCopy, room: int, rows: Sequence[memoryview]) -> None:
        if not rows:
            return
        try:
            write_parts(copy.device, copy.offset + room, rows, step=self.room)
        except LEG_ERRORS as error:
            raise LogFailed(copy, errno_of(error)) from error

    def _write_entry(self, copy: LogCopy, at: int, entry: Entry, parts: Sequence[Data]) -> None:
        buffer = entry_head(copy, self.owner, at, entry)
        for part in parts:
            buffer += part
        buffer += bytes(entry.size - len(buffer))
        self._write(copy, copy.offset + at, buffer)

    def _write(self, copy: LogCopy, offset: int, data: Data, *, durable: bool = True) -> None:
        try:
            copy.device.write(offset, data, durable=durable)
        except LEG_ERRORS as error:
            raise LogFailed(copy, errno_of(error)) from error

    def _land(self, sequence: int) -> None:
        """Wait until this entry and all before it are durable: one that follows a gap is not found at a replay."""
        with self._changed:
            self._landed.add(sequence)
            while self._durable + 1 in self._landed:
                self._durable += 1
                self._landed.discard(self._durable)
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._durable >= sequence or self.failed is not None)
            if self._durable < sequence and self.failed is not None:
                raise self.failed

    def _fail(self, failure: LogFailed) -> None:
        with self._changed:
            self.failed = self.failed or failure
            self._changed.notify_all()

    def _write_superblock(self, block: Superblock) -> None:
        for index, copy in enumerate(self.copies):
            slot = self._slots[index]
            self._write(copy, copy.offset + slot * BLOCK, superblock_bytes(copy, self.owner, slot, block))
            self._slots[index] = 1 - slot


def newest_superblock(copy: LogCopy, owner: LogOwner | None) -> tuple[int, Superblock] | None:
    """The slot and content of the newest superblock of this owner's on a copy; None when there is none to be read."""
    if owner is None:
        return None
    found: list[tuple[int, Superblock]] = []
    for slot in (0, 1):
        data = bytearray(BLOCK)
        try:
            copy.device.read_into(copy.offset + slot * BLOCK, memoryview(data))
        except LEG_ERRORS:
            continue
        block = read_superblock(copy, owner, slot, data)
        if block is not None:
            found.append((slot, block))
    return max(found, key=lambda item: item[1].head, default=None)


def entry_size(extents: int, payload: int, sums: int = 0) -> int:
    """Bytes of the ring that an entry takes."""
    return head_size(extents, sums) + align_up(payload, BLOCK)
