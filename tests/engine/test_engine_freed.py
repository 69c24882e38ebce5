"""Space that commands free goes back to the host: holes in freed ranges of LUN files only, and nothing waits for it."""

from __future__ import annotations

import errno
import os
import random
import threading
from typing import Any

import pytest

from engine.commands import (
    CreateVolume,
    DeleteVolumes,
    DeportGroup,
    JoinSubdisks,
    Move,
    MoveSubdisks,
    RemoveMirrors,
    Rename,
    SplitSubdisk,
    Target,
)
from engine.devices.file import FileDevice
from engine.errors import DeviceError
from engine.freed import Freed, FreedSpace
from engine.records import Disk, Kind, Ref, Task, new_ref
from engine.runtime import ThreadRuntime
from engine.units import MIB
from tests.engine.engine_lab import EngineLab, lab_fixture

lab = lab_fixture()


def filled(lab: EngineLab, name: str = "v", size: int = 24 * MIB, **choices: object) -> bytes:
    lab.make_volume(name, size, **choices)
    data = random.Random(name).randbytes(MIB)
    for offset in range(0, size, MIB):
        assert lab.write(data, offset, name) == 0
    assert lab.flush(name) == 0
    return data


def taken(lab: EngineLab) -> int:
    """Bytes that the LUN files really take of the host."""
    for disk in lab.config.all(Kind.DISK, Disk):
        with open(disk.lun, "rb") as file:
            os.fsync(file.fileno())
    return sum(os.stat(disk.lun).st_blocks * 512 for disk in lab.config.all(Kind.DISK, Disk))


def settled(lab: EngineLab) -> None:
    assert lab.engine.committer.freed.settle(60)


def delete(lab: EngineLab, name: str = "v") -> Task:
    return lab.do(DeleteVolumes(volumes=(lab.volume(name).ref,), force=True))


def test_a_deleted_volume_gives_its_space_back_and_its_task_tells_how_much(lab: EngineLab) -> None:
    before = taken(lab)
    filled(lab, mirrors=2)
    assert taken(lab) - before >= 48 * MIB
    task = delete(lab)
    settled(lab)
    assert taken(lab) - before < 2 * MIB
    told = lab.config.task(task.ref)
    assert (told.state, told.bytes_done, told.bytes_total) == ("completed", 48 * MIB, 48 * MIB)
    lab.restart()
    assert lab.config.task(task.ref).bytes_done == 48 * MIB


def test_neighbours_keep_every_byte(lab: EngineLab) -> None:
    kept = [filled(lab, name, 6 * MIB) for name in ("a", "b", "c", "d")]
    delete(lab, "b")
    delete(lab, "d")
    settled(lab)
    for name, data in (("a", kept[0]), ("c", kept[2])):
        assert all(lab.read(at, MIB, name) == data for at in range(0, 6 * MIB, MIB))


def test_a_removed_mirror_and_a_moved_subdisk_give_their_space_back(lab: EngineLab) -> None:
    data = filled(lab, mirrors=2)
    with_both = taken(lab)
    lab.do(RemoveMirrors(plexes=(lab.plexes()[1].ref,)))
    settled(lab)
    with_one = taken(lab)
    assert with_both - with_one >= 23 * MIB
    subdisk = lab.config.subdisks_of(lab.plexes()[0].ref)[0]
    other = next(disk for disk in lab.config.disks_of(lab.group().ref) if disk.ref != subdisk.disk)
    lab.do(MoveSubdisks(moves=(Move(subdisk.ref, (Target(other.ref),)),)))
    settled(lab)
    assert abs(taken(lab) - with_one) < 2 * MIB
    assert all(lab.read(at, MIB) == data for at in range(0, 24 * MIB, MIB))


def test_splitting_and_joining_frees_nothing(lab: EngineLab) -> None:
    data = filled(lab)
    (subdisk,) = lab.config.subdisks_of(lab.plexes()[0].ref)
    lab.do(SplitSubdisk(subdisk=subdisk.ref, size=8 * MIB))
    first, second = lab.config.subdisks_of(lab.plexes()[0].ref)
    lab.do(JoinSubdisks(first=first.ref, second=second.ref))
    settled(lab)
    assert all(lab.read(at, MIB) == data for at in range(0, 24 * MIB, MIB))


