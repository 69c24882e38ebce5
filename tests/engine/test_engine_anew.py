"""Copies that something upsets begin anew by themselves: what they leave is equal to the mirror that is believed."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.commands import (
    AddColumn,
    AddMirrors,
    ChangeSettings,
    Command,
    EvacuateDisk,
    Move,
    MoveSubdisks,
    ResyncVolume,
    ThrottleTask,
)
from engine.errors import CommandRejected
from engine.records import PlexState, Ref, Task, TaskDelay, TaskState, TaskType
from engine.units import MIB
from tests.engine.engine_lab import EngineLab
from tests.engine.model_sink import eventually
from tests.engine.test_engine_faults import disk_of
from tests.engine.test_engine_life import pattern

COPYING = (
    TaskType.ADD_MIRROR,
    TaskType.ADD_COLUMN,
    TaskType.RESYNC,
    TaskType.MOVE_SUBDISK,
    TaskType.EVACUATE_DISK,
)


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[EngineLab]:
    made = EngineLab(tmp_path, luns=5).start(frail=True)
    made.make_group(9)
    made.do(ChangeSettings(iodelay_ms=tuple(TaskDelay(each, 60_000) for each in COPYING)))
    yield made
    if made.opened is not None:
        made.stop()


def begin(lab: EngineLab, command: Command) -> Ref:
    """A copy that has done a mebibyte or two, and rests."""
    task = lab.engine.submit(command)
    assert lab.engine.committer.wait_until(lambda config: config.task(task).state == "running", 60)
    return task


def finish(lab: EngineLab, task: Ref) -> Task:
    with contextlib.suppress(CommandRejected):  # it has ended
        lab.engine.submit(ThrottleTask(task=task, iodelay_ms=0))
    assert lab.engine.wait(task, 60)
    return lab.config.task(task)


def command_of(lab: EngineLab, what: str) -> Command:
    volume = lab.volume().ref
    subdisk = lab.config.subdisks_of(lab.plexes()[0].ref)[0]
    commands: dict[str, Command] = {
        "mirror": AddMirrors(volume=volume),
        "column": AddColumn(volume=volume),
        "move": MoveSubdisks(moves=(Move(subdisk.ref),)),
        "evacuate": EvacuateDisk(disk=subdisk.disk),
    }
    return commands[what]


@pytest.mark.parametrize("what", ["mirror", "column", "move", "evacuate"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO], ids=["no space", "refused"])
def test_a_write_that_reached_only_some_mirrors_upsets_no_copy(lab: EngineLab, what: str, number: int) -> None:
    lab.make_volume(size=8 * MIB, mirrors=2, striped=True, columns=2)
    data = bytearray(pattern(1, 8 * MIB))
    assert lab.write(bytes(data), 0) == 0
    task = begin(lab, command_of(lab, what))
    disks = [disk_of(lab, side) for side in range(2)]
    for disk in disks if number == errno.EIO else disks[1:]:
        lab.lun(disk).fail("write", "durable", number=number, persistent=True, at=lambda offset: offset >= 5 * MIB)
    written = lab.write(pattern(2, 256 * 1024), 0)
    for disk in disks:
        lab.lun(disk).heal()
    assert written in (0, number)
    ended = finish(lab, task)
    assert ended.state in (TaskState.COMPLETED, TaskState.FAILED), ended.result
    if number == errno.ENOSPC:  # the copy's own first write may be what met it
        assert ended.state is TaskState.COMPLETED or "has no space left" in ended.result, ended.result
    undecided = lab.engine._groups.volumes.is_undecided
    eventually(lambda: not undecided(lab.volume().ref), "the decision about what the client has heard of")
    if lab.volume().source is not None or any(plex.state is not PlexState.ACTIVE for plex in lab.plexes()):
        lab.do(ChangeSettings(iodelay_ms=()))
        lab.do(ResyncVolume(volume=lab.volume().ref))
    assert lab.volume().source is None
    assert lab.equal()
    found = lab.read(0, 8 * MIB)
    assert found[256 * 1024 :] == data[256 * 1024 :]


def test_a_mirror_that_is_added_from_one_that_dies_is_filled_from_the_next(lab: EngineLab) -> None:
    lab.make_volume(size=8 * MIB, mirrors=3)
    data = pattern(3, 8 * MIB)
    assert lab.write(data, 0) == 0
    lab.lun(disk_of(lab, 2)).fail("write", number=errno.ENOSPC)
    assert lab.write(data[:4096], 0) == errno.ENOSPC
    assert lab.engine.committer.wait_until(lambda config: config.volume(lab.volume().ref).source is not None, 60)
    source = lab.volume().source
    assert source is not None
    task = begin(lab, AddMirrors(volume=lab.volume().ref))
    disk = lab.config.subdisks_of(source)[0].disk
    lab.lun(disk).fail("read", "write", "durable", persistent=True, at=lambda offset: offset >= 5 * MIB)
    assert lab.read(0, 8 * MIB) == data
    ended = finish(lab, task)
    assert ended.state is TaskState.COMPLETED, ended.result
    assert lab.read(0, 8 * MIB) == data
    lab.lun(disk).heal()
    lab.do(ChangeSettings(iodelay_ms=()))
    lab.do(ResyncVolume(volume=lab.volume().ref))
    left = {lab.plex_digest(plex.ref) for plex in lab.plexes() if plex.complete}
    assert len(left) == 1


def test_a_copy_that_is_upset_again_and_again_fails_in_the_end(lab: EngineLab) -> None:
    lab.make_volume(size=8 * MIB, mirrors=2)
    assert lab.write(pattern(4, 8 * MIB), 0) == 0
    task = begin(lab, AddMirrors(volume=lab.volume().ref))
    for _ in range(20):
        if lab.config.task(task).ended:
            break
        lab.lun(disk_of(lab, 1)).fail("write", number=errno.ENOSPC)
        lab.write(pattern(5, 4096), 0)
        lab.read(0, 512)
    assert lab.engine.wait(task, 60)
    assert lab.config.task(task).state is TaskState.FAILED
