"""Verify Volume: read every plex, past the page cache, and compare."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from msgspec.structs import replace

from engine.records import Volume, VolumeLayout
from engine.tasks.parity import parity_plex, parity_steps
from engine.tasks.steps import COPY_BYTES, Begin, Commit, Compare, Flush, TaskFailed, chunks
from engine.units import format_size

if TYPE_CHECKING:
    from engine.config import Config, Edit
    from engine.records import Task
    from engine.tasks.steps import Differences, Ranges, Steps


def steps(config: Config, task: Task) -> Steps:
    """Fails at the end when plexes differ, with the ranges in its record. A pause forgets nothing: it begins anew."""
    volume = comparable(config, task)
    yield Begin(0, volume.size)
    if volume.layout is VolumeLayout.RAID5:
        yield from parity_steps(volume, parity_plex(config, volume.ref), repair=False)
    else:
        for offset, length in chunks(0, volume.size, COPY_BYTES):
            yield Compare(volume.ref, offset, length)
    found = yield Flush(())
    if found.ranges:
        yield Commit(lambda edit: _record(edit, task, found.ranges), last=False)
        raise TaskFailed(_sentence(volume, found))
    yield Commit(partial(_record, task=task, ranges=()), result=_all_well(config, volume))


def undo(edit: Edit, task: Task) -> str:
    """A comparison changes nothing."""
    return ""


def comparable(config: Config, task: Task) -> Volume:
    """The task's volume, whose plexes should be equal. TaskFailed when it has gone, or nobody says that they are."""
    volume = config.get(task.params.volume)
    if not isinstance(volume, Volume):
        raise TaskFailed("The volume was removed while it was being verified.")
    if volume.source is not None:
        raise TaskFailed(f"{volume.name} is being made equal after an unclean stop. Resynchronize it first.")
    return volume


def places(ranges: Ranges) -> str:
    """`in 3 places, first at 1.5 MiB`."""
    first = format_size(ranges[0][0])
    return f"in one place, at {first}" if len(ranges) == 1 else f"in {len(ranges)} places, first at {first}"


def _all_well(config: Config, volume: Volume) -> str:
    if volume.layout is VolumeLayout.RAID5:
        return f"All parity of {volume.name} is right."
    copies = len([plex for plex in config.plexes_of(volume.ref) if plex.complete])
    return (
        f"All {copies} mirrors of {volume.name} are equal." if copies > 1 else f"{volume.name} can be read throughout."
    )


def _sentence(volume: Volume, found: Differences) -> str:
    if volume.layout is VolumeLayout.RAID5:
        return (
            f"The parity of {volume.name} does not follow from its data {places(found.ranges)}. Choose Resynchronize "
            "to make it right."
        )
    return (
        f"The mirrors of {volume.name} differ {places(found.ranges)} ({found.ranges[0][0]} bytes), by "
        f"{format_size(found.length)} in all. Choose Verify and Repair, and the mirror to believe."
    )


def _record(edit: Edit, task: Task, ranges: Ranges) -> None:
    """What was found stays with the task, for the repair."""
    record = edit.config.get(task.ref)
    if record is not None:
        edit.put(replace(record, params=replace(task.params, ranges=ranges)))
