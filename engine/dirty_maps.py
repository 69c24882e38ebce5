"""The dirty maps of all volumes of this host: read at an import, made, and kept in step with the configuration.

A place of a log that the configuration names has every mark: so pages are written first, then the transaction that
names them, then the volume goes on.
"""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING, NamedTuple

from msgspec.structs import replace

from engine.dataplane.dirty_map import DirtyMap, unpacked
from engine.dataplane.map_writers import MapWriters
from engine.dirty_places import is_unequal, reached, tend, untrack
from engine.errors import MetadataError
from engine.geometry import DIRTY_PAGE_REGIONS
from engine.records import DirtyLog, Plex, PlexState, Record, Ref, Task, Volume
from engine.store.areas import Area
from engine.store.dirty_pages import DirtyPages, Page, PageOwner, newest_sequences, page_start, read_pages
from engine.unlogged import has_lost_log

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from engine.config import Config, Edit
    from engine.dataplane.volume_io import VolumeIo
    from engine.devices.base import BlockDevice
    from engine.records import LogPlace
    from engine.runtime import Runtime
    from engine.store.group_store import GroupStore

log = logging.getLogger(__name__)

_PlaceKey = tuple[Ref, int]


class Found(NamedTuple):
    """What an import has found of a volume's log. `regions` has a byte for each, 1: it may differ; None: nobody knows.
    `sequences` tells, for places whose pages must not be overwritten yet, the number of each page's newest block."""

    regions: bytes | None
    sequences: dict[_PlaceKey, list[int]]


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
        self._found: dict[Ref, Found] = {}
        self._places: dict[str, DirtyPages] = {}  # of maps in use, by generation

    def close(self) -> None:
        """After every volume has been closed."""
        self.writers.close()

    # --- at an import ---
    def read(self, group: Ref, records: Iterable[Record]) -> None:
        """Look, before a group's records become true here, which regions of its volumes may differ."""
        records = list(records)
        plexes = [record for record in records if isinstance(record, Plex)]
        for record in records:
            if isinstance(record, Volume) and record.dirty_log is not None and record.size:
                mirrors = [plex for plex in plexes if plex.volume == record.ref]
                self._found[record.ref] = self._read(group, record, mirrors)

    def is_lost(self, volume: Ref) -> bool:
        """Whether the last import found a log that does not tell everything."""
        found = self._found.get(volume)
        return found is not None and found.regions is None

    def _read(self, group: Ref, volume: Volume, mirrors: list[Plex]) -> Found:
        log_, size = volume.dirty_log, volume.size
        assert log_ is not None
        count = -(-size // log_.region_size) if log_.region_size else 0
        if volume.source is None and all(plex.state is PlexState.CLEAN for plex in mirrors):
            return Found(bytes(count), {})  # stopped in order: all are equal
        told: list[list[Page | None]] = []
        sequences: dict[_PlaceKey, list[int]] = {}
        for place in log_.places:
            pages = self._read_place(group, volume.ref, log_.region_size, place)
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

    def found(self, volume: Ref) -> Found | None:
        """What `read` has found of a volume that is about to be served."""
        return self._found.get(volume)

    def forget(self, volume: Ref) -> None:
        """The volume is served: what was found of it has been taken over."""
        self._found.pop(volume, None)

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
        if io.dirty is not None:
            self.keep_only(set(), [place.generation for place in io.dirty.places])

    def keep_only(self, used: set[str], volume: Iterable[str]) -> None:
        """Of these generations only the `used` ones are of interest from now on."""
        for generation in volume:
            if generation not in used:
                self._places.pop(generation, None)


class MapChange:
    """The maps that one commit changes. A context: volumes that get another map are held until its end."""

    def __init__(
        self, maps: DirtyMaps, base: Config, ios: Mapping[Ref, VolumeIo], stores: Mapping[Ref, object]
    ) -> None:
        self._maps = maps
        self._base = base
        self._ios = ios
        self._stores = stores
        self._held = contextlib.ExitStack()
        self._holding: set[Ref] = set()
        self._made: dict[Ref, DirtyMap] = {}
        self._joined: dict[Ref, DirtyMap] = {}
        self.unlogged: list[Ref] = []  # volumes that this commit leaves without their log

    def __enter__(self) -> MapChange:
        return self

    def __exit__(self, *details: object) -> None:
        """What was made and not taken over never was."""
        for ref, former in self._joined.items():
            self._adopt(former, self._base.get(ref))
        self._held.close()

    def cover(self, edit: Edit) -> None:
        """Before a transaction is written: all places that it names are there, and tell what they must."""
        for ref in reached(edit):
            if edit.config.volume(ref).group in self._stores:
                tend(edit, ref)
                self._doubt_strangers(edit, ref)
                self._prepare(edit, ref)
        for ref in _copied_whole(edit):
            self._distrust(edit, ref)

    def _doubt_strangers(self, edit: Edit, ref: Ref) -> None:
        """A place that no map of ours keeps, as of a configuration that was restored, tells nothing: it begins anew."""
        volume = edit.config.volume(ref)
        places = volume.dirty_log.places if volume.dirty_log is not None else ()
        if volume.dirty_log is not None and any(self._is_strange(place.generation) for place in places):
            known = (replace(one, generation="") if self._is_strange(one.generation) else one for one in places)
            edit.put(replace(volume, dirty_log=DirtyLog(volume.dirty_log.region_size, tuple(known))))

    def _is_strange(self, generation: str) -> bool:
        return bool(generation) and self._maps.place(generation) is None

    def _distrust(self, edit: Edit, ref: Ref) -> None:
        """The operator wants every byte copied: until that is done every region may differ."""
        volume = edit.config.volume(ref)
        if volume.dirty_log is None or not volume.dirty_log.places or ref in self._made:
            return
        self._hold(ref)
        fresh = tuple(replace(place, generation="") for place in volume.dirty_log.places)
        wanted = DirtyLog(volume.dirty_log.region_size, fresh)
        count = -(-volume.size // wanted.region_size)
        self._fill_places(edit, ref, wanted, self._map_of(volume, wanted, b"\1" * count), None)

    def take_over(self, ref: Ref, config: Config, io: VolumeIo) -> None:
        """The transaction is durable; `io` does not yet run on the table that comes of it."""
        volume = config.volume(ref)
        if has_lost_log(self._base, config, ref):
            self.unlogged.append(ref)
        made = self._made.pop(ref, None)
        self._maps.forget(ref)
        self._joined.pop(ref, None)
        if made is not None:
            io.use_map(made)
        dirty = io.dirty
        if dirty is None:
            return
        if volume.dirty_log is None or not volume.dirty_log.places:
            io.use_map(None)
            return
        if volume.size < dirty.size:
            self._hold(ref)
            dirty.resize(volume.size, dirty=False)
        self._adopt(dirty, volume)
        if is_unequal(config, ref):
            dirty.set_sticky(True)

    def settled(self, ref: Ref, config: Config, io: VolumeIo) -> None:
        """`io` runs on the new table."""
        if io.dirty is not None and not is_unequal(config, ref):
            io.dirty.set_sticky(False)

    def _adopt(self, dirty: DirtyMap, record: object) -> None:
        places = record.dirty_log.places if isinstance(record, Volume) and record.dirty_log is not None else ()
        found = (self._maps.place(place.generation) for place in places)
        before = [place.generation for place in dirty.places]
        dirty.adopt(place for place in found if place is not None)
        self._maps.keep_only({place.generation for place in places}, before)

    def _prepare(self, edit: Edit, ref: Ref) -> None:
        volume = edit.config.volume(ref)
        io = self._ios.get(ref)
        live = self._made.get(ref) or (io.dirty if io is not None else None)
        wanted = volume.dirty_log
        if wanted is None or not volume.size:
            return
        fresh = [place for place in wanted.places if not place.generation]
        if live is not None and live.region_size == wanted.region_size and len(fresh) < len(wanted.places):
            if volume.size > live.size:
                self._hold(ref)
                live.resize(volume.size, dirty=is_unequal(edit.config, ref))
            dirty = live
        elif live is not None and fresh and live.region_size == wanted.region_size and self._fits(live, wanted):
            dirty = live  # all its places have gone in this very commit: what they told is known still
        elif fresh:
            dirty = self._new_map(edit, ref, wanted)
        else:
            return
        self._fill_places(edit, ref, wanted, dirty, live)

    def _fits(self, live: DirtyMap, wanted: DirtyLog) -> bool:
        return bool(live.places) and live.places[0].pages == wanted.places[0].pages

    def _fill_places(self, edit: Edit, ref: Ref, wanted: DirtyLog, dirty: DirtyMap, live: DirtyMap | None) -> None:
        """Write the pages of every new place; a place that can't be written is none."""
        volume = edit.config.volume(ref)
        found = self._maps.found(ref)
        places = []
        for place in wanted.places:
            if place.generation:
                places.append(place)
                continue
            named = replace(place, generation=self._maps.runtime.token(16).hex())
            known = found.sequences if found is not None else {}
            pages = self._maps.make_place(volume.group, ref, wanted.region_size, named, known)
            if pages is not None and dirty.join(pages):
                places.append(named)
        if dirty is not live:
            self._made[ref] = dirty
        elif ref not in self._made:
            self._joined[ref] = dirty
        edit.put(replace(volume, dirty_log=DirtyLog(wanted.region_size, tuple(places))))
        if not places:
            untrack(edit, ref)

    def _new_map(self, edit: Edit, ref: Ref, wanted: DirtyLog) -> DirtyMap:
        volume = edit.config.volume(ref)
        count = -(-volume.size // wanted.region_size)
        regions = self._known(edit, ref, count, wanted.region_size)
        if regions is None:
            regions = b"\1" * count
            untrack(edit, ref)
            _copy_from_the_start(edit, ref)
        made = self._map_of(volume, wanted, regions)
        live = self._ios[ref].dirty if ref in self._ios else None
        for offset, length in live.pins() if live is not None else ():
            made.pin(offset, length)
        return made

    def _map_of(self, volume: Volume, wanted: DirtyLog, regions: bytes) -> DirtyMap:
        maps = self._maps
        return DirtyMap(volume.size, wanted.region_size, DIRTY_PAGE_REGIONS, maps.writers, maps.runtime, regions)

    def _known(self, edit: Edit, ref: Ref, count: int, region_size: int) -> bytes | None:
        """Which regions may differ, as a byte for each; None when nobody knows."""
        io = self._ios.get(ref)
        unequal = is_unequal(edit.config, ref)
        if io is None:
            found = self._maps.found(ref)
            if found is not None and found.regions is not None and len(found.regions) == count:
                return found.regions
            return None if unequal else bytes(count)
        self._hold(ref)
        if io.dirty is not None:
            return _converted(io.dirty, count, region_size)
        return bytes(count) if not unequal and not io.fenced and io.settle_writes() else None

    def _hold(self, ref: Ref) -> None:
        if ref in self._ios and ref not in self._holding:
            self._held.enter_context(self._ios[ref].hold())
            self._holding.add(ref)


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


def _converted(dirty: DirtyMap, count: int, region_size: int) -> bytes:
    """What a map knows, in regions of another size."""
    regions = bytearray(count)
    for offset, length in dirty.runs():
        first, stop = offset // region_size, min(-(-(offset + length) // region_size), count)
        regions[first:stop] = b"\1" * (stop - first)
    return bytes(regions)


def _copied_whole(edit: Edit) -> list[Ref]:
    """The volumes of which an edit begins a copy of every byte."""
    found = []
    for ref in edit.touched:
        task = edit.config.get(ref)
        if isinstance(task, Task) and task.params.whole and ref not in edit.base and task.params.volume is not None:
            found.append(task.params.volume)
    return [ref for ref in found if ref in edit.config]


def _copy_from_the_start(edit: Edit, volume: Ref) -> None:
    """What a copy has passed as equal may differ after all."""
    for task in edit.config.tasks_of(edit.config.volume(volume).group):
        if task.params.volume == volume and task.checkpoint and not task.ended:
            edit.put(replace(task, checkpoint=0))
