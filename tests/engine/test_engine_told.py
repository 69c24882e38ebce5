"""What a look at the LUNs finds wrong is told once while it lasts, with its disk, and again at the next start."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from engine.commands import DeportGroup, ReactivateDisk, Rescan, StartVolumes
from engine.config import Config
from engine.records import Alert, Disk, Kind, Remedy, Severity, VolumeStatus
from engine.units import MIB
from tests.engine.engine_lab import EngineLab, lab_fixture

lab = lab_fixture()


def open_alerts(lab: EngineLab) -> list[Alert]:
    alerts = lab.config.all(Kind.ALERT, Alert)
    return [alert for alert in alerts if alert.name.endswith("is missing.") and alert.open]


def test_a_missing_disk_is_told_of_once_and_after_each_start(lab: EngineLab) -> None:
    disk = lab.config.disks_of(lab.group().ref)[0]
    path = lab.path_of(disk.ref)
    away = path.rename(path.with_suffix(".away"))
    for _ in range(2):
        lab.do(Rescan())
        (alert,) = open_alerts(lab)
    assert alert.object == disk.ref
    assert alert.remedy
    lab.restart()
    (alert,) = open_alerts(lab)
    assert alert.object is not None
    assert lab.config.get(alert.object) is not None
    away.rename(path)
    lab.do(Rescan())
    assert not open_alerts(lab)
    path.rename(away)
    lab.do(Rescan())
    assert len(open_alerts(lab)) == 1
    away.rename(path)


def test_a_disk_that_is_back_settles_its_alert_and_says_what_is_left_to_do(lab: EngineLab) -> None:
    lab.make_volume(mirrors=2)
    disk = lab.config.subdisks_of(lab.plexes()[0].ref)[0].disk
    path = lab.path_of(disk)
    away = path.rename(path.with_suffix(".away"))
    lab.do(Rescan())
    away.rename(path)
    lab.do(Rescan())
    assert not open_alerts(lab)
    (told,) = [alert for alert in lab.config.all(Kind.ALERT, Alert) if "is back" in alert.name]
    assert (told.object, told.action) == (disk, Remedy.REACTIVATE_DISK)
    assert "v has been used without it" in told.cause
    lab.do(ReactivateDisk(disk=disk))
    assert lab.volume().status is VolumeStatus.HEALTHY


def test_a_lun_that_is_away_at_a_start_is_one_missing_disk(tmp_path: Path) -> None:
    lab = EngineLab(tmp_path).start()
    lab.make_group()
    disks = len(lab.config.all(Kind.DISK, Disk))
    disk = lab.config.disks_of(lab.group().ref)[0]
    path = lab.path_of(disk.ref)
    lab.stop()
    path.rename(path.with_suffix(".away"))
    lab.start()
    shown = lab.config.all(Kind.DISK, Disk)
    assert len(shown) == disks
    assert [each.name for each in shown if not each.present] == [disk.name]
    path.with_suffix(".away").rename(path)
    lab.do(Rescan())
    assert len(lab.config.all(Kind.DISK, Disk)) == disks
    assert lab.config.disk(disk.ref).present
    lab.stop()


def test_what_another_host_lacks_is_told_there_and_to_whoever_may_import_it(lab: EngineLab, tmp_path: Path) -> None:
    path = lab.path_of(lab.config.disks_of(lab.group().ref)[0].ref)
    path.rename(path.with_suffix(".away"))
    lab.do(Rescan())
    assert len(open_alerts(lab)) == 1
    stranger = EngineLab(tmp_path, "b").start()
    try:
        assert open_alerts(stranger) == [], "it can do nothing about it"
        lab.do(DeportGroup(group=lab.group().ref))
        stranger.restart()
        (alert,) = open_alerts(stranger)
        assert (alert.severity, alert.action) == (Severity.WARNING, Remedy.RESCAN)
        path.with_suffix(".away").rename(path)
        stranger.restart()
        assert not open_alerts(stranger)
    finally:
        stranger.stop()


def test_a_lun_that_has_become_smaller_is_told_with_its_disk_and_what_to_do(lab: EngineLab) -> None:
    disk = lab.config.disks_of(lab.group().ref)[1]
    lab.stop()
    os.truncate(disk.lun, 40 * MIB)
    lab.start()
    (alert,) = [alert for alert in lab.config.all(Kind.ALERT, Alert) if alert.open and "smaller" in alert.name]
    assert alert.name == f"{disk.name} of the disk group dg has become smaller."
    assert (alert.object, alert.action) == (disk.ref, Remedy.REPLACE_DISK)
    assert "MiB are gone" in alert.cause


def test_a_volume_that_is_fenced_by_a_look_is_told_of_once(lab: EngineLab) -> None:
    volume = lab.make_volume(size=8 * MIB).ref
    assert lab.write(b"x" * 4096) == 0
    path = lab.path_of(lab.config.subdisks_of(lab.plexes()[0].ref)[0].disk)
    copy = shutil.copy(path, path.with_suffix(".copy"))
    os.replace(copy, path)
    for _ in range(3):
        lab.do(Rescan())
        told = [alert for alert in lab.config.all(Kind.ALERT, Alert) if alert.object == volume]
        assert [alert.action for alert in told] == [Remedy.START_VOLUME]
    assert told[0].cause == lab.volume().fenced
    lab.do(StartVolumes(volumes=(volume,)))

    def is_settled(config: Config) -> bool:
        return not any(alert.open for alert in config.all(Kind.ALERT, Alert) if alert.ref == told[0].ref)

    assert lab.engine.committer.wait_until(is_settled, 60)
    assert lab.write(b"y" * 4096) == 0
