"""Derived states. `settle` walks up from what an edit touched: subdisk -> plex -> volume, subdisk -> disk -> group."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import msgspec

from engine.errors import TransitionError
from engine.records import (
    TASK_ENDED,
    Disk,
    DiskStatus,
    Group,
    GroupState,
    Kind,
    PieceState,
    Plex,
    PlexLayout,
    PlexState,
    Ref,
    Subdisk,
    Task,
    TaskType,
    Volume,
    VolumeLayout,
    VolumeStatus,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from engine.config import Config, Edit

COMPLETE = frozenset({PlexState.CLEAN, PlexState.ACTIVE})
"""States in which a plex holds every byte of its volume."""

PLEX_MAY_BECOME: dict[PlexState, frozenset[PlexState]] = {
    PlexState.EMPTY: frozenset({PlexState.CLEAN, PlexState.ACTIVE, PlexState.FILLING}),
    PlexState.CLEAN: frozenset(
        {PlexState.ACTIVE, PlexState.STALE, PlexState.IOFAIL, PlexState.OFFLINE, PlexState.FILLING}
    ),
    PlexState.ACTIVE: frozenset(
        {PlexState.CLEAN, PlexState.STALE, PlexState.IOFAIL, PlexState.OFFLINE, PlexState.FILLING}
    ),
    PlexState.FILLING: frozenset({PlexState.ACTIVE, PlexState.CLEAN, PlexState.STALE, PlexState.IOFAIL}),
    PlexState.STALE: frozenset({PlexState.FILLING, PlexState.OFFLINE}),
    PlexState.IOFAIL: frozenset({PlexState.FILLING, PlexState.STALE, PlexState.OFFLINE}),
    PlexState.OFFLINE: frozenset({PlexState.STALE, PlexState.FILLING}),
}
"""Which plex state may follow which, in a group of this host. `settle` refuses every other change."""

_LAYOUTS = {
    (PlexLayout.CONCAT, False): VolumeLayout.CONCAT,
    (PlexLayout.CONCAT, True): VolumeLayout.MIRROR,
    (PlexLayout.STRIPE, False): VolumeLayout.STRIPE,
    (PlexLayout.STRIPE, True): VolumeLayout.MIRROR_STRIPE,
}


def settle(edit: Edit) -> None:
    """Derive every state that the edit's changes reach, bottom up. TransitionError for a change that may not be."""
    touched = list(edit.touched)
    _check_transitions(edit, touched)
    disks = _reached(edit, touched, Kind.DISK, {Kind.SUBDISK: "disk"})
    plexes = _reached(edit, touched, Kind.PLEX, {Kind.SUBDISK: "plex"})
    groups_first = [ref for ref in touched if ref.kind is Kind.GROUP and _differs(edit, ref, _group_matters)]
    for group in groups_first:
        disks.update({disk.ref: None for disk in edit.config.disks_of(group)})
    for ref in disks:
        _settle_disk(edit, ref)
        if _differs(edit, ref, _disk_matters):
            plexes.update({sd.plex: None for sd in edit.config.subdisks_on(ref)})
    for ref in touched:
        if ref.kind is Kind.VOLUME and _differs(edit, ref, _parity_matters):
            plexes.update({plex.ref: None for plex in edit.config.plexes_of(ref)})
    for ref in plexes:
        _settle_plex(edit, ref)
    volumes = _reached(edit, list(edit.touched) + list(plexes), Kind.VOLUME, {Kind.PLEX: "volume"})
    volumes.update(_volumes_of_tasks(edit, touched))
    for group in groups_first:
        volumes.update({volume.ref: None for volume in edit.config.volumes_of(group)})
    for ref in volumes:
        _settle_volume(edit, ref)
    groups = _reached(edit, list(edit.touched), Kind.GROUP, {Kind.VOLUME: "group", Kind.DISK: "group"})
    for ref in groups:
        _settle_group(edit, ref)


