"""What is still on its way when a volume becomes smaller, or when its disks are given up."""

from __future__ import annotations

import errno
import threading

import pytest

from engine.commands import DeleteVolumes, DeportGroup, ShrinkVolume, SplitGroup
from engine.dataplane.perform import MARKS
from engine.dataplane.request import Op, Request
from engine.freed import FreedSpace
from engine.records import Ref
from engine.store.group_store import GroupStore
from engine.units import KIB, MIB
from tests.engine.engine_lab import EngineLab, _Waiter, lab_fixture
from tests.engine.frail_lun import FrailLun
from tests.engine.test_engine_life import pattern

lab = lab_fixture(frail=True)


@pytest.mark.parametrize("length", [4 * KIB, 3 * MIB])
def test_a_write_that_waits_for_its_mark_meets_the_new_end(lab: EngineLab, length: int) -> None:
    """It was inside of the volume when it came."""
    lab.make_volume(mirrors=2)
    io, table = lab.engine.committer.ios[lab.volume().ref], lab.engine.committer.ios[lab.volume().ref].table
    lab.do(ShrinkVolume(volume=lab.volume().ref, size=8 * MIB))
    waiter = _Waiter(lab.engine)
    io.settle(Request(Op.WRITE, 20 * MIB, length, memoryview(bytearray(length))), waiter, MARKS, table)
    assert waiter.wait() == errno.EINVAL
    assert io.dirty is not None
    assert len(io.dirty.touched) == len(io.dirty.open)
    assert lab.write(pattern(1, 8 * MIB)) == 0


@pytest.mark.parametrize("way", ["deport", "split"])
def test_nothing_is_given_back_any_more_once_another_host_may_have_the_disk(
    lab: EngineLab, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    lab.make_volume(size=24 * MIB)
    assert lab.write(pattern(1, 24 * MIB)) == 0
    disk = lab.config.subdisks_of(lab.plexes()[0].ref)[0].disk
    begun, go_on, under_way, found = threading.Event(), threading.Event(), [], []
    discard, withdraw = FrailLun.discard, FreedSpace.withdraw_disks

    def held(self: FrailLun, offset: int, length: int) -> None:
        under_way.append(offset)
        begun.set()
        assert go_on.wait(60)
        discard(self, offset, length)
        under_way.remove(offset)

    def let_go(self: FreedSpace, disks: list[Ref]) -> None:
        go_on.set()
        withdraw(self, disks)

    monkeypatch.setattr(FrailLun, "discard", held)
    lab.do(DeleteVolumes(volumes=(lab.volume().ref,)))
    assert begun.wait(60)
    monkeypatch.setattr(FreedSpace, "withdraw_disks", let_go)
    name = "deport" if way == "deport" else "move"
    given_up = getattr(GroupStore, name)

    def give_up(self: GroupStore, *rest: object, **more: object) -> object:
        found.append(bool(under_way))
        return given_up(self, *rest, **more)

    monkeypatch.setattr(GroupStore, name, give_up)
    if way == "deport":
        lab.do(DeportGroup(group=lab.group().ref))
    else:
        lab.do(SplitGroup(group=lab.group().ref, name="off", objects=(disk,)))
    assert found
    assert not found[0]
