"""Actions of disk groups."""

from __future__ import annotations

from engine import rules
from engine.commands import DeportGroup, DestroyGroup
from engine.plans import Problem
from engine.records import Backup, Group, Kind
from vea_gui.action_rows import Action, Reason, asks
from vea_gui.actions import reasons
from vea_gui.console import Console
from vea_gui.selection import Selection
from vea_gui.tree_shape import DISK_GROUPS

GROUP = (Kind.GROUP.value,)


def _deport(console: Console, selection: Selection) -> None:
    group = selection.one(Group)
    if group is not None:
        console.carry_out(DeportGroup(group=group.ref))


def _destroy(console: Console, selection: Selection) -> None:
    group = selection.one(Group)
    if group is not None:
        console.carry_out(DestroyGroup(group=group.ref))


def _cannot_restore(selection: Selection) -> Reason:
    """A group's newest backup, or the picked one, may come back while the group is imported and nothing works on it."""
    backup, config = selection.one(Backup), selection.config
    if backup is None:
        return reasons.each(Group, reasons.imported, rules.group_quiet, reasons.saved_before)(selection)
    if backup.group not in config:
        return Problem(
            f"The disk group {backup.group_name} is not there any more.", "Import it, or bring its disks back."
        )
    return rules.needs_imported(config, backup.group) or rules.group_quiet(config, backup.group)


def _cannot_join(selection: Selection) -> Reason:
    """There is another imported group to take it over."""
    config = selection.config
    if blocked := reasons.each(Group, reasons.imported, rules.group_quiet)(selection):
        return blocked
    groups = [group for group in config.all(Kind.GROUP, Group) if rules.needs_imported(config, group.ref) is None]
    if len(groups) > 1:
        return None
    return Problem("There is no other imported disk group.", "Import the other one first.")


ROWS = (
    Action(
        "add-disk",
        "Add Disk to Dynamic Disk Group...",
        asks("add_disk"),
        (Kind.GROUP, Kind.DISK),
        reasons.no_more_disks,
        icon="add",
        section=20,
        plural="Add {} Disks to Dynamic Disk Group...",
    ),
    Action(
        "import-group",
        "Import Dynamic Disk Group...",
        asks("import_group"),
        (DISK_GROUPS, *GROUP),
        reasons.no_import,
        section=20,
    ),
    Action(
        "deport-group",
        "Deport Dynamic Disk Group...",
        _deport,
        GROUP,
        reasons.each(Group, reasons.imported, rules.group_quiet, reasons.group_unused),
        section=20,
    ),
    Action(
        "split-group",
        "Split Dynamic Disk Group...",
        asks("split_group"),
        GROUP,
        reasons.each(Group, reasons.imported, rules.group_quiet),
        section=25,
    ),
    Action(
        "join-groups",
        "Join Dynamic Disk Group...",
        asks("join_groups"),
        GROUP,
        _cannot_join,
        section=25,
    ),
    Action(
        "restore-configuration",
        "Restore Configuration...",
        asks("restore_configuration"),
        (*GROUP, Kind.BACKUP),
        _cannot_restore,
        section=30,
    ),
    Action(
        "rename-group",
        "Rename Dynamic Disk Group...",
        asks("rename"),
        GROUP,
        reasons.each(Group, reasons.imported),
        shortcut="F2",
        section=30,
    ),
    Action(
        "destroy-group",
        "Destroy Dynamic Disk Group...",
        _destroy,
        GROUP,
        reasons.each(Group, reasons.imported, rules.group_without_volumes, rules.group_quiet),
        icon="delete",
        shortcut="Del",
        section=40,
    ),
)
