"""RAID-5 Parity Resynchronization, and the verification of parity: row by row, while the volume is in use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from engine.records import PlexLayout, Volume
from engine.tasks.steps import COPY_BYTES, Begin, Commit, Flush, Parity, TaskFailed
from engine.tasks.zeroing import disks_of
from engine.units import format_size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine.config import Config, Edit
    from engine.records import Plex, Ref, Task
    from engine.tasks.steps import Differences, Steps


def steps(config: Config, task: Task) -> Steps:
    """Where parity does not follow from the data it is written anew; at the end it is known to be right."""
    volume, plex = _volume(config, task), parity_plex(config, task.params.volume)
    start = _whole_rows(plex, min(task.checkpoint, volume.size))
    yield Begin(start, volume.size)
    yield from parity_steps(volume, plex, start, repair=True)
    found = yield Flush(disks_of(config.subdisks_of(plex.ref)))
    yield Commit(lambda edit: _believe(edit, task), result=_sentence(volume, found))


def undo(edit: Edit, task: Task) -> str:
    """What was doubtful stays so."""
    volume = edit.config.get(task.params.volume)
    if not isinstance(volume, Volume) or volume.parity_known:
        return "What was repaired until then stays repaired."
    return f"{volume.name} has no redundancy until a resynchronization has completed."


def parity_steps(volume: Volume, plex: Plex, start: int = 0, *, repair: bool) -> Iterator[Parity]:
    """Look at all rows of a volume from offset `start` on, in portions of about a mebibyte a column."""
    row = _row_bytes(plex)
    portion = max(COPY_BYTES // plex.stripe_unit, 1) * row
    for offset in range(start, volume.size, portion):
        yield Parity(volume.ref, offset, min(portion, volume.size - offset), repair)


def parity_plex(config: Config, volume: Ref | None) -> Plex:
    """The plex of a RAID-5 volume. TaskFailed when there is none."""
    plexes = config.plexes_of(volume) if volume is not None else []
    for plex in plexes:
        if plex.layout is PlexLayout.RAID5:
            return plex
    raise TaskFailed("The volume has no parity.")


def _volume(config: Config, task: Task) -> Volume:
    volume = config.get(task.params.volume)
    if not isinstance(volume, Volume):
        raise TaskFailed("The volume was removed while its parity was being made right.")
    return volume


def _row_bytes(plex: Plex) -> int:
    return (plex.columns - 1) * plex.stripe_unit


def _whole_rows(plex: Plex, offset: int) -> int:
    return offset - offset % _row_bytes(plex)


def _believe(edit: Edit, task: Task) -> None:
    volume = _volume(edit.config, task)
    if volume.fenced:
        raise TaskFailed(f"{volume.name} takes no writes any more.")
    edit.put(replace(volume, parity_known=True))


def _sentence(volume: Volume, found: Differences) -> str:
    """Since the last pause, if there was one."""
    if not found.ranges:
        return f"All parity of {volume.name} was right."
    return f"The parity of {format_size(found.length)} of {volume.name} was made right."
