"""The maps of volumes in one commit, kept in step with the configuration.

A place of a map that the configuration names has every mark: so pages are written first, then the transaction that
names them, then the volume goes on.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from msgspec.structs import replace

from engine.allocate.dirty import DRL, maps_of, with_map
from engine.dataplane.dirty_map import DirtyMap
from engine.dirty_places import is_unequal, reached, tend, untrack
from engine.geometry import DIRTY_PAGE_REGIONS
from engine.records import DirtyLog, Ref, Task, Volume
from engine.unlogged import has_lost_log

if TYPE_CHECKING:
    from collections.abc import Mapping

    from engine.config import Config, Edit
    from engine.dataplane.volume_io import VolumeIo
    from engine.dirty_maps import DirtyMaps, MapKey


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
        self._made: dict[MapKey, DirtyMap] = {}
        self._joined: dict[MapKey, DirtyMap] = {}
        self.unlogged: list[Ref] = []  # volumes that this commit leaves without their log

    def __enter__(self) -> MapChange:
        return self

    def __exit__(self, *details: object) -> None:
        """What was made and not taken over never was."""
        for (ref, key), former in self._joined.items():
            self._adopt(former, _map_in(self._base, ref, key))
        self._held.close()

    def cover(self, edit: Edit) -> None:
        """Before a transaction is written: all places that it names are there, and tell what they must."""
        for ref in reached(edit):
            if edit.config.volume(ref).group in self._stores:
                tend(edit, ref)
                self._doubt_strangers(edit, ref)
                for key in maps_of(edit.config.volume(ref)):
                    self._prepare(edit, ref, key)
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
        log = edit.config.volume(ref).dirty_log
        if log is not None and log.places and (ref, DRL) not in self._made:
            count = -(-edit.config.volume(ref).size // log.region_size)
            self._renew(edit, ref, DRL, b"\1" * count)

    def _renew(self, edit: Edit, ref: Ref, key: str, regions: bytes) -> None:
        """A map under new generations, which tells of these regions, a byte for each."""
        volume = edit.config.volume(ref)
        log = maps_of(volume)[key]
        self._hold(ref)
        wanted = DirtyLog(log.region_size, tuple(replace(place, generation="") for place in log.places))
        self._fill_places(edit, ref, key, wanted, self._map_of(volume, wanted, regions), None)

    def take_over(self, ref: Ref, config: Config, io: VolumeIo) -> None:
        """The transaction is durable; `io` does not yet run on the table that comes of it."""
        volume = config.volume(ref)
        if has_lost_log(self._base, config, ref):
            self.unlogged.append(ref)
        self._maps.forget(ref)
        wanted = {key: log for key, log in maps_of(volume).items() if log.places}
        for joined in [joined for joined in self._joined if joined[0] == ref]:
            del self._joined[joined]
        for key in wanted:
            if (made := self._made.pop((ref, key), None)) is not None:
                io.use_map(made, key)
        for key in [key for key in io.maps if key not in wanted]:
            io.use_map(None, key)
        for key, dirty in io.maps.items():
            if volume.size < dirty.size:
                self._hold(ref)
                dirty.resize(volume.size, dirty=False)
            self._adopt(dirty, wanted[key])
        if io.dirty is not None and is_unequal(config, ref):
            io.dirty.set_sticky(True)

    def settled(self, ref: Ref, config: Config, io: VolumeIo) -> None:
        """`io` runs on the new table."""
        if io.dirty is not None and not is_unequal(config, ref):
            io.dirty.set_sticky(False)

    def _adopt(self, dirty: DirtyMap, log: DirtyLog | None) -> None:
        places = log.places if log is not None else ()
        found = (self._maps.place(place.generation) for place in places)
        before = [place.generation for place in dirty.places]
        dirty.adopt(place for place in found if place is not None)
        self._maps.keep_only({place.generation for place in places}, before)

    def _prepare(self, edit: Edit, ref: Ref, key: str) -> None:
        volume = edit.config.volume(ref)
        live = self._made.get((ref, key)) or self._live(ref, key)
        wanted = maps_of(volume)[key]
        if not volume.size:
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
            dirty = self._new_map(edit, ref, key, wanted)
        else:
            return
        self._fill_places(edit, ref, key, wanted, dirty, live)

    def _live(self, ref: Ref, key: str) -> DirtyMap | None:
        io = self._ios.get(ref)
        return io.maps.get(key) if io is not None else None

    def _fits(self, live: DirtyMap, wanted: DirtyLog) -> bool:
        return bool(live.places) and live.places[0].pages == wanted.places[0].pages

    def _fill_places(
        self, edit: Edit, ref: Ref, key: str, wanted: DirtyLog, dirty: DirtyMap, live: DirtyMap | None
    ) -> None:
        """Write the pages of every new place; a place that can't be written is none."""
        volume = edit.config.volume(ref)
        found = self._maps.found((ref, key))
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
            self._made[ref, key] = dirty
        elif (ref, key) not in self._made:
            self._joined[ref, key] = dirty
        edit.put(with_map(volume, key, DirtyLog(wanted.region_size, tuple(places))))
        if key == DRL and not places:
            untrack(edit, ref)

    def _new_map(self, edit: Edit, ref: Ref, key: str, wanted: DirtyLog) -> DirtyMap:
        volume = edit.config.volume(ref)
        count = -(-volume.size // wanted.region_size)
        regions = self._known(edit, ref, key, count, wanted.region_size)
        if regions is None:
            regions = b"\1" * count
            if key == DRL:
                untrack(edit, ref)
                _copy_from_the_start(edit, ref)
        made = self._map_of(volume, wanted, regions)
        live = self._live(ref, key)
        for offset, length in live.pins() if live is not None else ():
            made.pin(offset, length)
        return made

    def _map_of(self, volume: Volume, wanted: DirtyLog, regions: bytes) -> DirtyMap:
        maps = self._maps
        return DirtyMap(volume.size, wanted.region_size, DIRTY_PAGE_REGIONS, maps.writers, maps.runtime, regions)

    def _known(self, edit: Edit, ref: Ref, key: str, count: int, region_size: int) -> bytes | None:
        """Which regions a map tells of, as a byte for each; None when nobody knows."""
        io = self._ios.get(ref)
        unequal = is_unequal(edit.config, ref)
        if io is None:
            found = self._maps.found((ref, key))
            if found is not None and found.regions is not None and len(found.regions) == count:
                return found.regions
            return None if unequal else bytes(count)
        self._hold(ref)
        live = io.maps.get(key)
        if live is not None:
            return _converted(live, count, region_size)
        return bytes(count) if not unequal and not io.fenced and io.settle_writes() else None

    def _hold(self, ref: Ref) -> None:
        if ref in self._ios and ref not in self._holding:
            self._held.enter_context(self._ios[ref].hold())
            self._holding.add(ref)


def _map_in(config: Config, ref: Ref, key: str) -> DirtyLog | None:
    record = config.get(ref)
    return maps_of(record).get(key) if isinstance(record, Volume) else None


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
