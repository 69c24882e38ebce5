"""The LUN files under a group, read past the engine: what they hold, and that nothing but allocated space changes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

from engine.allocate.shape import Shape
from engine.config import Config, Extent
from engine.events import Upsert
from engine.records import Disk, PieceState, Plex, PlexLayout, Subdisk

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

    from engine.events import Batch
    from engine.records import Ref


class Ground:
    """The public regions of a group's LUNs. They are filled with junk first: nobody may rely on zeros.

    `hear` is a listener of the engine: it notes every range that is given to a subdisk. Whatever was free at the last
    check, and was given to nobody since, must hold the same bytes still.
    """

    def __init__(self, config: Config, group: Ref, random: Random) -> None:
        self.group = group
        self._files = {disk.ref: disk.lun for disk in config.disks_of(group)}
        self._start = {disk.ref: disk.public_offset for disk in config.disks_of(group)}
        self._seen: dict[Ref, bytes] = {}
        self._given: list[tuple[Ref, Extent]] = []
        for disk in config.disks_of(group):
            junk = random.randbytes(1 << 20) * (disk.public_length >> 20)
            self._seen[disk.ref] = junk
            with open(disk.lun, "r+b") as file:
                file.seek(disk.public_offset)
                file.write(junk)
        self._free = {disk.ref: config.free(disk.ref) for disk in config.disks_of(group)}

    def hear(self, batch: Batch) -> None:
        for event in batch.events:
            if isinstance(event, Upsert) and isinstance(event.record, Subdisk):
                subdisk = event.record
                end = subdisk.disk_offset + subdisk.length
                self._given.append((subdisk.disk, Extent(subdisk.disk_offset, end)))

    def read(self, disk: Ref, offset: int, length: int) -> bytes:
        """What stands on a LUN file."""
        with open(self._files[disk], "rb") as file:
            return os.pread(file.fileno(), length, offset)

    def plex_bytes(self, config: Config, plex: Plex, size: int) -> bytes:
        """The first `size` bytes of the volume as this plex holds them, without the engine's arithmetic."""
        if plex.layout is PlexLayout.RAID5:
            return self._parity_bytes(config, plex, size)
        columns = [b"".join(self._column(config, plex, column)) for column in range(plex.columns)]
        if plex.columns == 1:
            return columns[0][:size]
        rows = -(-size // (plex.stripe_unit * plex.columns))
        height = rows * plex.stripe_unit
        units = [np.frombuffer(data[:height], np.uint8).reshape(rows, plex.stripe_unit) for data in columns]
        return np.stack(units, axis=1).tobytes()[:size]

    def _column(self, config: Config, plex: Plex, column: int) -> Iterator[bytes]:
        for piece in config.subdisks_of(plex.ref):
            if piece.column == column and piece.replaces is None:
                yield self.read(piece.disk, piece.disk_offset, piece.length)

    def _parity_bytes(self, config: Config, plex: Plex, size: int) -> bytes:
        """Left-symmetric: parity steps to the left row by row, data begins behind it. All columns combine to zero; what
        is out of date is what makes them do so."""
        count, unit = plex.columns, plex.stripe_unit
        rows = size // (unit * (count - 1))
        height = rows * unit
        columns = np.zeros((count, height), np.uint8)
        out = np.zeros((count, height), bool)
        for piece in config.subdisks_of(plex.ref):
            if piece.replaces is None and piece.plex_offset < height:
                end = min(piece.plex_offset + piece.length, height)
                if piece.state is PieceState.GOOD:
                    data = self.read(piece.disk, piece.disk_offset, end - piece.plex_offset)
                    columns[piece.column, piece.plex_offset : end] = np.frombuffer(data, np.uint8)
                else:
                    out[piece.column, piece.plex_offset : end] = True
        assert out.sum(axis=0).max(initial=0) <= 1, f"{plex.name} lacks two columns of a row"
        total = np.bitwise_xor.reduce(columns, axis=0)
        assert not total[~out.any(axis=0)].any(), f"the parity of {plex.name} is wrong"
        columns[out] = np.broadcast_to(total, columns.shape)[out]
        units = columns.reshape(count, rows, unit)
        found = [
            units[(count - 1 - row % count + 1 + number) % count, row].tobytes()
            for row in range(rows)
            for number in range(count - 1)
        ]
        return b"".join(found)

    # --- checks ---
    def check_untouched(self, config: Config) -> None:
        """Nothing outside of what the engine has given to subdisks has changed since the last check."""
        given, self._given = self._given, []
        for disk, before in self._free.items():
            taken = sorted(extent for owner, extent in given if owner == disk)
            seen = self.read(disk, self._start[disk], len(self._seen[disk]))
            for extent in before:
                for start, end in _without(extent, taken):
                    self._compare(config.disk(disk), seen, start, end)
            self._seen[disk] = seen
            self._free[disk] = config.free(disk)

    def _compare(self, disk: Disk, seen: bytes, start: int, end: int) -> None:
        base = self._start[disk.ref]
        found, expected = (
            np.frombuffer(data, np.uint8)[start - base : end - base] for data in (seen, self._seen[disk.ref])
        )
        if not np.array_equal(found, expected):
            where = start + int(np.flatnonzero(found != expected)[0])
            raise AssertionError(f"free space of {disk.name} was written at {where}")

    def check_space(self, config: Config) -> None:
        """Subdisks never overlap; free space is what they leave, on each disk and in the group."""
        total = 0
        for disk in config.disks_of(self.group):
            position, free, largest = disk.public_offset, 0, 0
            for subdisk in config.subdisks_on(disk.ref):
                assert subdisk.disk_offset >= position, f"{subdisk.name} overlaps what lies before it"
                largest = max(largest, subdisk.disk_offset - position)
                free += subdisk.disk_offset - position
                position = subdisk.disk_offset + subdisk.length
            end = disk.public_offset + disk.public_length
            assert position <= end, f"{disk.name} is allocated beyond its end"
            free += end - position
            assert disk.free == free, f"{disk.name} tells {disk.free} bytes free, it has {free}"
            assert disk.largest_free == max(largest, end - position), f"{disk.name} tells a wrong largest range"
            total += free if disk.present else 0
        assert config.group(self.group).free == total

    def check_shape(self, config: Config, volume: Ref, *, moving: bool, growing: bool) -> None:
        """A volume has exactly the space that its size needs; targets and new ends only while a task works on it."""
        size = config.volume(volume).size
        for plex in config.plexes_of(volume):
            needed = Shape.of(plex).column_length(size)
            ends = [0] * plex.columns
            for subdisk in config.subdisks_of(plex.ref):
                if subdisk.replaces is not None:
                    assert moving, f"{subdisk.name} still replaces another subdisk"
                    continue
                assert subdisk.plex_offset == ends[subdisk.column], f"{plex.name} has a gap before {subdisk.name}"
                ends[subdisk.column] += subdisk.length
            for column, end in enumerate(ends):
                assert end == needed or (growing and end > needed), f"{plex.name} column {column}: {end}, not {needed}"


def _without(extent: Extent, taken: list[Extent]) -> list[tuple[int, int]]:
    """What of a range none of the others touches."""
    left, position = [], extent.start
    for other in taken:
        if other.end <= position or other.start >= extent.end:
            continue
        if other.start > position:
            left.append((position, other.start))
        position = max(position, other.end)
    if position < extent.end:
        left.append((position, extent.end))
    return left
