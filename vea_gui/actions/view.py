"""Actions on what the window shows."""

from __future__ import annotations

from collections.abc import Callable

from engine.plans import Problem
from engine.records import Alert, Kind, Record, Ref, Task
from vea_gui.action_rows import Action, Reason
from vea_gui.console import Console
from vea_gui.selection import Selection
from vea_gui.tree_shape import DISK_GROUPS, DISKS, VOLUMES, path_to

EVERY_KIND = tuple(kind.value for kind in Kind)
SHOWN_AS_BLOCKS = (DISK_GROUPS, DISKS, Kind.GROUP, Kind.DISK, Kind.VOLUME)


def _toggle(name: str) -> Callable[[Console, Selection], None]:
    return lambda console, _: console.frame.toggle(name)


def _shown(name: str) -> Callable[[Console], bool]:
    return lambda console: console.frame.is_shown(name)


def _perspective(name: str) -> Callable[[Console, Selection], None]:
    return lambda console, _: console.frame.show_perspective(name)


def _in_perspective(name: str) -> Callable[[Console], bool]:
    return lambda console: console.frame.perspective() == name


def _nowhere(way: str) -> Callable[[Console], str]:
    return lambda console: console.frame.nowhere(way)


def _object(selection: Selection) -> Ref | None:
    """The object that the tree has for what is picked: an alert and a task stand for theirs."""
    record = next(iter(selection.of(Record)), None)
    if isinstance(record, Alert | Task):
        return record.object if selection.config.get(record.object) is not None else None
    return record.ref if record is not None else None


def _not_in_tree(selection: Selection) -> Reason:
    ref = _object(selection)
    if ref is None:
        return Problem("What this is about is not there any more.", "")
    hosts = [record.ref for record in selection.config.all(Kind.HOST, Record)]
    if hosts and path_to(selection.config, hosts[0], ref) is None:
        return Problem("The tree does not show this object.", "")
    return None


def _show_in_tree(console: Console, selection: Selection) -> None:
    ref = _object(selection)
    if ref is not None:
        console.show_in_tree(ref)


def _show_tab(title: str) -> Callable[[Console, Selection], None]:
    def run(console: Console, selection: Selection) -> None:
        console.frame.show_tab(_object(selection), selection.folder, title)

    return run


def _nothing_picked(selection: Selection) -> Reason:
    if selection.of(Record):
        return None
    return Problem("Nothing is picked.", "Pick an object in the tree or in a table.")


ROWS = (
    Action("view-toolbar", "&Toolbar", _toggle("toolbar"), menu="View", checked=_shown("toolbar")),
    Action("view-address", "&URL Bar", _toggle("address"), menu="View", checked=_shown("address")),
    Action(
        "view-perspectives", "&Perspective Bar", _toggle("perspectives"), menu="View", checked=_shown("perspectives")
    ),
    Action("view-status", "&Console and Tasks", _toggle("bottom"), menu="View", checked=_shown("bottom")),
    Action(
        "perspective-system",
        "&System",
        _perspective("system"),
        menu="View",
        submenu="Perspective",
        checked=_in_perspective("system"),
        icon="system",
        section=5,
    ),
    Action(
        "perspective-control",
        "&Control Panel",
        _perspective("control"),
        menu="View",
        submenu="Perspective",
        checked=_in_perspective("control"),
        icon="control",
        section=5,
    ),
    Action(
        "perspective-logs",
        "&Logs",
        _perspective("logs"),
        menu="View",
        submenu="Perspective",
        checked=_in_perspective("logs"),
        icon="logs",
        section=5,
    ),
    Action(
        "back",
        "&Back",
        lambda console, _: console.frame.go_back(),
        menu="View",
        shortcut="Alt+Left",
        icon="back",
        section=8,
        stuck=_nowhere("back"),
    ),
    Action(
        "forward",
        "&Forward",
        lambda console, _: console.frame.go_forward(),
        menu="View",
        shortcut="Alt+Right",
        icon="forward",
        section=8,
        stuck=_nowhere("forward"),
    ),
    Action(
        "up",
        "&Up",
        lambda console, _: console.frame.go_up(),
        menu="View",
        shortcut="Alt+Up",
        icon="up",
        section=8,
        stuck=_nowhere("up"),
    ),
    Action(
        "address",
        "Go to &Address",
        lambda console, _: console.frame.focus_address(),
        menu="View",
        shortcut="Ctrl+L",
        section=8,
    ),
    Action(
        "filter", "F&ilter", lambda console, _: console.frame.focus_filter(), menu="View", shortcut="Ctrl+F", section=9
    ),
    Action(
        "columns",
        "&Columns...",
        lambda console, _: console.frame.choose_columns(),
        menu="View",
        icon="columns",
        section=9,
    ),
    Action(
        "copy-csv",
        "Copy &Table as CSV",
        lambda console, _: console.frame.copy_table(),
        menu="View",
        icon="copy",
        section=9,
    ),
    Action("disk-view", "Disk View", _show_tab("Disk View"), SHOWN_AS_BLOCKS, icon="disk", section=80),
    Action(
        "volume-view",
        "Volume View",
        _show_tab("Volume View"),
        (DISK_GROUPS, VOLUMES, Kind.GROUP, Kind.VOLUME),
        icon="volume",
        section=80,
    ),
    Action(
        "show-in-tree",
        "Show in Tree",
        _show_in_tree,
        tuple(kind for kind in EVERY_KIND if kind != Kind.HOST),
        _not_in_tree,
        shortcut="Ctrl+T",
        section=95,
    ),
    Action(
        "properties",
        "Properties",
        lambda console, selection: console.frame.properties(selection),
        EVERY_KIND,
        _nothing_picked,
        menu="File",
        icon="properties",
        shortcut="Alt+Return",
        section=99,
        plural="Properties of {} Objects",
    ),
)
