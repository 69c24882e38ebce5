"""Create Volume: zero every subdisk, then publish the size."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from engine.records import PlexLayout, PlexState, Subdisk, Volume
from engine.tasks.steps import Begin, Commit, Flush, TaskFailed
from engine.tasks.zeroing import disks_of, zero_subdisks

if TYPE_CHECKING:
    from engine.config import Config, Edit
    from engine.records import Task
    from engine.tasks.steps import Steps


def steps(config: Config, task: Task) -> Steps:
    """Nobody can read the volume while its size is 0, so no lock is needed; afterwards nothing is zeroed any more."""
    volume = config.get(task.params.volume)
    subdisks = [found for ref in task.params.subdisks if isinstance(found := config.get(ref), Subdisk)]
    if not isinstance(volume, Volume):
        raise TaskFailed("The volume was removed while it was being made.")
    if volume.size:
        yield Begin(task.bytes_total, task.bytes_total)
        return
    if len(subdisks) < len(task.params.subdisks):
        raise TaskFailed("A subdisk was removed while the volume was being made.")
    yield Begin(task.checkpoint, sum(subdisk.length for subdisk in subdisks))
    yield from zero_subdisks(subdisks, task.checkpoint)
    yield Flush(disks_of(subdisks))
    yield Commit(lambda edit: _publish(edit, task))


def undo(edit: Edit, task: Task) -> str:
    """The volume is gone, and so is what belonged to it."""
    volume = edit.config.get(task.params.volume)
    if not isinstance(volume, Volume) or volume.size:
        return ""
    for plex in edit.config.parts_of(volume.ref):
        for subdisk in edit.config.subdisks_of(plex.ref):
            edit.drop(subdisk.ref)
        edit.drop(plex.ref)
    edit.drop(volume.ref)
    return "The volume was removed again."


def _publish(edit: Edit, task: Task) -> None:
    volume = edit.config.get(task.params.volume)
    if not isinstance(volume, Volume):
        raise TaskFailed("The volume was removed while it was being made.")
    if volume.size:
        return
    for ref in task.params.plexes:
        plex = edit.config.plex(ref)
        edit.put(replace(plex, state=PlexState.ACTIVE if plex.layout is PlexLayout.LOG else PlexState.CLEAN))
    edit.put(replace(volume, size=task.params.size))
