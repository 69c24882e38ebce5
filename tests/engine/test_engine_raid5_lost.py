"""Lost disks under RAID-5: relocated, replaced, returned, with the log that lay there, under a writer that verifies."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from engine.commands import (
    ChangeSettings,
    ReactivateDisk,
    RepairVolumes,
    ReplaceDisk,
    Rescan,
    UndoRelocation,
)
from engine.config import Edit
from engine.dataplane.fault import Fault, FaultKind
from engine.dataplane.request import Op
from engine.records import PieceState, PlexState, Ref, TaskDelay, TaskType, VolumeStatus
from engine.units import KIB, MIB
from tests.engine.engine_lab import EngineLab
from tests.engine.test_engine_faults import bring_back, pull
from tests.engine.test_engine_raid5 import parity_is_right, pieces
from tests.engine.test_engine_relocate import wait_for_status
from tests.engine.test_engine_replace import Writer, free_disk, settle

SIZE = 16 * MIB


def made(tmp_path: Path, *, relocates: bool) -> EngineLab:
    lab = EngineLab(tmp_path, luns=5).start(frail=True, relocates=relocates)
    lab.make_group(7)
    lab.make_volume(size=SIZE, raid5=True, columns=3, stripe_unit=16 * KIB)
    return lab


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[EngineLab]:
    lab = made(tmp_path, relocates=False)
    yield lab
    if lab.opened is not None:
        lab.stop()


def log_disk(lab: EngineLab) -> Ref:
    (log,) = lab.config.logs_of(lab.volume().ref)
    return lab.config.subdisks_of(log.ref)[0].disk


def fails(lab: EngineLab, disk: Ref) -> None:
    lab.lun(disk).fail("read", "write", "durable", persistent=True, at=lambda offset: offset >= 5 * MIB)


def failing(lab: EngineLab, disk: Ref) -> None:
    assert lab.engine.committer.wait_until(lambda config: config.disk(disk).failing, 60)


def test_a_column_of_a_failing_disk_is_relocated_by_itself_and_brought_home(tmp_path: Path) -> None:
    lab = made(tmp_path, relocates=True)
    try:
        old = pieces(lab)[1].disk
        with Writer(lab, SIZE) as writer:
            writer.wait_turns(20)
            fails(lab, old)
            failing(lab, old)
            wait_for_status(lab, VolumeStatus.HEALTHY)
            writer.wait_turns(20)
        assert old not in {piece.disk for piece in pieces(lab)}
        assert parity_is_right(lab)
        lab.lun(old).heal()
        lab.do(ReactivateDisk(disk=old))
        with Writer(lab, SIZE, seed=2) as writer:
            lab.do(UndoRelocation(disk=old))
            writer.wait_turns(5)
        assert pieces(lab)[1].disk == old
        assert parity_is_right(lab)
    finally:
        lab.stop()


def test_a_missing_disk_with_a_column_is_replaced_under_a_writer(lab: EngineLab) -> None:
    old, by = pieces(lab)[2].disk, free_disk(lab)
    with Writer(lab, SIZE) as writer:
        writer.wait_turns(20)
        path = pull(lab, old)
        lab.do(Rescan())
        assert lab.volume().status is VolumeStatus.DEGRADED
        writer.wait_turns(20)
        lab.do(ReplaceDisk(disk=old, by=by))
        writer.wait_turns(20)
    assert pieces(lab)[2].disk == by
    assert lab.volume().status is VolumeStatus.HEALTHY
    assert parity_is_right(lab)
    bring_back(path)
    lab.do(Rescan())
    lab.restart_frail()
    settle(lab)
    assert parity_is_right(lab)


def test_a_disk_comes_back_into_service_with_its_column_and_the_log(lab: EngineLab) -> None:
    for disk in (pieces(lab)[0].disk, log_disk(lab)):
        with Writer(lab, SIZE, seed=3) as writer:
            writer.wait_turns(10)
            fails(lab, disk)
            failing(lab, disk)
            writer.wait_turns(10)
            lab.lun(disk).heal()
            lab.do(ReactivateDisk(disk=disk))
            settle(lab)
            writer.wait_turns(10)
        assert {piece.state for piece in pieces(lab)} == {PieceState.GOOD}
        assert lab.config.logs_of(lab.volume().ref)[0].state is PlexState.ACTIVE
        assert lab.volume().status is VolumeStatus.HEALTHY
        assert parity_is_right(lab)


@pytest.mark.parametrize("how", ["repair", "replace"])
def test_the_log_of_a_lost_disk_gets_another_place_and_closes_the_hole_again(lab: EngineLab, how: str) -> None:
    disk, by = log_disk(lab), free_disk(lab)
    with Writer(lab, SIZE) as writer:
        writer.wait_turns(10)
        fails(lab, disk)
        failing(lab, disk)
        writer.wait_turns(10)
        if how == "repair":
            lab.do(RepairVolumes(volumes=(lab.volume().ref,)))
        else:
            lab.do(ReplaceDisk(disk=disk, by=by))
        writer.wait_turns(10)
    (log,) = lab.config.logs_of(lab.volume().ref)
    assert log.state is PlexState.ACTIVE
    assert log_disk(lab) != disk
    lab.kill()
    lab.start(frail=True)
    settle(lab)
    assert lab.volume().parity_known
    assert parity_is_right(lab)


def test_a_second_column_is_never_given_up_for_a_repair(lab: EngineLab) -> None:
    """Two columns fail: the second one can't be spared, and stays where it is until the first one is whole."""
    first, second = pieces(lab)[0].disk, pieces(lab)[1].disk
    data = bytes(range(256)) * 4096
    assert lab.write(data, 0) == 0
    fails(lab, first)
    for at in range(0, 64 * KIB, 16 * KIB):
        assert lab.write(data[at : at + 16 * KIB], at) == 0
    failing(lab, first)
    lab.do(RepairVolumes(volumes=(lab.volume().ref,)))
    assert lab.volume().status is VolumeStatus.HEALTHY
    fails(lab, second)
    for at in range(0, 64 * KIB, 16 * KIB):
        assert lab.write(data[at : at + 16 * KIB], at) == 0
    failing(lab, second)
    lab.do(RepairVolumes(volumes=(lab.volume().ref,)))
    assert {first, second}.isdisjoint({piece.disk for piece in pieces(lab)})
    assert lab.volume().status is VolumeStatus.HEALTHY
    assert lab.read(0, len(data)) == data
    assert parity_is_right(lab)


