"""Space that is being filled with zeros when its disk goes: whatever comes back in its place, nobody ever reads what
stands there."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

import pytest

from engine.commands import (
    ChangeSettings,
    CreateVolume,
    GrowVolume,
    PauseTask,
    Rescan,
    ResumeTask,
    StartVolumes,
    ThrottleTask,
)
from engine.errors import CommandRejected, DeviceError
from engine.look import scanner
from engine.records import Kind, Ref, TaskDelay, TaskState, TaskType, Volume
from engine.units import MIB
from tests.engine.engine_lab import EngineLab, lab_fixture

lab = lab_fixture()


def resting(lab: EngineLab, command: CreateVolume | GrowVolume, type_: TaskType) -> Ref:
    """The task of a command that rests when its first pieces have been filled."""
    lab.do(ChangeSettings(iodelay_ms=(TaskDelay(type=type_, iodelay_ms=8_000),)))
    task = lab.engine.submit(command)
    assert lab.engine.committer.wait_until(lambda config: config.task(task).bytes_done > 0, 60)
    lab.engine.submit(PauseTask(task=task))
    assert lab.engine.committer.wait_until(lambda config: config.task(task).state is TaskState.PAUSED, 60)
    assert lab.config.task(task).checkpoint
    return task


def exchange(lab: EngineLab, piece: Ref) -> None:
    """An older image of a disk takes its place, with other bytes where a subdisk lies."""
    place = lab.config.subdisk(piece)
    lun = lab.path_of(place.disk)
    image = Path(shutil.copyfile(lun, lun.with_suffix(".image")))
    with image.open("r+b") as file:
        file.seek(place.disk_offset)
        file.write(b"\xee" * place.length)
    image.replace(lun)


def go_on(lab: EngineLab, task: Ref) -> None:
    """As far as it has not ended."""
    lab.do(ChangeSettings(iodelay_ms=()))
    with contextlib.suppress(CommandRejected):
        lab.engine.submit(ThrottleTask(task=task, iodelay_ms=0))
        lab.engine.submit(ResumeTask(task=task))
    assert lab.engine.wait(task, 60)


@pytest.mark.parametrize("again", [False, True])
def test_a_volume_that_is_being_made_goes_with_a_disk_of_it(lab: EngineLab, again: bool) -> None:
    command = CreateVolume(group=lab.group().ref, name="v", size=4 * MIB, mirrors=2, striped=True, columns=2)
    task = resting(lab, command, TaskType.CREATE_VOLUME)
    piece = lab.config.task(task).params.subdisks[0]
    if again:  # it has gone before a start, and is there at a look after that
        lun = lab.path_of(lab.config.subdisk(piece).disk)
        exchange(lab, piece)
        away = lun.rename(lun.with_suffix(".away"))
        lab.restart()
        away.rename(lun)
    else:
        exchange(lab, piece)
    lab.do(Rescan())
    go_on(lab, task)
    left = lab.config.find(Kind.VOLUME, "v", lab.group().ref)
    assert not isinstance(left, Volume) or lab.read(0, 4 * MIB) == bytes(4 * MIB)
    assert left is None
    assert lab.config.task(task).state is TaskState.FAILED
    assert not any(disk.failing for disk in lab.config.disks_of(lab.group().ref))


def test_a_volume_keeps_its_size_when_a_disk_goes_while_it_grows(lab: EngineLab) -> None:
    lab.make_volume(size=4 * MIB, striped=True, columns=4)
    task = resting(lab, GrowVolume(volume=lab.volume().ref, size=8 * MIB), TaskType.GROW_VOLUME)
    exchange(lab, lab.config.task(task).params.subdisks[0])
    lab.do(Rescan())
    go_on(lab, task)
    lab.do(StartVolumes(volumes=(lab.volume().ref,)))
    behind = lab.volume().size - 4 * MIB
    assert lab.read(4 * MIB, behind) == bytes(behind)
    assert lab.volume().size == 4 * MIB
    lab.do(GrowVolume(volume=lab.volume().ref, size=8 * MIB))
    assert lab.read(4 * MIB, 4 * MIB) == bytes(4 * MIB)


def test_no_task_gets_what_stands_at_the_path_of_a_disk_that_has_gone(
    lab: EngineLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As long as nobody has looked what that is."""
    disk = lab.config.disks_of(lab.group().ref)[0].ref
    lun, host, looks = lab.path_of(disk), lab.engine._runner._host, []
    looked = scanner.scan

    def look(*given: object) -> object:
        try:
            looks.append(host.device(disk).size)
        except DeviceError:
            looks.append(0)
        return looked(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(scanner, "scan", look)
    lun.rename(lun.with_suffix(".away"))
    with lun.open("wb") as file:
        file.truncate(64 * MIB)
    lab.do(Rescan())
    assert looks
    assert not any(looks)
