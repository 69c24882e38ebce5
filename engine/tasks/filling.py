"""What every copy to whole plexes shares."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.records import Plex, PlexState
from engine.states import COMPLETE
from engine.tasks.steps import COPY_BYTES, Begin, CopyPlex, Flush, TaskFailed, chunks

if TYPE_CHECKING:
    from engine.config import Config
    from engine.records import Ref, Task, Volume
    from engine.tasks.steps import Steps


def fill(config: Config, task: Task, volume: Volume, source: Ref | None) -> Steps:
    """Copy the whole volume to the task's plexes and flush them. Weight counts each plex, so its share tells where."""
    targets = task.params.plexes
    start = min(task.checkpoint // len(targets), volume.size)
    yield Begin(start * len(targets), volume.size * len(targets))
    for offset, length in chunks(start, volume.size, COPY_BYTES):
        yield CopyPlex(volume.ref, source, targets, offset, length)
    yield Flush(target_disks(config, targets))


def target_disks(config: Config, plexes: tuple[Ref, ...]) -> tuple[Ref, ...]:
    """Every disk that these plexes lie on, each once, in order."""
    return tuple(sorted({subdisk.disk for plex in plexes for subdisk in config.subdisks_of(plex)}))


def taking_writes(config: Config, ref: Ref, *, in_doubt: bool) -> Plex:
    """A plex that has had every write since its copy began. TaskFailed when it was detached or removed meanwhile."""
    plex = config.get(ref)
    if not isinstance(plex, Plex):
        raise TaskFailed("A plex was removed while it was being filled.")
    if plex.state is PlexState.FILLING or (in_doubt and plex.state in COMPLETE):
        return plex
    raise TaskFailed(f"{plex.name} was detached while it was being filled.")


def state_of_others(config: Config, volume: Ref, plexes: tuple[Ref, ...]) -> PlexState:
    """What the volume's complete plexes are: ACTIVE or CLEAN. TaskFailed when none is left."""
    for plex in config.plexes_of(volume):
        if plex.state in COMPLETE and plex.ref not in plexes:
            return plex.state
    raise TaskFailed("The volume has no complete plex any more.")
