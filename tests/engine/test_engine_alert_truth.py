"""What is broken is told, whoever found it out; what is mended is off the list; what is proposed helps."""

from __future__ import annotations

import contextlib

import pytest
from msgspec.structs import replace

from engine.commands import (
    AddDisks,
    AddMirrors,
    ChangeSettings,
    CreateVolume,
    DeleteVolumes,
    PauseTask,
    ReactivateDisk,
    ReplaceDisk,
    Rescan,
    ResyncVolume,
    UndoRelocation,
    VerifyVolume,
)
from engine.config import Config
from engine.errors import GroupFrozen
from engine.records import (
    Alert,
    Kind,
    Ref,
    RelocationMode,
    Remedy,
    Severity,
    TaskDelay,
    TaskState,
    TaskType,
    VolumeStatus,
)
from engine.units import KIB, MIB
from tests.engine.engine_lab import EngineLab, lab_fixture
from tests.engine.test_engine_faults import disk_of, pull
from tests.engine.test_engine_life import pattern
from tests.engine.test_engine_relocate import fails, looked, wait_for_status
from tests.engine.test_engine_replace import free_disk
from tests.engine.test_engine_scrub import repair, spoil, verify

lab = lab_fixture(5, luns=4, frail=True, relocates=True)


def by_hand(lab: EngineLab) -> None:
    lab.do(ChangeSettings(hot_relocation=RelocationMode.MANUAL))


def fails_in_private(lab: EngineLab, disk: Ref) -> None:
    """Its copy of the configuration can't be written any more, all else can."""
    lab.lun(disk).fail("write", "durable", persistent=True, at=lambda offset: offset < 5 * MIB)


def loses_a_mirror(lab: EngineLab, name: str = "v") -> Ref:
    """The first one, by a write."""
    disk = disk_of(lab, 0, name)
    fails(lab, 0, name)
    assert lab.write(pattern(1, MIB), 0, name) == 0
    assert lab.read(0, MIB, name) == pattern(1, MIB)
    return disk


def mended(lab: EngineLab, disk: Ref) -> None:
    lab.lun(disk).heal()
    lab.do(ReactivateDisk(disk=disk))
    wait_for_status(lab, VolumeStatus.HEALTHY)


def open_now(config: Config, text: str) -> list[Alert]:
    return [alert for alert in config.all(Kind.ALERT, Alert) if alert.open and text in alert.name]


def told(lab: EngineLab, text: str) -> Alert:
    """The open alert, as soon as there is one."""
    assert lab.engine.committer.wait_until(lambda config: bool(open_now(config, text)), 60), text
    return open_now(lab.config, text)[0]


def is_over(lab: EngineLab, text: str) -> bool:
    return lab.engine.committer.wait_until(lambda config: not open_now(config, text), 60)


def test_a_disk_that_fails_under_the_configuration_is_told_and_settled_when_it_is_reactivated(lab: EngineLab) -> None:
    by_hand(lab)
    lab.make_volume(mirrors=2, size=8 * MIB)
    disk = disk_of(lab, 0)
    fails_in_private(lab, disk)
    lab.make_volume("w", size=4 * MIB, disks=(disk_of(lab, 1),))
    assert lab.config.disk(disk).failing
    alert = told(lab, "is failing")
    assert (alert.severity, alert.object, alert.action) == (Severity.ERROR, disk, Remedy.REPLACE_DISK)
    looked(lab)
    assert len(open_now(lab.config, "is failing")) == 1
    mended(lab, disk)
    assert is_over(lab, "is failing")


def test_a_restart_tells_of_the_disks_that_failed_before_it(lab: EngineLab) -> None:
    by_hand(lab)
    lab.make_volume(mirrors=2, size=8 * MIB)
    disk = loses_a_mirror(lab)
    lab.restart_frail()
    assert told(lab, "is failing").object == disk
    mended(lab, disk)
    assert is_over(lab, "is failing")


