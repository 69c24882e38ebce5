"""Striped volumes that get another column while they are in use."""

from __future__ import annotations

import random
import threading

import pytest

from engine.commands import (
    AbortTask,
    AddColumn,
    ChangeSettings,
    PauseTask,
    ResumeTask,
    SetVolumeUsage,
    ThrottleTask,
    VerifyVolume,
)
from engine.errors import CommandRejected
from engine.records import Ref, TaskDelay, TaskState, TaskType, VolumeLayout
from engine.units import KIB, MIB
from tests.engine.engine_lab import EngineLab, lab_fixture
from tests.engine.test_engine_life import pattern

SIZE = 18 * MIB


lab = lab_fixture(8, luns=4)


def striped(lab: EngineLab, **choices: object) -> bytes:
    lab.make_volume(size=SIZE, striped=True, columns=2, **choices)
    data = pattern(1, SIZE)
    assert lab.write(data) == 0
    return data


def begin(lab: EngineLab, *, slow: bool = False) -> Ref:
    if slow:
        lab.do(ChangeSettings(iodelay_ms=(TaskDelay(TaskType.ADD_COLUMN, 3000),)))
    return lab.engine.submit(AddColumn(volume=lab.volume().ref))


def check_shape(lab: EngineLab, columns: int, mirrors: int = 1) -> None:
    plexes = lab.plexes()
    assert [plex.columns for plex in plexes] == [columns] * mirrors
    disks = [sd.disk for plex in plexes for sd in lab.config.subdisks_of(plex.ref)]
    assert len(set(disks)) == len(disks) == columns * mirrors


def test_a_column_more_keeps_every_byte_the_name_and_the_size(lab: EngineLab) -> None:
    data = striped(lab)
    free, before = lab.group().free, lab.plexes()[0].name
    plan = lab.engine.plan(AddColumn(volume=lab.volume().ref))
    assert (plan.copies_bytes, len(plan.allocates), len(plan.frees)) == (SIZE, 3, 2)
    lab.do(AddColumn(volume=lab.volume().ref))
    check_shape(lab, 3)
    assert [plex.name for plex in lab.plexes()] == [before]
    assert (lab.volume().size, lab.volume().layout) == (SIZE, VolumeLayout.STRIPE)
    assert lab.group().free == free
    assert lab.read(0, SIZE) == data
    lab.restart()
    assert lab.read(0, SIZE) == data
    lab.do(AddColumn(volume=lab.volume().ref))
    check_shape(lab, 4)
    assert lab.read(0, SIZE) == data


def test_every_striped_mirror_gets_one(lab: EngineLab) -> None:
    data = striped(lab, mirrors=2)
    lab.do(SetVolumeUsage(volume=lab.volume().ref, preferred=lab.plexes()[1].ref))
    lab.do(AddColumn(volume=lab.volume().ref))
    check_shape(lab, 3, mirrors=2)
    assert lab.volume().preferred == lab.plexes()[1].ref
    lab.do(VerifyVolume(volume=lab.volume().ref))
    assert lab.read(0, SIZE) == data


def test_writes_go_on_meanwhile(lab: EngineLab, seed: int) -> None:
    dice, expected = random.Random(seed), bytearray(striped(lab))
    task = begin(lab, slow=True)
    ended = threading.Event()

    def write() -> None:
        while not ended.is_set():
            at = dice.randrange(SIZE // (4 * KIB) - 16) * 4 * KIB
            data = dice.randbytes(dice.choice((512, 4 * KIB, 64 * KIB)))
            assert lab.write(data, at) == 0
            expected[at : at + len(data)] = data

    writer = threading.Thread(target=write, name="writer")
    writer.start()
    lab.engine.submit(ThrottleTask(task=task, iodelay_ms=20))
    assert lab.engine.wait(task, 60)
    ended.set()
    writer.join()
    assert lab.config.task(task).state is TaskState.COMPLETED
    check_shape(lab, 3)
    assert lab.read(0, SIZE) == expected


@pytest.mark.parametrize("killed", [False, True])
def test_it_goes_on_after_a_stop_and_after_a_crash(lab: EngineLab, killed: bool) -> None:
    expected = bytearray(striped(lab))
    task = begin(lab, slow=True)
    assert lab.write(b"meanwhile" * 100, 5 * MIB) == 0
    expected[5 * MIB : 5 * MIB + 900] = b"meanwhile" * 100
    assert lab.flush() == 0
    if killed:
        lab.kill()
    else:
        lab.stop()
    lab.start()
    lab.engine.submit(ThrottleTask(task=task, iodelay_ms=0))
    assert lab.engine.wait(task, 60)
    check_shape(lab, 3)
    assert lab.read(0, SIZE) == expected


def test_an_abort_leaves_what_was(lab: EngineLab) -> None:
    data, free = striped(lab), lab.group().free
    task = begin(lab, slow=True)
    lab.engine.submit(PauseTask(task=task))
    assert lab.engine.committer.wait_until(lambda config: config.task(task).state is TaskState.PAUSED, 60)
    lab.engine.submit(ResumeTask(task=task))
    lab.engine.submit(AbortTask(task=task))
    assert lab.engine.wait(task, 60)
    assert lab.config.task(task).result == "Aborted. The volume kept the columns that it had."
    check_shape(lab, 2)
    assert lab.group().free == free
    assert lab.read(0, SIZE) == data


def test_what_cannot_get_a_column_says_why(lab: EngineLab) -> None:
    lab.make_volume(size=MIB)
    with pytest.raises(CommandRejected, match="not striped"):
        lab.engine.submit(AddColumn(volume=lab.volume().ref))
    lab.make_volume("r", size=6 * MIB, raid5=True, columns=3)
    with pytest.raises(CommandRejected, match="RAID-5"):
        lab.engine.submit(AddColumn(volume=lab.volume("r").ref))
    lab.make_volume("full", size=8 * MIB, striped=True, columns=8)
    with pytest.raises(CommandRejected, match="without a part of full"):
        lab.engine.submit(AddColumn(volume=lab.volume("full").ref))


def test_the_disk_of_the_new_column_may_be_named(lab: EngineLab) -> None:
    striped(lab)
    taken = {sd.disk for sd in lab.config.subdisks_of(lab.plexes()[0].ref)}
    wanted = [disk.ref for disk in lab.config.disks_of(lab.group().ref) if disk.ref not in taken][-1]
    lab.do(AddColumn(volume=lab.volume().ref, disks=(wanted,)))
    assert {sd.disk for sd in lab.config.subdisks_of(lab.plexes()[0].ref)} == {*taken, wanted}