class Barrier:
    """Holds every discard of LUN files until it is opened."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reached, self.opened = threading.Event(), threading.Event()
        honest = FileDevice.discard

        def discard(device: FileDevice, offset: int, length: int) -> None:
            self.reached.set()
            assert self.opened.wait(60)
            honest(device, offset, length)

        monkeypatch.setattr(FileDevice, "discard", discard)


def test_no_other_commit_waits_and_reused_space_is_never_punched(
    lab: EngineLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first piece is stuck in the kernel: what wants that piece waits for it, and nobody else."""
    filled(lab, "a")
    filled(lab, "b", 70 * MIB)
    lab.do(DeleteVolumes(volumes=(lab.volume("a").ref,), force=True))
    settled(lab)
    barrier = Barrier(monkeypatch)
    (old,) = lab.config.subdisks_of(lab.plexes("b")[0].ref)
    delete(lab, "b")
    assert barrier.reached.wait(60)
    elsewhere = tuple(disk.ref for disk in lab.config.disks_of(lab.group().ref) if disk.ref != old.disk)
    lab.do(CreateVolume(group=lab.group().ref, name="c", size=8 * MIB, disks=elsewhere))
    lab.do(Rename(object=lab.volume("c").ref, name="cc"))
    made = threading.Thread(target=lambda: filled(lab, "d", 70 * MIB, disks=(old.disk,)))
    made.start()
    made.join(0.3)
    assert made.is_alive()
    barrier.opened.set()
    made.join(60)
    settled(lab)
    data = random.Random("d").randbytes(MIB)
    assert all(lab.read(at, MIB, "d") == data for at in range(0, 70 * MIB, MIB))


def test_an_engine_that_ends_in_the_middle_loses_nothing(lab: EngineLab, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = filled(lab, "a")
    filled(lab, "b")
    barrier = Barrier(monkeypatch)
    delete(lab, "b")
    assert barrier.reached.wait(60)
    barrier.opened.set()
    lab.kill()
    monkeypatch.undo()
    lab.start()
    assert lab.read(0, MIB, "a") == kept
    lab.make_volume("c", 48 * MIB)
    assert not any(lab.read(0, 48 * MIB, "c"))


def test_a_device_that_refuses_is_left_as_it_is(lab: EngineLab, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(lab)

    def refuses(device: FileDevice, offset: int, length: int) -> None:
        raise DeviceError(errno.EIO, device.name, "Discarding")

    monkeypatch.setattr(FileDevice, "discard", refuses)
    task = delete(lab)
    settled(lab)
    assert lab.config.task(task.ref).state == "completed"
    assert lab.config.task(task.ref).bytes_done == 0
    assert not any(disk.failing for disk in lab.config.all(Kind.DISK, Disk))


def test_a_deported_group_is_left_alone(lab: EngineLab, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(lab, size=90 * MIB, disks=(lab.config.disks_of(lab.group().ref)[0].ref,))
    barrier, calls = Barrier(monkeypatch), []
    held = FileDevice.discard
    monkeypatch.setattr(FileDevice, "discard", lambda *args: (calls.append(args), held(*args))[1])
    delete(lab)
    assert barrier.reached.wait(60)
    waits, withdraw = threading.Event(), FreedSpace.withdraw_disks

    def noted(freed: FreedSpace, disks: Any) -> None:
        found = list(disks)
        if found:
            waits.set()
        withdraw(freed, found)

    monkeypatch.setattr(FreedSpace, "withdraw_disks", noted)
    deport = threading.Thread(target=lambda: lab.do(DeportGroup(group=lab.group().ref)))
    deport.start()
    assert waits.wait(60)
    deport.join(0.3)
    assert deport.is_alive()
    barrier.opened.set()
    deport.join(60)
    settled(lab)
    assert len(calls) <= 2  # the one in hand, and at most one that began before the deport


@pytest.mark.parametrize("seed", range(20))
def test_what_is_withdrawn_is_never_freed_after_that(seed: int) -> None:
    """Ranges come and go beside a map of owners: no piece may ever touch what has an owner."""
    chance, runtime, disks = random.Random(seed), ThreadRuntime(), [new_ref(Kind.DISK, "h") for _ in range(2)]
    owned, wrong = {disk: bytearray(4096) for disk in disks}, []

    class Space:
        discard_zeroes = True

        def __init__(self, disk: Ref) -> None:
            self.disk = disk

        def discard(self, offset: int, length: int) -> None:
            for _ in range(3):
                if any(owned[self.disk][offset >> 20 : (offset + length) >> 20]):
                    wrong.append((offset, length))

    spaces: dict[Ref, Any] = {disk: Space(disk) for disk in disks}
    freed = FreedSpace(spaces.get, lambda task, length: None, runtime)
    for _ in range(300):
        disk, start = chance.choice(disks), chance.randrange(4000)
        end = start + chance.randrange(1, 96)
        part = Freed(disk, start * MIB, end * MIB)
        if chance.random() < 0.5:
            freed.withdraw([part])
            owned[disk][start:end] = bytes([1]) * (end - start)
        else:
            owned[disk][start:end] = bytes(end - start)
            freed.take([part], None)
    assert freed.settle(60)
    freed.close()
    assert wrong == []
