"""Hot relocation: what it begins by itself, what it leaves alone, and what a storm would be."""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace

from engine.commands import (
    ChangeSettings,
    ReactivateDisk,
    RepairVolumes,
    ReplaceDisk,
    Rescan,
    SetDiskUsage,
    UndoRelocation,
)
from engine.config import Config
from engine.records import (
    Alert,
    DiskUsage,
    Kind,
    Ref,
    RelocationMode,
    Remedy,
    Settings,
    Task,
    TaskType,
    VolumeStatus,
)
from engine.units import MIB
from tests.engine.engine_lab import EngineLab, lab_fixture
from tests.engine.test_engine_faults import bring_back, disk_of, pull
from tests.engine.test_engine_life import pattern
from tests.engine.test_engine_replace import Writer, free_disk, settle

lab = lab_fixture(6, luns=5, frail=True, relocates=True)


def set_wait(lab: EngineLab, wait_s: int) -> None:
    lab.do(ChangeSettings(relocation_wait_s=wait_s))


def fails(lab: EngineLab, number: int = 0, name: str = "v") -> None:
    lab.lun(disk_of(lab, number, name)).fail("read", "write", persistent=True, at=lambda offset: offset >= 5 * MIB)


def wait_for_status(lab: EngineLab, status: VolumeStatus, name: str = "v") -> None:
    ref = lab.volume(name).ref

    def holds(config: Config) -> bool:
        return config.volume(ref).status is status and all(task.ended for task in config.all(Kind.TASK, Task))

    assert lab.engine.committer.wait_until(holds, 60), lab.volume(name).status


def resyncs(lab: EngineLab) -> list[Task]:
    return [task for task in lab.config.all(Kind.TASK, Task) if task.type is TaskType.RESYNC]


def alert_of(lab: EngineLab, text: str) -> Alert:
    committer = lab.engine.committer
    assert committer.wait_until(lambda config: any(text in one.name for one in config.all(Kind.ALERT, Alert)), 60), text
    return next(one for one in lab.config.all(Kind.ALERT, Alert) if text in one.name)


def looked(lab: EngineLab) -> None:
    """Hot relocation has looked at everything that was committed so far, and begun what it begins."""
    assert lab.engine._relocation is not None
    lab.engine._relocation._look()


def test_a_failing_disk_under_a_writer_is_relocated_to_the_spare_and_undone(lab: EngineLab) -> None:
    lab.make_volume(mirrors=2, size=16 * MIB)
    used = {sd.disk for plex in lab.plexes() for sd in lab.config.subdisks_of(plex.ref)}
    spare = next(disk.ref for disk in lab.config.disks_of(lab.group().ref) if disk.ref not in used)
    lab.do(SetDiskUsage(disks=(spare,), usage=DiskUsage.SPARE))
    old = disk_of(lab, 0)
    with Writer(lab, 16 * MIB) as writer:
        writer.wait_turns(30)
        fails(lab)
        assert lab.engine.committer.wait_until(lambda config: config.disk(old).failing, 60)
        wait_for_status(lab, VolumeStatus.HEALTHY)
        writer.wait_turns(30)
    assert disk_of(lab, 0) == spare
    assert lab.equal()
    told = alert_of(lab, "is relocated from")
    assert (told.object, told.action, told.action_on) == (lab.volume().ref, Remedy.REPLACE_DISK, old)
    assert told.cause
    assert told.remedy
    lab.lun(old).heal()
    lab.do(ReactivateDisk(disk=old))
    lab.do(UndoRelocation(disk=old))
    assert disk_of(lab, 0) == old
    assert lab.equal()


def test_a_pulled_disk_is_given_its_wait_and_a_flapping_one_begins_nothing(lab: EngineLab) -> None:
    set_wait(lab, 3600)
    lab.make_volume(mirrors=2)
    old = disk_of(lab, 0)
    for _ in range(5):
        path = pull(lab, old)
        lab.do(Rescan())
        looked(lab)
        bring_back(path)
        lab.do(Rescan())
        looked(lab)
    assert disk_of(lab, 0) == old
    path = pull(lab, old)
    lab.do(Rescan())
    looked(lab)
    assert disk_of(lab, 0) == old
    set_wait(lab, 0)
    wait_for_status(lab, VolumeStatus.HEALTHY)
    assert disk_of(lab, 0) != old
    assert lab.equal()
    bring_back(path)
    lab.do(Rescan())
    lab.do(UndoRelocation(disk=old))
    assert disk_of(lab, 0) == old
    assert lab.equal()


