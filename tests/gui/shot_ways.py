"""How a walk comes to the sights of the fixed list of pictures, and the labs behind them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.e2e import snap_steps, steps
from tests.e2e.display import until
from tests.e2e.walker import Node, Walker, place
from tests.gui import snap_ways

LONG = "accounting-database-eastern-26"


# --- labs ---
def preferences(**values: object) -> Callable[[Path], None]:
    def prepare(folder: Path) -> None:
        state = folder / "state"
        state.mkdir(parents=True, exist_ok=True)
        lines = ["[General]", "version=1", "", "[preferences]", *(f"{key}={value}" for key, value in values.items())]
        (state / "console.ini").write_text("\n".join(lines) + "\n")

    return prepare


def lab(arrays: int, luns: int, size: str) -> Callable[[Path], None]:
    def prepare(folder: Path) -> None:
        words = ["create", str(folder / "lab"), "--arrays", arrays, "--luns", luns, "--lun-size", size]
        program = "from engine.cli.lab import main; main()"
        subprocess.run([sys.executable, "-c", program, *map(str, words)], check=True, capture_output=True, timeout=240)

    return prepare


def furnish(walker: Walker) -> None:
    """Volumes of every layout, so that there is something to see."""
    walker.find(("tree", ""), ("table cell", "StorageAgent"))
    walker.vx("vxassist", "-g", "dg1", "make", "mail", "900m", "layout=mirror")
    walker.vx("vxassist", "-g", "dg1", "make", "web", "600m", "layout=mirror-stripe", "columns=2")
    walker.vx("vxassist", "-g", "dg1", "make", "archive", "700m")
    walker.vx("vxtask", "clear")


# --- ways ---
def healthy(walker: Walker) -> None:
    furnish(walker)
    steps.open_disk_view(walker)
    walker.click(steps.block(walker, "mail-01,"))


def resync(walker: Walker) -> None:
    furnish(walker)
    steps.go_to_group(walker)
    steps.open_tab(walker, "Volumes")
    walker.click(walker.find(("page tab", "Tasks*")))
    task = walker.vx("vxvol", "-b", "-g", "dg1", "resync", "mail").split()[-1].rstrip(".")
    walker.vx("vxtask", "set", task, "iodelay=60")
    state = lambda: next(each for each in walker.vx_json("vxtask", "list") if str(each["id"]) == task)  # noqa: E731
    until(60, lambda: state()["percent"] >= 40, "40 % of the resync")
    walker.vx("vxtask", "set", task, "iodelay=5000")
    walker.click(steps.row_of(walker, "Volumes", "mail"))


def failed(walker: Walker) -> None:
    furnish(walker)
    steps.open_disk_view(walker)
    piece = next(each for each in walker.group()["volumes"] if each["name"] == "mail")["plexes"][0]["subdisks"][0]
    row = next(each for each in walker.vx_json("vxdisk", "list") if each["name"] == piece["disk"])
    lun = Path(row["lun"])
    walker.vx("lab", "fault", str(walker.folder / "lab"), f"{lun.parent.name}/{lun.stem}", "vanish")
    walker.vx("vxdisk", "rescan")
    walker.click(walker.find(("page tab", "Console*")))
    walker.find(("", "*Missing"))


def over(where: Callable[[Walker], Node]) -> Callable[[Walker], None]:
    def reach(walker: Walker) -> None:
        furnish(walker)
        steps.open_disk_view(walker)
        walker.drag(place(steps.block(walker, "mail-01,"), (0.3, 0.5)), place(where(walker)), drop=False)
        walker.reader.ask("said", 0.5)

    return reach


def legal(walker: Walker) -> Node:
    return steps.free_block(walker, steps.other_disk(walker, steps.volume(walker, "mail")))


def illegal(walker: Walker) -> Node:
    """On the disk that holds the other mirror: at that mirror itself, where the labels have room."""
    return steps.block(walker, "mail-02,")


def plan(walker: Walker) -> None:
    furnish(walker)
    to_plan(walker, "orders", 300)


def to_plan(walker: Walker, name: str, mebibytes: int) -> None:
    walker.press("push button", "New Volume")
    steps.fill_new_volume(walker, name, mebibytes)
    walker.find(steps.dialog("New Volume"), ("push button", "Finish"), **{"with": ["enabled"]})


def error(walker: Walker) -> None:
    """A LUN goes away, and before anybody has noticed the operator wants to use it."""
    walker.find(("tree", ""), ("table cell", "StorageAgent"))
    walker.click(walker.find(("tree", ""), ("table cell", "Disks")), at=(0.3, 0.5))
    steps.open_tab(walker, "Disks")
    lun = Path(next(each for each in walker.vx_json("vxdisk", "list") if each["group"] is None)["lun"])
    name = next(each["name"] for each in walker.vx_json("vxdisk", "list") if each["lun"] == str(lun))
    walker.vx("lab", "fault", str(walker.folder / "lab"), f"{lun.parent.name}/{lun.stem}", "vanish")
    walker.click(steps.row_of(walker, "Disks", name), button=3)
    walker.entry("Write Signature")
    walker.find(("alert", ""))


def pull(walker: Walker, disk: str) -> None:
    """A LUN goes away, and a rescan notices."""
    lun = Path(next(each for each in walker.vx_json("vxdisk", "list") if each["name"] == disk)["lun"])
    walker.vx("lab", "fault", str(walker.folder / "lab"), f"{lun.parent.name}/{lun.stem}", "vanish")
    walker.vx("vxdisk", "rescan")
    walker.vx("vxtask", "wait", "--all")


def degraded(walker: Walker) -> None:
    """A disk with a column of a RAID-5 volume is away, and one disk is a spare."""
    furnish(walker)
    walker.vx("vxassist", "-g", "dg1", "make", "db", "900m", "layout=raid5", "columns=4")
    walker.vx("vxtask", "wait", "--all")
    pull(walker, column_of(walker, "db"))
    steps.open_disk_view(walker)
    walker.find(("list", "Disk View"), ("list item", "db-01*"))


def repairing(walker: Walker) -> None:
    """Repair Volume with its plan, begun from what needs attention."""
    degraded(walker)
    walker.click(walker.find(("tree", ""), ("table cell", "StorageAgent")), at=(0.5, 0.5))
    walker.click(walker.find(("table", "Needs attention"), ("table cell", "Repair Volume...")))
    walker.find(steps.dialog("Repair Volume"), ("push button", "Repair"), **{"with": ["enabled"]})


def column_of(walker: Walker, volume: str) -> str:
    """A disk with a column of the volume, and with the fewest other pieces."""
    plex = steps.volume(walker, volume)["plexes"][0]
    return str(plex["subdisks"][1]["disk"])


def alerted(walker: Walker) -> None:
    """The overview and the Console, both with what is to be done; the alert is picked."""
    furnish(walker)
    walker.vx("vxassist", "-g", "dg1", "remove", "volume", "sv")
    disk = steps.volume(walker, "mail")["plexes"][0]["subdisks"][0]["disk"]
    pull(walker, disk)
    walker.click(walker.find(("page tab", "Console*")))
    walker.click(walker.find(("table", "Console"), ("table cell", f"{disk} of the disk group*")))


def control_panel(walker: Walker) -> None:
    walker.find(("tree", ""), ("table cell", "StorageAgent"))
    walker.click(walker.find(("", "Perspectives"), ("", "Control Panel")))
    walker.click(walker.find(("list", "Control Panel"), ("list item", "Hot Relocation")))
    walker.fill(walker.find(("spin button", "Wait for a missing disk (s)")), "300")


def replacing(walker: Walker) -> None:
    """Replace Disk with its plan, opened by a click on the alert's action."""
    alerted(walker)
    walker.press("push button", "Replace Disk...", within=5.0)
    walker.find(steps.dialog("Replace Disk"), ("push button", "Replace Disk"), **{"with": ["enabled"]})