def test_a_late_word_of_the_disk_that_a_column_has_left_says_nothing_of_its_new_place(lab: EngineLab) -> None:
    ref, piece = lab.volume().ref, pieces(lab)[1]
    fails(lab, piece.disk)
    assert lab.write(b"x" * SIZE, 0) == 0
    failing(lab, piece.disk)
    lab.do(ChangeSettings(iodelay_ms=(TaskDelay(TaskType.REBUILD, 100),)))
    task = lab.engine.submit(RepairVolumes(volumes=(ref,)))
    late = Fault(
        "v", FaultKind.LEG, Op.WRITE, lab.lun(piece.disk), piece.plex, piece.ref, errno.EIO, offset=0, length=4096
    )
    lab.engine._faults._decide(ref, late)
    assert lab.engine.wait(task, 60)
    assert lab.config.task(task).state == "completed", lab.config.task(task).result
    assert lab.volume().status is VolumeStatus.HEALTHY
    lab.engine._faults._decide(ref, late)
    assert lab.volume().status is VolumeStatus.HEALTHY
    assert lab.flush() == 0
    assert parity_is_right(lab)


def test_of_two_failing_disks_one_column_is_given_another_place_after_the_other(lab: EngineLab) -> None:
    """Both are still read: each could be spared, and both at once would be the end of the volume."""
    disks = [pieces(lab)[column].disk for column in (0, 1)]
    data = bytes(range(256)) * (SIZE // 256)
    assert lab.write(data, 0) == 0
    failing = [replace(lab.config.disk(disk), failing=True) for disk in disks]

    def change(edit: Edit) -> None:
        for disk in failing:
            edit.put(disk)

    lab.engine.committer.commit(change)
    for left in (1, 0):
        lab.do(RepairVolumes(volumes=(lab.volume().ref,)))
        assert lab.read(0, SIZE) == data
        assert len({piece.disk for piece in pieces(lab)}.intersection(disks)) == left
    assert lab.volume().status is VolumeStatus.HEALTHY
    assert lab.flush() == 0
    assert parity_is_right(lab)