def test_a_group_that_is_frozen_is_told_until_it_is_not(lab: EngineLab) -> None:
    lab.make_volume(mirrors=2, size=8 * MIB)
    disks = [disk.ref for disk in lab.config.disks_of(lab.group().ref)]
    for disk in disks[:3]:
        fails_in_private(lab, disk)
    with contextlib.suppress(GroupFrozen):
        lab.do(CreateVolume(group=lab.group().ref, name="w", size=4 * MIB))
    assert lab.group().frozen
    alert = told(lab, "No change is possible in dg")
    assert (alert.severity, alert.object, alert.action) == (Severity.ERROR, lab.group().ref, Remedy.RESCAN)
    assert alert.cause == lab.group().frozen
    lab.do(Rescan())
    looked(lab)
    assert len(open_now(lab.config, "No change is possible in dg")) == 1
    for disk in disks[:3]:
        lab.lun(disk).heal()
    lab.do(Rescan())
    assert is_over(lab, "No change is possible in dg")


def test_what_could_not_be_relocated_is_settled_when_it_is_whole_and_told_again_when_it_is_not(lab: EngineLab) -> None:
    lab.make_volume(mirrors=4, size=4 * MIB)
    taken = {disk_of(lab, number) for number in range(4)}
    (last,) = (disk.ref for disk in lab.config.disks_of(lab.group().ref) if disk.ref not in taken)
    lab.make_volume("w", size=lab.config.disk(last).largest_free, disks=(last,))
    for _ in range(2):
        disk = loses_a_mirror(lab)
        assert told(lab, "v could not be relocated").action_on == disk
        mended(lab, disk)
        assert is_over(lab, "v could not be relocated")


def test_while_a_task_rests_on_the_volume_that_is_said(lab: EngineLab) -> None:
    lab.do(ChangeSettings(iodelay_ms=(TaskDelay(TaskType.VERIFY, 1000),)))
    lab.make_volume(mirrors=2, size=24 * MIB)
    task = lab.engine.submit(VerifyVolume(volume=lab.volume().ref))
    lab.engine.submit(PauseTask(task=task))
    committer = lab.engine.committer
    assert committer.wait_until(lambda config: config.task(task).state is TaskState.PAUSED, 60)
    loses_a_mirror(lab)
    alert = told(lab, "v could not be relocated")
    assert "Verify v" in alert.cause
    assert alert.remedy.startswith("Resume or abort it")


def test_where_disks_have_failed_and_none_is_away_a_rescan_is_not_proposed(lab: EngineLab) -> None:
    by_hand(lab)
    disks = [disk.ref for disk in lab.config.disks_of(lab.group().ref)]
    for number, name in enumerate(("u", "v", "w")):
        lab.make_volume(name, mirrors=2, size=4 * MIB, disks=(disks[number], disks[4 - number % 2]))
        assert loses_a_mirror(lab, name) == disks[number]
    lab.do(ChangeSettings(hot_relocation=RelocationMode.AUTOMATIC))
    alert = told(lab, "Hot relocation in dg waits")
    assert alert.action is Remedy.REPAIR_VOLUME
    assert alert.action_on in [lab.volume(name).ref for name in ("u", "v", "w")]
    for disk in disks[:3]:
        lab.lun(disk).heal()
        lab.do(ReactivateDisk(disk=disk))
    assert is_over(lab, "Hot relocation in dg waits")


def test_a_replaced_spare_keeps_the_memory_of_where_its_pieces_were(lab: EngineLab) -> None:
    lab.make_volume(mirrors=2, size=8 * MIB)
    home = loses_a_mirror(lab)
    wait_for_status(lab, VolumeStatus.HEALTHY)
    by_hand(lab)
    spare = loses_a_mirror(lab)
    assert spare != home
    lab.do(ReplaceDisk(disk=spare, by=free_disk(lab)))
    mended(lab, home)
    lab.do(UndoRelocation(disk=home))
    assert disk_of(lab, 0) == home
    assert lab.equal()
    assert is_over(lab, "is relocated from")