def test_a_wait_ends_by_itself(lab: EngineLab) -> None:
    set_wait(lab, 1)
    lab.make_volume(mirrors=2)
    old = disk_of(lab, 0)
    pull(lab, old)
    lab.do(Rescan())
    wait_for_status(lab, VolumeStatus.HEALTHY)
    assert disk_of(lab, 0) != old


def test_in_manual_mode_the_operator_begins_it(lab: EngineLab) -> None:
    lab.do(ChangeSettings(hot_relocation=RelocationMode.MANUAL))
    lab.make_volume(mirrors=2)
    old = disk_of(lab, 0)
    fails(lab)
    assert lab.write(pattern(1, MIB), 0) == 0
    assert lab.read(0, MIB) == pattern(1, MIB)
    looked(lab)
    assert resyncs(lab) == []
    assert lab.volume().status is VolumeStatus.FAILED_REDUNDANCY
    lab.do(RepairVolumes(volumes=(lab.volume().ref,)))
    assert disk_of(lab, 0) != old
    assert lab.volume().status is VolumeStatus.HEALTHY


def test_nothing_is_begun_while_half_of_the_group_or_two_enclosures_are_away(lab: EngineLab) -> None:
    lab.make_volume(mirrors=2)
    disks = lab.config.disks_of(lab.group().ref)
    first, second = disk_of(lab, 0), disk_of(lab, 1)
    other = next(
        disk.ref
        for disk in disks
        if disk.ref not in (first, second) and disk.enclosure != lab.config.disk(first).enclosure
    )
    lab.do(ChangeSettings(hot_relocation=RelocationMode.MANUAL))
    paths = [pull(lab, first), pull(lab, other)]
    lab.do(Rescan())
    lab.do(ChangeSettings(hot_relocation=RelocationMode.AUTOMATIC))
    looked(lab)
    looked(lab)
    assert resyncs(lab) == []
    told = alert_of(lab, "Hot relocation in dg waits")
    assert "more than one enclosure" in told.cause
    assert len([one for one in lab.config.all(Kind.ALERT, Alert) if "waits" in one.name]) == 1
    bring_back(paths[1])
    lab.do(Rescan())
    wait_for_status(lab, VolumeStatus.HEALTHY)
    assert disk_of(lab, 0) != first


def test_where_no_disk_may_take_it_that_is_said_once_and_done_as_soon_as_one_can(tmp_path: Path) -> None:
    lab = EngineLab(tmp_path, luns=3).start(frail=True, relocates=True)
    try:
        lab.make_group(3)
        lab.make_volume(mirrors=3)
        fails(lab)
        assert lab.write(pattern(2, MIB), 0) == 0
        assert lab.read(0, MIB) == pattern(2, MIB)
        told = alert_of(lab, "could not be relocated")
        assert (told.action, bool(told.cause), bool(told.remedy)) == (Remedy.REPLACE_DISK, True, True)
        looked(lab)
        assert len([one for one in lab.config.all(Kind.ALERT, Alert) if "could not be" in one.name]) == 1
        lab.do(ReplaceDisk(disk=disk_of(lab, 0), by=free_disk(lab)))
        assert lab.volume().status is VolumeStatus.HEALTHY
    finally:
        lab.stop()


def test_many_volumes_are_filled_two_at_a_time(lab: EngineLab) -> None:
    disks = [disk.ref for disk in lab.config.disks_of(lab.group().ref)]
    names = [f"v{number}" for number in range(5)]
    for name in names:
        lab.make_volume(name, size=4 * MIB, mirrors=2, disks=(disks[0], disks[1]))
    live = most = 0
    refs: set[object] = set()

    def hear(batch: object) -> None:
        nonlocal live, most
        for event in batch.events:  # type: ignore[attr-defined]
            record = getattr(event, "record", None)
            if isinstance(record, Task) and record.type is TaskType.RESYNC:
                (refs.discard if record.ended else refs.add)(record.ref)
                most = max(most, len(refs))

    lab.engine.attach(hear)
    fails(lab, 0, "v0")
    assert lab.write(pattern(3, MIB), 0, "v0") == 0
    assert lab.read(0, MIB, "v0") == pattern(3, MIB)
    for name in names:
        wait_for_status(lab, VolumeStatus.HEALTHY, name)
        assert lab.equal(name)
    lab.engine.detach(hear)
    assert 1 <= most <= 2
    assert len(resyncs(lab)) == 5


