"""What an operator does, by mouse: each step finds its controls by their labels."""

from __future__ import annotations

from typing import Any

from tests.e2e.walker import Node, Walker, place

WINDOW = ("frame", "VEA*")
MIB = 1 << 20


def dialog(title: str) -> tuple[str, str]:
    """The path element of a dialog; the desktop may add the program's name to its title."""
    return ("dialog", f"{title}*")


def go_to_group(walker: Walker, group: str = "dg1") -> None:
    """Open the group in the tree."""
    folder = walker.find(("tree", ""), ("table cell", "Disk Groups"))
    if "expanded" not in folder["states"]:
        walker.click(folder, times=2, at=(0.3, 0.5))
    walker.click(walker.find(("tree", ""), ("table cell", group)), at=(0.3, 0.5))
    walker.find(("page tab", "Disk View"))


def open_tab(walker: Walker, title: str) -> None:
    """Bring a tab to the front."""
    walker.press("page tab", title)
    walker.find(("page tab", title), **{"with": ["selected"]})


def open_disk_view(walker: Walker, group: str = "dg1") -> None:
    go_to_group(walker, group)
    open_tab(walker, "Disk View")
    walker.find(("list", "Disk View"))


def blocks(walker: Walker) -> list[Node]:
    """Blocks of the Disk View in sight, with their words and places."""
    return walker.find_all(("list", "Disk View"), ("list item", ""))


def block(walker: Walker, name: str) -> Node:
    """The block whose words begin so."""
    return walker.find(("list", "Disk View"), ("list item", f"{name}*"))


def free_block(walker: Walker, disk: str) -> Node:
    """The last free region of a disk."""
    return [each for each in blocks(walker) if each["name"].startswith("free,") and f", {disk} at" in each["name"]][-1]


def make_mirror(walker: Walker, name: str, mebibytes: int) -> None:
    """New Volume wizard: a mirrored volume, disks chosen by the engine."""
    walker.press("push button", "New Volume")
    fill_new_volume(walker, name, mebibytes)
    wizard = dialog("New Volume")
    walker.click(walker.find(wizard, ("push button", "Finish"), **{"with": ["enabled"]}))
    walker.gone(wizard)
    walker.vx("vxtask", "wait", "--all")


def fill_new_volume(walker: Walker, name: str, mebibytes: int) -> None:
    """From the open wizard's Welcome to its plan."""
    wizard = dialog("New Volume")
    for _ in range(3):  # the window manager may still be placing the window when the first press comes
        walker.click(walker.find(wizard, ("push button", "Next"), **{"with": ["enabled"]}))
        if walker.reader.ask("find", 15.0, path=[wizard, ("", "Group name:")]):
            break
    walker.click(walker.find(wizard, ("push button", "Next"), **{"with": ["enabled"]}))
    walker.fill(walker.find(wizard, ("text", "Volume name")), name)
    walker.fill(walker.find(wizard, ("text", "Size")), f"{mebibytes} MiB")
    walker.click(walker.find(wizard, ("check box", "Mirrored")), at=(0.05, 0.5))
    walker.find(wizard, ("check box", "Mirrored"), **{"with": ["checked"]})
    for what in ("Drive letter", "Format this volume", "What will happen"):
        walker.click(walker.find(wizard, ("push button", "Next"), **{"with": ["enabled"]}))
        walker.find(wizard, ("", f"{what}*"))
    walker.find(wizard, ("table", "What will happen"))


def volume(walker: Walker, name: str, group: str = "dg1") -> dict[str, Any]:
    """A volume as vxprint tells it."""
    [found] = walker.vx_json("vxprint", "-g", group, name)["groups"]
    return dict(next(each for each in found["volumes"] if each["name"] == name))


def subdisks(told: dict[str, Any]) -> list[dict[str, Any]]:
    """All subdisks of a volume of `volume`."""
    return [subdisk for plex in told["plexes"] for subdisk in plex["subdisks"]]


def other_disk(walker: Walker, told: dict[str, Any], group: str = "dg1") -> str:
    """The emptiest disk of the group that holds nothing of a volume."""
    used = {each["disk"] for each in subdisks(told)}
    [found] = walker.vx_json("vxprint", "-g", group)["groups"]
    return str(
        max((each for each in found["disks"] if each["name"] not in used), key=lambda each: each["free"])["name"]
    )


def drag_to_disk(walker: Walker, plex: str, disk: str) -> None:
    """Drag the block of a plex onto a disk's free space, and confirm the plan."""
    source = place(block(walker, f"{plex},"))
    walker.drag(source, place(free_block(walker, disk), (0.3, 0.5)))
    confirm_move(walker, disk)


def confirm_move(walker: Walker, disk: str) -> None:
    moving = dialog("Move Subdisk")
    confirm = walker.find(moving, ("push button", "OK"), **{"with": ["enabled"]})
    assert any(disk in cell["name"] for cell in walker.find_all(moving, ("table cell", "")))
    walker.click(confirm)
    walker.gone(moving)


def move_by_drag(walker: Walker, plex: str, disk: str) -> None:
    """The left edge of a block goes to the left edge of a disk's free space."""
    source, target = block(walker, f"{plex},"), free_block(walker, disk)
    walker.drag(near_left(source), near_left(target))
    confirm_move(walker, disk)


def near_left(node: Node) -> tuple[int, int]:
    x, y, _, height = node["box"]
    return x + 6, y + height // 2


def row_of(walker: Walker, table: str, name: str) -> Node:
    """The cell with a name in a table."""
    return walker.find(("table", table), ("table cell", name))


def expand(walker: Walker, name: str, mebibytes: int) -> None:
    """Resize Volume from the context menu of its row."""
    go_to_group(walker)
    open_tab(walker, "Volumes")
    walker.click(row_of(walker, "Volumes", name), button=3)
    walker.entry("Resize Volume...")
    asking = dialog("Resize Volume")
    walker.fill(walker.find(asking, ("text", "New size")), f"{mebibytes} MiB")
    walker.find(asking, ("table cell", f"*{mebibytes} MiB"))
    walker.click(walker.find(asking, ("push button", "OK"), **{"with": ["enabled"]}))
    walker.gone(asking)
    walker.vx("vxtask", "wait", "--all")


def delete(walker: Walker, name: str) -> None:
    """Delete Volume from the context menu of its row, and Yes to the question."""
    walker.click(row_of(walker, "Volumes", name), button=3)
    walker.entry("Delete Volume...")
    asking = ("alert", "Delete*")
    walker.click(walker.find(asking, ("push button", "Delete*")))
    walker.gone(("table cell", name))
    walker.vx("vxtask", "wait", "--all")
