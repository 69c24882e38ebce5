"""Snapshots under a whole engine, byte for byte: taken at one instant, snapped back both ways, over crashes."""

from __future__ import annotations

import pytest

from engine import commands as c
from engine.records import Kind, LinkSide, PlexState, Ref, Task
from engine.units import MIB
from tests.engine.engine_lab import EngineLab, lab_fixture
from tests.engine.test_engine_prepare import prepare, why_not

lab = lab_fixture(frail=True)


def snap(lab: EngineLab, *names: str, **choices: str) -> Task:
    chosen = tuple(c.SnapChoice(volume=lab.volume(name).ref) for name in names or ("v",))
    return lab.do(c.TakeSnapshots(choices=chosen, **choices))


def back(lab: EngineLab, *names: str, master: c.Master = c.Master.ORIGINAL) -> Task:
    return lab.do(c.SnapBack(snapshots=tuple(lab.volume(name).ref for name in names), master=master))


def pass_by(lab: EngineLab, between: str) -> None:
    """What may happen to an engine between two commands; whatever it begins by itself has ended."""
    if between != "nothing":
        (lab.stop if between == "stop" else lab.kill)()
        lab.start(frail=True)
    for task in lab.config.all(Kind.TASK, Task):
        assert lab.engine.wait(task.ref, 60)


def prepared(lab: EngineLab, name: str = "v", **choices: object) -> Ref:
    lab.make_volume(name, **choices)
    for number in range(1, 9):
        assert lab.write(bytes([number]) * 4096, number * MIB, name) == 0
    return prepare(lab, name)


def at(lab: EngineLab, number: int, name: str = "v") -> int:
    """The byte that stands everywhere in a place."""
    found = set(lab.read(number * MIB, 4096, name))
    assert len(found) == 1
    return found.pop()


def put(lab: EngineLab, number: int, value: int, name: str = "v") -> None:
    assert lab.write(bytes([value]) * 4096, number * MIB, name) == 0


def test_a_snapshot_is_a_volume_of_its_own_that_keeps_what_was(lab: EngineLab) -> None:
    plex = prepared(lab)
    task = snap(lab)
    assert task.result.startswith("Writes waited for ")
    made = lab.volume("SnapVolume01")
    assert made.serving
    assert [one.ref for one in lab.plexes("SnapVolume01")] == [plex]
    put(lab, 1, 101)
    put(lab, 2, 102, "SnapVolume01")
    assert (at(lab, 1), at(lab, 2)) == (101, 2)
    assert (at(lab, 1, "SnapVolume01"), at(lab, 2, "SnapVolume01")) == (1, 102)
    (own,), (other,) = lab.volume().links, made.links
    assert own.generation == other.generation
    assert (own.side, other.side) == (LinkSide.ORIGINAL, LinkSide.SNAPSHOT)
    assert own.is_known
    assert other.is_known
    assert own.taken > 0


@pytest.mark.parametrize("between", ["nothing", "stop", "kill"])
def test_a_snap_back_to_the_original_copies_what_either_side_has_changed(lab: EngineLab, between: str) -> None:
    prepared(lab)
    snap(lab)
    put(lab, 1, 101)
    put(lab, 2, 102, "SnapVolume01")
    pass_by(lab, between)
    task = back(lab, "SnapVolume01")
    assert task.bytes_copied == (2 * MIB if between == "kill" else 2 * 4096)
    assert (at(lab, 1), at(lab, 2)) == (101, 2)
    assert lab.equal()
    (ready,) = [plex for plex in lab.plexes() if plex.snap is not None]
    assert ready.complete
    assert lab.config.find(lab.volume().ref.kind, "SnapVolume01", lab.group().ref) is None
    assert lab.volume().links == ()


@pytest.mark.parametrize("between", ["nothing", "stop", "kill"])
@pytest.mark.parametrize("mirrors", [1, 2])
def test_a_restore_gives_the_original_the_bytes_of_the_snapshot(lab: EngineLab, between: str, mirrors: int) -> None:
    prepared(lab, mirrors=mirrors)
    snap(lab)
    put(lab, 1, 101)
    put(lab, 2, 102, "SnapVolume01")
    pass_by(lab, between)
    task = back(lab, "SnapVolume01", master=c.Master.SNAPSHOT)
    assert task.bytes_copied == (2 * MIB if between == "kill" else 2 * 4096) * mirrors
    assert (at(lab, 1), at(lab, 2), at(lab, 3)) == (1, 102, 3)
    assert lab.equal()
    assert lab.volume().copies == mirrors