def test_a_slow_enclosure_begins_nothing(lab: EngineLab) -> None:
    lab.make_volume(mirrors=2)
    lun = lab.lun(disk_of(lab, 0))
    import threading

    lun.barrier = threading.Event()
    writing = threading.Thread(target=lambda: lab.write(pattern(4, MIB), 0))
    writing.start()
    assert lun.stalled.wait(60)
    looked(lab)
    assert resyncs(lab) == []
    lun.barrier.set()
    writing.join()
    looked(lab)
    assert resyncs(lab) == []
    assert lab.volume().status is VolumeStatus.HEALTHY


def test_a_target_that_fails_too_is_followed_by_the_next(lab: EngineLab) -> None:
    lab.make_volume(mirrors=2, size=16 * MIB)
    used = [disk_of(lab, 0), disk_of(lab, 1)]
    spare = next(disk.ref for disk in lab.config.disks_of(lab.group().ref) if disk.ref not in used)
    lab.do(SetDiskUsage(disks=(spare,), usage=DiskUsage.SPARE))
    data = pattern(5, 16 * MIB)
    assert lab.write(data, 0) == 0
    lab.lun(spare).fail("write", nth=4, persistent=True, at=lambda offset: offset >= 5 * MIB)
    fails(lab)
    assert lab.read(0, 16 * MIB) == data
    committer = lab.engine.committer
    assert committer.wait_until(lambda config: config.disk(spare).failing, 60)
    wait_for_status(lab, VolumeStatus.HEALTHY)
    assert disk_of(lab, 0) not in (*used, spare)
    assert lab.read(0, 16 * MIB) == data
    assert lab.equal()


def test_a_restart_forgets_no_failing_disk_and_relocates_then(lab: EngineLab) -> None:
    lab.do(ChangeSettings(hot_relocation=RelocationMode.MANUAL))
    lab.make_volume(mirrors=2)
    old = disk_of(lab, 0)
    fails(lab)
    assert lab.write(pattern(6, MIB), 0) == 0
    assert lab.read(0, MIB) == pattern(6, MIB)
    lab.restart_frail()
    assert lab.config.disk(old).failing
    wait_for_status(lab, VolumeStatus.HEALTHY)
    assert disk_of(lab, 0) != old
    assert lab.read(0, MIB) == pattern(6, MIB)


def test_only_what_is_redundant_is_relocated(lab: EngineLab) -> None:
    lab.make_volume("one")
    fails(lab, 0, "one")
    assert lab.write(pattern(7, MIB), 0, "one") != 0
    looked(lab)
    assert resyncs(lab) == []
    settle(lab)
    settings = lab.config.all(Kind.SETTINGS, Settings)[0]
    assert replace(settings, hot_relocation=RelocationMode.AUTOMATIC) == settings


def test_a_disk_that_is_back_after_a_relocation_can_be_gone_back_to(lab: EngineLab) -> None:
    lab.make_volume(mirrors=2, size=8 * MIB)
    old = disk_of(lab, 0)
    path = pull(lab, old)
    lab.do(Rescan())
    alert = alert_of(lab, "is relocated").ref
    wait_for_status(lab, VolumeStatus.HEALTHY)
    assert told(lab.config, alert).action is Remedy.REPLACE_DISK
    bring_back(path)
    lab.do(Rescan())
    committer = lab.engine.committer
    assert committer.wait_until(lambda config: told(config, alert).action is Remedy.UNDO_RELOCATION, 60)
    assert told(lab.config, alert).open
    lab.do(UndoRelocation(disk=old))
    assert committer.wait_until(lambda config: not told(config, alert).open, 60)


def told(config: Config, alert: Ref) -> Alert:
    found = config[alert]
    assert isinstance(found, Alert)
    return found
