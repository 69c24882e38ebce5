"""What may be done to a disk."""

from __future__ import annotations

from engine.config import Config
from engine.geometry import LUN_MIN
from engine.plans import Problem
from engine.records import Ref
from engine.rules.words import counted, listed
from engine.units import format_size


def disk_present(config: Config, disk: Ref) -> Problem | None:
    """The LUN of the disk answers."""
    record = config.disk(disk)
    return None if record.present else Problem(f"{record.name} is missing.", "Bring its LUN back and rescan.", disk)


def disk_sound(config: Config, disk: Ref) -> Problem | None:
    """The LUN of the disk answers, and no error was seen."""
    record = config.disk(disk)
    if record.failing:
        return Problem(f"{record.name} is failing.", "Evacuate or replace it first.", disk)
    return disk_present(config, disk)


def disk_can_join(config: Config, disk: Ref, *, force: bool) -> Problem | None:
    """A disk that may be initialized: in no group, with nothing foreign on it, large enough."""
    record = config.disk(disk)
    group = config.get(record.group)
    if group is not None:
        return Problem(f"{record.name} belongs to {group.name}.", "Choose a disk of no group.", disk, "disks")
    if missing := disk_present(config, disk):
        return missing
    if record.size < LUN_MIN:
        text = f"{record.name} is too small: {format_size(record.size)}, at least {format_size(LUN_MIN)} is needed."
        return Problem(text, "Choose a larger LUN.", disk, "disks")
    if record.content and not force:
        text = f"{record.name} carries {_article(record.content)}."
        help_ = "Choose another disk, or have it overwritten when it joins a disk group."
        return Problem(text, help_, disk, "disks", "-f")
    return None


def _article(content: str) -> str:
    if content.startswith(("a ", "an ", "the ")):
        return content
    return f"{'an' if content[0] in 'aeiouAEIOU' else 'a'} {content}"


def disk_empty(config: Config, disk: Ref) -> Problem | None:
    """No subdisk lies on the disk."""
    subdisks = config.subdisks_on(disk)
    if not subdisks:
        return None
    names = dict.fromkeys(config.volume_of(subdisk).name for subdisk in subdisks)
    text = f"{config.disk(disk).name} holds {counted(len(subdisks), 'subdisk')} of {listed(names)}."
    return Problem(text, "Evacuate the disk first.", disk, "disks")
