"""What is not believed of a group that has just been imported. Edits only."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from engine.edits.detach import ZEROING, believe_what_is_left
from engine.edits.dirty_places import is_logged
from engine.records import PlexState, TaskType
from engine.states import COMPLETE, is_whole, reaches

if TYPE_CHECKING:
    from engine.config import Config, Edit
    from engine.records import Plex, Task, Volume


def mistrust(edit: Edit, volume: Volume, stale: frozenset[str], newest: int = 0) -> None:
    """A volume that is found ACTIVE was not stopped in order: name one plex to believe, begin its copies anew.

    A plex with a disk that is missing, or came back older than the group knows it, is left out of writes from now on
    when another one is whole; one that was being filled has to be filled again. What a complete one misses from now on
    is known when its missing disks come back as they were at the `newest` transaction, the last before this import.
    """
    plexes = edit.config.plexes_of(volume.ref)
    whole = [plex for plex in plexes if plex.state in COMPLETE and _all_there(edit.config, plex, stale)]
    for plex in plexes:
        lost = plex not in whole and plex.state in COMPLETE and bool(whole)
        if lost or (plex.state is PlexState.FILLING and not _all_there(edit.config, plex, stale)):
            older = any(subdisk.disk.id in stale for subdisk in edit.config.subdisks_of(plex.ref))
            known = lost and newest > 0 and not older and is_logged(edit.config, volume.ref)
            edit.put(
                msgspec.structs.replace(plex, state=PlexState.STALE, tracked=known, left_at=newest if known else 0)
            )
    believe_what_is_left(edit, volume.ref)
    active = any(plex.state is PlexState.ACTIVE for plex in plexes)
    for task in edit.config.tasks_of(volume.group):
        concerned = task.params.volume == volume.ref or _moves(edit.config, task, volume)
        if concerned and (active or _on_stale(edit.config, task, stale)):
            edit.put(msgspec.structs.replace(task, checkpoint=0))
    # Where every mirror has a disk that is older than it should be, one of them still has to be believed.
    believed = whole or [plex for plex in plexes if plex.state in COMPLETE and is_whole(edit.config, plex.ref)]
    if active and len(believed) > 1 and edit.config.volume(volume.ref).source is None:
        chosen = next((plex for plex in believed if plex.ref == volume.preferred), believed[0])
        edit.put(msgspec.structs.replace(edit.config.volume(volume.ref), source=chosen.ref))
    _widen_copies(edit, volume)


def _widen_copies(edit: Edit, volume: Volume) -> None:
    """A copy that goes on makes all mirrors in doubt equal, also those that it was not begun for."""
    source = edit.config.volume(volume.ref).source
    doubtful = [plex.ref for plex in edit.config.plexes_of(volume.ref) if plex.state in COMPLETE and plex.ref != source]
    for task in edit.config.tasks_of(volume.group):
        if source is not None and task.type is TaskType.RESYNC and task.params.volume == volume.ref and not task.ended:
            filled = [ref for ref in task.params.plexes if ref != source]
            params = msgspec.structs.replace(task.params, plexes=tuple(dict.fromkeys([*filled, *doubtful])))
            edit.put(msgspec.structs.replace(task, params=params))


def _on_stale(config: Config, task: Task, stale: frozenset[str]) -> bool:
    """Whether a task copies to a disk that has missed something."""
    return any(ref in config and config.subdisk(ref).disk.id in stale for ref in task.params.subdisks)


def lost_target(config: Config, task: Task) -> str:
    """The name of a missing disk that a task moves something to, or fills with zeros; what it missed would never be
    copied."""
    targets = [config.subdisk(ref) for ref in task.params.subdisks if ref in config]
    lost = (sd.disk for sd in targets if not reaches(config, sd) and (sd.replaces is not None or task.type in ZEROING))
    return next((config.disk(disk).name for disk in lost), "")


def _moves(config: Config, task: Task, volume: Volume) -> bool:
    """Whether a task copies to subdisks of this volume."""
    return any(
        ref in config and config.volume_of(config.subdisk(ref)).ref == volume.ref for ref in task.params.subdisks
    )


def _all_there(config: Config, plex: Plex, stale: frozenset[str]) -> bool:
    subdisks = [sd for sd in config.subdisks_of(plex.ref) if sd.replaces is None]
    return all(reaches(config, sd) and sd.disk.id not in stale for sd in subdisks)
