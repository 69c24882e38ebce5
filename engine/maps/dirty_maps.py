"""The maps of all volumes of this host, as an import finds them and as they stand on disks.

A volume may have several, each under a key of its own; see `engine.allocate.dirty`.
"""

from __future__ import annotations

import contextlib
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from msgspec.structs import replace

from engine.allocate.dirty import DRL, maps_of
from engine.dataplane.dirty_map import unpacked
from engine.dataplane.map_writers import MapWriters
from engine.edits.dirty_places import as_left
from engine.edits.kept_cells import told
from engine.errors import MetadataError
from engine.geometry import DIRTY_PAGE_REGIONS
from engine.records import Plex, PlexState, Record, Ref, Subdisk, Volume
from engine.store.areas import Area
from engine.store.dirty_pages import DirtyPages, Page, PageOwner, newest_sequences, page_start, read_pages

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    from engine.config import Config
    from engine.dataplane.fine_map import FineMap
    from engine.dataplane.volume_io import VolumeIo
    from engine.devices.base import BlockDevice
    from engine.records import DirtyLog, LogPlace
    from engine.runtime import Runtime
    from engine.store.group_store import GroupStore

MapKey = tuple[Ref, str]
"""A volume, and the key of one of its maps."""
_PlaceKey = tuple[Ref, int]


class Found(NamedTuple):
    """What an import has found of a map. `regions` has a byte for each, 1: it may differ; None: nobody knows.
    `sequences` tells, for places whose pages must not be overwritten yet, the number of each page's newest block.
    `fine` narrows the regions, where an orderly stop has kept the cells."""

    regions: bytes | None
    sequences: dict[_PlaceKey, list[int]]
    fine: FineMap | None = None