def _check_transitions(edit: Edit, touched: Iterable[Ref]) -> None:
    """What was settled before, in this edit or the last one, becomes only what the table allows. A group that is just
    being imported comes as it is."""
    for ref in touched:
        after = edit.config.get(ref)
        if not isinstance(after, Plex):
            continue
        before = edit.settled.get(ref, edit.base.get(ref))
        edit.settled[ref] = after
        if not isinstance(before, Plex) or before.state is after.state or not _was_ours(edit, before):
            continue
        if after.layout is PlexLayout.LOG:
            continue  # holds nothing that lasts: whoever uses it again begins it anew
        if after.state not in PLEX_MAY_BECOME[before.state]:
            raise TransitionError(f"{after.name} is {before.state} and can't become {after.state}.")


def _was_ours(edit: Edit, plex: Plex) -> bool:
    volume = edit.base.get(plex.volume)
    group = edit.base.get(volume.group) if isinstance(volume, Volume) else None
    return isinstance(group, Group) and group.state is GroupState.IMPORTED


def _differs(edit: Edit, ref: Ref, matters: Callable[[object], object]) -> bool:
    """Whether the edit changes what of a record matters to all that hangs under it."""
    return matters(edit.base.get(ref)) != matters(edit.config.get(ref))


def _group_matters(record: object) -> object:
    """Not its transaction number, which every commit changes."""
    return record.state if isinstance(record, Group) else None


def _parity_matters(record: object) -> object:
    """What of a volume its plexes depend on."""
    return record.parity_known and not record.fenced if isinstance(record, Volume) else True


def _volumes_of_tasks(edit: Edit, touched: Iterable[Ref]) -> dict[Ref, None]:
    """Volumes whose copy has begun or ended."""
    found: dict[Ref, None] = {}
    for ref in touched:
        if ref.kind is Kind.TASK and _differs(edit, ref, _task_matters):
            for record in (edit.base.get(ref), edit.config.get(ref)):
                if isinstance(record, Task) and record.params.volume is not None:
                    found[record.params.volume] = None
    return found


def _task_matters(record: object) -> object:
    """Not its progress, which changes ten times a second."""
    return record.state in TASK_ENDED if isinstance(record, Task) else None


def _disk_matters(record: object) -> object:
    """Not its free space, which every allocation changes."""
    return (record.present, record.failing, record.size) if isinstance(record, Disk) else None


def _reached(edit: Edit, touched: Iterable[Ref], kind: Kind, upward: dict[Kind, str]) -> dict[Ref, None]:
    """Refs of `kind` that are touched, or are the parent (before or after) of something touched."""
    found: dict[Ref, None] = {}
    for ref in touched:
        if ref.kind is kind:
            found[ref] = None
        field = upward.get(ref.kind)
        for config in (edit.base, edit.config) if field else ():
            record = config.get(ref)
            parent = getattr(record, field, None) if field else None
            if parent is not None:
                found[parent] = None
    return found


def _settle_disk(edit: Edit, ref: Ref) -> None:
    disk = edit.config.get(ref)
    if not isinstance(disk, Disk):
        return
    free = edit.config.free(ref)
    edit.put(
        msgspec.structs.replace(
            disk,
            status=disk_status(edit.config, disk),
            free=sum(extent.length for extent in free),
            largest_free=max((extent.length for extent in free), default=0),
        )
    )


def disk_status(config: Config, disk: Disk) -> DiskStatus:
    """The status text of a disk."""
    if not disk.present:
        return DiskStatus.MISSING
    group = config.get(disk.group)
    if not isinstance(group, Group):
        return DiskStatus.FOREIGN if disk.content else DiskStatus.ONLINE
    if group.state is GroupState.FOREIGN:
        return DiskStatus.FOREIGN
    if group.state is GroupState.DEPORTED:
        return DiskStatus.DEPORTED
    return DiskStatus.FAILING if disk.failing or disk.short_by else DiskStatus.IMPORTED


def _settle_plex(edit: Edit, ref: Ref) -> None:
    plex = edit.config.get(ref)
    if not isinstance(plex, Plex):
        return
    subdisks = [sd for sd in edit.config.subdisks_of(ref) if sd.replaces is None]
    edit.put(
        msgspec.structs.replace(
            plex,
            complete=plex.state in COMPLETE and has_every_byte(edit.config, plex),
            length=plex_length(plex, subdisks),
        )
    )


