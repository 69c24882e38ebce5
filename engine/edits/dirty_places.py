"""What the configuration says of dirty region logs, kept in step with plexes and disks. Edits only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from engine.allocate.dirty import DRL, REGION_MIN, maps_of, placed, with_map
from engine.edits.kept_cells import drop
from engine.records import DirtyLog, Disk, Kind, Plex, PlexState, Subdisk, TaskParams, TaskType, Volume
from engine.states import COMPLETE

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from engine.config import Config, Edit
    from engine.records import Ref


def is_logged(config: Config, volume: Ref) -> bool:
    """Whether a log tells which regions of a volume may differ."""
    record = config.get(volume)
    return isinstance(record, Volume) and record.dirty_log is not None and bool(record.dirty_log.places)


def is_unequal(config: Config, volume: Ref) -> bool:
    """Whether some mirror misses writes, or nobody knows which one is right: then no region becomes clean."""
    record = config.volume(volume)
    return record.source is not None or any(plex.state not in COMPLETE for plex in config.plexes_of(volume))


def is_away(config: Config, volume: Ref) -> bool:
    """Whether not one disk of a volume is there, so that nobody can write it."""
    disks = {subdisk.disk for plex in config.parts_of(volume) for subdisk in config.subdisks_of(plex.ref)}
    return bool(disks) and not any(config.disk(disk).present for disk in disks)


def note_left(edit: Edit, disks: Collection[Ref]) -> None:
    """Disks are not there any more: their plexes that nothing stands for are as they are now when these come back. Of
    several the first counts."""
    for subdisk in (subdisk for disk in disks for subdisk in edit.config.subdisks_on(disk)):
        plex = edit.config.plex(subdisk.plex)
        volume = edit.config.volume(plex.volume)
        others = {one.disk for one in edit.config.subdisks_of(plex.ref)} - set(disks)
        if volume.links and plex.state in COMPLETE and all(edit.config.disk(one).present for one in others):
            edit.put(replace(plex, left_at=edit.config.group(volume.group).transaction))


def renew_places(edit: Edit, disk: Ref) -> None:
    """A disk is back: what maps of snapshots have on it is written anew."""
    for volume in sorted({edit.config.plex(subdisk.plex).volume for subdisk in edit.config.subdisks_on(disk)}):
        for link in edit.config.volume(volume).links:
            old = link.changes
            places = tuple(replace(one, generation="") if one.disk == disk else one for one in old.places)
            if places != old.places:
                edit.put(with_map(edit.config.volume(volume), link.generation, DirtyLog(old.region_size, places)))


def as_left(plexes: Iterable[Plex], subdisks: Iterable[Subdisk], ends: Mapping[str, int]) -> set[str]:
    """The ids of disks that are, for the complete ones of these plexes, just as they were when they left; `ends` as
    for `renew`."""
    left = {plex.ref: plex.left_at for plex in plexes if plex.state in COMPLETE}
    pieces = [subdisk for subdisk in subdisks if subdisk.plex in left]
    changed = {piece.disk.id for piece in pieces if not 0 < left[piece.plex] == ends.get(piece.disk.id, 0)}
    return {piece.disk.id for piece in pieces} - changed


def older_than_known(config: Config, volume: Ref, stale: Collection[str], ends: Mapping[str, int]) -> set[str]:
    """Those disks in `stale` that may lack something of a volume."""
    plexes = config.plexes_of(volume)
    pieces = (subdisk for plex in plexes for subdisk in config.subdisks_of(plex.ref))
    return set(stale) - as_left(plexes, pieces, ends)


def tend(edit: Edit, volume: Ref) -> None:
    """Give a volume's log its places: on two disks of the volume, wherever its mirrors lie now and whatever works.

    Also what `tracked` of its plexes says is brought in line. A volume with one mirror needs no log.
    """
    record = edit.config.get(volume)
    if not isinstance(record, Volume):
        return
    _untrack_changed(edit, volume)
    if record.dirty_log is None:
        untrack(edit, volume)
    elif len(edit.config.plexes_of(volume)) < 2:
        edit.put(replace(record, dirty_log=None))
        untrack(edit, volume)
    elif record.size:
        edit.put(replace(record, dirty_log=placed(edit.config, record, DRL, edit.base)))
    _tend_links(edit, volume)


def _tend_links(edit: Edit, volume: Ref) -> None:
    """What has been written since a snapshot is told wherever the volume's mirrors lie now. A map that has lost its
    places tells nothing any more, and gets none again."""
    if is_away(edit.config, volume):
        return  # nobody writes it meanwhile: what its disks tell goes on being so
    for key, log in maps_of(edit.config.volume(volume)).items():
        if key != DRL and (log.places or not log.region_size):
            record = edit.config.volume(volume)
            edit.put(with_map(record, key, placed(edit.config, record, key, edit.base)))


def forget_changes(edit: Edit, volume: Ref) -> None:
    """What has been written since snapshots is not known any more: whatever is copied is copied whole."""
    for link in edit.config.volume(volume).links:
        forget_map(edit, volume, link.generation)


def forget_map(edit: Edit, volume: Ref, key: str) -> None:
    """One map of a volume tells nothing any more."""
    record = edit.config.volume(volume)
    log = maps_of(record)[key]
    edit.put(with_map(record, key, DirtyLog(log.region_size or REGION_MIN)))


def tend_all(edit: Edit, group: Ref) -> None:
    """After disks have come or gone."""
    for volume in edit.config.volumes_of(group):
        if maps_of(volume):
            tend(edit, volume.ref)


def untrack(edit: Edit, volume: Ref) -> None:
    """What a plex has missed is not known (any more): its copy is a full one."""
    for plex in edit.config.plexes_of(volume):
        if plex.tracked:
            edit.put(replace(plex, tracked=False))


def drop_places(edit: Edit, disk: Ref) -> None:
    """No map counts on a disk that has failed."""
    group = edit.config.disk(disk).group
    for record in edit.config.children(group, Kind.VOLUME, "group") if group is not None else ():
        if isinstance(record, Volume):
            places = [place for log in maps_of(record).values() for place in log.places]
            drop_place(edit, record.ref, {place.generation for place in places if place.disk == disk})


def drop_place(edit: Edit, volume: Ref, generations: Collection[str]) -> None:
    """The maps of a volume do without places of these generations. With the last one of its log gone, nobody knows what
    a plex misses."""
    for key, log in maps_of(edit.config.volume(volume)).items() if generations else ():
        left = tuple(place for place in log.places if place.generation not in generations)
        if left == log.places:
            continue
        edit.put(with_map(edit.config.volume(volume), key, DirtyLog(log.region_size, left)))
        if key == DRL and not left:
            untrack(edit, volume)


def renew(edit: Edit, volume: Ref, stale: Collection[str], ends: Mapping[str, int]) -> None:
    """After an import: every place gets a new generation, so that nothing counts which an earlier host still writes.

    `stale` are the ids of disks that came back older than the group knows them; `ends` has for each disk that is here
    the number of the last transaction that its copy of the configuration took. What a plex missed is known only when
    its disks were there all the time, or are just as they were when it was left out. Of a volume that is not here at
    all what was written since snapshots is found on its disks when they are back.
    """
    drop(edit, volume, {})  # whoever serves it has read them
    record = edit.config.volume(volume)
    newest = max(ends.values(), default=0)
    for plex in edit.config.plexes_of(volume):
        here = {subdisk.disk.id for subdisk in edit.config.subdisks_of(plex.ref)} & ends.keys()
        if plex.state is PlexState.FILLING:  # it was there: what has no copy, as most disks of a big group, is believed
            here = {disk for disk in here if ends[disk] or disk in stale}
        if plex.tracked and any(ends[disk] not in (newest, plex.left_at) for disk in here):
            edit.put(replace(plex, tracked=False))
    for task in edit.config.tasks_of(record.group):
        if task.type is TaskType.SNAP_SHOT and volume in task.params.volumes and not task.ended:
            edit.put(replace(task, params=TaskParams()))  # what it was to bring to the disks may be lost
    older = older_than_known(edit.config, volume, stale, ends)
    for link in record.links:
        if not link.settled or not _is_up_to_date(edit.config, volume, older):
            forget_map(edit, volume, link.generation)
    waits = bool(record.links) and _waits(edit, volume, newest)
    for key, log in maps_of(edit.config.volume(volume)).items():
        if waits and key != DRL:
            continue
        places = [place for place in log.places if place.disk.id not in (stale if key == DRL else older)]
        fresh = tuple(replace(place, generation="") for place in places)
        edit.put(with_map(edit.config.volume(volume), key, DirtyLog(log.region_size, fresh)))


def _waits(edit: Edit, volume: Ref, newest: int) -> bool:
    """Whether a volume of one mirror is away as a whole. Before it is written again, there has to be a commit."""
    plexes = edit.config.plexes_of(volume)
    for plex in plexes:
        gone = any(not edit.config.disk(subdisk.disk).present for subdisk in edit.config.subdisks_of(plex.ref))
        if gone and plex.state in COMPLETE and not plex.left_at:
            edit.put(replace(plex, left_at=newest))
    if len(plexes) != 1 or plexes[0].state not in COMPLETE or not is_away(edit.config, volume):
        return False
    edit.put(replace(edit.config.plex(plexes[0].ref), state=PlexState.CLEAN))
    return True


def _is_up_to_date(config: Config, volume: Ref, stale: Collection[str]) -> bool:
    """Whether some complete mirror has no disk that came back old."""
    good = [plex for plex in config.plexes_of(volume) if plex.state in COMPLETE]
    return any(all(sd.disk.id not in stale for sd in config.subdisks_of(plex.ref)) for plex in good)


def reached(edit: Edit) -> list[Ref]:
    """The volumes whose log an edit may concern."""
    found: set[Ref] = set()
    for ref in edit.touched:
        for config in (edit.base, edit.config):
            record = config.get(ref)
            if isinstance(record, Volume):
                found.add(ref)
            elif isinstance(record, Plex):
                found.add(record.volume)
            elif isinstance(record, Subdisk) and record.plex in config:
                found.add(config.plex(record.plex).volume)
            elif isinstance(record, Disk) and _failing(edit.base, ref) != _failing(edit.config, ref):
                found.update(config.plex(subdisk.plex).volume for subdisk in config.subdisks_on(ref))
    return sorted(ref for ref in found if ref in edit.config)


def _failing(config: Config, disk: Ref) -> bool:
    record = config.get(disk)
    return isinstance(record, Disk) and record.failing


def _untrack_changed(edit: Edit, volume: Ref) -> None:
    """A complete plex misses nothing. One whose pieces have changed places misses everything."""
    for plex in edit.config.plexes_of(volume):
        if plex.state in COMPLETE:
            gone = any(not edit.config.disk(subdisk.disk).present for subdisk in edit.config.subdisks_of(plex.ref))
            edit.put(replace(plex, tracked=False, left_at=plex.left_at if gone else 0))
        elif plex.tracked and _places(edit.base, plex.ref) != _places(edit.config, plex.ref):
            edit.put(replace(plex, tracked=False))


def _places(config: Config, plex: Ref) -> list[tuple[object, ...]]:
    if plex not in config:
        return []
    return [(sd.disk, sd.disk_offset, sd.column, sd.plex_offset, sd.length) for sd in config.subdisks_of(plex)]
