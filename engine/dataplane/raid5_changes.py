"""Does what a log tells on the columns of a RAID-5 volume: changes of parts as they stand, whole rows by what is left.

The data of a whole row need not be in the log. They may still be found where they were kept while they were on their
way; else the row's own columns tell: with all of them there any mixture of old and new is what a client may find, and
parity follows from it; with one of them lost the others must all be new, which their checksums show.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from engine.dataplane.fault import LEG_ERRORS, errno_of
from engine.dataplane.parity import is_zero, xor_of
from engine.dataplane.raid5_log_format import Entry, ExtentKind, LogExtent, payload_checksum
from engine.dataplane.raid5_rows import LegError, Lost, load, map_of
from engine.errors import DeviceError

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator

    from engine.dataplane.raid5_map import Raid5Map
    from engine.dataplane.table import Table
    from engine.devices.base import BlockDevice


_AT_A_TIME = 256 << 10
"""So much of each column is looked at together."""


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


class Damage(Exception):
    """The log cannot be believed, or does not suffice; the message completes "The log ..."."""


class Cover(NamedTuple):
    """A change of a whole row: which entry's, and the number of its extent."""

    sequence: int
    extent: int


class Changes:
    """What is to be done with the rows. `examine` everything first: nothing is written before all of it is sound.

    A leg that fails is left out from then on.
    """

    def __init__(self, table: Table, done: Replayed, covers: dict[int, Cover]) -> None:
        if table.raid5 is None:
            raise ValueError("Only a RAID-5 volume has such a log.")
        self._table = table
        self._geometry = table.raid5
        self._rows = self._geometry.rows_for(table.size)
        self._done = done
        self._covers = covers
        self._written: dict[BlockDevice, dict[tuple[int, Hashable], None]] = {}

    def examine(self, entry: Entry, kept: memoryview | None) -> None:
        """Damage when an entry does not suffice to put its rows right. `kept` are the data of its SUM rows."""
        for index, extent in enumerate(entry.extents):
            if extent.rows(self._geometry.unit).stop > self._rows:
                raise Damage("tells of a row that the volume does not have.")
            if extent.kind is ExtentKind.SUM and self._counts(entry, index, extent.first):
                self._examine_sum(entry, index, kept)

    def apply(self, entry: Entry, payload: memoryview, kept: memoryview | None) -> None:
        """Do what an entry says, where no later one has the whole row."""
        start = 0
        for index, extent in enumerate(entry.extents):
            match extent.kind:
                case ExtentKind.COLUMN:
                    self._apply_part(entry, index, extent, payload[start : start + extent.length])
                    start += extent.length
                case ExtentKind.ROW:
                    size = extent.length * (self._geometry.columns - 1)
                    if self._counts(entry, index, extent.first):
                        self._write_row(extent.first, payload[start : start + size])
                    start += size
                case ExtentKind.ZERO:
                    self._apply_zeros(entry, index, extent)
                case ExtentKind.SUM:
                    if self._counts(entry, index, extent.first):
                        self._apply_sum(entry, index, kept)
        self._done.bytes += start

    def examine_unlogged(self, rows: Iterable[int]) -> None:
        """Damage when a column is out of rows of which the log has only marks: nobody can tell which of them stand."""
        for row in rows:
            if map_of(self._table, row).out not in ((), (self._geometry.parity(row),)):
                raise Damage("has rows that were being written as a whole when a column was lost.")

    def apply_unlogged(self, rows: Iterable[int]) -> None:
        """Make the parity of these ascending rows follow from their data, where it does not."""
        for parity, some in self._runs(rows):
            self._done.missed.update(parity.out)
            if parity.whole:
                for row in self._odd(parity, some):
                    self._follow(parity, row)

    def _runs(self, rows: Iterable[int]) -> Iterator[tuple[Raid5Map, range]]:
        """The rows in runs of one segment that are read at a time."""
        most = max(_AT_A_TIME // self._geometry.unit, 1)
        run, parity = range(0), None
        for row in rows:
            here = map_of(self._table, row)
            if here is not parity or row != run.stop or len(run) >= most:
                if parity is not None:
                    yield parity, run
                run, parity = range(row, row), here
            run = range(run.start, row + 1)
        if parity is not None:
            yield parity, run

    def _odd(self, parity: Raid5Map, rows: range) -> list[int]:
        """Those of the rows whose columns are not nothing together; all of them where one cannot be read."""
        unit = self._geometry.unit
        try:
            columns = range(self._geometry.columns)
            total = xor_of([load(parity, rows.start, column, 0, len(rows) * unit) for column in columns])
        except LegError:
            return [*rows]
        if is_zero(total):
            return []
        return [row for at, row in enumerate(rows) if not is_zero(total[at * unit : (at + 1) * unit])]

    def flush(self) -> None:
        """Bring everything written to stable storage."""
        for device in sorted(self._written, key=lambda device: device.name):
            try:
                device.flush()
            except DeviceError as error:
                for column, key in self._written[device]:
                    self._done.failed[key] = FailedLeg(column, device, errno_of(error))

    def _counts(self, entry: Entry, index: int, row: int) -> bool:
        """Whether no later change has all of the row."""
        cover = self._covers.get(row)
        return cover is None or cover <= (entry.sequence, index)

    # Rows of which the log has the checksums.

    def _sums(self, entry: Entry, index: int) -> tuple[int, ...]:
        """The checksums of the units of one SUM row, column by column."""
        before = sum(extent.kind is ExtentKind.SUM for extent in entry.extents[:index])
        return entry.sums[before * self._geometry.columns :][: self._geometry.columns]

    def _kept(self, entry: Entry, index: int, kept: memoryview | None) -> memoryview | None:
        """The data of one SUM row if they are still where they were kept."""
        if kept is None:
            return None
        size = self._geometry.row_bytes
        before = sum(extent.kind is ExtentKind.SUM for extent in entry.extents[:index])
        data = kept[before * size : (before + 1) * size]
        row, sums, unit = entry.extents[index].first, self._sums(entry, index), self._geometry.unit
        for number in range(self._geometry.columns - 1):
            found = payload_checksum((data[number * unit : (number + 1) * unit],))
            if found != sums[self._geometry.data(row, number)]:
                return None
        return data

    def _examine_sum(self, entry: Entry, index: int, kept: memoryview | None) -> None:
        row = entry.extents[index].first
        parity = map_of(self._table, row)
        if parity.whole or self._kept(entry, index, kept) is not None or parity.out == (self._geometry.parity(row),):
            return
        sums = self._sums(entry, index)
        for column in range(self._geometry.columns):
            if column in parity.out:
                continue
            try:
                unit = load(parity, row, column, 0, self._geometry.unit)
            except (LegError, Lost) as error:
                raise Damage("has rows that were being written, and cannot read what is left of them.") from error
            if payload_checksum((unit,)) != sums[column]:
                raise Damage("has rows that were being written as a whole when a column was lost.")

    def _apply_sum(self, entry: Entry, index: int, kept: memoryview | None) -> None:
        row = entry.extents[index].first
        data = self._kept(entry, index, kept)
        if data is not None:
            self._write_row(row, data)
            return
        parity = map_of(self._table, row)
        self._done.missed.update(parity.out)
        if parity.whole:
            self._follow(parity, row)

    def _follow(self, parity: Raid5Map, row: int) -> None:
        unit = self._geometry.unit
        try:
            units = [load(parity, row, column, 0, unit) for column in self._data_columns(row)]
        except LegError as error:
            raise Damage("has rows that were being written, and cannot read what is left of them.") from error
        self._write(parity, self._geometry.parity(row), row * unit, xor_of(units))

    def _data_columns(self, row: int) -> list[int]:
        return [self._geometry.data(row, number) for number in range(self._geometry.columns - 1)]

    # Legs.

    def _apply_part(self, entry: Entry, index: int, extent: LogExtent, data: memoryview) -> None:
        row = extent.first // self._geometry.unit
        if self._counts(entry, index, row):
            self._write(map_of(self._table, row), extent.column, extent.first, data)

    def _apply_zeros(self, entry: Entry, index: int, extent: LogExtent) -> None:
        unit = self._geometry.unit
        for row in range(extent.first, extent.first + extent.length):
            if self._counts(entry, index, row):
                for column in range(self._geometry.columns):
                    self._zero(map_of(self._table, row), column, row * unit, unit)

    def _write_row(self, row: int, data: memoryview) -> None:
        parity, unit = map_of(self._table, row), self._geometry.unit
        units = [data[at : at + unit] for at in range(0, len(data), unit)]
        for column, part in zip(self._data_columns(row), units, strict=True):
            self._write(parity, column, row * unit, part)
        self._write(parity, self._geometry.parity(row), row * unit, xor_of(units))

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