def notifying(walker: Walker) -> None:
    """Event Notification with a mail rule and a program rule."""
    walker.find(("tree", ""), ("table cell", "StorageAgent"))
    walker.press("menu item", "Tools")
    walker.entry("Event Notification...")
    dialog = steps.dialog("Event Notification")
    for address in ("storage@example.org", "night-shift@example.org"):
        walker.click(walker.find(dialog, ("push button", "Add Rule")))
        walker.fill(walker.find(dialog, ("text", "Mail address")), address)


def empty(walker: Walker) -> None:
    walker.find(("tree", ""), ("table cell", "StorageAgent"))
    walker.click(walker.find(("tree", ""), ("table cell", "Disk Groups")), at=(0.3, 0.5))
    steps.open_tab(walker, "Disk Groups")


def many(walker: Walker) -> None:
    walker.find(("tree", ""), ("table cell", "StorageAgent"))
    steps.open_disk_view(walker)
    walker.click(walker.find(("tree", ""), ("table cell", "Disks")), at=(0.3, 0.5))
    steps.open_tab(walker, "Disk View")
    walker.find(("list", "Disk View"), ("list item", "Harddisk*"))


def volumes(walker: Walker) -> None:
    furnish(walker)
    steps.go_to_group(walker)
    steps.open_tab(walker, "Volume View")
    walker.find(("list", "Volume View"), ("list item", "mail*"))