def test_a_restore_is_taken_back_where_a_plex_was_ready_to_keep_what_was(lab: EngineLab) -> None:
    prepared(lab)
    prepare(lab)
    snap(lab)
    put(lab, 1, 101)
    task = back(lab, "SnapVolume01", master=c.Master.SNAPSHOT)
    assert at(lab, 1) == 1
    assert at(lab, 1, "v-before-restore") == 101
    undone = lab.do(c.decode(task.undo))
    assert undone.bytes_copied == 4096
    assert at(lab, 1) == 101
    assert at(lab, 1, "v-before-restore-01") == 1  # and that could be taken back, too
    assert lab.equal()


def test_a_restore_is_a_change_against_all_other_snapshots(lab: EngineLab) -> None:
    prepared(lab)
    prepare(lab)
    snap(lab, set_name="first")
    put(lab, 1, 101)
    snap(lab)
    back(lab, "SnapVolume01", master=c.Master.SNAPSHOT)
    assert at(lab, 1) == 1
    assert back(lab, "SnapVolume02").bytes_copied == 4096
    assert at(lab, 1) == 1
    assert lab.equal()


def test_while_a_restore_copies_the_original_reads_as_the_snapshot_and_takes_writes(lab: EngineLab) -> None:
    prepared(lab, mirrors=2)
    snap(lab)
    put(lab, 1, 101)
    ref = lab.engine.submit(c.SnapBack(snapshots=(lab.volume("SnapVolume01").ref,), master=c.Master.SNAPSHOT))
    assert at(lab, 1) == 1
    put(lab, 1, 77)
    assert lab.engine.wait(ref, 60)
    assert at(lab, 1) == 77
    assert lab.equal()


def test_the_plan_tells_what_differs_now(lab: EngineLab) -> None:
    prepared(lab)
    snap(lab)
    command = c.SnapBack(snapshots=(lab.volume("SnapVolume01").ref,))
    assert lab.engine.plan(command).copies_bytes == 0
    put(lab, 1, 101)
    put(lab, 2, 102, "SnapVolume01")
    plan = lab.engine.plan(command)
    assert plan.copies_bytes == 2 * 4096
    assert plan.warnings == ()
    assert dict(lab.volume().changed).popitem()[1] == 4096


def test_a_volume_that_takes_no_writes_any_more_is_restored_and_takes_them(lab: EngineLab) -> None:
    prepared(lab)
    snap(lab)
    disk = lab.config.subdisks_of(lab.plexes()[0].ref)[0].disk
    lab.lun(disk).fail("flush", persistent=True)
    put(lab, 1, 101)
    assert lab.flush() != 0
    assert lab.engine.committer.wait_until(lambda config: bool(config.volume(lab.volume().ref).fenced), 30)
    lab.stop()  # a word of the failure that is late would fail the disk once more
    lab.start(frail=True)
    assert lab.volume().fenced
    if lab.config.disk(disk).failing:
        lab.do(c.ReactivateDisk(disk=disk))
    back(lab, "SnapVolume01", master=c.Master.SNAPSHOT)
    assert not lab.volume().fenced
    assert at(lab, 1) == 1
    put(lab, 1, 55)
    assert lab.flush() == 0
    assert at(lab, 1) == 55
    assert lab.equal()


def test_a_set_is_refused_as_a_whole(lab: EngineLab) -> None:
    prepared(lab, "a", size=8 * MIB + 4 * MIB)
    lab.make_volume("b", size=8 * MIB)
    chosen = tuple(c.SnapChoice(volume=lab.volume(name).ref) for name in ("a", "b"))
    assert why_not(lab, c.TakeSnapshots(choices=chosen)) == "b is not prepared."
    assert why_not(lab, c.TakeSnapshots(choices=chosen[:1] * 2)) == "a was chosen twice."
    assert lab.config.find(lab.volume("a").ref.kind, "SnapVolume01", lab.group().ref) is None


def test_clear_makes_both_independent(lab: EngineLab) -> None:
    prepared(lab)
    snap(lab)
    lab.do(c.ClearSnapshots(volumes=(lab.volume().ref,)))
    assert lab.volume().links == lab.volume("SnapVolume01").links == ()
    put(lab, 1, 50)
    assert at(lab, 1, "SnapVolume01") == 1
    assert "is not the snapshot of" in why_not(lab, c.SnapBack(snapshots=(lab.volume("SnapVolume01").ref,)))
    assert not lab.engine.committer.ios[lab.volume().ref].changes