def plex_length(plex: Plex, subdisks: Iterable[Subdisk]) -> int:
    """Bytes of volume that the subdisks of a plex hold from offset 0 on without a gap."""
    ends = [0] * plex.columns
    for subdisk in sorted(subdisks, key=lambda sd: (sd.column, sd.plex_offset)):
        if subdisk.column < plex.columns and subdisk.plex_offset == ends[subdisk.column]:
            ends[subdisk.column] += subdisk.length
    return min(ends) * (plex.columns - 1 if plex.layout is PlexLayout.RAID5 else plex.columns)


def has_every_byte(config: Config, plex: Plex) -> bool:
    """Whether a complete plex can answer for all of its volume: every piece can be reached, or of RAID-5 all but one
    column of each row, with parity that is known to be right."""
    if plex.layout is not PlexLayout.RAID5:
        return is_whole(config, plex.ref)
    out = pieces_out(config, plex)
    volume = config.get(plex.volume)
    if not out or not isinstance(volume, Volume):
        return not out
    return volume.parity_known and not volume.fenced and not two_columns(out)


def pieces_out(config: Config, plex: Plex) -> list[Subdisk]:
    """The pieces of a RAID-5 plex that parity has to stand for: missing, out of date, or not rebuilt yet. None of
    any other plex: that is left out as a whole."""
    if plex.layout is not PlexLayout.RAID5:
        return []
    pieces = [sd for sd in config.subdisks_of(plex.ref) if sd.replaces is None]
    return [sd for sd in pieces if sd.state is not PieceState.GOOD or not reaches(config, sd)]


def two_columns(pieces: Iterable[Subdisk]) -> bool:
    """Whether two of these pieces, of different columns, lie in the same rows: what both hold is lost."""
    ends: dict[int, int] = {}  # of the rows that each column has pieces in
    for piece in sorted(pieces, key=lambda sd: sd.plex_offset):
        if any(end > piece.plex_offset for column, end in ends.items() if column != piece.column):
            return True
        ends[piece.column] = max(ends.get(piece.column, 0), piece.plex_offset + piece.length)
    return False


def reaches(config: Config, subdisk: Subdisk) -> bool:
    """Whether the disk of a subdisk is there and has not become too short for it."""
    disk = config.get(subdisk.disk)
    return isinstance(disk, Disk) and disk.present and subdisk.disk_offset + subdisk.length <= disk.size


def is_whole(config: Config, plex: Ref) -> bool:
    """Whether every piece of a plex can be reached; where one of them is moving to does not count."""
    return all(reaches(config, subdisk) for subdisk in config.subdisks_of(plex) if subdisk.replaces is None)


def _present(config: Config, subdisk: Subdisk) -> bool:
    disk = config.get(subdisk.disk)
    return isinstance(disk, Disk) and disk.present


def _settle_volume(edit: Edit, ref: Ref) -> None:
    volume = edit.config.get(ref)
    if not isinstance(volume, Volume):
        return
    plexes = edit.config.plexes_of(ref)
    status, copies = volume_status(edit.config, volume, plexes), copies_of(plexes)
    edit.put(
        msgspec.structs.replace(
            volume,
            layout=volume_layout(plexes),
            status=status,
            copies=copies,
            serving=volume.started
            and volume.size > 0
            and any(plex.complete for plex in plexes)
            and status is not VolumeStatus.STOPPED,
        )
    )


def copies_of(plexes: Iterable[Plex]) -> int:
    """Complete mirrors to count on. A snap plex may leave at any time: it counts only where nothing else is there."""
    complete = [plex for plex in plexes if plex.complete]
    return sum(plex.snap is None for plex in complete) or min(len(complete), 1)


def volume_layout(plexes: list[Plex]) -> VolumeLayout:
    """The layout of a volume with these plexes."""
    if not plexes:
        return VolumeLayout.CONCAT
    if any(plex.layout is PlexLayout.RAID5 for plex in plexes):
        return VolumeLayout.RAID5
    own = [plex for plex in plexes if plex.snap is None] or plexes
    striped = any(plex.layout is PlexLayout.STRIPE for plex in own)
    return _LAYOUTS[PlexLayout.STRIPE if striped else PlexLayout.CONCAT, len(own) > 1]


