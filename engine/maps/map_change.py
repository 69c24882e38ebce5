"""The maps of volumes in one commit, kept in step with the configuration.

A place of a map that the configuration names has every mark: so pages are written first, then the transaction that
names them, then the volume goes on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from msgspec.structs import replace

from engine.allocate.dirty import DRL, maps_of, with_map
from engine.dataplane.dirty_map import DirtyMap
from engine.dataplane.fine_map import FineMap, of_regions
from engine.dataplane.needed import finest
from engine.edits.dirty_places import forget_map, is_away, is_unequal, reached, tend, untrack
from engine.edits.kept_cells import drop
from engine.edits.snap_moves import Return, is_original, new_links, returns
from engine.errors import Unsettled
from engine.geometry import DIRTY_PAGE_REGIONS
from engine.maps.unlogged import has_lost_log
from engine.records import DirtyLog, Ref, Task, Volume

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from engine.config import Config, Edit
    from engine.dataplane.volume_io import VolumeIo
    from engine.maps.dirty_maps import DirtyMaps, MapKey


HOLD_S = 2.0
"""What is under way has to end in this time, or no snapshot is taken: writers wait as long."""


class Union(NamedTuple):
    """What differs between the two sides of a snapshot that goes back; None: nobody knows. `fine` narrows it."""

    of: Return
    runs: tuple[tuple[int, int], ...] | None
    fine: FineMap | None = None


class MapChange:
    """The maps that one commit changes. A context: volumes that get another map are held until its end."""

    def __init__(
        self,
        maps: DirtyMaps,
        base: Config,
        ios: Mapping[Ref, VolumeIo],
        stores: Mapping[Ref, object],
        unequal: Collection[Ref] = (),
    ) -> None:
        self._maps = maps
        self._base = base
        self._ios = ios
        self._stores = stores
        self._unequal = unequal
        self._held: dict[Ref, VolumeIo] = {}
        self._fresh: set[MapKey] = set()  # of links that begin by this commit
        self._held_at = 0.0
        self._made: dict[MapKey, DirtyMap] = {}
        self._joined: dict[MapKey, DirtyMap] = {}
        self.unlogged: list[Ref] = []  # volumes that this commit leaves without their log

    def __enter__(self) -> MapChange:
        return self

    def __exit__(self, *details: object) -> None:
        """What was made and not taken over never was."""
        for (ref, key), former in self._joined.items():
            self._adopt(former, _map_in(self._base, ref, key))
        self.release()

    def release(self, but: Collection[Ref] = ()) -> None:
        """Volumes go on, all tables being those of the new configuration; not those that end by it."""
        if self._held:
            self._maps.held_s = self._maps.runtime.now() - self._held_at
        for ref in sorted(self._held.keys() - set(but)):
            self._held.pop(ref).gate.reopen()

    def cover(self, edit: Edit) -> None:
        """Before a transaction is written: all places that it names are there, and tell what they must."""
        self._fresh.update(new_links(edit))
        back = {one.original: self._union(edit, one) for one in returns(edit)}
        for ref in reached(edit):
            drop(edit, ref, self._maps.kept)
            if edit.config.volume(ref).group in self._stores:
                tend(edit, ref)
                self._doubt_strangers(edit, ref)
                for key in maps_of(edit.config.volume(ref)):
                    self._prepare(edit, ref, key, back.get(ref))
        for ref in _copied_whole(edit):
            self._distrust(edit, ref)
        originals = [(ref, key) for ref, key in sorted(self._fresh) if is_original(edit.config, ref, key)]
        self._hold_all(ref for ref, _ in originals)
        for ref, key in originals:
            self._add_pins(edit, ref, key)

    def _add_pins(self, edit: Edit, ref: Ref, key: str) -> None:
        """Where a write has failed on some mirror, what leaves and what stays may differ."""
        live = self._live(ref, DRL)
        pins = live.pins() if live is not None else ()
        made = self._made.get((ref, key))
        if pins and made is not None:
            volume = edit.config.volume(ref)
            region_size = maps_of(volume)[key].region_size
            fine = finest(made)
            for offset, length in pins:
                fine.add(offset, length)
            self._renew(edit, ref, key, _in_regions((*pins, *made.runs()), volume.size, region_size), fine)

    def _hold_all(self, originals: Iterable[Ref]) -> None:
        """From here on nothing is written to the volumes of which snapshots are taken; what failed is on record."""
        for ref, io in self._shut_all(dict.fromkeys(originals)):
            if io.dirty is None:
                raise Unsettled(
                    f"{io.name} has lost its dirty region log, which would tell whether its mirrors are the same. "
                    "See to its disks, then try again."
                )
            told = is_unequal(self._base, ref) or not io.dirty.pinned
            if io.fenced or io.in_doubt or io.parked or not told or ref in self._unequal:
                raise Unsettled(
                    f"A write to {io.name} has failed, and its mirrors may differ. Look at its alerts, then try again."
                )

    def _shut_all(self, refs: Iterable[Ref]) -> list[tuple[Ref, VolumeIo]]:
        """Hold volumes, none of them waiting for the others to empty."""
        found = [(ref, self._ios.get(ref)) for ref in refs]
        for ref, io in found:
            if io is not None and ref not in self._held:
                self._shut(ref)
        for ref, io in found:
            if io is None or not io.gate.drained(HOLD_S):
                name = self._base.volume(ref).name
                raise Unsettled(f"A request to {name} is under way for too long. See to its disks, then try again.")
        return [(ref, io) for ref, io in found if io is not None]

    def _union(self, edit: Edit, back: Return) -> Union:
        """From here on nothing is written to both sides: what has been written to either since they parted, as
        (offset, length)."""
        for ref, io in self._shut_all(sorted((back.snapshot, back.original))):
            if io.parked or (back.restores and not io.fenced and not io.settle_writes()):
                name = self._base.volume(ref).name
                raise Unsettled(f"What was written to {name} can't be brought to stable storage. Look at its alerts.")
        found = [self._live(ref, back.generation) for ref in (back.snapshot, back.original)]
        maps = [one for one in found if one is not None]
        if not back.known or len(maps) < len(found) or maps[0].size != maps[1].size:
            return Union(back, None)
        fine = finest(maps[0]).plus(*map(finest, maps[1:]))
        return Union(back, tuple(run for one in maps for run in one.runs()), fine)

    def _doubt_strangers(self, edit: Edit, ref: Ref) -> None:
        """A place that no map of ours keeps, as of a configuration that was restored, tells nothing: it begins anew."""
        volume = edit.config.volume(ref)
        places = volume.dirty_log.places if volume.dirty_log is not None else ()
        if volume.dirty_log is not None and any(self._is_strange(place.generation) for place in places):
            known = (replace(one, generation="") if self._is_strange(one.generation) else one for one in places)
            edit.put(replace(volume, dirty_log=DirtyLog(volume.dirty_log.region_size, tuple(known))))
        away = is_away(edit.config, ref)
        for link in volume.links:
            if not away and self._live(ref, link.generation) is None:
                fresh = tuple(
                    replace(one, generation="") if self._is_strange(one.generation) else one
                    for one in link.changes.places
                )
                changes = DirtyLog(link.changes.region_size, fresh)
                edit.put(with_map(edit.config.volume(ref), link.generation, changes))

    def _is_strange(self, generation: str) -> bool:
        return bool(generation) and self._maps.place(generation) is None

    def _distrust(self, edit: Edit, ref: Ref) -> None:
        """The operator wants every byte copied: until that is done every region may differ."""
        log = edit.config.volume(ref).dirty_log
        if log is not None and log.places and (ref, DRL) not in self._made:
            count = -(-edit.config.volume(ref).size // log.region_size)
            self._renew(edit, ref, DRL, b"\1" * count)

    def _renew(self, edit: Edit, ref: Ref, key: str, regions: bytes, fine: FineMap | None = None) -> None:
        """A map under new generations, which tells of these regions, a byte for each, and of no cells but `fine`."""
        volume = edit.config.volume(ref)
        log = maps_of(volume)[key]
        self._hold(ref)
        wanted = DirtyLog(log.region_size, tuple(replace(place, generation="") for place in log.places))
        made = self._map_of(volume, key, wanted, regions, fine)
        live = self._live(ref, key)
        for offset, length in live.pins() if live is not None else ():
            made.pin(offset, length)
        self._fill_places(edit, ref, key, wanted, made, None)

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

    def _prepare(self, edit: Edit, ref: Ref, key: str, back: Union | None) -> None:
        volume = edit.config.volume(ref)
        if back is not None and (ref, key) not in self._made:
            if key == DRL:
                self._track(edit, ref, back)
                return
            if back.of.restores:
                self._add_changes(edit, ref, key, back)
                return
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
        elif fresh and key == DRL:
            dirty = self._new_map(edit, ref, wanted)
        elif fresh:
            found = self._changes(edit, ref, key, wanted)
            if found is None:
                forget_map(edit, ref, key)
                return
            dirty = found
        else:
            return
        self._fill_places(edit, ref, key, wanted, dirty, live)

    def _track(self, edit: Edit, ref: Ref, back: Union) -> None:
        """What a plex that comes back lacks, or what the others lack, stands in the log like what any mirror has
        missed."""
        volume = edit.config.volume(ref)
        live = self._live(ref, DRL)
        whole = ((0, volume.size),)
        runs = back.runs
        if runs is None or (live is None and is_unequal(self._base, ref)):
            untrack(edit, ref)
            runs = whole
        log = maps_of(volume)[DRL]
        if log.places:
            unequal = is_unequal(self._base, ref)
            equal = back.of.restores and not unequal  # and on stable storage
            known = live.runs() if live is not None and not equal else ()
            lacks = live is not None and (unequal or live.pinned or ref in self._unequal)
            more = [live] if live is not None and lacks else []  # else that is only what a crash might leave different
            fine = back.fine.plus(*map(finest, more)) if back.fine is not None else None
            self._renew(edit, ref, DRL, _in_regions((*runs, *known), volume.size, log.region_size), fine)
        else:
            untrack(edit, ref)

    def _add_changes(self, edit: Edit, ref: Ref, key: str, back: Union) -> None:
        """A volume that takes over the bytes of one of its snapshots has changed against all others."""
        volume = edit.config.volume(ref)
        live = self._live(ref, key)
        log = maps_of(volume)[key]
        fresh = (ref, key) in self._fresh
        if back.runs is None or not log.places or (live is None and not fresh):
            forget_map(edit, ref, key)
            return
        known = live.runs() if live is not None else ()
        fine = back.fine.plus(*([finest(live)] if live is not None else [])) if back.fine is not None else None
        self._renew(edit, ref, key, _in_regions((*back.runs, *known), volume.size, log.region_size), fine)

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

    def _changes(self, edit: Edit, ref: Ref, key: str, wanted: DirtyLog) -> DirtyMap | None:
        """A new map of what has been written since a snapshot: empty when that is taken now, else what an import has
        found. None: nobody knows."""
        volume = edit.config.volume(ref)
        count = -(-volume.size // wanted.region_size)
        if (ref, key) in self._fresh:
            return self._map_of(volume, key, wanted, bytes(count))
        found = self._maps.found((ref, key)) if self._live(ref, key) is None else None
        if found is None or found.regions is None or len(found.regions) != count:
            return None
        return self._map_of(volume, key, wanted, found.regions, found.fine)

    def _new_map(self, edit: Edit, ref: Ref, wanted: DirtyLog) -> DirtyMap:
        volume = edit.config.volume(ref)
        count = -(-volume.size // wanted.region_size)
        regions = self._known(edit, ref, count, wanted.region_size)
        if regions is None:
            regions = b"\1" * count
            untrack(edit, ref)
            _copy_from_the_start(edit, ref)
        made = self._map_of(volume, DRL, wanted, regions)
        live = self._live(ref, DRL)
        for offset, length in live.pins() if live is not None else ():
            made.pin(offset, length)
        return made

    def _map_of(
        self, volume: Volume, key: str, wanted: DirtyLog, regions: bytes, fine: FineMap | None = None
    ) -> DirtyMap:
        """What has been written since a snapshot is told by cells, too; what mirrors differ in is so by a snap back."""
        maps, size = self._maps, wanted.region_size
        if fine is None and key != DRL:
            fine = of_regions(volume.size, size, regions)
        return DirtyMap(volume.size, size, DIRTY_PAGE_REGIONS, maps.writers, maps.runtime, regions, fine)

    def _known(self, edit: Edit, ref: Ref, count: int, region_size: int) -> bytes | None:
        """Which regions may differ between mirrors, as a byte for each; None when nobody knows."""
        io = self._ios.get(ref)
        unequal = is_unequal(edit.config, ref)
        if io is None:
            found = self._maps.found((ref, DRL))
            if found is not None and found.regions is not None and len(found.regions) == count:
                return found.regions
            return None if unequal else bytes(count)
        self._hold(ref)
        if io.dirty is not None:
            return _in_regions(io.dirty.runs(), edit.config.volume(ref).size, region_size)
        return bytes(count) if not unequal and not io.fenced and io.settle_writes() else None

    def _hold(self, ref: Ref) -> None:
        if ref in self._ios and ref not in self._held:
            self._shut(ref)
            self._held[ref].gate.drained()

    def _shut(self, ref: Ref) -> None:
        self._held_at = self._held_at or self._maps.runtime.now()
        self._held[ref] = self._ios[ref]
        self._held[ref].gate.shut()


def _map_in(config: Config, ref: Ref, key: str) -> DirtyLog | None:
    record = config.get(ref)
    return maps_of(record).get(key) if isinstance(record, Volume) else None


def _in_regions(runs: Iterable[tuple[int, int]], size: int, region_size: int) -> bytes:
    """A byte for each region of a volume of `size` bytes: 1 where any of the runs touches it."""
    count = -(-size // region_size)
    regions = bytearray(count)
    for offset, length in runs:
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
