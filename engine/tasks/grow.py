"""Expand Volume: zero what is new, then publish the larger size."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from engine.records import Subdisk, Volume
from engine.tasks.steps import Begin, Commit, Flush, TaskFailed
from engine.tasks.zeroing import disks_of, zero_subdisks

if TYPE_CHECKING:
    from engine.config import Config, Edit
    from engine.records import Ref, Task
    from engine.tasks.steps import Steps


def steps(config: Config, task: Task) -> Steps:
    """The new subdisks lie behind the volume's end, so no client can reach them."""
    subdisks = [found for ref in task.params.subdisks if isinstance(found := config.get(ref), Subdisk)]
    yield Begin(task.checkpoint, sum(subdisk.length for subdisk in subdisks))
    if not _published(config, task):
        yield from zero_subdisks(subdisks, task.checkpoint)
        yield Flush(disks_of(subdisks))
    yield Commit(lambda edit: _publish(edit, task))


def undo(edit: Edit, task: Task) -> str:
    """The new subdisks are gone; nothing else was touched."""
    if _published(edit.config, task):
        return ""
    for ref in task.params.subdisks:
        if ref in edit.config:
            edit.drop(ref)
    return "The volume kept its size."


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
