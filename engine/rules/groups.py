"""What may be done to a disk group."""

from __future__ import annotations

from collections.abc import Iterable

from engine.config import Config
from engine.plans import Problem
from engine.records import Group, GroupState, Ref
from engine.rules.tasks import running
from engine.rules.words import counted, listed


def needs_imported(config: Config, group: Ref | None) -> Problem | None:
    """The group is ours now, and changes to it can be made durable."""
    record = config.get(group)
    if not isinstance(record, Group):
        return Problem("This belongs to no disk group.", "Add the disk to a disk group first.", group)
    if record.state is GroupState.FOREIGN:
        owner = f" by {record.owner}" if record.owner else " by another host"
        return Problem(f"{record.name} is imported{owner}.", "Deport it there, then import it here.", group)
    if record.state is GroupState.DEPORTED:
        return Problem(f"{record.name} is deported.", "Import it first.", group)
    if record.frozen:
        text = f"{record.name} is frozen: {record.frozen.rstrip('.')}."
        return Problem(text, "Bring its missing disks back and rescan.", group)
    return None


def one_group(config: Config, groups: Iterable[Ref | None], what: str, field: str = "") -> Problem | None:
    """One command is one transaction, and that belongs to one group. `what` is the objects' plural."""
    names = [config.group(ref).name for ref in dict.fromkeys(groups) if ref is not None]
    if len(names) < 2:
        return None
    return Problem(f"The {what} belong to {listed(names)}.", f"Choose {what} of one disk group.", field=field)


def group_without_volumes(config: Config, group: Ref) -> Problem | None:
    """Only a group without volumes may be destroyed."""
    names = [volume.name for volume in config.volumes_of(group)]
    if not names:
        return None
    text = f"{config.group(group).name} holds {counted(len(names), 'volume')}: {listed(names)}."
    return Problem(text, "Delete it first." if len(names) == 1 else "Delete them first.", group)


def group_quiet(config: Config, group: Ref) -> Problem | None:
    """No task runs in the group."""
    task = next((task for task in config.tasks_of(group) if not task.ended), None)
    return None if task is None else running(task, config.group(group).name)
