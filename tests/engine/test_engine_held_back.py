"""Volumes that are held back, as nobody knows how old what they have is: who is still connected reads nothing of it,
and what is believed in the end is believed as a whole."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

import pytest

from engine.commands import (
    AddMirrors,
    AttachPlex,
    ChangeSettings,
    DetachPlex,
    Move,
    MoveSubdisks,
    PauseTask,
    Rescan,
    ResumeTask,
    StartVolumes,
    ThrottleTask,
    VerifyVolume,
)
from engine.commands.volumes import LogType
from engine.errors import CommandRejected
from engine.records import Kind, Ref, Subdisk, Task, TaskDelay, TaskState, TaskType
from engine.units import KIB, MIB
from tests.engine.engine_lab import EngineLab, lab_fixture
from tests.engine.test_engine_life import pattern

lab = lab_fixture()

STEP = 16 * KIB


def filled(lab: EngineLab, run: int) -> bytes:
    data = pattern(run, lab.volume().size)
    assert lab.write(data) == 0
    assert lab.flush() == 0
    return data


def pieces(lab: EngineLab) -> list[Subdisk]:
    return [piece for plex in lab.plexes() for piece in lab.config.subdisks_of(plex.ref)]


def image_of(lab: EngineLab, piece: Subdisk) -> Path:
    lun = lab.path_of(piece.disk)
    return Path(shutil.copyfile(lun, lun.with_suffix(".image")))


def put_back(*images: Path) -> None:
    for image in images:
        image.replace(image.with_suffix(".img"))


def older(lab: EngineLab, image: Path, *, stopped: bool) -> None:
    """An older image takes a disk's place, while nobody looks or under a living engine."""
    if stopped:
        lab.stop()
    put_back(image)
    if stopped:
        lab.start()
    else:
        lab.do(Rescan())


def nothing_old(lab: EngineLab, new: bytes | bytearray) -> None:
    """What a client gets that is still connected."""
    for at in range(0, len(new), STEP):
        with contextlib.suppress(OSError):
            assert lab.read(at, STEP) == new[at : at + STEP]


def test_a_column_that_was_exchanged_while_another_is_away(lab: EngineLab) -> None:
    lab.make_volume(size=8 * MIB, raid5=True, columns=3)
    filled(lab, 1)
    away, old, _ = pieces(lab)
    image = image_of(lab, old)
    lab.path_of(away.disk).rename(lab.path_of(away.disk).with_suffix(".away"))
    lab.do(Rescan())
    new = filled(lab, 2)
    put_back(image)
    lab.do(Rescan())
    assert lab.volume().fenced
    nothing_old(lab, new)


def test_both_mirrors_that_were_exchanged_at_once(lab: EngineLab) -> None:
    lab.make_volume(size=8 * MIB, mirrors=2)
    filled(lab, 1)
    images = [image_of(lab, piece) for piece in pieces(lab)]
    new = filled(lab, 2)
    put_back(*images)
    lab.do(Rescan())
    assert lab.volume().fenced
    nothing_old(lab, new)
    lab.do(StartVolumes(volumes=(lab.volume().ref,)))
    assert len(lab.read(0, len(new))) == len(new)
    assert lab.write(new) == 0


@pytest.mark.parametrize("left", ["away", "detached"])
def test_the_only_complete_mirror_is_an_old_image_at_a_start(lab: EngineLab, left: str) -> None:
    lab.make_volume(size=8 * MIB, mirrors=2)
    filled(lab, 1)
    out, old = pieces(lab)
    image = image_of(lab, old)
    new = bytearray(filled(lab, 3))
    if left == "away":
        lab.path_of(out.disk).rename(lab.path_of(out.disk).with_suffix(".away"))
        lab.do(Rescan())
    else:
        lab.do(DetachPlex(plex=out.plex))
    new[:MIB] = pattern(2, MIB)
    assert lab.write(bytes(new[:MIB])) == 0
    lab.stop()
    put_back(image)
    lab.start()
    assert lab.volume().fenced
    assert not lab.volume().serving
    nothing_old(lab, new)
    lab.do(StartVolumes(volumes=(lab.volume().ref,)))
    if left == "away":
        away = next(lab.lab.glob("**/*.away"))
        away.rename(away.with_suffix(".img"))
        lab.do(Rescan())
    lab.do(AttachPlex(plex=out.plex))  # what it had missed is not all that it lacks
    assert lab.equal()


