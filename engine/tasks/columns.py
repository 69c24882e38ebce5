"""What tasks do to the columns of a RAID-5 volume: inside of its gate, under the locks of all rows concerned.

All columns of a row combine to zero by XOR, wherever its parity lies. So any range of a column follows from the same
ranges of the others, whether it is made of whole units or not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.dataplane.fault import LEG_ERRORS
from engine.dataplane.parity import is_zero, xor_into
from engine.dataplane.raid5 import Geometry
from engine.store.uncached import read_uncached
from engine.tasks.failure import StepFailed
from engine.tasks.steps import TaskFailed, joined

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from engine.dataplane.raid5_map import Raid5Map, Target
    from engine.dataplane.raid5_rows import RowTrust
    from engine.dataplane.table import Table
    from engine.dataplane.volume_io import VolumeIo
    from engine.devices.base import BlockDevice
    from engine.records import Plex, Ref, Subdisk
    from engine.tasks.steps import Parity, Ranges

    WhichDisk = Callable[[BlockDevice], Ref | None]
    Told = Callable[[StepFailed], None]
    Writing = Callable[[BlockDevice, int, int], None]
    Source = Callable[[RowTrust, Raid5Map, int, int, memoryview], None]

_DIRECT = 4096
"""Reads past the page cache lie on such boundaries."""
_BAND = 1 << 20
_FOLD = 256 << 10
"""So much of all columns is combined at a time: what has been read is still in the processor's cache."""


def rows_to_lock(plex: Plex, column_offset: int, length: int) -> tuple[int, int]:
    """Offset and length in the volume of all rows that a range of a column has a part in."""
    geometry = Geometry(plex.columns, plex.stripe_unit)
    return geometry.volume_range_of(geometry.rows_of_column(column_offset, length))


