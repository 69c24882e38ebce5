"""Actions of the host and of the folders under it."""

from __future__ import annotations

from engine.commands import Rescan
from engine.records import Kind
from vea_gui.action_rows import Action, asks
from vea_gui.actions import reasons
from vea_gui.tree_shape import AGENT, DISK_GROUPS, DISKS, ENCLOSURES, VOLUMES

OBJECTS = tuple(
    kind.value for kind in (Kind.HOST, Kind.GROUP, Kind.DISK, Kind.ENCLOSURE, Kind.VOLUME, Kind.PLEX, Kind.SUBDISK)
)
FOLDERS = (AGENT, DISK_GROUPS, DISKS, ENCLOSURES, VOLUMES)

ROWS = (
    Action(
        "new-volume",
        "New Volume...",
        asks("new_volume"),
        (AGENT, DISK_GROUPS, DISKS, VOLUMES, Kind.GROUP, Kind.DISK, Kind.VOLUME, "free"),
        reasons.no_new_volume,
        icon="new-volume",
        toolbar="New Volume",
        shortcut="Ctrl+Shift+V",
        section=10,
        plural="New Volume...",
    ),
    Action(
        "new-group",
        "New Dynamic Disk Group...",
        asks("new_group"),
        (AGENT, DISK_GROUPS, DISKS, Kind.GROUP, Kind.DISK),
        reasons.no_new_group,
        icon="new-group",
        toolbar="New Group",
        shortcut="Ctrl+Shift+G",
        section=10,
        plural="New Dynamic Disk Group...",
    ),
    Action(
        "add-lun",
        "Add LUN...",
        asks("add_lun"),
        (AGENT, DISKS, ENCLOSURES, Kind.ENCLOSURE),
        icon="add",
        section=10,
    ),
    Action(
        "refresh",
        "Refresh",
        lambda console, _: console.refresh(),
        (*FOLDERS, *OBJECTS),
        icon="refresh",
        shortcut="F5",
        section=90,
        plural="Refresh",
    ),
    Action(
        "rescan",
        "Rescan",
        lambda console, _: console.submit(Rescan()),
        (Kind.HOST, AGENT, DISK_GROUPS, DISKS, ENCLOSURES, Kind.DISK, Kind.GROUP),
        icon="rescan",
        toolbar="Rescan",
        shortcut="Ctrl+F5",
        section=90,
        plural="Rescan",
    ),
)
