"""Brings the rows of a RAID-5 volume in order after a crash, from the copies of its log. Runs before anybody is served.

Nothing is guessed: a chain that breaks below an entry that is known to have been durable is damage, not the end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from engine.dataplane.fault import LEG_ERRORS
from engine.dataplane.raid5_changes import Changes, Cover, Damage, Replayed
from engine.dataplane.raid5_log import newest_superblock
from engine.dataplane.raid5_log_format import (
    BLOCK,
    RING_AT,
    Entry,
    ExtentKind,
    LogOwner,
    Superblock,
    announced_head,
    entry_head,
    payload_checksum,
    read_entry,
    ring_bytes,
)

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator, Sequence

    from engine.dataplane.raid5_log_format import LogCopy
    from engine.dataplane.table import Table

__all__ = ["Damaged", "Replayed", "replay"]

_SCAN = 1 << 20


class Damaged(NamedTuple):
    """The log cannot be believed; the parity must be made anew from the data. `reason` completes "The log ..."."""

    reason: str


class _Found(NamedTuple):
    entry: Entry
    payload: memoryview


def replay(copies: Sequence[LogCopy], volume: bytes, generation: bytes, table: Table) -> Replayed | Damaged:
    """Do again every change that the log of this generation holds, on all places that `table` names, and flush them.

    Doing it twice does no harm: nothing in the log is given up by it.
    """
    reader = _Reader(copies, LogOwner(volume, generation))
    done = Replayed()
    try:
        found = [(found.entry, at) for found, at in reader.entries(reader.begin())]
        stable = max((entry.stable for entry, _ in found), default=0)
        todo = [(entry, at) for entry, at in found if entry.sequence >= stable]
        changes = Changes(table, done, _covers(entry for entry, _ in todo))
        for entry, _ in todo:
            changes.examine(entry, reader.rows(entry))
        unlogged = _unlogged(table, [entry for entry, _ in todo])
        changes.examine_unlogged(unlogged)
        for entry, at in todo:
            loaded = reader.load(entry.sequence, at, entry.chain)
            if loaded is None:
                raise Damage("could not be read twice alike.")
            changes.apply(entry, loaded.payload, reader.rows(entry))
        changes.apply_unlogged(unlogged)
    except Damage as damage:
        return Damaged(str(damage))
    done.entries = len(todo)
    changes.flush()
    done.failed_copies = reader.failed
    return done


def _covers(entries: Iterable[Entry]) -> dict[int, Cover]:
    """For each row the last change that has all of it: what came before does not matter any more."""
    found: dict[int, Cover] = {}
    for entry in entries:
        for index, extent in enumerate(entry.extents):
            if extent.kind not in (ExtentKind.COLUMN, ExtentKind.MARK):
                count = extent.length if extent.kind is ExtentKind.ZERO else 1
                found.update(dict.fromkeys(range(extent.first, extent.first + count), Cover(entry.sequence, index)))
    return found


def _unlogged(table: Table, entries: Sequence[Entry]) -> list[int]:
    """The rows that have a mark, and nothing else: of those that have, the log has all that was written since."""
    unit = table.raid5.unit if table.raid5 is not None else 1
    marked: set[int] = set()
    told: set[int] = set()
    for extent in (extent for entry in entries for extent in entry.extents):
        (marked if extent.kind is ExtentKind.MARK else told).update(extent.rows(unit))
    return sorted(marked - told)


class _Reader:
    """Walks the chain over all copies; an entry that any of them has counts, and is written to those that lack it."""

    def __init__(self, copies: Sequence[LogCopy], owner: LogOwner) -> None:
        self._copies = copies
        self._owner = owner
        self._capacity = ring_bytes(min(copy.length for copy in copies)) if copies else 0
        self._unreadable: set[Hashable] = set()
        self.failed: set[Hashable] = set()

    def begin(self) -> Superblock:
        """The newest superblock of any copy."""
        found = [newest[1] for copy in self._copies if (newest := newest_superblock(copy, self._owner))]
        if not found:
            raise Damage("has no superblock of the volume's present state.")
        return max(found, key=lambda block: block.head)

    def entries(self, superblock: Superblock) -> Iterator[tuple[_Found, int]]:
        """The entries from the head on. Damage when the chain ends earlier than it may."""
        sequence, position, chain = superblock.head, superblock.position, superblock.chain
        while found := self._next(sequence, position, chain):
            yield found
            entry = found[0].entry
            sequence, position, chain = entry.sequence + 1, entry.position + entry.size, entry.seal
        if len(self._unreadable) == len(self._copies):
            raise Damage("cannot be read where it would go on.")
        if superblock.durable >= sequence or self._is_beyond(sequence):
            raise Damage("lacks an entry that it had.")

    def rows(self, entry: Entry) -> memoryview | None:
        """The data of the SUM rows of an entry, as they stand in the first copy; None when that can't be read. Only
        the entry's checksums tell whether they are still there."""
        sums = [extent for extent in entry.extents if extent.kind is ExtentKind.SUM]
        if not sums:
            return None
        copy = self._copies[0]
        data = bytearray(sum(extent.length for extent in sums) * (len(entry.sums) // len(sums) - 1))
        if entry.rows_at + len(data) > copy.length:
            return None
        try:
            copy.device.read_into(copy.offset + entry.rows_at, memoryview(data))
        except LEG_ERRORS:
            return None
        return memoryview(data)

    def load(self, sequence: int, at: int, chain: int) -> _Found | None:
        """One entry at byte `at` of the copies, completed on those that lack it."""
        found: _Found | None = None
        lacking = []
        for copy in self._copies:
            here = self._read(copy, sequence, at, chain)
            if here is None:
                lacking.append(copy)
            found = found or here
        if found is not None:
            for copy in lacking:
                self._complete(copy, at, found)
        return found

    def _next(self, sequence: int, position: int, chain: int) -> tuple[_Found, int] | None:
        """The entry lies at its position or, when it did not fit before the ring's end, at the ring's beginning."""
        self._unreadable.clear()
        for start in dict.fromkeys((position % self._capacity, 0)):
            found = self.load(sequence, RING_AT + start, chain)
            if found is not None:
                return found, RING_AT + start
        return None

    def _read(self, copy: LogCopy, sequence: int, at: int, chain: int) -> _Found | None:
        head = self._bytes(copy, at, BLOCK)
        if head is None:
            return None
        length = announced_head(head)
        if length > BLOCK:
            head = self._bytes(copy, at, length)
        entry = read_entry(copy, self._owner, at, head) if head is not None else None
        if entry is None or (entry.sequence, entry.chain) != (sequence, chain):
            return None
        payload = self._bytes(copy, at + entry.head_bytes, entry.payload_bytes)
        if payload is None or payload_checksum((payload,)) != entry.payload_checksum:
            return None
        return _Found(entry, memoryview(payload))

    def _bytes(self, copy: LogCopy, at: int, length: int) -> bytearray | None:
        if at + length > RING_AT + self._capacity:
            return None
        data = bytearray(length)
        try:
            copy.device.read_into(copy.offset + at, memoryview(data))
        except LEG_ERRORS:
            self._unreadable.add(copy.key)
            return None
        return data

    def _complete(self, copy: LogCopy, at: int, found: _Found) -> None:
        entry = found.entry
        head = entry_head(copy, self._owner, at, entry)
        try:
            copy.device.write(copy.offset + at, bytes(head) + bytes(found.payload), durable=True)
        except LEG_ERRORS:
            self.failed.add(copy.key)

    def _is_beyond(self, sequence: int) -> bool:
        """Whether any entry in the ring says that `sequence` was durable."""
        return any(self._tells(copy, sequence) for copy in self._copies)

    def _tells(self, copy: LogCopy, sequence: int) -> bool:
        for start in range(0, self._capacity, _SCAN):
            data = self._bytes(copy, RING_AT + start, min(_SCAN + BLOCK * 64, self._capacity - start))
            if data is None:
                continue
            view = memoryview(data)
            for inside in range(0, min(_SCAN, len(data)), BLOCK):
                block = bytearray(view[inside : inside + BLOCK])
                length = announced_head(block)
                if not length or inside + length > len(data):
                    continue
                entry = read_entry(copy, self._owner, RING_AT + start + inside, bytearray(view[inside:][:length]))
                if entry is not None and entry.durable >= sequence:
                    return True
        return False
