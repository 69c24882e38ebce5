"""Verify Volume: read every plex and compare."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.records import Volume
from engine.tasks.steps import COPY_BYTES, Begin, Commit, Compare, Flush, TaskFailed, chunks
from engine.units import format_size

if TYPE_CHECKING:
    from engine.config import Config, Edit
    from engine.records import Task
    from engine.tasks.steps import Steps


def steps(config: Config, task: Task) -> Steps:
    """Fails at the end, with the number of places, when plexes differ. A pause forgets nothing: it begins anew."""
    volume = config.get(task.params.volume)
    if not isinstance(volume, Volume):
        raise TaskFailed("The volume was removed while it was being verified.")
    if volume.source is not None:
        raise TaskFailed(f"{volume.name} is being made equal after an unclean stop. Resynchronize it first.")
    yield Begin(0, volume.size)
    for offset, length in chunks(0, volume.size, COPY_BYTES):
        yield Compare(volume.ref, offset, length)
    found = yield Flush(())
    if found.count:
        raise TaskFailed(
            f"The plexes of {volume.name} differ in {found.count} of {-(-volume.size // COPY_BYTES)} regions, "
            f"first at {format_size(found.first)} ({found.first} bytes). Detach the plex that you trust less and "
            f"resynchronize it."
        )
    copies = len([plex for plex in config.plexes_of(volume.ref) if plex.complete])
    equal, readable = f"All {copies} plexes of {volume.name} are equal.", f"{volume.name} can be read throughout."
    yield Commit(_nothing, result=equal if copies > 1 else readable)


def undo(edit: Edit, task: Task) -> str:
    """A comparison changes nothing."""
    return ""


def _nothing(edit: Edit) -> None:
    """The end of the task is the whole change."""
