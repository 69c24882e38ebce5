"""Takes a disk out of everything that can do without it. Edits only: the commit that follows makes it durable."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from engine.edits.columns import leave_out_log, leave_out_piece
from engine.edits.dirty_places import drop_places, is_logged
from engine.records import Disk, Kind, PieceState, PlexLayout, PlexState, Subdisk, TaskType
from engine.states import COMPLETE, is_whole, reaches

if TYPE_CHECKING:
    from collections.abc import Collection

    from engine.config import Config, Edit
    from engine.records import Plex, Ref

ZEROING = frozenset({TaskType.CREATE_VOLUME, TaskType.GROW_VOLUME})
"""Tasks that fill space with zeros before anybody can reach it."""


def fail_disk(edit: Edit, disk: Ref) -> list[Ref]:
    """An operation on a disk failed: mark it, take it out. Answers the tasks that can't go on."""
    edit.put(msgspec.structs.replace(edit.config.disk(disk), failing=True))
    ended = without_disk(edit, disk, PlexState.IOFAIL)
    drop_places(edit, disk)
    return ended


def send_away(edit: Edit, gone: Collection[Ref | None]) -> None:
    """These disks are not there."""
    for disk in edit.config.all(Kind.DISK, Disk):
        if disk.ref in gone:
            edit.put(msgspec.structs.replace(disk, present=False, lun=""))


def without_disk(edit: Edit, disk: Ref, state: PlexState) -> list[Ref]:
    """Plexes with a piece on this disk become `state` where another complete one stays; answers the tasks that can't
    go on because what they fill is gone. Of a disk that has only shrunk, pieces inside of it are left alone.
    """
    ended: list[Ref] = []
    for subdisk in edit.config.subdisks_on(disk):
        if state is PlexState.STALE and reaches(edit.config, subdisk):
            continue
        ended += _zeroed_by(edit.config, subdisk)
        plex = edit.config.plex(subdisk.plex)
        if subdisk.replaces is not None:
            ended += fillers(edit.config, subdisk.ref)
            edit.drop(subdisk.ref)
        elif plex.layout is PlexLayout.LOG:
            if not edit.config.volume(plex.volume).fenced:  # else it is what puts the rows right
                leave_out_log(edit, plex, state)
        elif plex.layout is PlexLayout.RAID5:
            ended += _without_piece(edit, subdisk)
        elif plex.state is PlexState.FILLING:
            ended += fillers(edit.config, plex.ref)
            edit.put(left_out(edit.config, plex, state))
        elif plex.state in COMPLETE:
            leave_out(edit, plex, state)
    return list(dict.fromkeys(ended))


def _zeroed_by(config: Config, subdisk: Subdisk) -> list[Ref]:
    """The tasks that fill a subdisk which can't be reached with zeros: what comes back under its disk's name need not
    have those that were written before."""
    if reaches(config, subdisk):
        return []
    volume = config.volume_of(subdisk)
    tasks = (task for task in config.tasks_of(volume.group) if task.type in ZEROING and not task.ended)
    return [task.ref for task in tasks if task.params.volume == volume.ref]


def _without_piece(edit: Edit, piece: Subdisk) -> list[Ref]:
    """A column does without this piece where parity can stand for it; what fills it, or moves it, ends."""
    if piece.state is PieceState.STALE or not leave_out_piece(edit, piece):
        return []
    return fillers(edit.config, piece.ref) + drop_targets(edit, piece)


def drop_targets(edit: Edit, piece: Subdisk) -> list[Ref]:
    """Where a piece that is out of date was moving to goes with it; answers the tasks that end by that."""
    ended: list[Ref] = []
    for target in edit.config.replacements_of(piece.ref):
        ended += fillers(edit.config, target.ref)
        edit.drop(target.ref)
    return ended


def leave_out(edit: Edit, plex: Plex, state: PlexState) -> bool:
    """A complete plex misses writes from now on. False, and nothing changed, when no other one has every byte."""
    others = [other for other in edit.config.plexes_of(plex.volume) if other.ref != plex.ref]
    spare = [other for other in others if other.state in COMPLETE and is_whole(edit.config, other.ref)]
    if not spare:
        return False
    edit.put(left_out(edit.config, plex, state))
    believe_what_is_left(edit, plex.volume)
    return True


def left_out(config: Config, plex: Plex, state: PlexState) -> Plex:
    """A plex that misses writes from now on. What it misses is known when it had everything, or that was known."""
    tracked = plex.tracked or (plex.state in COMPLETE and is_logged(config, plex.volume))
    number = config.group(config.volume(plex.volume).group).transaction
    return msgspec.structs.replace(plex, state=state, tracked=tracked, left_at=number)


def believe_what_is_left(edit: Edit, volume: Ref) -> None:
    """The source of a volume in doubt has to be one of its complete plexes, and one alone is in no doubt.

    Every complete plex has every acknowledged write, so any of them may be believed.
    """
    record = edit.config.volume(volume)
    if record.source is None:
        return
    complete = [plex for plex in edit.config.plexes_of(volume) if plex.state in COMPLETE]
    filled = any(plex.state is PlexState.FILLING for plex in edit.config.plexes_of(volume))
    here = [plex.ref for plex in complete if is_whole(edit.config, plex.ref)]
    source = record.source
    if here and source not in here:
        source = record.preferred if record.preferred in here else here[0]
    alone = len(complete) == 1 and complete[0].ref == source and not filled
    edit.put(msgspec.structs.replace(record, source=None if alone else source))


def beyond_reach(edit: Edit, volume: Ref) -> list[Disk]:
    """The disks of a volume that some of its pieces can't be reached on."""
    subdisks = [sd for plex in edit.config.parts_of(volume) for sd in edit.config.subdisks_of(plex.ref)]
    missing = {sd.disk for sd in subdisks if not reaches(edit.config, sd)}
    return [edit.config.disk(ref) for ref in sorted(missing)]


def fillers(config: Config, target: Ref) -> list[Ref]:
    """The tasks that fill a plex, or a subdisk that is moved to."""
    record = config.get(target)
    plex = config.plex(record.plex if isinstance(record, Subdisk) else target)
    return [
        task.ref
        for task in config.tasks_of(config.volume(plex.volume).group)
        if not task.ended and target in (*task.params.subdisks, *task.params.plexes)
    ]
