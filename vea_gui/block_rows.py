"""Disk View and Volume View as data: bands (a disk, a volume) of items (header, subdisk, free region) in a flat order.

A list view shows one flat sequence of items. `Rows` keeps that sequence cheap to change: a band is replaced by the
smallest splice that makes the new one, so that selection, focus and whatever else hangs on a row stay.
"""

from __future__ import annotations

import enum
from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import accumulate
from operator import attrgetter
from typing import NamedTuple, TypeAlias

from engine.config import Config
from engine.records import Disk, Kind, Plex, Record, Ref, Subdisk, Volume


class ItemKind(enum.IntEnum):
    """What an item shows."""

    DISK = 0  # the cell at the left of a disk's bar
    SUBDISK = 1
    FREE = 2
    UNUSED = 3  # the whole of a disk that belongs to no group
    VOLUME = 4
    PLEX = 5
    COLUMN = 6


HEADERS = frozenset({ItemKind.DISK, ItemKind.VOLUME, ItemKind.PLEX, ItemKind.COLUMN})

Key: TypeAlias = tuple[ItemKind, Ref, int]
"""Which item it is, whatever became of its size or place."""


class Item(NamedTuple):
    """One thing to click on. `ref` is what a click selects: the disk for free space."""

    kind: ItemKind
    ref: Ref
    start: int = 0  # bytes: from the LUN's first byte in a disk's band, within its column in a volume's
    length: int = 0
    column: int = 0
    second: bool = False  # being filled: lies under the subdisk that it replaces

    @property
    def key(self) -> Key:
        """Stable while the item is what it is."""
        if self.kind is ItemKind.FREE:
            return self.kind, self.ref, self.start
        return self.kind, self.ref, self.column if self.kind is ItemKind.COLUMN else 0


_BY_PLACE = attrgetter("start", "kind")

_LAID_OUT_BY: dict[Kind, attrgetter[tuple[object, ...]]] = {
    Kind.DISK: attrgetter("name", "group", "enclosure", "size", "public_offset", "public_length"),
    Kind.VOLUME: attrgetter("name", "group", "size"),
    Kind.PLEX: attrgetter("name", "volume", "columns", "length"),
    Kind.SUBDISK: attrgetter("plex", "disk", "disk_offset", "plex_offset", "length", "column", "replaces"),
}
"""What of a record decides which bands there are, in what order, and what lies where in them."""

_LISTED_BY: dict[Kind, attrgetter[tuple[object, ...]]] = {
    Kind.DISK: attrgetter("name", "group", "enclosure"),
    Kind.VOLUME: attrgetter("name", "group"),
    Kind.PLEX: attrgetter("name", "volume"),
    Kind.SUBDISK: attrgetter("plex", "disk", "disk_offset", "plex_offset", "column", "replaces"),
}
"""What of that decides which bands there are and in what order."""


class Band(NamedTuple):
    """All items of one disk or one volume, in the order in which arrows walk them."""

    ref: Ref
    items: tuple[Item, ...]
    extent: int  # bytes that the bar shows


class Splice(NamedTuple):
    """How a band becomes another: `removed` items from `first` on make room for `inserted` ones."""

    first: int
    removed: int
    inserted: int


def disk_band(config: Config, ref: Ref) -> Band:
    """A disk: its cell, then subdisks and free regions by offset."""
    disk = config.disk(ref)
    header = Item(ItemKind.DISK, ref, 0, disk.size)
    if disk.group is None or not disk.public_length:
        return Band(ref, (header, Item(ItemKind.UNUSED, ref, 0, disk.size)), disk.size)
    items = [Item(ItemKind.SUBDISK, sd.ref, sd.disk_offset, sd.length) for sd in config.subdisks_on(ref)]
    items += [Item(ItemKind.FREE, ref, gap.start, gap.length) for gap in config.free(ref)]
    items.sort(key=_BY_PLACE)
    return Band(ref, (header, *items), max(disk.size, disk.public_offset + disk.public_length))


