"""Actions of disks."""

from __future__ import annotations

from engine import rules
from engine.commands import InitDisks, ReactivateDisk, RemoveDisks, RemoveLuns
from engine.config import Config
from engine.plans import Problem
from engine.records import Disk, GroupState, Kind, Ref
from vea_gui.action_rows import Action, Reason, asks
from vea_gui.actions import reasons
from vea_gui.console import Console
from vea_gui.selection import Selection

DISK = (Kind.DISK.value,)


def _refs(selection: Selection) -> tuple[Ref, ...]:
    return tuple(disk.ref for disk in selection.of(Disk))


def _imported(config: Config, disk: Ref) -> Problem | None:
    return rules.needs_imported(config, config.disk(disk).group)


def _something_on_it(config: Config, disk: Ref) -> Problem | None:
    if config.subdisks_on(disk):
        return None
    return Problem(f"{config.disk(disk).name} holds no subdisks.", "There is nothing to move away.", disk)


def _something_relocated(config: Config, disk: Ref) -> Problem | None:
    if rules.relocated(config, disk):
        return None
    return Problem(f"Nothing was relocated from {config.disk(disk).name}.", "There is nothing to undo.", disk)


def _in_service(config: Config, disk: Ref) -> Problem | None:
    record = config.disk(disk)
    if not record.present:
        return Problem(f"{record.name} is missing.", "Bring its LUN back and rescan, or replace the disk.", disk)
    if record.failing:
        return Problem(f"{record.name} is failing.", "Reactivate it, or replace the disk.", disk)
    return None


def _cannot_leave(selection: Selection) -> Reason:
    """Empty disks of one group may leave it, as long as one that is there stays."""
    config, disks = selection.config, selection.of(Disk)
    reason = reasons.each(Disk, _imported, rules.disk_empty)(selection)
    if reason:
        return reason
    if len({disk.group for disk in disks}) > 1:
        return Problem("The disks belong to different disk groups.", "Choose disks of one disk group.")
    group, leaving = selection.group, {disk.ref for disk in disks}
    if group is None or any(disk.present and disk.ref not in leaving for disk in config.disks_of(group.ref)):
        return None
    text = f"{group.name} would have no disk that can keep its configuration."
    return Problem(text, "Destroy the disk group, or add another disk first.", group.ref)


def _can_join(config: Config, disk: Ref) -> Problem | None:
    return rules.disk_can_join(config, disk, force=False)


def _forgettable(config: Config, disk: Ref) -> Problem | None:
    record = config.disk(disk)
    group = config.get(record.group)
    if group is None or getattr(group, "state", None) is not GroupState.IMPORTED:
        return None
    text = f"{record.name} belongs to {group.name}, which is imported."
    return Problem(text, "Remove the disk from the disk group, or deport the disk group.", disk)


def _named(config: Config, disk: Ref) -> Problem | None:
    return rules.needs_imported(config, config.disk(disk).group) if config.disk(disk).group is not None else None


ROWS = (
    Action(
        "init-disk",
        "Write Signature",
        lambda console, selection: console.carry_out(InitDisks(disks=_refs(selection))),
        DISK,
        reasons.each(Disk, _can_join),
        section=20,
        plural="Write Signature on {} Disks",
    ),
    Action(
        "remove-disk",
        "Remove Disk from Dynamic Disk Group...",
        lambda console, selection: console.carry_out(RemoveDisks(disks=_refs(selection))),
        DISK,
        _cannot_leave,
        shortcut="Del",
        section=20,
        plural="Remove {} Disks from Dynamic Disk Group...",
    ),
    Action(
        "replace-disk",
        "Replace Disk...",
        asks("replace_disk"),
        DISK,
        reasons.each(Disk, _imported, rules.is_lost_disk, rules.can_do_without),
        icon="replace",
        section=25,
    ),
    Action(
        "reactivate-disk",
        "Reactivate Disk",
        lambda console, s: console.carry_out(*(ReactivateDisk(disk=disk.ref) for disk in s.of(Disk))),
        DISK,
        reasons.each(Disk, _imported, rules.disk_can_return),
        icon="resume",
        section=25,
        plural="Reactivate {} Disks",
    ),
    Action(
        "evacuate-disk",
        "Evacuate Disk...",
        asks("evacuate_disk"),
        DISK,
        reasons.each(Disk, _imported, _something_on_it, rules.disk_present),
        icon="move",
        section=30,
    ),
    Action(
        "set-disk-usage",
        "Set Disk Usage...",
        asks("set_disk_usage"),
        DISK,
        reasons.each(Disk, _imported),
        section=30,
        plural="Set Disk Usage of {} Disks...",
    ),
    Action(
        "undo-relocation",
        "Undo Hot Relocation...",
        asks("undo_relocation"),
        DISK,
        reasons.each(Disk, _imported, _something_relocated, _in_service),
        icon="undo",
        section=30,
    ),
    Action(
        "rename-disk",
        "Rename Disk...",
        asks("rename"),
        DISK,
        reasons.each(Disk, _named),
        shortcut="F2",
        section=30,
    ),
    Action(
        "remove-lun",
        "Remove LUN...",
        lambda console, selection: _remove_luns(console, selection),
        DISK,
        reasons.each(Disk, _forgettable),
        section=40,
        plural="Remove {} LUNs...",
    ),
)


def _remove_luns(console: Console, selection: Selection) -> None:
    console.carry_out(RemoveLuns(disks=_refs(selection)))
