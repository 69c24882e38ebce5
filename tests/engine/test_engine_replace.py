"""Disks that are replaced, swapped, copied, put back old: under a writer that verifies, never a wrong byte."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path
from random import Random

import pytest

from engine.commands import (
    ChangeSettings,
    ReactivateDisk,
    RepairVolumes,
    ReplaceDisk,
    Rescan,
    ThrottleTask,
    UndoRelocation,
)
from engine.errors import CommandRejected
from engine.records import Disk, DiskStatus, Kind, PlexState, Ref, Task, TaskDelay, TaskState, TaskType, VolumeStatus
from engine.store.label import read_label
from engine.units import KIB, MIB
from tests.engine.engine_lab import EngineLab, lab_fixture
from tests.engine.test_engine_faults import bring_back, disk_of, pull, states
from tests.engine.test_engine_life import pattern

lab = lab_fixture(5, luns=4, frail=True)


def free_disk(lab: EngineLab) -> Ref:
    return next(disk.ref for disk in lab.config.all(Kind.DISK, Disk) if disk.group is None and disk.present)


def settle(lab: EngineLab) -> None:
    """Every task has ended, and well."""
    committer = lab.engine.committer
    assert committer.wait_until(lambda config: all(task.ended for task in config.all(Kind.TASK, Task)), 60)


class Writer:
    """Writes and reads back what it wrote, all the time."""

    def __init__(self, lab: EngineLab, size: int, seed: int = 1) -> None:
        self._lab = lab
        self._size = size
        self._random = Random(seed)
        self._known: dict[int, bytes] = {}
        self._stop = threading.Event()
        self.wrong: list[str] = []
        self.turns = 0
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Writer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self.check()

    def wait_turns(self, count: int) -> None:
        """So many more rounds."""
        wanted = self.turns + count
        while self.turns < wanted and self._thread.is_alive():
            self._stop.wait(0.002)

    def _run(self) -> None:
        while not self._stop.is_set():
            at = self._random.randrange(self._size // (4 * KIB)) * 4 * KIB
            data = self._random.randbytes(4 * KIB)
            if self._lab.write(data, at) != 0:
                self.wrong.append(f"a write at {at} failed")
                return
            self._known[at] = data
            where, wanted = self._random.choice(list(self._known.items()))
            if self._lab.read(where, 4 * KIB) != wanted:
                self.wrong.append(f"read at {where} after {self.turns} turns")
            self.turns += 1

    def check(self) -> None:
        """All that was ever acknowledged is there."""
        for at, wanted in self._known.items():
            if self._lab.read(at, 4 * KIB) != wanted:
                self.wrong.append(f"at {at} in the end")
        assert self.wrong == []


def test_a_missing_disk_is_replaced_and_its_old_lun_is_nobodys_when_it_comes_back(lab: EngineLab) -> None:
    lab.make_volume(mirrors=2)
    data = pattern(1, 24 * MIB)
    assert lab.write(data, 0) == 0
    old, by = disk_of(lab, 0), free_disk(lab)
    name = lab.config.disk(old).name
    path = pull(lab, old)
    lab.do(Rescan())
    assert lab.config.disk(old).status is DiskStatus.MISSING
    assert lab.config.subdisks_on(old), "a missing disk stays visible with its objects"
    newer = pattern(2, MIB)
    assert lab.write(newer, 0) == 0
    lab.do(ReplaceDisk(disk=old, by=by))
    assert lab.config.disk(by).name == name
    assert lab.volume().status is VolumeStatus.HEALTHY
    assert lab.equal()
    bring_back(path)
    lab.do(Rescan())
    back = next(disk for disk in lab.config.all(Kind.DISK, Disk) if disk.lun == str(path))
    assert back.group is None
    assert lab.config.subdisks_on(back.ref) == []
    lab.restart_frail()
    assert lab.read(0, MIB) == newer
    assert lab.read(MIB, 23 * MIB) == data[MIB:]
    assert lab.equal()
    assert lab.config.disk(by).name == name


def test_a_failing_disk_is_replaced_under_a_writer(lab: EngineLab) -> None:
    lab.make_volume(mirrors=2, striped=True, columns=2, size=16 * MIB)
    old, by = disk_of(lab, 0), free_disk(lab)
    name = lab.config.disk(by).name
    with Writer(lab, 16 * MIB) as writer:
        writer.wait_turns(50)
        lab.lun(old).fail("read", "write", persistent=True, at=lambda offset: offset >= 5 * MIB)
        assert lab.engine.committer.wait_until(lambda config: config.disk(old).failing, 60)
        lab.do(ReplaceDisk(disk=old, by=by))
        writer.wait_turns(50)
    former = lab.config.disk(old)
    assert (former.group, former.name) == (None, name)
    label = read_label(lab.lun(old))
    assert label is not None
    assert label.group == ""
    settle(lab)
    assert lab.volume().status is VolumeStatus.HEALTHY
    assert lab.equal()


def test_a_replacement_that_cannot_be_written_changes_nothing(lab: EngineLab) -> None:
    lab.make_volume(mirrors=2)
    assert lab.write(pattern(3, MIB), 0) == 0
    old, by = disk_of(lab, 0), free_disk(lab)
    lab.lun(old).fail("write", persistent=True, at=lambda offset: offset >= 5 * MIB)
    assert lab.write(pattern(4, MIB), 0) == 0
    lab.lun(by).fail("durable", "write", "zero", persistent=True)
    before = lab.config.disk(old)
    with pytest.raises(Exception, match="failed"):
        lab.engine.submit(ReplaceDisk(disk=old, by=by))
    assert lab.config.disk(old) == before
    assert lab.config.disk(by).group is None
    lab.lun(by).heal()
    lab.do(ReplaceDisk(disk=old, by=by))
    assert lab.volume().status is VolumeStatus.HEALTHY


def test_a_failing_disk_outlives_rescans_and_restarts_until_it_is_reactivated(lab: EngineLab) -> None:
    lab.make_volume(mirrors=2)
    disk = disk_of(lab, 0)
    lab.lun(disk).fail("write", persistent=True, at=lambda offset: offset >= 5 * MIB)
    assert lab.write(pattern(5, MIB), 0) == 0
    for look in (lambda: lab.do(Rescan()), lab.restart_frail, lambda: lab.do(Rescan())):
        look()
        assert lab.config.disk(disk).status is DiskStatus.FAILING
        assert states(lab)[0] is PlexState.IOFAIL
    lab.do(ReactivateDisk(disk=disk))
    assert lab.config.disk(disk).status is DiskStatus.IMPORTED
    assert lab.volume().status is VolumeStatus.HEALTHY
    assert lab.equal()


def test_a_disk_whose_label_is_another_ones_is_not_reactivated(lab: EngineLab) -> None:
    lab.make_volume(mirrors=2)
    disk, other = disk_of(lab, 0), disk_of(lab, 1)
    lun = lab.lun(disk)
    lun.fail("write", persistent=True, at=lambda offset: offset >= 5 * MIB)
    assert lab.write(pattern(6, MIB), 0) == 0
    lun.heal()
    with open(lab.path_of(other), "rb") as source, open(lab.path_of(disk), "r+b") as target:
        target.write(source.read(6 * MIB))
    with pytest.raises(Exception, match="not the disk"):
        lab.engine.submit(ReactivateDisk(disk=disk))
    assert lab.config.disk(disk).failing
    assert lab.read(0, MIB) == pattern(6, MIB)


def test_repair_and_undo_under_a_writer_and_a_crash_in_between(lab: EngineLab) -> None:
    lab.make_volume(mirrors=2, size=16 * MIB)
    old = disk_of(lab, 0)
    with Writer(lab, 16 * MIB) as writer:
        writer.wait_turns(30)
        lab.lun(old).fail("write", persistent=True, at=lambda offset: offset >= 5 * MIB)
        assert lab.engine.committer.wait_until(lambda config: config.disk(old).failing, 60)
        lab.do(RepairVolumes(volumes=(lab.volume().ref,)))
        writer.wait_turns(30)
    assert old not in {sd.disk for plex in lab.plexes() for sd in lab.config.subdisks_of(plex.ref)}
    settle(lab)
    assert lab.equal()
    lab.kill()
    lab.start(frail=True)
    settle(lab)
    lab.do(ReactivateDisk(disk=old))
    with Writer(lab, 16 * MIB, seed=2) as writer:
        writer.wait_turns(10)
        lab.do(UndoRelocation(disk=old))
        writer.wait_turns(10)
    assert disk_of(lab, 0) == old
    settle(lab)
    assert lab.equal()


def test_a_crash_while_a_replaced_disk_is_filled_goes_on_with_the_copy(lab: EngineLab) -> None:
    lab.make_volume(mirrors=2)
    data = pattern(7, 24 * MIB)
    assert lab.write(data, 0) == 0
    old, by = disk_of(lab, 0), free_disk(lab)
    path = pull(lab, old)
    lab.do(Rescan())
    lab.do(ChangeSettings(iodelay_ms=(TaskDelay(TaskType.RESYNC, 60_000),)))
    task = lab.engine.submit(ReplaceDisk(disk=old, by=by))
    assert states(lab)[0] is PlexState.FILLING
    newer = pattern(17, MIB)
    assert lab.write(newer, 0) == 0
    lab.kill()
    bring_back(path)
    lab.start(frail=True)
    assert states(lab)[0] is PlexState.FILLING
    lab.do(ThrottleTask(task=task, iodelay_ms=0))
    settle(lab)
    assert lab.config.task(task).state is TaskState.COMPLETED
    assert lab.read(0, 24 * MIB) == newer + data[MIB:]
    assert lab.volume().status is VolumeStatus.HEALTHY
    assert lab.equal()


# --- LUNs that play tricks ---
def test_two_luns_that_change_places_are_the_disks_that_their_labels_say(lab: EngineLab) -> None:
    lab.make_volume(mirrors=2)
    data = pattern(8, 24 * MIB)
    assert lab.write(data, 0) == 0
    one, other = (lab.path_of(disk_of(lab, number)) for number in range(2))
    lab.stop()
    swap(one, other)
    lab.start(frail=True)
    assert lab.read(0, 24 * MIB) == data
    settle(lab)
    assert lab.volume().status is VolumeStatus.HEALTHY
    assert lab.equal()


def test_two_luns_that_change_places_while_they_are_used_give_no_wrong_byte(lab: EngineLab) -> None:
    lab.make_volume(mirrors=2)
    data = pattern(9, 24 * MIB)
    assert lab.write(data, 0) == 0
    one, other = (lab.path_of(disk_of(lab, number)) for number in range(2))
    swap(one, other)
    lab.do(Rescan())
    assert lab.read(0, 24 * MIB) == data
    lab.restart_frail()
    assert lab.read(0, 24 * MIB) == data


def test_a_copy_of_a_lun_beside_it_and_an_old_copy_in_its_place_are_never_read(lab: EngineLab, tmp_path: Path) -> None:
    lab.make_volume(mirrors=2)
    assert lab.write(pattern(10, 24 * MIB), 0) == 0
    assert lab.flush() == 0
    path = lab.path_of(disk_of(lab, 0))
    old = tmp_path / "old copy"
    shutil.copyfile(path, old)
    data = pattern(11, 24 * MIB)
    assert lab.write(data, 0) == 0
    shutil.copyfile(old, path.with_name("twin.img"))
    lab.do(Rescan())
    assert lab.read(0, 24 * MIB) == data
    path.rename(path.with_name("taken away"))
    old.rename(path)
    lab.do(Rescan())
    assert lab.read(0, 24 * MIB) == data
    lab.restart_frail()
    assert lab.read(0, 24 * MIB) == data
    settle(lab)
    assert lab.read(0, 24 * MIB) == data


def test_a_disk_that_returns_stale_is_never_read_before_it_is_caught_up(lab: EngineLab) -> None:
    lab.make_volume(mirrors=2)
    assert lab.write(pattern(12, 24 * MIB), 0) == 0
    disk = disk_of(lab, 0)
    path = pull(lab, disk)
    lab.do(Rescan())
    data = pattern(13, 24 * MIB)
    assert lab.write(data, 0) == 0
    bring_back(path)
    lab.do(Rescan())
    assert lab.read(0, 24 * MIB) == data
    settle(lab)
    if lab.volume().copies < 2:
        lab.do(ReactivateDisk(disk=disk))
        settle(lab)
    assert lab.volume().status is VolumeStatus.HEALTHY
    assert lab.equal()
    assert lab.read(0, 24 * MIB) == data


def swap(one: Path, other: Path) -> None:
    aside = one.with_name("aside")
    one.rename(aside)
    other.rename(one)
    aside.rename(other)


def test_a_sound_disk_and_a_used_one_are_no_case_for_a_replacement(lab: EngineLab) -> None:
    lab.make_volume(mirrors=2)
    first, second = disk_of(lab, 0), disk_of(lab, 1)
    for disk, by in ((first, free_disk(lab)), (first, second)):
        with pytest.raises(CommandRejected):
            lab.engine.submit(ReplaceDisk(disk=disk, by=by))