@pytest.mark.parametrize("stopped", [False, True])
def test_two_mirrors_that_are_images_of_different_times_are_made_equal(lab: EngineLab, stopped: bool) -> None:
    lab.make_volume(size=8 * MIB, mirrors=2)
    filled(lab, 1)
    first = image_of(lab, pieces(lab)[0])
    filled(lab, 3)
    second = image_of(lab, pieces(lab)[1])
    new = filled(lab, 2)
    if stopped:
        lab.stop()
        put_back(first, second)
        lab.start()
    else:
        put_back(first, second)
        lab.do(Rescan())
    assert lab.volume().fenced
    assert not lab.volume().serving
    nothing_old(lab, new)
    lab.do(StartVolumes(volumes=(lab.volume().ref,)))
    believed = lab.read(0, len(new))
    assert lab.engine.committer.wait_until(lambda config: not any(not t.ended for t in config.all(Kind.TASK, Task)), 60)
    assert lab.read(0, len(new)) == believed
    assert lab.equal()


def begun(lab: EngineLab) -> Ref:
    """A parity resynchronization that rests behind its first rows."""
    delay = TaskDelay(type=TaskType.PARITY, iodelay_ms=8_000)
    lab.do(ChangeSettings(iodelay_ms=(delay,)))
    lab.kill()
    lab.start()
    (task,) = (one.ref for one in lab.config.all(Kind.TASK, Task) if one.type is TaskType.PARITY)
    assert lab.engine.committer.wait_until(lambda config: config.task(task).bytes_done > 0, 60)
    lab.engine.submit(PauseTask(task=task))
    assert lab.engine.committer.wait_until(lambda config: config.task(task).state is TaskState.PAUSED, 60)
    assert lab.config.task(task).checkpoint
    return task


@pytest.mark.parametrize("stopped", [False, True])
def test_parity_follows_from_a_column_that_the_operator_believes_from_the_first_row_on(
    lab: EngineLab, stopped: bool
) -> None:
    lab.make_volume(size=12 * MIB, raid5=True, columns=3, log=LogType.NONE)
    filled(lab, 1)
    image = image_of(lab, pieces(lab)[1])
    new = filled(lab, 2)
    task = begun(lab)
    older(lab, image, stopped=stopped)
    assert lab.volume().fenced
    nothing_old(lab, new)
    lab.do(StartVolumes(volumes=(lab.volume().ref,)))
    lab.engine.submit(ThrottleTask(task=task, iodelay_ms=0))
    lab.engine.submit(ResumeTask(task=task))
    assert lab.engine.wait(task, 60)
    assert lab.volume().parity_known
    assert lab.do(VerifyVolume(volume=lab.volume().ref)).result == "All parity of v is right."


@pytest.mark.parametrize("stopped", [False, True])
@pytest.mark.parametrize("type_", [TaskType.ADD_MIRROR, TaskType.MOVE_SUBDISK])
def test_a_copy_of_what_the_operator_believes_begins_anew(lab: EngineLab, type_: TaskType, stopped: bool) -> None:
    """What had been copied before is newer than what is believed."""
    lab.make_volume(size=8 * MIB)
    filled(lab, 1)
    image = image_of(lab, pieces(lab)[0])
    filled(lab, 2)
    lab.do(ChangeSettings(iodelay_ms=(TaskDelay(type=type_, iodelay_ms=8_000),)))
    volume, moved = lab.volume().ref, Move(pieces(lab)[0].ref)
    command = AddMirrors(volume=volume) if type_ is TaskType.ADD_MIRROR else MoveSubdisks(moves=(moved,))
    task = lab.engine.submit(command)
    assert lab.engine.committer.wait_until(lambda config: config.task(task).bytes_done > 0, 60)
    lab.engine.submit(PauseTask(task=task))
    assert lab.engine.committer.wait_until(lambda config: config.task(task).state is TaskState.PAUSED, 60)
    older(lab, image, stopped=stopped)
    lab.do(StartVolumes(volumes=(volume,)))
    believed = lab.read(0, lab.volume().size)
    with contextlib.suppress(CommandRejected):
        lab.engine.submit(ThrottleTask(task=task, iodelay_ms=0))
        lab.engine.submit(ResumeTask(task=task))
    assert lab.engine.wait(task, 60)
    for _ in range(2):  # each region from one mirror, then from the other
        assert lab.read(0, len(believed)) == believed
    assert lab.equal()
