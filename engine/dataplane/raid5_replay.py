"""Brings the rows of a RAID-5 volume in order after a crash, from the copies of its log. Runs before anybody is served.

Nothing is guessed: a chain that breaks below an entry that is known to have been durable is damage, not the end.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from engine.dataplane.fault import LEG_ERRORS, errno_of
from engine.dataplane.parity import xor_of
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
)
from engine.errors import DeviceError

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Sequence

    from engine.dataplane.raid5_log_format import LogCopy, LogExtent
    from engine.dataplane.raid5_map import Raid5Map
    from engine.dataplane.table import Table
    from engine.devices.base import BlockDevice

_SCAN = 1 << 20


class FailedLeg(NamedTuple):
    """A place of `column` that could not be written or flushed, and the errno."""

    column: int
    device: BlockDevice
    number: int


@dataclass(slots=True)
class Replayed:
    """What a replay has done. `missed` are columns that have no readable place for something that was replayed, and
    `failed` the pieces, by their keys, that could not be written: they must be stale before anybody writes, or the
    volume must not start. `failed_copies` has the keys of copies of the log that must not be used any more."""

    entries: int = 0
    bytes: int = 0
    missed: set[int] = field(default_factory=set)
    failed: dict[Hashable, FailedLeg] = field(default_factory=dict)
    failed_copies: set[Hashable] = field(default_factory=set)


class Damaged(NamedTuple):
    """The log cannot be believed; the parity must be made anew from the data. `reason` completes "The log ..."."""

    reason: str


class _Found(NamedTuple):
    entry: Entry
    payload: memoryview


class _Damage(Exception):
    pass


def replay(copies: Sequence[LogCopy], volume: bytes, generation: bytes, table: Table) -> Replayed | Damaged:
    """Do again every change that the log of this generation holds, on all places that `table` names, and flush them.

    Doing it twice does no harm: nothing in the log is given up by it.
    """
    reader = _Reader(copies, LogOwner(volume, generation))
    try:
        superblock = reader.begin()
        sound = [(found.entry, at) for found, at in reader.entries(superblock)]
    except _Damage as damage:
        return Damaged(str(damage))
    done = Replayed()
    writer = _Writer(table, done)
    for entry, at in sound:
        found = reader.load(entry.sequence, at, entry.chain)
        if found is None:
            return Damaged("could not be read twice alike.")
        writer.apply(found)
        done.entries += 1
    writer.flush()
    done.failed_copies = reader.failed
    return done


class _Reader:
    """Walks the chain over all copies; an entry that any of them has counts, and is written to those that lack it."""

    def __init__(self, copies: Sequence[LogCopy], owner: LogOwner) -> None:
        self._copies = copies
        self._owner = owner
        self._capacity = (min(copy.length for copy in copies) - RING_AT) // BLOCK * BLOCK if copies else 0
        self._unreadable: set[Hashable] = set()
        self.failed: set[Hashable] = set()

    def begin(self) -> Superblock:
        """The newest superblock of any copy."""
        found = [newest[1] for copy in self._copies if (newest := newest_superblock(copy, self._owner))]
        if not found:
            raise _Damage("has no superblock of the volume's present state.")
        return max(found, key=lambda block: block.head)

    def entries(self, superblock: Superblock) -> Iterator[tuple[_Found, int]]:
        """The entries from the head on. _Damage when the chain ends earlier than it may."""
        sequence, position, chain = superblock.head, superblock.position, superblock.chain
        while found := self._next(sequence, position, chain):
            yield found
            entry = found[0].entry
            sequence, position, chain = entry.sequence + 1, entry.position + entry.size, entry.seal
        if len(self._unreadable) == len(self._copies):
            raise _Damage("cannot be read where it would go on.")
        if superblock.durable >= sequence or self._is_beyond(sequence):
            raise _Damage("lacks an entry that it had.")

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


class _Writer:
    """Does what entries say, on every leg that is there. A leg that fails is left out from then on."""

    def __init__(self, table: Table, done: Replayed) -> None:
        self._table = table
        self._done = done
        self._written: dict[BlockDevice, dict[tuple[int, Hashable], None]] = {}

    def apply(self, found: _Found) -> None:
        start = 0
        for extent in found.entry.extents:
            start += self._apply(extent, found.payload[start:])
        self._done.bytes += start

    def flush(self) -> None:
        for device in sorted(self._written, key=lambda device: device.name):
            try:
                device.flush()
            except DeviceError as error:
                for column, key in self._written[device]:
                    self._done.failed[key] = FailedLeg(column, device, errno_of(error))

    def _apply(self, extent: LogExtent, payload: memoryview) -> int:
        """Answers how many bytes of the payload belonged to it."""
        geometry = self._table.raid5
        if geometry is None:
            raise ValueError("Only a RAID-5 volume has such a log.")
        if extent.kind is ExtentKind.COLUMN:
            parity = self._map(extent.first // geometry.unit)
            self._write(parity, extent.column, extent.first, payload[: extent.length])
            return extent.length
        if extent.kind is ExtentKind.ZERO:
            for row in range(extent.first, extent.first + extent.length):
                for column in range(geometry.columns):
                    self._zero(self._map(row), column, row * geometry.unit, geometry.unit)
            return 0
        return self._write_row(extent, payload)

    def _write_row(self, extent: LogExtent, payload: memoryview) -> int:
        row, length = extent.first, extent.length
        parity = self._map(row)
        geometry = parity.geometry
        units = [payload[number * length : (number + 1) * length] for number in range(geometry.columns - 1)]
        at = row * geometry.unit + extent.low
        for number, unit in enumerate(units):
            self._write(parity, geometry.data(row, number), at, unit)
        self._write(parity, geometry.parity(row), at, xor_of(units))
        return length * len(units)

    def _map(self, row: int) -> Raid5Map:
        geometry = self._table.raid5
        offset = row * geometry.row_bytes if geometry is not None else 0
        parity = self._table.find(offset).parity
        if parity is None or offset >= self._table.size:
            raise ValueError("The log tells of a row that the volume does not have.")
        return parity

    def _write(self, parity: Raid5Map, column: int, at: int, data: memoryview) -> None:
        self._each(parity, column, lambda device, delta: device.write(at + delta, data))

    def _zero(self, parity: Raid5Map, column: int, at: int, length: int) -> None:
        self._each(parity, column, lambda device, delta: device.zero(at + delta, length, may_unmap=True))

    def _each(self, parity: Raid5Map, column: int, act: Callable[[BlockDevice, int], None]) -> None:
        targets = parity.columns[column].writers
        if not any(target.readable for target in targets):
            self._done.missed.add(column)
        for target in targets:
            try:
                act(target.device, target.delta)
            except LEG_ERRORS as error:
                self._done.failed[target.key] = FailedLeg(column, target.device, errno_of(error))
            self._written.setdefault(target.device, {})[column, target.key] = None
