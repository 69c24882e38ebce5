"""Where the maps of a volume lie, and how fine they are: arithmetic on the configuration.

A volume may have several: its dirty region log, under the key `DRL`, and for each link to a snapshot one that tells
what has been written since, under the link's generation.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from msgspec.structs import replace

from engine.config import Config
from engine.geometry import DIRTY_PAGE_REGIONS, dirty_pages
from engine.records import DirtyLog, Disk, Kind, LogPlace, Ref, Volume
from engine.units import KIB

DRL = ""
"""The key of a volume's dirty region log among its maps."""
PLACES = 2
"""A map lies on so many disks of its volume where there are as many."""
PAGES_MAX = 4
REGION_MIN = 1024 * KIB
"""Smaller regions would be marked more often than a copy of one saves."""
REGION_ONE_PAGE_MAX = 4096 * KIB
"""Up to this size of a region one page is enough; then more pages, and then larger regions again."""


def region_size(size: int) -> int:
    """The bytes that one bit stands for in a volume of `size` bytes: a power of two."""
    found = REGION_MIN
    while _pages(size, found) > (1 if found < REGION_ONE_PAGE_MAX else PAGES_MAX):
        found *= 2
    return found


def maps_of(volume: Volume) -> dict[str, DirtyLog]:
    """The maps that a volume has, by key, its dirty region log first."""
    log = {} if volume.dirty_log is None else {DRL: volume.dirty_log}
    return log | {link.generation: link.changes for link in volume.links}


def with_map(volume: Volume, key: str, log: DirtyLog) -> Volume:
    """The volume with another form of a map that it has."""
    if key == DRL:
        return replace(volume, dirty_log=log)
    links = (replace(link, changes=log) if link.generation == key else link for link in volume.links)
    return replace(volume, links=tuple(links))


def placed(config: Config, volume: Volume, key: str, taken: Config, *, avoid: Collection[Ref] = ()) -> DirtyLog:
    """Where a map of a volume is to lie: on disks of the volume that work, those that it has already first.

    What is new has no generation yet. Pages that are in use in `taken` are left alone; disks in `avoid` are not used.
    """
    log = maps_of(volume).get(key) or DirtyLog(0)
    kept = log.places
    if not kept or not log.region_size or _pages(volume.size, log.region_size) > kept[0].pages:
        log, kept = DirtyLog(region_size(volume.size)), ()
    disks = [disk for disk in _disks(config, volume.ref) if disk.present and not disk.failing]
    here = {disk.ref for disk in disks}
    kept = tuple(place for place in kept if place.disk in here)[:PLACES]
    pages = kept[0].pages if kept else _pages(volume.size, log.region_size)
    for disk in _in_order(config, disks, kept, avoid):
        if len(kept) == PLACES:
            break
        first = _first_free(disk, pages, _used(config, volume, disk.ref) | _used(taken, volume, disk.ref))
        if first >= 0:
            kept = (*kept, LogPlace(disk.ref, first, pages, ""))
    return DirtyLog(log.region_size, kept)


def _pages(size: int, region: int) -> int:
    return max(-(-size // (region * DIRTY_PAGE_REGIONS)), 1)


def _disks(config: Config, volume: Ref) -> Iterator[Disk]:
    """The disks of a volume's mirrors, those of the first mirror first, each once."""
    found: dict[Ref, None] = {}
    for plex in config.plexes_of(volume):
        found.update((subdisk.disk, None) for subdisk in config.subdisks_of(plex.ref))
    return (config.disk(ref) for ref in found)


def _in_order(config: Config, disks: list[Disk], kept: tuple[LogPlace, ...], avoid: Collection[Ref]) -> list[Disk]:
    """Disks that have no place yet: first those that share neither mirror nor enclosure with a place."""
    taken = {place.disk for place in kept}
    shelves = {config.disk(ref).enclosure for ref in taken}
    plexes = {subdisk.plex for ref in taken for subdisk in config.subdisks_on(ref)}
    left = [disk for disk in disks if disk.ref not in taken and disk.ref not in avoid]

    def shares(disk: Disk) -> tuple[bool, bool]:
        return any(sd.plex in plexes for sd in config.subdisks_on(disk.ref)), disk.enclosure in shelves

    if not kept and left:  # the first place is anywhere, the second as far from it as can be
        first = left[0]
        plexes = {subdisk.plex for subdisk in config.subdisks_on(first.ref)}
        shelves = {first.enclosure}
        return [first, *sorted(left[1:], key=shares)]
    return sorted(left, key=shares)


def _used(config: Config, volume: Volume, disk: Ref) -> set[int]:
    """The pages of a disk that maps of its group have."""
    if volume.group not in config:
        return set()
    found: set[int] = set()
    for other in config.children(volume.group, Kind.VOLUME, "group"):
        for log in maps_of(other).values() if isinstance(other, Volume) else ():
            for place in log.places:
                if place.disk == disk:
                    found.update(range(place.first_page, place.first_page + place.pages))
    return found


def _first_free(disk: Disk, pages: int, used: set[int]) -> int:
    """The first page of the lowest gap that is long enough; -1 when there is none."""
    run = 0
    for page in range(dirty_pages(disk.public_offset)):
        run = 0 if page in used else run + 1
        if run == pages:
            return page + 1 - pages
    return -1
