"""Mirror Resynchronization: make stale plexes, or all after an unclean stop, equal to a complete one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from engine.records import Plex, PlexState, Volume
from engine.states import COMPLETE
from engine.tasks.filling import fill, state_of_others, taking_writes
from engine.tasks.steps import AskDirty, Begin, Commit, TaskFailed

if TYPE_CHECKING:
    from engine.config import Config, Edit
    from engine.records import Task
    from engine.tasks.steps import Steps


def steps(config: Config, task: Task) -> Steps:
    """From `volume.source` alone while that is named: nobody knows yet what the other plexes hold."""
    volume = _volume(config, task)
    if _finished(config, task, volume):
        yield Begin(task.bytes_total, task.bytes_total)
        return
    in_doubt = volume.source is not None
    dirty = (yield AskDirty(volume.ref)).dirty
    yield from fill(config, task, volume, volume.source, None if task.params.whole else dirty)
    yield Commit(lambda edit: _believe(edit, task, in_doubt))


def undo(edit: Edit, task: Task) -> str:
    """Half-filled plexes are stale again; a volume in doubt stays in doubt and is read from its source only."""
    stale = [plex for ref in task.params.plexes if isinstance(plex := edit.config.get(ref), Plex)]
    stale = [plex for plex in stale if plex.state is PlexState.FILLING]
    for plex in stale:
        edit.put(replace(plex, state=PlexState.STALE))
    volume = edit.config.get(task.params.volume)
    said = []
    if stale:
        names = ", ".join(plex.name for plex in stale)
        said.append(f"{names} {'is' if len(stale) == 1 else 'are'} out of date and not in use until resynchronized.")
    if isinstance(volume, Volume) and volume.source is not None:
        source = edit.config.get(volume.source)
        name = source.name if source is not None else "one plex"
        said.append(f"{volume.name} is read from {name} only until a resynchronization has completed.")
    return " ".join(said)


def _volume(config: Config, task: Task) -> Volume:
    volume = config.get(task.params.volume)
    if not isinstance(volume, Volume):
        raise TaskFailed("The volume was removed while it was being resynchronized.")
    return volume


def _finished(config: Config, task: Task, volume: Volume) -> bool:
    plexes = [config.get(ref) for ref in task.params.plexes]
    complete = all(isinstance(plex, Plex) and plex.state in COMPLETE for plex in plexes)
    return complete and (volume.source is None or not plexes)


def _believe(edit: Edit, task: Task, in_doubt: bool) -> None:
    volume = _volume(edit.config, task)
    if in_doubt and volume.source is None:
        raise TaskFailed("The plex that the others were copied from is not believed any more.")
    plexes = [taking_writes(edit.config, ref, in_doubt=in_doubt) for ref in task.params.plexes]
    source = edit.config.get(volume.source)
    if isinstance(source, Plex) and source.ref not in task.params.plexes:
        state = source.state
    else:
        state = state_of_others(edit.config, volume.ref, task.params.plexes)
    for plex in plexes:
        edit.put(replace(plex, state=state, tracked=False))
    if in_doubt:
        edit.put(replace(volume, source=None))