class DirtyMaps:
    """Keeper of the maps. Every method is called under the control lock."""

    def __init__(
        self,
        device_of: Callable[[Ref], BlockDevice | None],
        stores: Mapping[Ref, GroupStore],
        runtime: Runtime,
    ) -> None:
        self.writers = MapWriters(runtime)
        self.runtime = runtime
        self._device_of = device_of
        self._stores = stores
        self.held_s = 0.0  # how long the last commit that held volumes held them
        self.kept: dict[MapKey, str] = {}  # cells that the edit which is committed now puts on record
        self._found: dict[MapKey, Found] = {}
        self._places: dict[str, DirtyPages] = {}  # of maps in use, by generation

    @contextlib.contextmanager
    def keeping(self, cells: dict[MapKey, str]) -> Iterator[None]:
        """What is committed inside puts these cells on record; any other edit of their volumes drops them."""
        self.kept = cells
        try:
            yield
        finally:
            self.kept = {}

    def close(self) -> None:
        """After every volume has been closed."""
        self.writers.close()

    # --- at an import ---
    def read_again(self, group: Ref, disk: Ref, config: Config, ios: Mapping[Ref, VolumeIo]) -> list[Ref]:
        """A disk is back: look what it tells of maps that could not be served without it. Answers their volumes."""
        volumes = sorted({config.plex(subdisk.plex).volume for subdisk in config.subdisks_on(disk)})
        read: dict[Ref, None] = {}
        for volume in map(config.volume, volumes):
            served = ios[volume.ref].maps if volume.ref in ios else {}
            for key, log in maps_of(volume).items():
                if key != DRL and key not in served and any(place.disk == disk for place in log.places):
                    self._found[volume.ref, key] = self._read(group, volume, log, [])
                    read[volume.ref] = None
        return list(read)

    def read(
        self,
        group: Ref,
        records: Iterable[Record],
        stale: Collection[str] = (),
        ends: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        """Look, before a group's records become true here, what the maps of its volumes tell. What was written since a
        snapshot is never read from the disks in `stale`, by id, which came back older than the group knows them, unless
        they are as they were when they left: `ends` as for `renew`."""
        records = list(records)
        plexes = [record for record in records if isinstance(record, Plex)]
        subdisks = [record for record in records if isinstance(record, Subdisk)]
        for volume in (record for record in records if isinstance(record, Volume) and record.size):
            own = [plex for plex in plexes if plex.volume == volume.ref]
            older = set(stale) - as_left(own, subdisks, ends) if stale else set()
            for key, log in maps_of(volume).items():
                mirrors = own if key == DRL else []
                places = tuple(place for place in log.places if key == DRL or place.disk.id not in older)
                found = self._read(group, volume, replace(log, places=places), mirrors)
                states = [plex.state for plex in own]
                self._found[volume.ref, key] = found._replace(fine=told(volume, key, states))

    def is_lost(self, volume: Ref) -> bool:
        """Whether the last import found a log that does not tell everything."""
        found = self._found.get((volume, DRL))
        return found is not None and found.regions is None

    def _read(self, group: Ref, volume: Volume, log: DirtyLog, mirrors: list[Plex]) -> Found:
        """`mirrors` are those that the map is of; they need none where they were stopped in order."""
        count = -(-volume.size // log.region_size) if log.region_size else 0
        if mirrors and volume.source is None and all(plex.state is PlexState.CLEAN for plex in mirrors):
            return Found(bytes(count), {})  # stopped in order: all are equal
        told: list[list[Page | None]] = []
        sequences: dict[_PlaceKey, list[int]] = {}
        for place in log.places:
            pages = self._read_place(group, volume.ref, log.region_size, place)
            told.append(pages)
            sequences[place.disk, place.first_page] = [page.sequence if page else 0 for page in pages]
        return Found(_union(told, count), sequences)

    def _read_place(self, group: Ref, volume: Ref, region_size: int, place: LogPlace) -> list[Page | None]:
        device = self._device_of(place.disk)
        try:
            start = page_start(self._stores[group].span(place.disk, Area.DIRTY_MAPS), place.first_page, place.pages)
        except (KeyError, MetadataError):
            return [None] * place.pages
        if device is None or not place.generation:
            return [None] * place.pages
        return read_pages(device, start, _owner(group, volume, region_size, place), place.pages)

    def found(self, key: MapKey) -> Found | None:
        """What `read` has found of a map of a volume that is about to be served."""
        return self._found.get(key)

    def forget(self, volume: Ref) -> None:
        """The volume is served: what was found of it has been taken over."""
        for key in [key for key in self._found if key[0] == volume]:
            del self._found[key]

    # --- places ---
    def make_place(
        self, group: Ref, volume: Ref, region_size: int, place: LogPlace, known: Mapping[_PlaceKey, list[int]]
    ) -> DirtyPages | None:
        """A place that can be written; None when its disk is not there, or has no such pages."""
        device = self._device_of(place.disk)
        try:
            start = page_start(self._stores[group].span(place.disk, Area.DIRTY_MAPS), place.first_page, place.pages)
        except (KeyError, MetadataError):
            return None
        if device is None:
            return None
        owner = _owner(group, volume, region_size, place)
        newest = newest_sequences(device, start, owner, place.pages)
        kept = known.get((place.disk, place.first_page), [])
        sequences = [old or new for old, new in zip(kept, newest, strict=True)] if len(kept) == len(newest) else newest
        pages = self._places[place.generation] = DirtyPages(device, start, owner, sequences)
        return pages

    def place(self, generation: str) -> DirtyPages | None:
        """The place of a generation, if it is in use."""
        return self._places.get(generation)

    def let_go(self, io: VolumeIo) -> None:
        """A volume ends here."""
        for dirty in io.maps.values():
            self.keep_only(set(), [place.generation for place in dirty.places])

    def keep_only(self, used: set[str], volume: Iterable[str]) -> None:
        """Of these generations only the `used` ones are of interest from now on."""
        for generation in volume:
            if generation not in used:
                self._places.pop(generation, None)


def _owner(group: Ref, volume: Ref, region_size: int, place: LogPlace) -> PageOwner:
    ids = (place.disk.id, group.id, volume.id, place.generation)
    disk, group_id, volume_id, generation = (bytes.fromhex(one) for one in ids)
    return PageOwner(disk, group_id, volume_id, generation, region_size)


def _union(told: list[list[Page | None]], count: int) -> bytes | None:
    """A region is dirty when any place says so. A page that no place tells makes all unknown, and so does one that a
    single place tells with doubt: a power cut tears what was on its way to both, but then both tell what was before."""
    regions = bytearray(count)
    for page in range(-(-count // DIRTY_PAGE_REGIONS)):
        known = [found for pages in told if page < len(pages) and (found := pages[page]) is not None]
        if not known or (len(known) == 1 and known[0].doubtful):
            return None
        low = page * DIRTY_PAGE_REGIONS
        size = min(DIRTY_PAGE_REGIONS, count - low)
        for one in known:
            bits = unpacked(one.bits, size)
            at = bits.find(1)
            while at >= 0:
                regions[low + at] = 1
                at = bits.find(1, at + 1)
    return bytes(regions)