@pytest.mark.parametrize("name", ["v", "SnapVolume01"])
def test_the_other_side_forgets_a_volume_that_is_deleted(lab: EngineLab, name: str) -> None:
    prepared(lab)
    snap(lab)
    lab.do(c.DeleteVolumes(volumes=(lab.volume(name).ref,)))
    (left,) = lab.config.volumes_of(lab.group().ref)
    assert left.links == ()


def test_a_size_that_snapshots_depend_on_stays(lab: EngineLab) -> None:
    prepared(lab)
    snap(lab)
    for name in ("v", "SnapVolume01"):
        ref = lab.volume(name).ref
        for command in (c.GrowVolume(volume=ref, size=32 * MIB), c.ShrinkVolume(volume=ref, size=8 * MIB)):
            assert "is known for one size only" in why_not(lab, command)


def test_what_cannot_be_told_any_more_is_copied_whole(lab: EngineLab) -> None:
    """The disk of the snapshot takes no map pages: the link knows nothing, and says so beforehand."""
    prepared(lab)
    snap(lab)
    (plex,) = lab.plexes("SnapVolume01")
    lun = lab.lun(lab.config.subdisks_of(plex.ref)[0].disk)
    lun.fail("durable", persistent=True)
    lab.write(b"z" * 4096, MIB, "SnapVolume01")
    lun.heal()
    assert not lab.volume("SnapVolume01").links[0].is_known
    for sub in lab.config.subdisks_of(plex.ref):
        lab.do(c.ReactivateDisk(disk=sub.disk))
    command = c.SnapBack(snapshots=(lab.volume("SnapVolume01").ref,))
    plan = lab.engine.plan(command)
    assert "everything is copied" in plan.warnings[0]
    assert lab.do(command).bytes_copied == lab.volume().size
    assert lab.equal()
    assert lab.plexes()[0].state is PlexState.ACTIVE


def test_a_repair_of_the_original_is_a_change(lab: EngineLab) -> None:
    """Mirrors that had come to differ are made equal after the snapshot: the snap back brings that along."""
    prepared(lab, mirrors=2)
    snap(lab)
    second = lab.config.subdisks_of(lab.plexes()[1].ref)[0]
    with open(lab.path_of(second.disk), "r+b") as file:
        file.seek(second.disk_offset + 5 * MIB)
        file.write(b"\x99" * 4096)
    lab.do(c.ScrubVolume(volume=lab.volume().ref, source=lab.plexes()[1].ref))
    assert at(lab, 5) == 0x99
    back(lab, "SnapVolume01")
    assert lab.equal()


def test_a_failed_write_that_waits_for_its_decision_keeps_nothing_from_being_right(lab: EngineLab) -> None:
    """A leg fails under a write just before the flip: it is decided first, and then the set is taken or refused."""
    prepared(lab, mirrors=2)
    lun = lab.lun(lab.config.subdisks_of(lab.plexes()[1].ref)[0].disk)
    lun.fail("write", persistent=True)
    put(lab, 3, 103)
    snap(lab)
    put(lab, 4, 104)
    assert (at(lab, 3, "SnapVolume01"), at(lab, 4, "SnapVolume01")) == (103, 4)
    back(lab, "SnapVolume01")
    good = [plex.ref for plex in lab.plexes() if plex.complete]
    assert len({lab.plex_digest(ref) for ref in good}) == 1


@pytest.mark.parametrize("master", list(c.Master))
def test_where_nothing_differs_the_plan_says_that_nothing_has_to_be_copied(lab: EngineLab, master: c.Master) -> None:
    lab.make_volume(size=4 * MIB, mirrors=2)
    prepare(lab)
    snap(lab)
    given = c.SnapBack(snapshots=(lab.volume("SnapVolume01").ref,), master=master)
    way = "from" if master is c.Master.ORIGINAL else "to"
    assert f"Nothing has to be copied {way} v" in [step.text for step in lab.engine.plan(given).steps]
    assert lab.write(b"x" * 4096, 0) == 0
    assert [step.text for step in lab.engine.plan(given).steps if step.text.startswith("Copy ")]
