"""Actions of disk groups."""

from __future__ import annotations

from engine import rules
from engine.commands import DeportGroup, DestroyGroup
from engine.records import Group, Kind
from vea_gui.action_rows import Action
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


ROWS = (
    Action(
        "add-disk",
        "Add Disk to Dynamic Disk Group...",
        lambda console, selection: console.ask("add_disk", selection),
        (Kind.GROUP, Kind.DISK),
        reasons.no_more_disks,
        icon="add",
        section=20,
        plural="Add {} Disks to Dynamic Disk Group...",
    ),
    Action(
        "import-group",
        "Import Dynamic Disk Group...",
        lambda console, selection: console.ask("import_group", selection),
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
        "restore-configuration",
        "Restore Configuration...",
        lambda console, selection: console.ask("restore_configuration", selection),
        GROUP,
        reasons.each(Group, reasons.imported, rules.group_quiet, reasons.saved_before),
        section=30,
    ),
    Action(
        "rename-group",
        "Rename Dynamic Disk Group...",
        lambda console, selection: console.ask("rename", selection),
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