def volume_band(config: Config, ref: Ref, expanded: Collection[Ref]) -> Band:
    """A volume: its cell, then, as far as they are expanded, plexes, their columns and the subdisks in them."""
    items = [Item(ItemKind.VOLUME, ref, 0, config.volume(ref).size)]
    extent = 0
    for plex in config.parts_of(ref) if ref in expanded else ():
        items.append(Item(ItemKind.PLEX, plex.ref, 0, plex.length))
        subdisks = config.subdisks_of(plex.ref)
        extent = max([extent, *(sd.plex_offset + sd.length for sd in subdisks)])
        if plex.ref in expanded:
            items += _columns(plex, subdisks)
    return Band(ref, tuple(items), extent)


def _columns(plex: Plex, subdisks: list[Subdisk]) -> Iterator[Item]:
    for column in range(plex.columns):
        mine = [sd for sd in subdisks if sd.column == column]
        if plex.columns > 1:
            yield Item(ItemKind.COLUMN, plex.ref, 0, sum(sd.length for sd in mine if sd.replaces is None), column)
        for sd in mine:
            yield Item(ItemKind.SUBDISK, sd.ref, sd.plex_offset, sd.length, column, sd.replaces is not None)


def laid_otherwise(old: Record | None, new: Record | None) -> bool:
    """Whether a record's change can be seen in where something lies; states and progress can not."""
    return _differs(_LAID_OUT_BY, old, new)


def listed_otherwise(old: Record | None, new: Record | None) -> bool:
    """Whether a record's change can bring other bands, or another order of them."""
    return _differs(_LISTED_BY, old, new)


def _differs(fields: dict[Kind, attrgetter[tuple[object, ...]]], old: Record | None, new: Record | None) -> bool:
    some = old if old is not None else new
    read = fields.get(some.ref.kind) if some is not None else None
    if read is None or old is new:
        return False
    return old is None or new is None or read(old) != read(new)


def splice(old: Sequence[Item], new: Sequence[Item]) -> Splice:
    """The smallest single cut that turns one sequence into the other; items are told apart by their keys."""
    limit = min(len(old), len(new))
    first = 0
    while first < limit and old[first].key == new[first].key:
        first += 1
    last = 0
    while last < limit - first and old[-1 - last].key == new[-1 - last].key:
        last += 1
    return Splice(first, len(old) - last - first, len(new) - last - first)


