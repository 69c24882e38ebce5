"""Groups that come from another host and go to one, by agreement and by force."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.commands import AddMirrors, ChangeSettings, CreateGroup, DeportGroup, ImportGroup, Rescan, ThrottleTask
from engine.errors import CommandRejected
from engine.records import Alert, Disk, GroupState, Kind, TaskDelay, TaskType
from engine.units import MIB
from tests.engine.engine_lab import EngineLab, lab_fixture
from tests.engine.nbd_peer import Client
from tests.engine.test_engine_life import pattern

DEADLINE_S = 60.0


lab = lab_fixture()


@pytest.fixture
def other(lab: EngineLab, tmp_path: Path) -> Iterator[EngineLab]:
    """A second host on the same LUNs, for which the locks of the first one do not exist: as between two machines."""
    for lun in lab.engine._luns:
        if lun.lock is not None:
            lun.lock.give_up()
    made = EngineLab(tmp_path, "b").start()
    yield made
    if made.opened is not None:
        made.stop()


def take(other: EngineLab, **choices: object) -> None:
    other.do(ImportGroup(group=other.group().ref, clear=True, **choices))  # type: ignore[arg-type]


def told(lab: EngineLab) -> list[Alert]:
    return [alert for alert in lab.config.all(Kind.ALERT, Alert) if "taken over" in alert.name]


# --- a takeover is noticed ---
def test_a_takeover_is_noticed_while_nothing_but_data_is_written(lab: EngineLab, other: EngineLab) -> None:
    lab.make_volume(mirrors=2)
    assert lab.write(pattern(1, MIB)) == 0
    io = lab.engine.committer.ios[lab.volume().ref]
    take(other)
    assert lab.engine.committer.wait_until(
        lambda config: config.group(lab.group().ref).state is GroupState.FOREIGN, DEADLINE_S
    )
    assert io.fenced
    assert lab.engine.committer.wait_until(lambda config: bool(told(lab)), DEADLINE_S)
    assert lab.group().owner == other.engine.state.host_name
    assert other.engine.state.host_name in told(lab)[0].name
    assert other.write(pattern(2, MIB)) == 0
    lab.stop()
    assert other.read(0, MIB) == pattern(2, MIB)
    assert other.equal()


def test_clients_and_tasks_of_a_group_that_was_taken_end(lab: EngineLab, other: EngineLab) -> None:
    volume = lab.make_volume(size=32 * MIB)
    assert lab.write(pattern(3, 32 * MIB)) == 0
    assert lab.flush() == 0
    assert lab.opened is not None
    with Client(lab.opened.nbd) as client:
        client.go("dg/v")
        lab.do(ChangeSettings(iodelay_ms=(TaskDelay(TaskType.ADD_MIRROR, 60_000),)))
        task = lab.engine.submit(AddMirrors(volume=volume.ref))
        take(other)
        assert lab.engine.committer.wait_until(
            lambda config: config.group(volume.group).state is GroupState.FOREIGN, DEADLINE_S
        )
    assert task not in lab.config
    assert volume.ref not in lab.engine.committer.ios
    for ours in other.config.tasks_of(other.group().ref):
        with contextlib.suppress(CommandRejected):  # it has ended
            other.engine.submit(ThrottleTask(task=ours.ref, iodelay_ms=0))
        assert other.engine.wait(ours.ref, 60)
    assert other.equal()
    assert other.read(0, 32 * MIB) == pattern(3, 32 * MIB)


def test_the_monitoring_interval_says_how_often_to_look(lab: EngineLab, other: EngineLab) -> None:
    lab.make_volume()
    lab.do(ChangeSettings(monitoring_interval_s=3600))
    take(other)
    watch = lab.engine._takeovers
    assert watch is not None
    assert lab.group().state is GroupState.IMPORTED
    watch.look()
    assert lab.group().state is GroupState.FOREIGN


def test_nothing_is_lost_while_nobody_takes_anything(lab: EngineLab) -> None:
    """Deporting and importing while somebody looks all the time, as fast as can be."""
    lab.make_volume()
    watch, ending, met = lab.engine._takeovers, threading.Event(), []
    assert watch is not None

    def look() -> None:
        while not ending.is_set():
            try:
                watch.look()
            except Exception as error:
                met.append(error)

    looking = threading.Thread(target=look, name="look")
    looking.start()
    try:
        for _ in range(8):
            lab.do(DeportGroup(group=lab.group().ref))
            lab.do(ImportGroup(group=lab.group().ref))
            assert lab.write(b"here") == 0
    finally:
        ending.set()
        looking.join()
    assert not met
    assert not told(lab)
    assert lab.group().state is GroupState.IMPORTED


# --- import and deport ---
def test_a_group_is_refused_with_its_owners_name(lab: EngineLab, tmp_path: Path) -> None:
    other = EngineLab(tmp_path, "b").start()
    try:
        with pytest.raises(CommandRejected, match=f"dg is imported by {lab.engine.state.host_name}"):
            other.engine.submit(ImportGroup(group=other.group().ref))
        plan = other.engine.plan(ImportGroup(group=other.group().ref, clear=True))
        assert lab.engine.state.host_name in plan.confirm
    finally:
        other.stop()


def test_an_import_may_give_another_name(lab: EngineLab) -> None:
    lab.make_volume()
    assert lab.write(pattern(4, MIB)) == 0
    group = lab.group().ref
    lab.do(DeportGroup(group=group))
    with pytest.raises(CommandRejected):
        lab.engine.submit(ImportGroup(group=group, new_name="no/name"))
    lab.do(ImportGroup(group=group, new_name="archive"))
    assert lab.group("archive").ref == group
    volume = lab.config.find(Kind.VOLUME, "v", group)
    assert volume is not None
    assert lab.engine.committer.ios[volume.ref].read(0, MIB) == pattern(4, MIB)
    lab.restart()
    assert lab.group("archive").ref == group


def test_a_name_that_another_group_has_needs_a_new_one(lab: EngineLab) -> None:
    lab.do(DeportGroup(group=lab.group().ref))
    first = lab.group().ref
    free = [disk for disk in lab.config.all(Kind.DISK, Disk) if disk.group is None]
    lab.do(CreateGroup(name="two", disks=(free[0].ref,)))
    with pytest.raises(CommandRejected, match="new name"):
        lab.engine.submit(ImportGroup(group=first, new_name="two"))
    lab.do(ImportGroup(group=first, new_name="first"))
    assert lab.config.group(first).name == "first"


def test_missing_disks_are_named_by_the_plan_and_half_of_them_need_force(lab: EngineLab) -> None:
    lab.make_volume(mirrors=2)
    group, disks = lab.group().ref, lab.config.disks_of(lab.group().ref)
    paths = [lab.path_of(disk.ref) for disk in disks]
    lab.do(DeportGroup(group=group))
    paths[0].rename(paths[0].with_suffix(".away"))
    lab.do(Rescan())
    plan = lab.engine.plan(ImportGroup(group=group))
    assert not plan.problems
    assert any(f"{disks[0].name} is missing" in warning for warning in plan.warnings)
    paths[1].rename(paths[1].with_suffix(".away"))
    lab.do(Rescan())
    with pytest.raises(CommandRejected, match="Only 2 of 4 disks"):
        lab.engine.submit(ImportGroup(group=group))
    plan = lab.engine.plan(ImportGroup(group=group, force=True))
    assert any(disks[0].name in warning and disks[1].name in warning for warning in plan.warnings)
    lab.do(ImportGroup(group=group, force=True))
    assert [disk.present for disk in lab.config.disks_of(group)].count(False) == 2


def test_a_group_in_use_is_deported_by_force_only(lab: EngineLab) -> None:
    lab.make_volume()
    assert lab.opened is not None
    with Client(lab.opened.nbd) as client:
        client.go("dg/v")
        with pytest.raises(CommandRejected, match="in use by"):
            lab.engine.submit(DeportGroup(group=lab.group().ref))
        lab.do(DeportGroup(group=lab.group().ref, force=True))
    assert lab.group().state is GroupState.DEPORTED


def test_what_was_written_after_a_takeover_never_counts(lab: EngineLab, other: EngineLab) -> None:
    """Between the import by force and the moment it is noticed, writes of the old host may reach the LUNs: the new one
    makes its mirrors equal, so that each block reads as one value from then on."""
    lab.make_volume(mirrors=2, size=4 * MIB)
    assert lab.write(pattern(5, 4 * MIB)) == 0
    lab.do(ChangeSettings(monitoring_interval_s=3600))
    take(other)
    watch = lab.engine._takeovers
    assert watch is not None
    watch.look()
    with pytest.raises(KeyError):
        lab.write(b"late")
    for task in other.config.tasks_of(other.group().ref):
        assert other.engine.wait(task.ref, 60)
    assert other.equal()
    assert other.read(0, 4 * MIB) == pattern(5, 4 * MIB)