class ColumnWork:
    """One worker's way to work on columns; what it is given means the same as a `Copier`'s."""

    def __init__(self, which_disk: WhichDisk, told: Told, writing: Writing) -> None:
        self._which_disk = which_disk
        self._told = told
        self._writing = writing
        self._other = memoryview(bytearray(_FOLD))

    def rebuild(self, io: VolumeIo, table: Table, piece: Subdisk, start: int, into: memoryview) -> int:
        """Make the column range from `start`, as long as `into`, of a piece from the other columns. Answers how many of
        the bytes lie in the volume; the rest, behind its end, is the caller's."""
        return self._fill(io, table, piece, start, into, self._reconstruct)

    def copy(self, io: VolumeIo, table: Table, target: Subdisk, start: int, into: memoryview) -> int:
        """The same for a place that a piece is moving to: from the piece, or from the other columns where it fails."""
        return self._fill(io, table, target, start, into, self._read_or_reconstruct)

    def parity(self, io: VolumeIo, table: Table, step: Parity, buffer: memoryview) -> tuple[int, Ranges]:
        """Bytes written, and which rows' parity did not follow from their data. With `repair` it does now."""
        found: list[tuple[int, int]] = []
        copied = 0
        for segment, at, size in table.parts(step.offset, max(min(step.length, table.size - step.offset), 0)):
            if segment.parity is None:
                raise TaskFailed("The volume has no parity.")
            if segment.parity.out:
                raise TaskFailed("A column was left out. Resynchronize the volume when it is back.")
            geometry = segment.parity.geometry
            rows = geometry.rows_of(at, size)
            _trusted(io, segment.parity, rows)
            for row, start, differs in self._differing(segment.parity, rows, buffer):
                found.append(geometry.volume_range_of(range(row, row + 1)))
                copied += self._correct(segment.parity, row, start, differs) if step.repair else 0
        return copied, joined(tuple(found))

    def _differing(self, map_: Raid5Map, rows: range, buffer: memoryview) -> Iterator[tuple[int, int, memoryview]]:
        """(row, offset in its columns, what the parity there is wrong by) of every part of a row that is not right."""
        unit = map_.geometry.unit
        start, stop = rows.start * unit, rows.stop * unit
        half = len(buffer) // 2
        while start < stop:
            count = min(half, _BAND, stop - start)
            total, other = buffer[:count], buffer[half : half + count]
            self._read(map_, 0, start, total, uncached=True)
            for column in range(1, map_.geometry.columns):
                self._read(map_, column, start, other, uncached=True)
                xor_into(total, other)
            if not is_zero(total):
                yield from _by_row(start, unit, total)
            start += count

    def _correct(self, map_: Raid5Map, row: int, start: int, differs: memoryview) -> int:
        column = map_.geometry.parity(row)
        parity = memoryview(bytearray(len(differs)))
        self._read(map_, column, start, parity)
        xor_into(parity, differs)
        for target in map_.columns[column].writers:
            self._write(target, start, parity)
        return len(differs)

    def _fill(self, io: VolumeIo, table: Table, piece: Subdisk, start: int, into: memoryview, source: Source) -> int:
        done = start
        for map_, stop in _segments(table, start, start + len(into)):
            data = into[done - start : stop - start]
            target = _target(map_, piece)
            assert io.raid5 is not None
            source(io.raid5.trust, map_, piece.column, done, data)
            self._write(target, done, data)
            done = stop
        return done - start

    def _reconstruct(self, trust: RowTrust, map_: Raid5Map, column: int, start: int, into: memoryview) -> None:
        geometry = map_.geometry
        if not trust.stands_for(map_, geometry.rows_of_column(start, len(into)), column):
            raise TaskFailed("Another column is out, or its parity is not known to be right. See to these first.")
        first, *others = (number for number in range(geometry.columns) if number != column)
        for at in range(0, len(into), _FOLD):
            part = into[at : at + _FOLD]
            other = self._other[: len(part)]
            self._read(map_, first, start + at, part)
            for number in others:
                self._read(map_, number, start + at, other)
                xor_into(part, other)

    def _read_or_reconstruct(self, trust: RowTrust, map_: Raid5Map, column: int, start: int, into: memoryview) -> None:
        if map_.columns[column].reader is not None:
            try:
                self._read(map_, column, start, into)
            except StepFailed as failure:
                if map_.out:
                    raise
                self._told(failure)
            else:
                return
        self._reconstruct(trust, map_, column, start, into)

    def _read(self, map_: Raid5Map, column: int, start: int, into: memoryview, *, uncached: bool = False) -> None:
        reader = map_.columns[column].reader
        if reader is None:
            raise TaskFailed("A column was left out. Resynchronize the volume when it is back.")
        place = reader.delta + start
        try:
            if uncached and not (place | len(into)) % _DIRECT:
                into[:] = read_uncached(reader.device, place, len(into))
            else:
                reader.device.read_into(place, into)
        except LEG_ERRORS as error:
            raise StepFailed(error, self._which_disk(reader.device), writing=False) from error

    def _write(self, target: Target, start: int, data: memoryview) -> None:
        place = target.delta + start
        self._writing(target.device, place, len(data))
        try:
            target.device.write(place, data)
        except LEG_ERRORS as error:
            raise StepFailed(error, self._which_disk(target.device), writing=True) from error


def _segments(table: Table, start: int, stop: int) -> Iterator[tuple[Raid5Map, int]]:
    """The maps that hold a range of columns, and where in the columns each one's part of it ends."""
    geometry = table.raid5
    if geometry is None:
        raise TaskFailed("The volume has no parity.")
    stop = min(stop, geometry.rows_for(table.size) * geometry.unit)
    while start < stop:
        segment = table.find(start // geometry.unit * geometry.row_bytes)
        assert segment.parity is not None
        start = min(geometry.rows_for(segment.end) * geometry.unit, stop)
        yield segment.parity, start


def _trusted(io: VolumeIo, map_: Raid5Map, rows: range) -> None:
    if io.raid5 is None or io.fenced or any(io.raid5.trust.out(map_, row) for row in rows):
        raise TaskFailed("The volume takes no writes now. See to its disks first.")


def _by_row(start: int, unit: int, differs: memoryview) -> Iterator[tuple[int, int, memoryview]]:
    at, stop = start, start + len(differs)
    while at < stop:
        end = min((at // unit + 1) * unit, stop)
        part = differs[at - start : end - start]
        if not is_zero(part):
            yield at // unit, at, memoryview(bytearray(part))
        at = end


def _target(map_: Raid5Map, piece: Subdisk) -> Target:
    for target in map_.columns[piece.column].writers:
        if target.key == piece.ref and not target.readable:
            return target
    raise TaskFailed("The subdisk was left out or removed while it was being filled.")