def test_what_a_target_that_failed_has_had_is_settled_with_it(lab: EngineLab) -> None:
    lab.make_volume(mirrors=2, size=8 * MIB)
    loses_a_mirror(lab)
    wait_for_status(lab, VolumeStatus.HEALTHY)
    second = loses_a_mirror(lab)
    name = lab.config.disk(second).name
    told(lab, f"v is relocated from {name}")
    wait_for_status(lab, VolumeStatus.HEALTHY)
    mended(lab, second)
    assert is_over(lab, f"v is relocated from {name}")


def test_a_copy_that_failed_is_settled_by_the_one_that_succeeds(lab: EngineLab) -> None:
    by_hand(lab)
    lab.make_volume(mirrors=2, size=8 * MIB)
    disk = loses_a_mirror(lab)
    task = lab.engine.submit(ReactivateDisk(disk=disk))
    committer = lab.engine.committer
    assert committer.wait_until(lambda config: bool(open_now(config, "Resynchronize v failed")), 60), task
    mended(lab, disk)
    assert is_over(lab, "Resynchronize v failed")


def test_an_alert_goes_with_its_object_and_one_that_came_after_it_stays(lab: EngineLab) -> None:
    volume = lab.make_volume(size=4 * MIB).ref
    committer = lab.engine.committer
    committer.alert(Severity.WARNING, "Something of v.", about=volume)
    looked(lab)
    lab.do(DeleteVolumes(volumes=(volume,)))
    assert is_over(lab, "Something of v.")
    committer.alert(Severity.WARNING, "What became of v.", about=volume)
    looked(lab)
    looked(lab)
    assert open_now(lab.config, "What became of v.")


def test_a_free_disk_that_was_missing_is_off_the_list_when_it_is_back(lab: EngineLab) -> None:
    disk = free_disk(lab)
    path = lab.path_of(disk)
    path.rename(f"{path}.away")
    lab.do(Rescan())
    alert = told(lab, "is missing")
    assert (alert.object, alert.action) == (disk, Remedy.RESCAN)
    (path.parent / f"{path.name}.away").rename(path)
    lab.do(Rescan())
    assert is_over(lab, "is missing")


def test_what_is_over_before_anybody_has_looked_is_settled_all_the_same(lab: EngineLab) -> None:
    committer, disk = lab.engine.committer, lab.config.disks_of(lab.group().ref)[0]
    with committer.lock:
        committer.commit(lambda edit: edit.put(replace(edit.config.disk(disk.ref), failing=True)))
        committer.alert(Severity.ERROR, "It fails.", about=disk.ref, action=Remedy.REPLACE_DISK)
        committer.commit(lambda edit: edit.put(replace(edit.config.disk(disk.ref), failing=False)))
    assert is_over(lab, "It fails.")


def test_a_restart_tells_again_that_mirrors_differ_until_they_are_repaired(lab: EngineLab) -> None:
    lab.make_volume(mirrors=2, size=4 * MIB)
    assert lab.write(pattern(1, 4 * MIB)) == 0
    assert lab.flush() == 0
    spoil(lab, lab.plexes()[1], MIB, b"something else")
    found = verify(lab)
    text = "Verify v: its mirrors differ."
    looked(lab)
    assert len(open_now(lab.config, text)) == 1
    lab.restart_frail()
    alert = told(lab, text)
    assert (alert.object, alert.action, alert.cause) == (lab.volume().ref, Remedy.REPAIR_MIRRORS, found.result)
    repair(lab)
    assert is_over(lab, text)
    lab.restart_frail()
    looked(lab)
    assert not open_now(lab.config, text)


