"""Free space of some disks, from which pieces are taken one after the other."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from engine.config import Config, Extent
from engine.records import Disk, DiskUsage, Ref
from engine.units import ALLOCATION_UNIT, align_down, align_up

ORDINARY = frozenset({DiskUsage.NORMAL, DiskUsage.PREFERRED, DiskUsage.NO_HOT_USE})
"""Disks of these usages give space to volumes by themselves."""


class Piece(NamedTuple):
    """A range of a disk that is handed out; bytes from the start of the LUN."""

    disk: Ref
    offset: int
    length: int


def usable_disks(config: Config, group: Ref, named: Sequence[Ref] = ()) -> list[Disk]:
    """The disks that may give space, by name: the named ones; without any all sound ones of ordinary usage."""
    disks = [disk for disk in config.disks_of(group) if disk.present]
    if named:
        return [disk for disk in disks if disk.ref in set(named)]
    return [disk for disk in disks if disk.usage in ORDINARY and not disk.failing and not disk.short_by]


class Space:
    """The free ranges of some disks. Taking from it never changes the configuration, and a copy is cheap."""

    def __init__(self, config: Config, disks: Iterable[Disk]) -> None:
        self.disks: list[Ref] = []
        self.enclosure: dict[Ref, Ref | None] = {}
        self._free: dict[Ref, tuple[Extent, ...]] = {}
        self._whole: dict[Ref, _Whole] = {}  # a cache of the same in whole allocation units
        for disk in disks:
            self.disks.append(disk.ref)
            self.enclosure[disk.ref] = disk.enclosure
            self._free[disk.ref] = config.free(disk.ref)

    def copy(self) -> Space:
        """The same space, to try something out."""
        twin = Space.__new__(Space)
        twin.disks, twin.enclosure = self.disks, self.enclosure
        twin._free, twin._whole = dict(self._free), dict(self._whole)
        return twin

    def total(self, disk: Ref) -> int:
        """Free bytes of a disk in whole allocation units; 0 for a disk that may not be used."""
        return self._units(disk).total

    def largest(self, disk: Ref) -> int:
        """The longest free range of a disk, in whole allocation units."""
        return self._units(disk).largest

    def at(self, disk: Ref, offset: int) -> int:
        """Free bytes from exactly `offset` on, without a gap."""
        found = (extent.end - offset for extent in self._free.get(disk, ()) if extent.start <= offset < extent.end)
        return next(found, 0)

    def take_at(self, disk: Ref, offset: int, length: int) -> Piece:
        """Take exactly this range, which `at` has shown to be free."""
        self._cut(disk, [Piece(disk, offset, length)])
        return Piece(disk, offset, length)

    def take_if_known(self, piece: Piece) -> None:
        """Take a range that was given elsewhere, when its disk is one of these."""
        if piece.disk in self._free:
            self.take_at(*piece)

    def take(self, disk: Ref, length: int) -> list[Piece]:
        """Take `length` bytes of a disk that has them: one range if any is long enough, else few, longest first."""
        extents = self._units(disk).extents
        fitting = next((extent for extent in extents if extent.length >= length), None)
        if fitting is not None:
            return [self.take_at(disk, fitting.start, length)]
        pieces = []
        for extent in sorted(extents, key=lambda extent: (-extent.length, extent.start)):
            part = min(length, extent.length)
            if not part:
                break
            pieces.append(Piece(disk, extent.start, part))
            length -= part
        pieces.sort()
        self._cut(disk, pieces)
        return pieces

    def _cut(self, disk: Ref, pieces: Sequence[Piece]) -> None:
        """Take ascending pieces out of the free ranges, each within one of them."""
        left: list[Extent] = []
        waiting = list(reversed(pieces))
        for extent in self._free[disk]:
            start = extent.start
            while waiting and waiting[-1].offset < extent.end:
                piece = waiting.pop()
                left += [Extent(start, piece.offset)] if piece.offset > start else []
                start = piece.offset + piece.length
            left += [Extent(start, extent.end)] if extent.end > start else []
        self._free[disk] = tuple(left)
        self._whole.pop(disk, None)

    def _units(self, disk: Ref) -> _Whole:
        known = self._whole.get(disk)
        if known is None:
            known = self._whole[disk] = _whole_units(self._free.get(disk, ()))
        return known


class _Whole(NamedTuple):
    extents: tuple[Extent, ...]
    total: int
    largest: int


@functools.lru_cache(maxsize=1 << 13)
def _whole_units(extents: tuple[Extent, ...]) -> _Whole:
    cut = (Extent(align_up(one.start, ALLOCATION_UNIT), align_down(one.end, ALLOCATION_UNIT)) for one in extents)
    inner = tuple(extent for extent in cut if extent.length > 0)
    lengths = [extent.length for extent in inner]
    return _Whole(inner, sum(lengths), max(lengths, default=0))
