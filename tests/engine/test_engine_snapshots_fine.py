"""A snap back copies the cells that have changed, and no cell less: whatever comes in between."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from engine import commands as c
from engine.dataplane.dirty_map import DirtyMap
from engine.dataplane.fine_map import FineMap
from engine.dataplane.map_writers import MapWriters
from engine.dataplane.needed import finest
from engine.maps import map_change
from engine.maps.map_change import MapChange, Union
from engine.records import Kind, PlexState, Task, TaskDelay, TaskType
from engine.units import KIB, MIB
from tests.engine.engine_lab import EngineLab, lab_fixture
from tests.engine.test_engine_prepare import prepare
from tests.engine.test_engine_snapshots import back, pass_by, prepared, put, snap

lab = lab_fixture(frail=True)
CELL = 4 * KIB


def cells(lab: EngineLab, region: int, *numbers: int, value: int = 77, name: str = "v") -> None:
    """Write single cells of a region."""
    for number in numbers:
        assert lab.write(bytes([value]) * CELL, region * MIB + number * CELL, name) == 0


@contextmanager
def held(lab: EngineLab, region: int) -> Iterator[None]:
    """Nobody copies, or writes to mirrors in, this region meanwhile."""
    with lab.engine.committer.ios[lab.volume().ref].regions.locks[region]:
        yield


def ended(lab: EngineLab) -> None:
    for task in lab.config.all(Kind.TASK, Task):
        assert lab.engine.wait(task.ref, 60)


@pytest.mark.parametrize("master", list(c.Master))
@pytest.mark.parametrize("mirrors", [1, 2])
def test_what_the_plan_tells_is_what_is_copied(lab: EngineLab, master: c.Master, mirrors: int) -> None:
    prepared(lab, mirrors=mirrors)
    snap(lab)
    cells(lab, 1, 0, 3, 100)  # what lies between the first two is copied along
    cells(lab, 1, 100, 200, name="SnapVolume01")
    assert lab.write(b"x" * 20, 6 * MIB - 10) == 0
    told = 4 * CELL + CELL + CELL + 2 * CELL
    filled = mirrors if master is c.Master.SNAPSHOT else 1
    command = c.SnapBack(snapshots=(lab.volume("SnapVolume01").ref,), master=master)
    assert lab.engine.plan(command).copies_bytes == told * filled
    assert dict(lab.volume().apart) == dict(lab.volume("SnapVolume01").apart)
    task = lab.do(command)
    assert task.bytes_copied == task.bytes_total == told * filled
    assert lab.equal()


def test_after_a_crash_only_what_is_written_then_is_known_by_cells(lab: EngineLab) -> None:
    prepared(lab)
    snap(lab)
    cells(lab, 1, 5)
    pass_by(lab, "kill")
    cells(lab, 1, 6)
    cells(lab, 7, 9, 99)
    assert back(lab, "SnapVolume01").bytes_copied == MIB + 2 * CELL
    assert lab.equal()


def test_zeroes_are_changes_too(lab: EngineLab) -> None:
    prepared(lab)
    snap(lab)
    io = lab.engine.committer.ios[lab.volume().ref]
    io.zero(MIB + 8 * CELL, 8 * CELL)
    io.discard(3 * MIB, 2 * CELL)
    assert back(lab, "SnapVolume01").bytes_copied == 10 * CELL
    assert lab.equal()


def test_what_is_written_while_cells_are_copied_is_on_all_mirrors(lab: EngineLab) -> None:
    prepared(lab, mirrors=2)
    snap(lab)
    cells(lab, 1, 1)
    cells(lab, 2, 2)
    with held(lab, 2):
        ref = lab.engine.submit(c.SnapBack(snapshots=(lab.volume("SnapVolume01").ref,), master=c.Master.SNAPSHOT))
        cells(lab, 1, 1, 50, value=88)
        cells(lab, 5, 5, value=88)
    assert lab.engine.wait(ref, 60)
    assert lab.equal()


def test_a_plex_that_fails_while_cells_are_copied_gets_all_that_it_lacks(lab: EngineLab) -> None:
    plex = prepared(lab)
    snap(lab)
    cells(lab, 1, 1)
    cells(lab, 2, 2)
    disk = lab.config.subdisks_of(plex)[0].disk
    with held(lab, 2):
        ref = lab.engine.submit(c.SnapBack(snapshots=(lab.volume("SnapVolume01").ref,)))
        lab.lun(disk).fail("write", persistent=True)
    assert lab.engine.wait(ref, 60)
    assert not lab.config.plex(plex).complete
    cells(lab, 6, 6)
    lab.lun(disk).heal()
    if lab.config.disk(disk).failing:
        lab.do(c.ReactivateDisk(disk=disk))
    ended(lab)
    again = c.ResyncVolume(volume=lab.volume().ref)
    if not lab.engine.plan(again).problems:
        lab.do(again)
    assert lab.engine.committer.wait_until(lambda config: config.plex(plex).complete, 60)
    ended(lab)
    assert lab.equal()


def test_cells_that_one_mirror_cannot_read_are_copied_from_another(lab: EngineLab) -> None:
    plex = prepared(lab, mirrors=2)
    snap(lab)
    for region in range(1, 5):
        cells(lab, region, region)
    lun = lab.lun(lab.config.subdisks_of(lab.plexes()[0].ref)[0].disk)
    with held(lab, 1):
        ref = lab.engine.submit(c.SnapBack(snapshots=(lab.volume("SnapVolume01").ref,)))
        lun.fail("read", persistent=True)
    assert lab.engine.wait(ref, 60)
    assert lab.config.task(ref).bytes_copied == 4 * CELL
    lun.heal()
    good = [one.ref for one in lab.plexes() if one.complete]
    assert plex in good
    assert len({lab.plex_digest(one) for one in good}) == 1


def test_a_crash_while_cells_are_copied_leaves_whole_regions_to_copy(lab: EngineLab) -> None:
    prepared(lab)
    snap(lab)
    for region in range(1, 9):
        cells(lab, region, region)
    lab.engine.submit(c.SnapBack(snapshots=(lab.volume("SnapVolume01").ref,)))
    lab.kill()
    lab.start()
    ended(lab)
    assert lab.equal()
    assert all(plex.complete for plex in lab.plexes())


@pytest.fixture
def wide(tmp_path: Path) -> Iterator[EngineLab]:
    """A group of more disks than keep the configuration."""
    made = EngineLab(tmp_path).start()
    made.make_group(6)
    yield made
    if made.opened is not None:
        made.stop()


def test_a_copy_goes_on_after_a_crash_on_a_disk_that_keeps_no_configuration(wide: EngineLab) -> None:
    """Such a disk can't tell how old it is; it was there when the copy began."""
    lab = wide
    keeping = lab.engine.committer.stores[lab.group().ref].copies
    disks = [disk.ref for disk in lab.config.disks_of(lab.group().ref)]
    (silent,) = [disk for disk in disks if disk not in keeping]
    lab.make_volume(disks=keeping[:1])
    plex = prepare(lab, disks=(silent,))
    snap(lab)
    for region in range(1, 9):
        cells(lab, region, region)
    pass_by(lab, "kill")
    lab.do(c.ChangeSettings(iodelay_ms=(TaskDelay(TaskType.RESYNC, 10_000),)))
    lab.engine.submit(c.SnapBack(snapshots=(lab.volume("SnapVolume01").ref,)))
    lab.kill()
    lab.start()
    assert lab.config.plex(plex).state is PlexState.FILLING
    (task,) = [task for task in lab.config.all(Kind.TASK, Task) if not task.ended]
    lab.do(c.ThrottleTask(task=task.ref, iodelay_ms=0))
    ended(lab)
    assert lab.config.task(task.ref).bytes_copied <= 9 * MIB
    assert lab.equal()