class Rows:
    """The flat order of all items. Numbers are flat rows; a place is (number of the band, number in the band)."""

    def __init__(self, bands: Iterable[Band] = ()) -> None:
        self.bands = list(bands)
        self._home: dict[Ref, Ref] = {}  # subdisk or plex -> its band
        for band in self.bands:
            self._settle_in(band)
        self._count()

    def __len__(self) -> int:
        return self._starts[-1]

    def item(self, row: int) -> Item:
        band, number = self.place(row)
        return self.bands[band].items[number]

    def place(self, row: int) -> tuple[int, int]:
        """Where a flat row lies. IndexError when there is none."""
        if not 0 <= row < len(self):
            raise IndexError(row)
        band = bisect_right(self._starts, row) - 1
        return band, row - self._starts[band]

    def row(self, band: int, number: int = 0) -> int:
        """The flat row of a place; with `number` 0 the band's first."""
        return self._starts[band] + number

    def band_of(self, ref: Ref) -> int | None:
        """The number of the band that shows a disk, volume, plex or subdisk."""
        return self._numbers.get(self._home.get(ref, ref))

    def find(self, key: Key) -> int | None:
        """The flat row of an item; None when it is not shown (any more)."""
        band = self.band_of(key[1])
        if band is None:
            return None
        for number, item in enumerate(self.bands[band].items):
            if item.key == key:
                return self._starts[band] + number
        return None

    def rows_of(self, ref: Ref) -> list[int]:
        """Every row that a click on would select `ref`, but free space."""
        band = self.band_of(ref)
        if band is None:
            return []
        items = self.bands[band].items
        start = self._starts[band]
        return [start + n for n, item in enumerate(items) if item.ref == ref and item.kind is not ItemKind.FREE]

    def replace(self, number: int, band: Band) -> None:
        """Put a band in the place of another of the same ref."""
        self._move_out(self.bands[number])
        self.bands[number] = band
        self._settle_in(band)
        self._starts = [0, *accumulate(len(each.items) for each in self.bands)]

    def append(self, bands: Sequence[Band]) -> None:
        """More bands behind all others."""
        for number, band in enumerate(bands, len(self.bands)):
            self._settle_in(band)
            self._numbers[band.ref] = number
            self._starts.append(self._starts[-1] + len(band.items))
        self.bands.extend(bands)

    def insert(self, number: int, band: Band) -> None:
        self.bands.insert(number, band)
        self._settle_in(band)
        self._count()

    def remove(self, number: int) -> None:
        self._move_out(self.bands.pop(number))
        self._count()

    def _count(self) -> None:
        self._starts = [0, *accumulate(len(band.items) for band in self.bands)]
        self._numbers = {band.ref: number for number, band in enumerate(self.bands)}

    def _settle_in(self, band: Band) -> None:
        self._home.update((item.ref, band.ref) for item in band.items)

    def _move_out(self, band: Band) -> None:
        for item in band.items:
            if self._home.get(item.ref) == band.ref:
                del self._home[item.ref]


def disks_of_scope(config: Config, scope: Ref | None, all_disks: bool = False) -> list[Ref]:
    """The disks that a view of `scope` shows, those that concern it most first; None is the whole host."""
    record = config.get(scope)
    near = list(_near_disks(config, scope))
    if record is None or not all_disks or record.ref.kind in (Kind.GROUP, Kind.HOST, Kind.ENCLOSURE):
        return near
    group = config.group_of(record)
    rest = config.disks_of(group) if group is not None else []
    return list(dict.fromkeys([*near, *(disk.ref for disk in rest)]))


def _near_disks(config: Config, scope: Ref | None) -> Iterator[Ref]:
    kind = scope.kind if scope is not None else Kind.HOST
    if scope is None or kind is Kind.HOST:
        yield from (disk.ref for disk in config.all(Kind.DISK, Disk))
    elif kind is Kind.GROUP:
        yield from (disk.ref for disk in config.disks_of(scope))
    elif kind is Kind.ENCLOSURE:
        yield from (disk.ref for disk in config.disks_in(scope))
    elif kind is Kind.DISK and scope in config:
        yield scope
    else:
        yield from dict.fromkeys(sd.disk for sd in subdisks_under(config, scope))


def volumes_of_scope(config: Config, scope: Ref | None) -> list[Ref]:
    """The volumes that a view of `scope` shows; those with a piece on it for a disk."""
    kind = scope.kind if scope is not None else Kind.HOST
    if scope is None or kind is Kind.HOST:
        return [volume.ref for volume in config.all(Kind.VOLUME, Volume)]
    if kind is Kind.GROUP:
        return [volume.ref for volume in config.volumes_of(scope)]
    if kind is Kind.VOLUME:
        return [scope] if scope in config else []
    found = {config.volume_of(sd).ref: None for sd in subdisks_under(config, scope)}
    return list(found)


def subdisks_under(config: Config, ref: Ref) -> list[Subdisk]:
    """Every subdisk of a volume, plex or disk, or the subdisk itself."""
    record = config.get(ref)
    match record:
        case Volume():
            return [sd for plex in config.plexes_of(ref) for sd in config.subdisks_of(plex.ref)]
        case Plex():
            return config.subdisks_of(ref)
        case Disk():
            return config.subdisks_on(ref)
        case Subdisk():
            return [record]
    return []
