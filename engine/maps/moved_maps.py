"""The maps of volumes that leave a disk group, as they stand on its disks.

Pages are sealed with the group's id, so that the next group needs them written anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.allocate.dirty import maps_of
from engine.errors import DeviceError, MetadataError, RangeError
from engine.store.areas import Area
from engine.store.dirty_pages import BITMAP_BYTES, PageOwner, page_start, read_pages
from engine.store.moves import MapPages

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from engine.records import DirtyLog, LogPlace, Volume
    from engine.store.dirty_pages import Page
    from engine.store.group_store import GroupStore


def captured(store: GroupStore, volumes: Iterable[Volume]) -> list[MapPages]:
    """Every place of every map of volumes that have been stopped. A map that its places do not tell whole is left out:
    nobody knows it in the next group either."""
    found: list[MapPages] = []
    for volume in volumes:
        for log in maps_of(volume).values():
            pages = _told(store, volume, log) if volume.size and log.region_size and log.places else None
            if pages is not None:
                found += [_placed(volume, log, place, pages) for place in log.places if len(pages) == place.pages]
    return found


def _placed(volume: Volume, log: DirtyLog, place: LogPlace, pages: tuple[bytes, ...]) -> MapPages:
    ids = (place.disk.id, volume.ref.id, place.generation)
    disk, owner, generation = (bytes.fromhex(one) for one in ids)
    return MapPages(disk, place.first_page, log.region_size, owner, generation, pages)


def _told(store: GroupStore, volume: Volume, log: DirtyLog) -> tuple[bytes, ...] | None:
    told = [_read(store, volume, log, place) for place in log.places]
    merged = [_merged([pages[number] for pages in told]) for number in range(log.places[0].pages)]
    return None if any(page is None for page in merged) else tuple(page for page in merged if page is not None)


def _read(store: GroupStore, volume: Volume, log: DirtyLog, place: LogPlace) -> Sequence[Page | None]:
    try:
        start = page_start(store.span(place.disk, Area.DIRTY_MAPS), place.first_page, place.pages)
        ids = (place.disk.id, store.group.id, volume.ref.id, place.generation)
        disk, group, owner, generation = (bytes.fromhex(one) for one in ids)
        whose = PageOwner(disk, group, owner, generation, log.region_size)
        return read_pages(store.device(place.disk), start, whose, place.pages)
    except (KeyError, DeviceError, RangeError, MetadataError, ValueError):
        return [None] * place.pages


def _merged(told: Sequence[Page | None]) -> bytes | None:
    """What any place calls changed is changed. As at an import, a doubtful page that stands alone tells nothing."""
    known = [page for page in told if page is not None]
    if not known or (len(known) == 1 and known[0].doubtful):
        return None
    bits = bytearray(BITMAP_BYTES)
    for page in known:
        for at, byte in enumerate(page.bits):
            bits[at] |= byte
    return bytes(bits)
