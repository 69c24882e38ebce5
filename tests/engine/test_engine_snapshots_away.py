"""A snapshot, or its volume, whose disk is away: what was written since is known when it comes back as it left."""

from __future__ import annotations

import os
import shutil

import pytest

from engine import commands as c
from engine.records import Kind, Ref, Task
from engine.units import MIB
from tests.engine.engine_lab import EngineLab, lab_fixture
from tests.engine.test_engine_faults import AWAY, bring_back, pull
from tests.engine.test_engine_snapshots import back, pass_by, prepared, snap
from tests.engine.test_engine_snapshots_fine import CELL, cells

lab = lab_fixture(frail=True)
SNAP = "SnapVolume01"
SOAK = bool(os.environ.get("VEA_SOAK"))
BOTH = [("v", "kill"), (SNAP, "stop"), *([("v", "stop"), (SNAP, "kill")] if SOAK else [])]


def disk_under(lab: EngineLab, name: str) -> Ref:
    (plex,) = [plex for plex in lab.plexes(name) if plex.complete]
    return lab.config.subdisks_of(plex.ref)[0].disk


def furnish(lab: EngineLab) -> None:
    """Two cells of the volume and one of its snapshot have been written since they parted."""
    prepared(lab)
    snap(lab)
    cells(lab, 1, 5, 100)
    cells(lab, 2, 7, name=SNAP)


def other(name: str) -> str:
    return SNAP if name == "v" else "v"


def is_known(lab: EngineLab) -> bool:
    return all(link.is_known for name in ("v", SNAP) for link in lab.volume(name).links)


def snapped_back(lab: EngineLab) -> int:
    """The bytes of a snap back, which its plan has told."""
    command = c.SnapBack(snapshots=(lab.volume(SNAP).ref,))
    told = lab.engine.plan(command).copies_bytes
    copied = back(lab, SNAP).bytes_copied
    assert copied == told
    assert lab.equal()
    return copied


@pytest.mark.parametrize(("name", "fails"), [("v", True), (SNAP, False)])
def test_the_link_stays_while_the_engine_runs(lab: EngineLab, name: str, fails: bool) -> None:
    """`fails`: so does what is written to the disk that is away, of whatever somebody tries to write meanwhile."""
    furnish(lab)
    assert lab.flush("v") == lab.flush(SNAP) == 0
    disk = disk_under(lab, name)
    path = pull(lab, disk)
    lab.do(c.Rescan())
    if fails:
        lab.lun(disk).fail("durable", "write", persistent=True)
    cells(lab, 3, 9, name=other(name))
    assert lab.write(b"x" * CELL, 5 * MIB, name) != 0
    assert lab.write(b"x" * CELL, 6 * MIB, name) != 0
    assert is_known(lab)
    lab.lun(disk).heal()
    bring_back(path)
    lab.do(c.Rescan())
    cells(lab, 4, 11, name=name)
    cells(lab, 5, 1, name=name)
    assert not lab.config.disk(disk).failing
    assert is_known(lab)
    assert 6 * CELL <= snapped_back(lab) <= 8 * CELL  # that somebody was about to write two more was noted


@pytest.mark.parametrize(("name", "end"), BOTH)
def test_one_that_goes_and_comes_between_two_runs(lab: EngineLab, name: str, end: str) -> None:
    furnish(lab)
    path = lab.path_of(disk_under(lab, name))
    (lab.stop if end == "stop" else lab.kill)()
    path.rename(str(path) + AWAY)
    lab.start(frail=True)
    cells(lab, 3, 9, name=other(name))
    assert lab.write(b"x" * CELL, 5 * MIB, name) != 0
    bring_back(path)
    lab.do(c.Rescan())
    assert is_known(lab)
    cells(lab, 4, 11, name=name)
    pass_by(lab, "kill")
    assert 5 * CELL <= snapped_back(lab) <= 4 * MIB


@pytest.mark.parametrize(("name", "end"), BOTH)
def test_one_that_is_back_at_the_next_start(lab: EngineLab, name: str, end: str) -> None:
    furnish(lab)
    path = pull(lab, disk_under(lab, name))
    lab.do(c.Rescan())
    cells(lab, 3, 9, name=other(name))
    (lab.stop if end == "stop" else lab.kill)()
    bring_back(path)
    lab.start(frail=True)
    assert lab.volume(name).serving
    assert is_known(lab)
    cells(lab, 4, 11, name=name)
    assert 5 * CELL <= snapped_back(lab) <= (5 * CELL if end == "stop" else 3 * MIB + CELL)


def test_one_that_is_away_for_several_runs(lab: EngineLab) -> None:
    furnish(lab)
    path = pull(lab, disk_under(lab, SNAP))
    lab.do(c.Rescan())
    for end in ("stop", "kill"):
        pass_by(lab, end)
        cells(lab, 3, 9)
    bring_back(path)
    pass_by(lab, "kill")
    assert is_known(lab)
    assert snapped_back(lab) <= 3 * MIB


@pytest.mark.parametrize("when", ["running", "at a start"])
def test_an_older_image_is_copied_whole(lab: EngineLab, when: str) -> None:
    furnish(lab)
    path = lab.path_of(disk_under(lab, SNAP))
    old = path.with_suffix(".old")
    assert lab.flush(SNAP) == 0
    shutil.copy(path, old)
    cells(lab, 6, 3, name=SNAP)
    lab.make_volume("w", 8 * MIB)
    if when == "running":
        pull(lab, disk_under(lab, SNAP))
        lab.do(c.Rescan())
        old.rename(path)
        lab.do(c.Rescan())
    else:
        lab.stop()
        path.rename(str(path) + AWAY)
        lab.start(frail=True)
        old.rename(path)
        lab.do(c.Rescan())
    assert not is_known(lab)
    command = c.SnapBack(snapshots=(lab.volume(SNAP).ref,))
    assert "everything is copied" in lab.engine.plan(command).warnings[0]
    assert snapped_back(lab) == lab.volume().size


def test_nothing_waits(lab: EngineLab) -> None:
    """A crash while the disk is on its way back."""
    furnish(lab)
    path = pull(lab, disk_under(lab, SNAP))
    lab.do(c.Rescan())
    lab.kill()
    lab.start(frail=True)
    bring_back(path)
    lab.do(c.Rescan())
    cells(lab, 5, 1, name=SNAP)
    lab.kill()
    lab.start(frail=True)
    assert not [task for task in lab.config.all(Kind.TASK, Task) if not task.ended]
    assert snapped_back(lab) <= 3 * MIB
