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

from tests.e2e.display import Display, missing, opened
from tests.e2e.walker import Walker, walking
from tests.gui import shot_ways as ways
from tests.gui import snap_ways

OUT = Path(__file__).parents[2] / "screenshots"
GRAB = """
import sys
from PySide6.QtGui import QGuiApplication
app = QGuiApplication([])
assert app.primaryScreen().grabWindow(0).save(sys.argv[1])
"""
SIZE = "1280x800"


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


SHOTS = (
    Shot(
        "healthy",
        "Disk View of dg1: disks to scale, every layout with colour and pattern, mail-01 picked: its mirror outlined, "
        "the other mirror dashed, the rest dimmed. No alert anywhere.",
        ways.healthy,
    ),
    Shot(
        "resync",
        "Volumes of dg1 while mail resynchronizes: its status with the percentage near 40, the task below with bar, "
        "the same percentage and the time left, one task in the tab's title and in the status bar.",
        ways.resync,
    ),
    Shot(
        "failed-disk",
        "A LUN has vanished: its disk and all above it are marked in the tree, its blocks and those of volumes that "
        "suffer say how, the Console names what to do, the status bar has the worst alert.",
        ways.failed,
    ),
    Shot(
        "drag-legal",
        "mail-01 in the hand over a disk that may take it: free space that may take it glows, the outline shows where "
        "it would lie, one label names the piece, the other the place.",
        ways.over(ways.legal),
    ),
    Shot(
        "drag-illegal",
        "mail-01 in the hand over the disk with the other mirror: nothing glows there, and the label says why it may "
        "not lie there.",
        ways.over(ways.illegal),
    ),
    Shot(
        "plan",
        "Last page of New Volume: numbered steps with what holds meanwhile, what cannot be undone, redundancy, bytes "
        "with a time, and the disks with the new pieces; Finish is the default.",
        ways.plan,
    ),
    Shot(
        "error",
        "An error in one sentence: what happened and what to do; Details are offered where there is more.",
        ways.error,
    ),
    Shot(
        "empty",
        "A lab without a disk group: the page says what would be here and offers the action that makes the first one; "
        "New Volume is grey; nothing looks broken.",
        ways.empty,
        ways.lab(1, 6, "256m"),
    ),
    Shot(
        "many-luns",
        "200 LUNs of ten enclosures: Disk View scrolls, names and places are whole.",
        ways.many,
        ways.lab(10, 20, "64m"),
    ),
    Shot(
        "dark",
        "The dark theme with Volume View: text, lines, blocks and signs are as easy to read as in the light one.",
        ways.volumes,
        ways.preferences(theme="dark"),
    ),
    Shot(
        "scale-2",
        "Double density: the same as the first picture, twice as fine; nothing is cut, lines and icons are sharp.",
        ways.healthy,
        size="2560x1600",
        scale="2",
    ),
    Shot(
        "font-14",
        "A font of 14 points: rows, tabs, buttons and the wizard grow with it, nothing is cut.",
        ways.plan,
        ways.preferences(font_points=14),
    ),
    Shot(
        "degraded-raid5",
        "A column's disk of a RAID-5 volume is missing: only db's block there is marked, as db goes on without it; "
        "the log is a block of its own in grey dots, the legend has RAID-5 and log.",
        ways.degraded,
    ),
    Shot(
        "repair-raid5",
        "Repair Volume for the same volume: what is lost, where it gets a new place, the rebuild from the other "
        "columns; what the missing disk has is given up, and no word is of mirrors or copies.",
        ways.repairing,
    ),
    Shot(
        "alert-remedy",
        "Needs attention names each object with what is wrong, the action as a link, and what to do; the alert is "
        "picked in the Console, its object and action are links, the buttons above do the same.",
        ways.alerted,
    ),
    Shot(
        "control-panel",
        "The Control Panel with its four items; Hot Relocation shows mode and wait; Apply can be pressed as something "
        "was changed.",
        ways.control_panel,
    ),
    Shot(
        "event-notification",
        "Two mail rules, the second picked; server, port and sender above; Send Test beside the rule; OK can be "
        "pressed.",
        ways.notifying,
    ),
    Shot(
        "replace-disk",
        "Replace Disk: what lay there and what that means, LUNs that can take the place with the best one chosen, the "
        "plan with what is copied; the button is the verb.",
        ways.replacing,
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
        ways.timeline,
    ),
    Shot(
        "format",
        "New Volume, Format page: the file system is wanted and has a label; one that this host cannot make would be "
        "grey, with the reason. Next can be pressed, Finish not yet.",
        ways.formatting,
    ),
    Shot(
        "schedule-calendar",
        "Schedule Snapshots, calendar: the next run in words, this month and the next with every working day from "
        "today on marked; the keyboard begins at today.",
        ways.scheduling,
    ),
    Shot(
        "split-closure",
        "Split Dynamic Disk Group: a snapshot leaves with the disks that it has for itself, and everything else stays; "
        "the name of the new group.",
        ways.splitting,
    ),
    Shot(
        "long-names",
        "Names as long as they may be, in blocks and at disks: shortened with an ellipsis where there is no room, "
        "never written over something else.",
        ways.long_names,
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