def test_what_keeps_one_volume_from_going_home_keeps_no_other(lab: EngineLab) -> None:
    lab.make_volume(mirrors=2, size=4 * MIB)
    home, other = disk_of(lab, 0), disk_of(lab, 1)
    lab.make_volume("w", mirrors=2, size=4 * MIB, disks=(home, other))
    loses_a_mirror(lab)
    for name in ("v", "w"):
        wait_for_status(lab, VolumeStatus.HEALTHY, name)
        assert disk_of(lab, 0, name) != home
    by_hand(lab)
    mended(lab, home)
    lab.do(AddMirrors(volume=lab.volume().ref, disks=(home,)))
    plan = lab.engine.plan(UndoRelocation(disk=home))
    assert [text for text in plan.warnings if text.startswith("v stays where it is: ")]
    lab.do(UndoRelocation(disk=home))
    assert disk_of(lab, 0, "w") == home
    assert disk_of(lab, 0) != home
    assert "holds another mirror of v" in lab.engine.plan(UndoRelocation(disk=home)).problems[0].text


@pytest.mark.parametrize("by", ["a rescan", "a first write"])
def test_a_write_that_failed_in_a_frozen_group_leaves_mirrors_that_are_made_equal(lab: EngineLab, by: str) -> None:
    """Whatever it is that ends the freeze."""
    by_hand(lab)
    volume = lab.make_volume(mirrors=2, size=8 * MIB).ref
    lab.make_volume("w", size=4 * MIB, disks=(disk_of(lab, 0),))
    assert lab.write(pattern(1, 64 * KIB)) == 0
    lab.lun(disk_of(lab, 1)).fail("write", "durable", persistent=True, at=lambda offset: offset >= 5 * MIB)
    disks = [disk.ref for disk in lab.config.disks_of(lab.group().ref)]
    for disk in disks:
        fails_in_private(lab, disk)
    assert lab.write(pattern(2, 64 * KIB)) != 0
    assert lab.group().frozen
    assert not lab.equal()
    for disk in disks:
        lab.lun(disk).heal()
    if by == "a rescan":  # which begins the copy as well
        lab.do(Rescan())
    else:
        assert lab.write(pattern(3, 64 * KIB), 0, "w") == 0
        assert lab.volume().status is VolumeStatus.FAILED_REDUNDANCY
        alert = told(lab, "The mirrors of v may differ")
        assert (alert.object, alert.action) == (volume, Remedy.RESYNC_VOLUME)
        lab.do(ResyncVolume(volume=volume))
    wait_for_status(lab, VolumeStatus.HEALTHY)
    assert is_over(lab, "The mirrors of v may differ")
    assert lab.equal()


def test_a_disk_that_took_over_is_told_of_when_it_is_missing_too(lab: EngineLab) -> None:
    """It goes by the name of the one before it, and nobody has looked in between."""
    by_hand(lab)
    lab.make_volume(mirrors=2, size=4 * MIB)
    for _ in range(2):
        disk = disk_of(lab, 0)
        pull(lab, disk)
        lab.do(Rescan())
        assert told(lab, "of the disk group dg is missing").object == disk
        lab.do(ReplaceDisk(disk=disk, by=free_disk(lab)))
        assert is_over(lab, "of the disk group dg is missing")


def test_a_disk_that_has_failed_is_not_taken_again_silently(lab: EngineLab) -> None:
    by_hand(lab)
    lab.make_volume(mirrors=2, size=4 * MIB)
    failed = loses_a_mirror(lab)
    lab.do(ReplaceDisk(disk=failed, by=free_disk(lab)))
    assert lab.config.disk(failed).group is None
    name = lab.config.disk(failed).name
    again = loses_a_mirror(lab)
    group = lab.group().ref
    for command in (ReplaceDisk(disk=again, by=failed), AddDisks(group=group, disks=(failed,))):
        assert f"I/O errors were seen on {name}." in lab.engine.plan(command).warnings
