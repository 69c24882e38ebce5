"""The fixed list of pictures of the real console on a real engine. `python -m tests.gui.shots` writes `screenshots/`.

Each picture has a line that says what it must show; whoever changes the console looks at all of them again.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.e2e import steps
from tests.e2e.display import Display, missing, opened, until
from tests.e2e.walker import Node, Walker, place, walking
from tests.gui import snap_ways

OUT = Path(__file__).parents[2] / "screenshots"
GRAB = """
import sys
from PySide6.QtGui import QGuiApplication
app = QGuiApplication([])
assert app.primaryScreen().grabWindow(0).save(sys.argv[1])
"""
SIZE = "1280x800"
LONG = "accounting-database-eastern-26"


@dataclass(frozen=True)
class Shot:
    """One picture: its file, what it must show, and how the console gets there."""

    name: str
    shows: str
    reach: Callable[[Walker], None]
    prepare: Callable[[Path], None] = lambda _: None
    size: str = SIZE
    scale: str = "1"


def grab(walker: Walker, path: Path) -> None:
    """The whole screen, menus and what is dragged included."""
    environment = walker.display.environment | {"QT_SCALE_FACTOR": "1"}
    subprocess.run([sys.executable, "-c", GRAB, str(path)], env=environment, check=True, timeout=240)


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


def long_names(walker: Walker) -> None:
    furnish(walker)
    walker.vx("vxvol", "-g", "dg1", "rename", "mail", LONG)
    walker.vx("vxdisk", "rename", steps.volume(walker, LONG)["plexes"][0]["subdisks"][0]["disk"], f"disk-{LONG[:26]}")
    steps.open_disk_view(walker)
    walker.click(steps.block(walker, LONG))


SHOTS = (
    Shot(
        "healthy",
        "Disk View of dg1: disks to scale, every layout with colour and pattern, mail-01 picked: its mirror outlined, "
        "the other mirror dashed, the rest dimmed. No alert anywhere.",
        healthy,
    ),
    Shot(
        "resync",
        "Volumes of dg1 while mail resynchronizes: its status with the percentage near 40, the task below with bar, "
        "the same percentage and the time left, one task in the tab's title and in the status bar.",
        resync,
    ),
    Shot(
        "failed-disk",
        "A LUN has vanished: its disk and all above it are marked in the tree, its blocks and those of volumes that "
        "suffer say how, the Console names what to do, the status bar has the worst alert.",
        failed,
    ),
    Shot(
        "drag-legal",
        "mail-01 in the hand over a disk that may take it: free space that may take it glows, the outline shows where "
        "it would lie, one label names the piece, the other the place.",
        over(legal),
    ),
    Shot(
        "drag-illegal",
        "mail-01 in the hand over the disk with the other mirror: nothing glows there, and the label says why it may "
        "not lie there.",
        over(illegal),
    ),
    Shot(
        "plan",
        "Last page of New Volume: numbered steps with what holds meanwhile, what cannot be undone, redundancy, bytes "
        "with a time, and the disks with the new pieces; Finish is the default.",
        plan,
    ),
    Shot(
        "error",
        "An error in one sentence: what happened and what to do; Details are offered where there is more.",
        error,
    ),
    Shot(
        "empty",
        "A lab without a disk group: the page says what would be here and offers the action that makes the first one; "
        "New Volume is grey; nothing looks broken.",
        empty,
        lab(1, 6, "256m"),
    ),
    Shot(
        "many-luns",
        "200 LUNs of ten enclosures: Disk View scrolls, names and places are whole.",
        many,
        lab(10, 20, "64m"),
    ),
    Shot(
        "dark",
        "The dark theme with Volume View: text, lines, blocks and signs are as easy to read as in the light one.",
        volumes,
        preferences(theme="dark"),
    ),
    Shot(
        "scale-2",
        "Double density: the same as the first picture, twice as fine; nothing is cut, lines and icons are sharp.",
        healthy,
        size="2560x1600",
        scale="2",
    ),
    Shot(
        "font-14",
        "A font of 14 points: rows, tabs, buttons and the wizard grow with it, nothing is cut.",
        plan,
        preferences(font_points=14),
    ),
    Shot(
        "degraded-raid5",
        "A column's disk of a RAID-5 volume is missing: db is Degraded, only the block on the missing disk is marked, "
        "the log is a block of its own in grey dots, the legend has RAID-5 and log.",
        degraded,
    ),
    Shot(
        "repair-raid5",
        "Repair Volume for the same volume: what is lost, where it gets a new place, the rebuild from the other "
        "columns; what the missing disk has is given up, and no word is of mirrors or copies.",
        repairing,
    ),
    Shot(
        "alert-remedy",
        "Needs attention names each object with what is wrong, the action as a link, and what to do; the alert is "
        "picked in the Console, its object and action are links, the buttons above do the same.",
        alerted,
    ),
    Shot(
        "control-panel",
        "The Control Panel with its four items; Hot Relocation shows mode and wait; Apply can be pressed as something "
        "was changed.",
        control_panel,
    ),
    Shot(
        "event-notification",
        "Two mail rules, the second picked; server, port and sender above; Send Test beside the rule; OK can be "
        "pressed.",
        notifying,
    ),
    Shot(
        "replace-disk",
        "Replace Disk: what lay there and what that means, LUNs that can take the place with the best one chosen, the "
        "plan with what is copied; the button is the verb.",
        replacing,
    ),
    Shot(
        "snap-volumes",
        "Snap Shot Volume Wizard, volumes: the clicked one selected, those that can be added first, those that are not "
        "prepared with that reason; one of these is picked, and Prepare can be pressed.",
        snap_ways.snap_volumes,
    ),
    Shot(
        "snap-attributes",
        "Snap Shot Volume Wizard, Change Attributes: for each volume snap plex, name, drive letter and path; how "
        "writers are kept still, what was found for it, its deadline; the XML file.",
        snap_ways.snap_attributes,
    ),
    Shot(
        "snap-plan",
        "Snap Shot Volume Wizard, plan: the steps with what holds meanwhile, redundancy; Finish is the default.",
        snap_ways.snap_plan,
    ),
    Shot(
        "snap-back",
        "Snap Back: which snapshot of which volume, alone or with its set, both directions with what they would copy; "
        "the plan of the chosen one, and in red what it overwrites.",
        snap_ways.snap_back,
    ),
    Shot(
        "snapshots",
        "The timeline of dg1: on top the snap plex that waits, below it the set and its two snapshots, what "
        "has changed since and the time of a Snap Back each way; the set is picked, and its buttons can be pressed.",
        timeline,
    ),
    Shot(
        "long-names",
        "Names as long as they may be, in blocks and at disks: shortened with an ellipsis where there is no room, "
        "never written over something else.",
        long_names,
    ),
)


def take(shot: Shot, out: Path) -> None:
    """One picture, with a lab of its own."""
    with tempfile.TemporaryDirectory(prefix="vea-") as name:
        folder = Path(name, "console")
        folder.mkdir()
        shot.prepare(folder)
        with opened(Path(name, "display"), shot.size) as display, scaled(display, shot.scale, folder) as walker:
            walker.find(("frame", "VEA*"))
            shot.reach(walker)
            rest(walker, keep_pointer=shot.name.startswith("drag"))
            grab(walker, out / f"{shot.name}.png")
            if shot.name.startswith("drag"):
                walker.key("Escape")
                walker.display.xdotool("mouseup", 1)


@contextlib.contextmanager
def scaled(display: Display, scale: str, folder: Path) -> Iterator[Walker]:
    """A console whose pixels are so many of the screen's."""
    display.environment["QT_SCALE_FACTOR"] = scale
    with walking(display, folder) as walker:
        yield walker


def rest(walker: Walker, keep_pointer: bool) -> None:
    """Move the pointer out of the picture and let what was asked arrive."""
    if not keep_pointer:
        width, height = walker.display.xdotool("getdisplaygeometry").split()
        walker.display.xdotool("mousemove", int(width) - 2, int(height) - 2)
    walker.reader.ask("said", 1.0, text="nothing says this; wait until the picture has settled")


def write_readme(out: Path) -> None:
    lines = ["# Pictures of the console", "", "`make screenshots` takes them anew. What each must show:", ""]
    for shot in SHOTS:
        lines += [f"## {shot.name}", "", shot.shows, "", f"![{shot.name}]({shot.name}.png)", ""]
    (out / "README.md").write_text("\n".join(lines))


def main(names: list[str]) -> int:
    if absent := missing():
        sys.stderr.write(f"Pictures need {absent}.\n")
        return 1
    OUT.mkdir(exist_ok=True)
    for shot in SHOTS:
        if not names or shot.name in names:
            take(shot, OUT)
            sys.stdout.write(f"{OUT / shot.name}.png\n")
    write_readme(OUT)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