def volume_status(config: Config, volume: Volume, plexes: list[Plex]) -> VolumeStatus:
    """The status text of a volume: the first rule that holds."""
    group = config.get(volume.group)
    complete = sum(plex.complete for plex in plexes)
    own = [plex for plex in plexes if plex.snap is None]  # what its redundancy is made of
    filling = any(plex.state is PlexState.FILLING for plex in own) or is_resynched(config, volume)
    attaching = any(plex.state is PlexState.FILLING for plex in plexes)
    lost = volume.source is not None or any(
        plex.state in (PlexState.STALE, PlexState.IOFAIL, PlexState.OFFLINE) for plex in own
    )
    lost = lost or any(plex.state in COMPLETE and not plex.complete for plex in own)
    out = [piece for plex in plexes for piece in pieces_out(config, plex)]
    whole = [plex for plex in plexes if plex.complete]
    rules = (
        (isinstance(group, Group) and group.state is not GroupState.IMPORTED, VolumeStatus.STOPPED),
        (volume.size == 0, VolumeStatus.INITIALIZING),
        (complete == 0 and _all_missing(config, plexes), VolumeStatus.MISSING),
        (complete == 0 or bool(volume.fenced), VolumeStatus.FAILED),
        (not volume.started, VolumeStatus.STOPPED),
        (_is_rebuilt(config, volume, out), VolumeStatus.REBUILDING),
        (bool(out) and _at_risk(config, plexes, out), VolumeStatus.DEGRADED_AT_RISK),
        (bool(out) or not volume.parity_known, VolumeStatus.DEGRADED),
        (filling, VolumeStatus.RESYNCHING),
        (lost and _at_risk(config, whole), VolumeStatus.FAILED_REDUNDANCY_AT_RISK),
        (lost, VolumeStatus.FAILED_REDUNDANCY),
        (attaching, VolumeStatus.RESYNCHING),
        (_at_risk(config, plexes), VolumeStatus.AT_RISK),
    )
    return next((status for holds, status in rules if holds), VolumeStatus.HEALTHY)


def is_resynched(config: Config, volume: Volume) -> bool:
    """Whether a copy makes the mirrors equal that are in doubt; else somebody has to start one."""
    if volume.source is None:
        return False
    return any(
        task.type is TaskType.RESYNC and task.params.volume == volume.ref and task.state not in TASK_ENDED
        for task in config.tasks_of(volume.group)
    )


def _all_missing(config: Config, plexes: list[Plex]) -> bool:
    return all(not _present(config, sd) for plex in plexes for sd in config.subdisks_of(plex.ref))


def _is_rebuilt(config: Config, volume: Volume, out: list[Subdisk]) -> bool:
    """Whether a task makes a column, or all parity, anew."""
    if any(piece.state is PieceState.FILLING for piece in out):
        return True
    return not volume.parity_known and any(
        task.type is TaskType.PARITY and task.params.volume == volume.ref and not task.ended
        for task in config.tasks_of(volume.group)
    )


def _at_risk(config: Config, plexes: list[Plex], but: Collection[Subdisk] = ()) -> bool:
    subdisks = (sd for plex in plexes for sd in config.subdisks_of(plex.ref) if sd not in but)
    disks = (config.get(sd.disk) for sd in subdisks)
    return any(isinstance(disk, Disk) and disk.failing for disk in disks)


def _settle_group(edit: Edit, ref: Ref) -> None:
    group = edit.config.get(ref)
    if not isinstance(group, Group):
        return
    disks = cast("list[Disk]", edit.config.children(ref, Kind.DISK, "group"))  # unordered: a sum needs no order
    edit.put(
        msgspec.structs.replace(
            group,
            disks=len(disks),
            volumes=edit.config.count_children(ref, Kind.VOLUME, "group"),
            size=sum(disk.public_length for disk in disks),
            free=sum(disk.free for disk in disks if disk.present),  # where nothing can be made now, nothing is free
        )
    )
