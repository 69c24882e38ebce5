"""Disk groups are split and joined under a whole engine; snapshots are used on another host and come back."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Queue

import pytest

from engine import commands as c
from engine.dataplane.request import Op, Request
from engine.errors import CommandRejected, EngineError
from engine.records import Alert, Backup, DiskUsage, Group, GroupState, Kind, Ref, Severity, Task, Volume
from engine.store.group_store import GroupStore, Outcome
from engine.units import MIB
from tests.engine.engine_lab import EngineLab
from tests.engine.test_engine_prepare import prepare
from tests.engine.test_engine_snapshots import at, back, put, snap

SNAP = "SnapVolume01"


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[EngineLab]:
    """A group of four disks: a mirrored volume on two, its snapshot on the third, nothing on the fourth."""
    made = EngineLab(tmp_path, luns=4).start()
    made.make_group(4)
    yield made
    if made.opened is not None:
        made.stop()


def furnish(lab: EngineLab, **choices: object) -> None:
    lab.make_volume(**choices)
    for number in range(1, 9):
        put(lab, number, number)
    prepare(lab)
    snap(lab)


def move(lab: EngineLab, group: str) -> None:
    """The volumes of a group are meant by what asks a lab for its only group."""
    lab.group = lambda name=group: EngineLab.group(lab, name)  # type: ignore[method-assign]


def in_group(lab: EngineLab, group: str, name: str) -> Volume:
    found = lab.config.find(Kind.VOLUME, name, EngineLab.group(lab, group).ref)
    assert isinstance(found, Volume)
    return found


def split(lab: EngineLab, *names: str, new: str = "off", **choices: bool) -> None:
    refs = tuple(lab.volume(name).ref for name in names)
    lab.do(c.SplitGroup(group=lab.group("dg").ref, name=new, objects=refs, **choices))


def join(lab: EngineLab, source: str = "off", target: str = "dg") -> None:
    groups = [EngineLab.group(lab, name).ref for name in (target, source)]
    lab.do(c.JoinGroups(group=groups[0], joined=groups[1]))


def rest(lab: EngineLab) -> None:
    """Whatever the engine has begun by itself has ended."""
    for task in lab.config.all(Kind.TASK, Task):
        assert lab.engine.wait(task.ref, 60)


def other_host(lab: EngineLab) -> EngineLab:
    return EngineLab(lab.folder, host="b").start()


def take(lab: EngineLab, name: str = "off", **choices: bool) -> None:
    lab.do(c.Rescan())
    lab.do(c.ImportGroup(group=EngineLab.group(lab, name).ref, **choices))


def give(lab: EngineLab, name: str = "off") -> None:
    lab.do(c.DeportGroup(group=EngineLab.group(lab, name).ref))


def bytes_of(lab: EngineLab, group: str, name: str, numbers: range) -> list[int]:
    move(lab, group)
    found = [at(lab, number, name) for number in numbers]
    move(lab, "dg")
    return found


def test_a_snapshot_leaves_with_its_disks_and_is_a_group_that_nobody_has(lab: EngineLab) -> None:
    furnish(lab)
    put(lab, 1, 101)
    split(lab, SNAP)
    assert EngineLab.group(lab, "off").state is GroupState.DEPORTED
    assert at(lab, 1) == 101
    assert lab.config.find(Kind.VOLUME, SNAP, lab.group().ref) is None
    assert in_group(lab, "off", SNAP).links
    lab.restart()
    assert EngineLab.group(lab, "off").state is GroupState.DEPORTED
    take(lab)
    assert bytes_of(lab, "off", SNAP, range(1, 9)) == list(range(1, 9))
    assert not lab.engine.committer.stores[lab.group().ref].moves
    saved = [one.group_name for one in lab.config.all(Kind.BACKUP, Backup)]
    assert "dg" in saved


@pytest.mark.parametrize(
    ("between", "there", "copied"),
    [("nothing", "stop", 5 * 4096), ("stop", "kill", MIB + 4 * 4096), ("kill", "kill", 2 * MIB + 3 * 4096)],
)
def test_a_snapshot_that_was_used_on_another_host_is_snapped_back_by_its_changes(
    lab: EngineLab, between: str, there: str, copied: int
) -> None:
    furnish(lab)
    split(lab, SNAP)
    put(lab, 1, 101)
    if between != "nothing":
        (lab.stop if between == "stop" else lab.kill)()
        lab.start()
    put(lab, 2, 102)
    away = other_host(lab)
    try:
        take(away)
        move(away, "off")
        assert [at(away, number, SNAP) for number in range(1, 9)] == list(range(1, 9))
        put(away, 3, 103, SNAP)
        if there == "kill":
            away.kill()
            away.start()
            assert at(away, 3, SNAP) == 103
        put(away, 4, 104, SNAP)
        give(away)
    finally:
        away.stop()
    put(lab, 5, 105)
    take(lab)
    assert bytes_of(lab, "off", SNAP, range(1, 6)) == [1, 2, 103, 104, 5]
    refused = lab.engine.plan(c.SnapBack(snapshots=(in_group(lab, "off", SNAP).ref,)))
    assert "disk group" in refused.problems[0].text
    join(lab)
    assert lab.config.find(Kind.GROUP, "off") is None
    assert [at(lab, number, SNAP) for number in range(1, 6)] == [1, 2, 103, 104, 5]
    task = back(lab, SNAP)
    assert task.bytes_copied == copied
    assert [at(lab, number) for number in range(1, 6)] == [101, 102, 3, 4, 105]
    assert lab.equal()


def test_a_restore_from_a_snapshot_that_was_away(lab: EngineLab) -> None:
    furnish(lab)
    split(lab, SNAP, imports=True)
    put(lab, 1, 101)
    move(lab, "off")
    put(lab, 2, 102, SNAP)
    move(lab, "dg")
    join(lab)
    task = back(lab, SNAP, master=c.Master.SNAPSHOT)
    assert task.bytes_copied == 2 * 4096
    assert [at(lab, number) for number in range(1, 4)] == [1, 102, 3]
    assert lab.equal()


def test_both_go_on_marking_after_the_join(lab: EngineLab) -> None:
    furnish(lab)
    split(lab, SNAP, imports=True)
    join(lab)
    put(lab, 6, 106)
    put(lab, 7, 107, SNAP)
    lab.kill()
    lab.start()
    assert 0 < back(lab, SNAP).bytes_copied <= 2 * MIB
    assert [at(lab, number) for number in (6, 7)] == [106, 7]
    assert lab.equal()


def test_a_group_that_another_host_took_by_force_is_copied_whole(lab: EngineLab) -> None:
    furnish(lab)
    split(lab, SNAP)
    away = other_host(lab)
    try:
        take(away, force=True)
        give(away)
    finally:
        away.stop()
    take(lab)
    plan = lab.engine.plan(c.JoinGroups(group=lab.group().ref, joined=EngineLab.group(lab, "off").ref))
    assert any("copies everything" in warning for warning in plan.warnings)
    join(lab)
    assert back(lab, SNAP).bytes_copied == 24 * MIB
    assert lab.equal()


def test_a_link_that_one_side_has_forgotten_is_dropped_by_the_join(lab: EngineLab) -> None:
    furnish(lab)
    split(lab, SNAP, imports=True)
    lab.do(c.ClearSnapshots(volumes=(in_group(lab, "off", SNAP).ref,)))
    assert lab.volume().links, "the other group's side is not touched"
    grow = lab.engine.plan(c.GrowVolume(volume=lab.volume().ref, size=32 * MIB))
    assert grow.problems
    plan = lab.engine.plan(c.JoinGroups(group=lab.group().ref, joined=EngineLab.group(lab, "off").ref))
    assert not plan.problems
    join(lab)
    assert not lab.volume().links
    assert not lab.volume(SNAP).links
    put(lab, 1, 55)
    assert at(lab, 1) == 55


@pytest.mark.parametrize("at_step", ["decision", "settle"])
def test_a_split_that_was_cut_short_is_finished_at_the_next_start(
    lab: EngineLab, monkeypatch: pytest.MonkeyPatch, at_step: str
) -> None:
    furnish(lab)
    put(lab, 1, 101)
    name = "move" if at_step == "decision" else "settle"
    monkeypatch.setattr(GroupStore, name, _stop)
    with pytest.raises(_Stopped):
        split(lab, SNAP)
    monkeypatch.undo()
    lab.kill()
    lab.start()
    assert at(lab, 1) == 101
    if at_step == "decision":
        assert at(lab, 1, SNAP) == 1
        split(lab, SNAP)
    assert EngineLab.group(lab, "off").state is GroupState.DEPORTED
    assert not [one for one in lab.config.all(Kind.ALERT, Alert) if "missing" in one.name]
    take(lab)
    assert bytes_of(lab, "off", SNAP, range(1, 9)) == list(range(1, 9))
    join(lab)
    assert 0 < back(lab, SNAP).bytes_copied <= MIB
    assert lab.equal()


@pytest.mark.parametrize("at_step", ["said", "take_disk", "put_maps"])
def test_a_join_that_was_cut_short_is_finished_or_taken_back_at_the_next_start(
    lab: EngineLab, monkeypatch: pytest.MonkeyPatch, at_step: str
) -> None:
    furnish(lab)
    split(lab, SNAP, imports=True)
    put(lab, 1, 101)
    if at_step == "said":
        store = lab.engine.committer.stores[lab.group().ref]
        monkeypatch.setattr(store, "move", _stop)
    else:
        monkeypatch.setattr(GroupStore, at_step, _stop)
    with pytest.raises(_Stopped):
        join(lab)
    monkeypatch.undo()
    lab.kill()
    lab.start()
    assert at(lab, 1) == 101
    if at_step == "said":
        assert EngineLab.group(lab, "off").state is GroupState.IMPORTED
        assert bytes_of(lab, "off", SNAP, range(1, 9)) == list(range(1, 9))
        join(lab)
    assert lab.config.find(Kind.GROUP, "off") is None
    assert [at(lab, number, SNAP) for number in range(1, 9)] == list(range(1, 9))
    assert 0 < back(lab, SNAP).bytes_copied <= MIB
    assert lab.equal()
    lab.restart()
    assert at(lab, 1) == 101


@pytest.mark.parametrize("then", ["rescan", "kill"])
def test_what_a_join_has_brought_is_started_by_the_next_change_that_can_be_made(
    lab: EngineLab, monkeypatch: pytest.MonkeyPatch, then: str
) -> None:
    """The join is decided, and nothing more can be written."""
    furnish(lab)
    split(lab, SNAP, imports=True)
    put(lab, 1, 101)
    target = lab.engine.committer.stores[lab.group().ref]
    with monkeypatch.context() as patch:
        patch.setattr(target, "commit", lambda *_: Outcome(False, target.transaction, (), "Nothing can be written."))
        with pytest.raises(EngineError, match="Nothing can be written"):
            join(lab)
    assert not lab.volume(SNAP).started
    if then == "rescan":
        lab.do(c.Rescan())
    else:
        lab.kill()
        lab.start()
    assert lab.volume(SNAP).started
    assert lab.volume(SNAP).serving
    assert lab.config.find(Kind.GROUP, "off") is None
    put(lab, 2, 102, SNAP)
    lab.kill()
    lab.start()
    assert lab.volume(SNAP).serving
    assert [at(lab, number, SNAP) for number in range(1, 4)] == [1, 102, 3]
    assert 0 < back(lab, SNAP).bytes_copied <= (2 * MIB if then == "rescan" else lab.volume().size)
    assert lab.equal()


def test_a_disk_that_fails_as_its_group_is_joined_is_not_left_behind(lab: EngineLab) -> None:
    """It would come back without knowing of the join, and belong to nobody."""
    furnish(lab)
    lab.stop()
    lab.start(frail=True)
    disks = [disk.ref for disk in lab.config.disks_of(lab.group().ref)]
    empty = next(ref for ref in disks if not lab.config.subdisks_on(ref))
    objects = (lab.volume(SNAP).ref, empty)
    lab.do(c.SplitGroup(group=lab.group().ref, name="off", objects=objects, imports=True))
    put(lab, 1, 101)
    lun = lab.lun(empty)
    lun.fail("write", "durable", persistent=True)
    with pytest.raises(EngineError, match="nothing has been joined"):
        join(lab)
    assert lab.config.disk(empty).failing
    assert bytes_of(lab, "off", SNAP, range(1, 9)) == list(range(1, 9))
    lun.heal()
    lab.do(c.Rescan())
    lab.do(c.ReactivateDisk(disk=empty))
    join(lab)
    lab.restart()
    assert lab.config.find(Kind.GROUP, "off") is None
    assert {disk.ref for disk in lab.config.disks_of(lab.group().ref) if disk.present} == set(disks)
    assert back(lab, SNAP).bytes_copied == 4096
    assert lab.equal()


def test_a_write_that_cannot_be_marked_ends_where_its_group_has_lost_its_only_disk(lab: EngineLab) -> None:
    """Nobody can write down that the disk fails."""
    furnish(lab)
    split(lab, SNAP, imports=True)
    lab.stop()
    lab.start(frail=True)
    move(lab, "off")
    put(lab, 1, 102, SNAP)
    (disk,) = lab.config.disks_of(lab.group().ref)
    lun = lab.lun(disk.ref)
    lun.fail("durable", persistent=True)
    assert lab.write(bytes(4096), 2 * MIB, SNAP) == errno.EIO
    assert write_at_once_again(lab, 2 * MIB, SNAP) == errno.EIO
    lun.heal()
    assert lab.write(bytes(4096), 3 * MIB, SNAP) == 0


def write_at_once_again(lab: EngineLab, offset: int, name: str) -> int:
    """Write the moment that a write has ended; answers the error of the second."""
    io, ended = lab.engine.committer.ios[lab.volume(name).ref], Queue[int]()
    first, second = (Request(Op.WRITE, offset, 4096, memoryview(bytearray(4096))) for _ in range(2))
    slots = io.slot("first"), io.slot("second")
    try:
        io.execute([first], slots[0], Ended(lambda _: io.execute([second], slots[1], Ended(ended.put))))
        return ended.get(timeout=60)
    finally:
        for slot in slots:
            io.retire(slot)


class Ended:
    """A sink that does something with the error that a request ends with."""

    def __init__(self, then: Callable[[int], None]) -> None:
        self._then = then

    def finish(self, request: Request, error: int) -> None:
        self._then(error)


class _Stopped(BaseException):
    """Nothing more is done: the process is gone."""


def _stop(*arguments: object, **more: object) -> None:
    raise _Stopped


def test_what_shares_disks_comes_along_when_that_is_accepted(lab: EngineLab) -> None:
    disks = [disk.ref for disk in lab.config.disks_of(lab.group().ref)]
    lab.make_volume("one", 8 * MIB, disks=(disks[0],))
    lab.make_volume("two", 8 * MIB, mirrors=2, disks=(disks[0], disks[1]))
    command = c.SplitGroup(group=lab.group().ref, name="off", objects=(lab.volume("one").ref,))
    (problem,) = lab.engine.plan(command).problems
    assert "two" in problem.text
    assert problem.field == "expand"
    lab.do(c.SplitGroup(group=lab.group().ref, name="off", objects=(lab.volume("one").ref,), expand=True, imports=True))
    assert {one.name for one in lab.config.volumes_of(EngineLab.group(lab, "off").ref)} == {"one", "two"}
    assert lab.config.disk(disks[1]).group == EngineLab.group(lab, "off").ref
    all_of_it = c.SplitGroup(group=lab.group().ref, name="rest", objects=tuple(disks[2:]))
    assert "Nothing of dg would be left" in lab.engine.plan(all_of_it).problems[0].text


def test_mirrors_parity_and_usage_go_along_and_undo_brings_them_back(tmp_path: Path) -> None:
    lab = EngineLab(tmp_path, luns=8).start()
    try:
        lab.make_group(10)
        disks = [disk.ref for disk in lab.config.disks_of(lab.group().ref)]
        lab.make_volume("stays", 8 * MIB, mirrors=2, disks=(disks[8], disks[9]))
        lab.make_volume("mirror", 8 * MIB, mirrors=2, disks=(disks[0], disks[1]))
        lab.make_volume("parity", 8 * MIB, raid5=True, columns=3, disks=tuple(disks[2:7]))
        lab.do(c.SetDiskUsage(disks=(disks[7],), usage=DiskUsage.SPARE))
        for name in ("stays", "mirror", "parity"):
            put(lab, 1, 11, name)
        command = c.SplitGroup(group=lab.group().ref, name="off", objects=tuple(disks[:8]), imports=True)
        task = lab.do(command)
        assert bytes_of(lab, "off", "parity", range(1, 2)) == [11]
        assert lab.config.disk(disks[7]).usage is DiskUsage.SPARE
        move(lab, "off")
        put(lab, 2, 22, "mirror")
        put(lab, 2, 22, "parity")
        move(lab, "dg")
        lab.kill()
        lab.start()
        assert bytes_of(lab, "off", "parity", range(1, 3)) == [11, 22]
        rest(lab)
        lab.do(c.decode(task.undo))
        assert [at(lab, 2, name) for name in ("mirror", "parity")] == [22, 22]
        for name in ("mirror", "parity", "stays"):
            put(lab, 3, 33, name)
        lab.kill()
        lab.start()
        assert [at(lab, 3, name) for name in ("mirror", "parity", "stays")] == [33, 33, 33]
        assert not [one for one in lab.config.all(Kind.ALERT, Alert) if one.severity is Severity.ERROR]
    finally:
        lab.stop()


def test_names_that_are_taken_are_changed_by_a_join(lab: EngineLab) -> None:
    disks = [disk.ref for disk in lab.config.disks_of(lab.group().ref)]
    lab.make_volume("v", 8 * MIB, disks=(disks[0],))
    put(lab, 1, 1)
    lab.do(c.SplitGroup(group=lab.group().ref, name="off", objects=(disks[0],), imports=True))
    lab.make_volume("v", 8 * MIB, disks=(disks[1],))
    put(lab, 1, 2)
    join(lab)
    assert (at(lab, 1, "v"), at(lab, 1, "v-1")) == (2, 1)
    names = [plex.name for name in ("v", "v-1") for plex in lab.plexes(name)]
    assert len(set(names)) == 2
    lab.restart()
    assert (at(lab, 1, "v"), at(lab, 1, "v-1")) == (2, 1)


def test_a_missing_disk_forbids_it_and_a_deported_group_is_not_joined(lab: EngineLab) -> None:
    furnish(lab)
    split(lab, SNAP)
    groups = [EngineLab.group(lab, name).ref for name in ("dg", "off")]
    with pytest.raises(CommandRejected, match="deported"):
        lab.engine.submit(c.JoinGroups(group=groups[0], joined=groups[1]))
    disk = lab.config.disks_of(groups[0])[0]
    path = lab.path_of(disk.ref)
    hidden = path.with_suffix(".hidden")
    path.rename(hidden)
    lab.do(c.Rescan())
    with pytest.raises(EngineError, match="missing"):
        lab.engine.submit(c.SplitGroup(group=groups[0], name="x", objects=(disk.ref,), expand=True))
    hidden.rename(path)
    assert isinstance(lab.config.get(groups[0]), Group)
    assert isinstance(groups[1], Ref)
