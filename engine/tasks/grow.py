"""Expand Volume: zero what is new, then publish the larger size."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from engine.allocate import Tail, hidden_tails
from engine.records import Subdisk, Volume
from engine.tasks.steps import ZERO_BYTES, Begin, Commit, Flush, TaskFailed, Zero, chunks
from engine.tasks.zeroing import disks_of, zero_subdisks

if TYPE_CHECKING:
    from engine.config import Config, Edit
    from engine.records import Ref, Task
    from engine.tasks.steps import Steps


def steps(config: Config, task: Task) -> Steps:
    """New subdisks and the old ones' tails lie behind the volume's end, so no client can reach them."""
    subdisks = [found for ref in task.params.subdisks if isinstance(found := config.get(ref), Subdisk)]
    new = sum(subdisk.length for subdisk in subdisks)
    tails = [] if _published(config, task) else _tails(config, task)
    yield Begin(min(task.checkpoint, new), new + sum(tail.length for tail in tails))
    if not _published(config, task):
        yield from zero_subdisks(subdisks, task.checkpoint)
        for tail in tails:
            for offset, length in chunks(tail.offset, tail.offset + tail.length, ZERO_BYTES):
                yield Zero(tail.subdisk, offset, length)
        yield Flush(disks_of([*subdisks, *(config.subdisk(tail.subdisk) for tail in tails)]))
    yield Commit(lambda edit: _publish(edit, task))


def undo(edit: Edit, task: Task) -> str:
    """The new subdisks are gone; nothing else was touched."""
    if _published(edit.config, task):
        return ""
    for ref in task.params.subdisks:
        if ref in edit.config:
            edit.drop(ref)
    return "The volume kept its size."


def _tails(config: Config, task: Task) -> list[Tail]:
    """Where old subdisks reach beyond the published size."""
    volume = task.params.volume
    return hidden_tails(config, volume, task.params.subdisks) if volume is not None and volume in config else []


def _published(config: Config, task: Task) -> bool:
    volume = config.get(task.params.volume)
    return isinstance(volume, Volume) and volume.size >= task.params.size


def _publish(edit: Edit, task: Task) -> None:
    volume = edit.config.get(task.params.volume)
    if not isinstance(volume, Volume):
        raise TaskFailed("The volume was removed while it was being expanded.")
    if volume.size >= task.params.size:
        return
    if any(ref not in edit.config for ref in task.params.subdisks):
        raise TaskFailed("A new subdisk was removed while the volume was being expanded.")
    for subdisk in sorted(map(edit.config.subdisk, task.params.subdisks), key=lambda sd: sd.plex_offset):
        _merge(edit, subdisk.ref)
    edit.put(replace(volume, size=task.params.size))


def _merge(edit: Edit, ref: Ref) -> None:
    """Make a new subdisk part of the one before it in its column when they are neighbours on the disk, too."""
    new = edit.config.subdisk(ref)
    for old in edit.config.subdisks_of(new.plex):
        if _continues(old, new) and not edit.config.replacements_of(old.ref):
            edit.drop(new.ref)
            edit.put(replace(old, length=old.length + new.length))
            return


def _continues(old: Subdisk, new: Subdisk) -> bool:
    return (
        old.replaces is None
        and (old.column, old.plex_offset + old.length) == (new.column, new.plex_offset)
        and (old.disk, old.disk_offset + old.length) == (new.disk, new.disk_offset)
    )
