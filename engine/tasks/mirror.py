"""Add Mirror: fill new plexes from the complete ones while the volume is in use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from engine.records import Plex, PlexState, Volume
from engine.states import COMPLETE
from engine.tasks.filling import fill, state_of_others, taking_writes
from engine.tasks.steps import Begin, Commit, TaskFailed

if TYPE_CHECKING:
    from engine.config import Config, Edit
    from engine.records import Task
    from engine.tasks.steps import Steps


def steps(config: Config, task: Task) -> Steps:
    """Every client write reaches the new plexes from their first instant; the copy brings what was there before."""
    volume = config.get(task.params.volume)
    if not isinstance(volume, Volume):
        raise TaskFailed("The volume was removed while a mirror was being added.")
    if _finished(config, task):
        yield Begin(task.bytes_total, task.bytes_total)
        return
    yield from fill(config, task, volume, volume.source)
    yield Commit(lambda edit: _attach(edit, task))


def undo(edit: Edit, task: Task) -> str:
    """The new plexes are gone."""
    if _finished(edit.config, task):
        return ""
    for ref in task.params.plexes:
        if isinstance(edit.config.get(ref), Plex):
            for subdisk in edit.config.subdisks_of(ref):
                edit.drop(subdisk.ref)
            edit.drop(ref)
    return "The new mirror was removed again."


def _finished(config: Config, task: Task) -> bool:
    plexes = [config.get(ref) for ref in task.params.plexes]
    return all(isinstance(plex, Plex) and plex.state in COMPLETE for plex in plexes)


def _attach(edit: Edit, task: Task) -> None:
    volume = task.params.volume
    if volume is None or volume not in edit.config:
        raise TaskFailed("The volume was removed while a mirror was being added.")
    state = state_of_others(edit.config, volume, task.params.plexes)
    for ref in task.params.plexes:
        plex = taking_writes(edit.config, ref, in_doubt=False)
        edit.put(replace(plex, state=PlexState(state)))