def timeline(walker: Walker) -> None:
    """A set of two volumes, and a snap plex that waits; the set is picked."""
    furnish(walker)
    for name in ("mail", "archive"):
        walker.vx("vxsnap", "-g", "dg1", "prepare", name)
    walker.vx("vxsnap", "-x", str(walker.folder / "nightly.xml"), "create", "source=mail", "source=archive")
    walker.vx("vxsnap", "-g", "dg1", "prepare", "mail")
    walker.vx("vxtask", "clear")
    for volume, mebibytes in (("mail", 40), ("archive", 6), ("SnapVolume02", 2)):
        snap_ways.write(walker, volume, mebibytes)
    steps.go_to_group(walker)
    steps.open_tab(walker, "Snapshots")
    walker.click(walker.find(("list", "Snapshots"), ("list item", "Set nightly*")))


def page_of(walker: Walker, wizard: tuple[str, str], *shows: tuple[str, str]) -> None:
    """Next until a page shows this; pressed again only where a press was lost."""
    for shown in shows:
        for _ in range(3):
            walker.click(walker.find(wizard, ("push button", "Next"), **{"with": ["enabled"]}))
            if walker.reader.ask("find", snap_steps.DEADLINE_S / 3, path=[wizard, shown]):
                break
        walker.find(wizard, shown)


def formatting(walker: Walker) -> None:
    """The Format page of New Volume, with a file system wanted."""
    furnish(walker)
    walker.press("push button", "New Volume")
    wizard = steps.dialog("New Volume")
    page_of(walker, wizard, ("", "Group name:"), ("text", "Volume name"))
    walker.fill(walker.find(wizard, ("text", "Volume name")), "orders")
    page_of(walker, wizard, ("", "Drive letter*"), ("check box", "Format this volume"))
    walker.click(walker.find(wizard, ("check box", "Format this volume")), at=(0.05, 0.5))
    walker.fill(walker.find(wizard, ("text", "File system label"), **{"with": ["enabled"]}), "orders")
    walker.find(wizard, ("push button", "Next"), **{"with": ["enabled"]})


def scheduling(walker: Walker) -> None:
    """Schedule Snapshots, from a volume's menu to the calendar: twice each working day."""
    furnish(walker)
    steps.go_to_group(walker)
    steps.open_tab(walker, "Volumes")
    wizard = steps.dialog("Schedule Snapshots")
    snap_steps.choose(walker, "mail", "Schedule Snapshots...", wizard)
    page_of(walker, wizard, ("text", "Schedule name"), ("text", "Times of the day"))
    walker.fill(walker.find(wizard, ("text", "Times of the day")), "02:00, 14:30")
    for day in ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday"):
        walker.click(walker.find(wizard, ("check box", day)), at=(0.05, 0.5))
        walker.find(wizard, ("check box", day), **{"with": ["checked"]})
    page_of(walker, wizard, ("", "Sets kept*"), ("", "Next run:"))


def splitting(walker: Walker) -> None:
    """A snapshot leaves its group with the disks that carry it alone."""
    walker.find(("tree", ""), ("table cell", "StorageAgent"))
    walker.vx("vxassist", "-g", "dg1", "remove", "volume", "sv")  # so that a disk is free for the snapshot alone
    walker.vx("vxsnap", "-g", "dg1", "prepare", "ev")
    walker.vx("vxtask", "wait", "--all")
    walker.vx("vxsnap", "-x", str(walker.folder / "set.xml"), "create", "source=ev/Newvol=ev-tonight")
    walker.vx("vxtask", "clear")
    steps.go_to_group(walker)
    walker.click(walker.find(("tree", ""), ("table cell", "dg1")), button=3, at=(0.3, 0.5))
    walker.entry("Split Dynamic Disk Group...")
    wizard = steps.dialog("Split Dynamic Disk Group")
    page_of(walker, wizard, ("list", "Volumes that stay"))
    item = walker.find(wizard, ("list", "Volumes that stay"), ("list item", "ev-tonight*"))
    walker.click(item, at=(0.05, 0.5))
    walker.click(walker.find(wizard, ("push button", "Add"), **{"with": ["enabled"]}))
    walker.find(wizard, ("list", "Volumes that leave"), ("list item", "ev-tonight*"))
    page_of(walker, wizard, ("text", "Name of the new group"))
    walker.fill(walker.find(wizard, ("text", "Name of the new group")), "backup")


def long_names(walker: Walker) -> None:
    furnish(walker)
    walker.vx("vxvol", "-g", "dg1", "rename", "mail", LONG)
    walker.vx("vxdisk", "rename", steps.volume(walker, LONG)["plexes"][0]["subdisks"][0]["disk"], f"disk-{LONG[:26]}")
    steps.open_disk_view(walker)
    walker.click(steps.block(walker, LONG))
