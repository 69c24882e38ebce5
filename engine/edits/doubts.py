"""What is not believed any more of volumes whose LUNs were away or exchanged. Edits only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from engine.edits.columns import parity_plex
from engine.edits.detach import believe_what_is_left
from engine.edits.dirty_places import forget_changes, untrack
from engine.records import Disk, Kind, PieceState, PlexLayout, TaskType, VolumeLayout
from engine.rules import volumes_of
from engine.states import COMPLETE, is_whole, pieces_out

if TYPE_CHECKING:
    from collections.abc import Collection

    from engine.config import Edit
    from engine.records import Ref, Volume


def name_sources(edit: Edit, group: Ref, unequal: Collection[Ref]) -> None:
    """The volumes in `unequal` have mirrors that came to differ, or rows that were torn, while nothing could be written
    down."""
    for volume in edit.config.volumes_of(group):
        if volume.ref not in unequal:
            continue
        if volume.layout is VolumeLayout.RAID5:
            reason = "A write failed while nothing could be written down. Starting it again puts it right."
            edit.put(replace(volume, fenced=volume.fenced or reason))
            continue
        complete = [plex for plex in edit.config.plexes_of(volume.ref) if plex.state in COMPLETE]
        if len(complete) > 1 and volume.source is None:
            edit.put(replace(volume, source=complete[0].ref))


def doubt(edit: Edit, disk: Disk) -> None:
    """Volumes whose only bytes lie on a disk of which nobody knows how old it is: they serve no more, neither writes
    nor reads, until the operator starts them."""
    for subdisk in edit.config.subdisks_on(disk.ref):
        plex = edit.config.plex(subdisk.plex)
        good = subdisk.state is PieceState.GOOD and plex.layout is not PlexLayout.LOG
        if plex.state in COMPLETE and subdisk.replaces is None and good:
            reason = f"{disk.name} was overwritten, or another LUN has taken its place: its data may be older."
            volume = edit.config.volume(plex.volume)
            others = (one for one in edit.config.plexes_of(volume.ref) if one.ref != plex.ref)
            fellows = [one.ref for one in others if one.state in COMPLETE]
            source = fellows[0] if fellows and volume.source in (None, plex.ref) else volume.source
            edit.put(replace(volume, fenced=volume.fenced or reason, started=False, source=source))
            forget_changes(edit, volume.ref)
            untrack(edit, volume.ref)  # what a mirror has missed is not all that it differs in from an older one
            _begin_anew(edit, volume)


def _begin_anew(edit: Edit, volume: Volume) -> None:
    """What has been copied of a volume that is held back may be newer than what the operator comes to believe."""
    for task in edit.config.tasks_of(volume.group):
        if not task.ended and volume.ref in volumes_of(edit.config, task):
            whole = task.params.whole or task.type is TaskType.RESYNC
            edit.put(replace(task, checkpoint=0, params=replace(task.params, whole=whole)))


def believe_one(edit: Edit, ref: Ref) -> tuple[Ref, ...]:
    """The operator believes mirrors of which nobody knows how old they are: one of them. Answers those that have to be
    made equal to it, every byte of them."""
    believe_what_is_left(edit, ref)
    volume = edit.config.volume(ref)
    complete = [plex.ref for plex in edit.config.plexes_of(ref) if plex.state in COMPLETE]
    if len(complete) < 2:
        return ()
    source = volume.source or next((one for one in complete if is_whole(edit.config, one)), complete[0])
    edit.put(replace(volume, source=source))
    return tuple(one for one in complete if one != source)


def doubt_parity(edit: Edit, ref: Ref) -> None:
    """The operator believes columns of which nobody knows how old they are: where all are there, parity is made to
    follow from them, from the first row on, whatever had been made right before."""
    plex = parity_plex(edit.config, ref)
    if plex is None or pieces_out(edit.config, plex):
        return  # nothing but parity stands for what is out
    volume = edit.config.volume(ref)
    edit.put(replace(volume, parity_known=False))
    _begin_anew(edit, volume)


def doubt_all(edit: Edit, disks: Collection[Ref | None]) -> None:
    """As `doubt`, of several disks."""
    for disk in edit.config.all(Kind.DISK, Disk):
        if disk.ref in disks:
            doubt(edit, disk)


def doubt_only_copy(edit: Edit, volume: Volume, stale: Collection[str]) -> None:
    """At an import: a volume whose only complete mirrors have a disk that has lost acknowledged changes of the
    configuration, or is away, may have lost data as well."""
    complete = [plex for plex in edit.config.plexes_of(volume.ref) if plex.state in COMPLETE]
    disks = [{subdisk.disk for subdisk in edit.config.subdisks_of(plex.ref)} for plex in complete]
    older = [{disk for disk in found if disk.id in stale} for found in disks]
    if any(is_whole(edit.config, plex.ref) and not found for plex, found in zip(complete, older, strict=True)):
        return
    for disk in sorted(set().union(*older)):
        doubt(edit, edit.config.disk(disk))