def test_a_restore_is_known_by_cells_to_all_other_snapshots(lab: EngineLab) -> None:
    prepared(lab)
    prepare(lab)
    snap(lab, set_name="first")
    cells(lab, 1, 1)
    snap(lab)
    cells(lab, 2, 2)
    back(lab, "SnapVolume01", master=c.Master.SNAPSHOT)
    assert back(lab, "SnapVolume02").bytes_copied == 2 * CELL
    assert lab.equal()


def test_the_first_touch_of_a_region_waits_once_for_the_maps_of_all_snapshots(
    lab: EngineLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared(lab, size=12 * MIB)
    for _ in range(2):
        prepare(lab)
    for _ in range(3):
        snap(lab)
    io = lab.engine.committer.ios[lab.volume().ref]
    places = sum(len(known.places) for known in io.maps.values())
    assert len(io.changes) == 3
    queued: list[Callable[[], None]] = []
    changed = threading.Condition()

    def put(writers: MapWriters, work: Callable[[], None]) -> None:
        with changed:
            queued.append(work)
            changed.notify_all()

    with monkeypatch.context() as patch:
        patch.setattr(MapWriters, "put", put)
        writer = threading.Thread(target=lambda: cells(lab, 9, 3))
        writer.start()
        with changed:
            found = changed.wait_for(lambda: len(queued) >= places, 60)
    for work in queued:
        work()
    writer.join(60)
    assert found
    assert not writer.is_alive()
    assert set(lab.read(9 * MIB + 3 * CELL, CELL)) == {77}


def no_cells(patch: pytest.MonkeyPatch) -> None:
    """Writers mark regions only."""
    real = DirtyMap.note

    def note(known: DirtyMap, offset: int, length: int) -> bool:
        fine, known.fine = known.fine, None
        try:
            return real(known, offset, length)
        finally:
            known.fine = fine

    patch.setattr(DirtyMap, "note", note)


def half_the_cells(patch: pytest.MonkeyPatch) -> None:
    """Of the cells only those of the snapshot are copied."""
    real = MapChange._union

    def union(change: MapChange, edit: object, one: object) -> Union:
        found = real(change, edit, one)  # type: ignore[arg-type]
        live = change._live(found.of.snapshot, found.of.generation)
        return found._replace(fine=finest(live)) if live is not None else found

    patch.setattr(MapChange, "_union", union)


def trust_after_a_crash(patch: pytest.MonkeyPatch) -> None:
    """What an import has found marked has no cells."""
    patch.setattr(map_change, "of_regions", lambda size, *_: FineMap(size))


@pytest.mark.parametrize("plant", [no_cells, half_the_cells, trust_after_a_crash])
def test_planted_mistakes_are_caught(
    lab: EngineLab, monkeypatch: pytest.MonkeyPatch, plant: Callable[[pytest.MonkeyPatch], None]
) -> None:
    prepared(lab)
    snap(lab)
    plant(monkeypatch)
    put(lab, 1, 101)
    put(lab, 2, 102, "SnapVolume01")
    pass_by(lab, "kill" if plant is trust_after_a_crash else "nothing")
    back(lab, "SnapVolume01")
    assert not lab.equal()
