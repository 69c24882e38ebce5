"""How a walk comes to the windows of snapshots, for their pictures."""

from __future__ import annotations

import os
import subprocess

from tests.e2e import snap_steps, steps
from tests.e2e.walker import Walker


def snap_lab(walker: Walker) -> None:
    """Two volumes that are prepared, one that is not, and the wizard's first page for the first."""
    walker.find(("tree", ""), ("table cell", "StorageAgent"))
    for name in ("orders", "ledger", "letters"):
        walker.vx("vxassist", "-g", "dg1", "make", name, "96m")
    for name in ("orders", "ledger"):
        walker.vx("vxsnap", "-g", "dg1", "prepare", name)
    walker.vx("vxtask", "wait", "--all")
    walker.vx("vxtask", "clear")
    steps.go_to_group(walker)
    steps.open_tab(walker, "Volumes")


def snap_volumes(walker: Walker) -> None:
    snap_lab(walker)
    snap_steps.choose(walker, "orders", "Snap Shot...", snap_steps.WIZARD)
    snap_steps.page(walker, ("list", "Available Volumes"))
    snap_steps.pick(walker, "letters")
    walker.find(snap_steps.WIZARD, ("push button", "Prepare..."), **{"with": ["enabled"]})


def snap_attributes(walker: Walker) -> None:
    snap_lab(walker)
    snap_steps.choose(walker, "orders", "Snap Shot...", snap_steps.WIZARD)
    snap_steps.page(walker, ("list", "Available Volumes"))
    snap_steps.pick(walker, "ledger")
    walker.click(walker.find(snap_steps.WIZARD, ("push button", "Add"), **{"with": ["enabled"]}))
    snap_steps.page(walker, ("text", "XML file"))
    walker.fill(walker.find(snap_steps.WIZARD, ("text", "XML file")), "/tmp/hyperbackup.xml")
    walker.find(snap_steps.WIZARD, ("push button", "Next"), **{"with": ["enabled"]})


def snap_plan(walker: Walker) -> None:
    snap_attributes(walker)
    snap_steps.page(walker, ("table", "What will happen"))
    walker.find(snap_steps.WIZARD, ("push button", "Finish"), **{"with": ["enabled"]})


def write(walker: Walker, volume: str, mebibytes: int) -> None:
    """So much of a volume of dg1 is other than it was."""
    content = walker.folder / "content"
    content.write_bytes(os.urandom(mebibytes << 20))
    subprocess.run(["nbdcopy", "--flush", str(content), walker.uri(f"dg1/{volume}")], check=True, timeout=60)


def snap_back(walker: Walker) -> None:
    """Both sides were written to since."""
    snap_lab(walker)
    walker.vx("vxsnap", "-x", "hyperbackup.xml", "create", "source=orders", "source=ledger")
    write(walker, "orders", 24)
    write(walker, "SnapVolume01", 3)
    snap_steps.choose(walker, "SnapVolume01", "Snap Back...", snap_steps.BACK)
    path = (snap_steps.BACK, ("radio button", "Resynchronize using the snapshot"))
    walker.click(walker.find(*path, **{"with": ["enabled"]}), at=(0.05, 0.5))
    walker.find(snap_steps.BACK, ("label", "*, using the snapshot"))
    walker.find(snap_steps.BACK, ("push button", "OK"), **{"with": ["enabled"]})
