"""What a look at the LUNs finds changed behind the engine's back, and what becomes of what has no other copy."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.cli.lab_faults import damage
from engine.commands import AddLuns, EvacuateDisk, RemoveLuns, ReplaceDisk, Rescan, StartVolumes
from engine.errors import CommandRejected
from engine.records import Alert, Disk, DiskStatus, Kind, Ref, Remedy, VolumeStatus
from engine.units import MIB
from tests.engine.engine_lab import EngineLab
from tests.engine.test_engine_life import pattern


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[EngineLab]:
    made = EngineLab(tmp_path, luns=5).start()
    made.make_group(3)
    yield made
    if made.opened is not None:
        made.stop()


def disk_of(lab: EngineLab, plex: int = 0) -> Ref:
    return lab.config.subdisks_of(lab.plexes()[plex].ref)[0].disk


def read_error(lab: EngineLab) -> int:
    """What a client that is still connected gets."""
    try:
        lab.read(0, MIB)
    except OSError as error:
        return error.errno or 0
    return 0


def open_alerts(lab: EngineLab, action: Remedy) -> list[Alert]:
    return [alert for alert in lab.config.all(Kind.ALERT, Alert) if alert.open and alert.action is action]


def test_luns_that_exchange_their_names_stay_the_disks_that_they_are(lab: EngineLab) -> None:
    lab.make_volume(mirrors=2)
    assert lab.write(pattern(1, MIB), 0) == 0
    disks = [disk_of(lab, 0), disk_of(lab, 1)]
    one, other = (lab.path_of(disk) for disk in disks)
    between = one.with_name("between.img")
    for old, new in ((one, between), (other, one), (between, other)):
        old.rename(new)
    lab.do(Rescan())
    assert [lab.config.disk(disk).lun for disk in disks] == [str(other), str(one)]
    assert lab.volume().status is VolumeStatus.HEALTHY
    assert lab.write(pattern(2, MIB), MIB) == 0
    lab.restart()
    assert lab.equal()
    assert lab.read(0, 2 * MIB) == pattern(1, MIB) + pattern(2, MIB)
    assert [lab.config.disk(disk).lun for disk in disks] == [str(other), str(one)]


def test_a_lun_under_the_path_of_another_one_that_is_gone_leaves_that_one_missing(lab: EngineLab) -> None:
    lab.make_volume(mirrors=2)
    stays, goes = disk_of(lab, 0), disk_of(lab, 1)
    assert lab.write(pattern(3, MIB), 0) == 0
    path = lab.path_of(goes)
    path.rename(path.with_suffix(".away"))
    lab.path_of(stays).rename(path)
    lab.do(Rescan())
    assert (lab.config.disk(stays).lun, lab.config.disk(stays).present) == (str(path), True)
    assert not lab.config.disk(goes).present
    assert lab.read(0, MIB) == pattern(3, MIB)


def test_an_old_copy_of_the_only_copy_is_not_read_until_the_operator_says_so(lab: EngineLab) -> None:
    lab.make_volume()
    path = lab.path_of(disk_of(lab))
    shutil.copy(path, path.with_suffix(".old"))
    assert lab.write(pattern(4, MIB), 0) == 0
    path.with_suffix(".old").replace(path)
    lab.do(Rescan())
    assert read_error(lab) == errno.EIO
    assert not lab.volume().serving
    (told,) = open_alerts(lab, Remedy.START_VOLUME)
    assert told.object == lab.volume().ref
    assert "delete" in told.remedy
    lab.do(StartVolumes(volumes=(lab.volume().ref,)))
    assert lab.volume().serving
    assert lab.read(0, MIB) == bytes(MIB)  # what is older, as the operator wants it


def test_an_old_copy_that_was_put_back_while_the_engine_was_away_is_not_read_either(lab: EngineLab) -> None:
    lab.make_volume()
    path = lab.path_of(disk_of(lab))
    shutil.copy(path, path.with_suffix(".old"))
    assert lab.write(pattern(5, MIB), 0) == 0
    lab.stop()
    path.with_suffix(".old").replace(path)
    lab.start()
    assert read_error(lab) == errno.EIO
    assert [alert.object for alert in open_alerts(lab, Remedy.START_VOLUME)] == [lab.volume().ref]


def test_of_two_that_are_the_same_none_is_taken_before_one_has_gone(lab: EngineLab) -> None:
    lab.make_volume()
    path = lab.path_of(disk_of(lab))
    twin = path.with_name("twin.img")
    shutil.copy(path, twin)
    lab.do(AddLuns(paths=(str(twin),)))
    assert lab.write(pattern(6, MIB), 0) == 0
    lab.stop()
    shutil.copy(path, twin)
    lab.start()
    assert not lab.config.disk(disk_of(lab)).present
    copies = [disk for disk in lab.config.all(Kind.DISK, Disk) if disk.lun == str(twin)]
    twin.unlink()
    lab.do(RemoveLuns(disks=tuple(disk.ref for disk in copies)))
    lab.do(Rescan())
    assert lab.config.disk(disk_of(lab)).present
    assert lab.read(0, MIB) == pattern(6, MIB)


def test_a_disk_without_its_label_leaves_its_mirrors_to_others_and_can_be_replaced(lab: EngineLab) -> None:
    lab.make_volume(mirrors=2)
    assert lab.write(pattern(7, MIB), 0) == 0
    lost = disk_of(lab, 0)
    damage(lab.path_of(lost), 0)
    lab.do(Rescan())
    assert lab.config.disk(lost).status is DiskStatus.MISSING
    assert lab.read(0, MIB) == pattern(7, MIB)
    fresh = next(disk for disk in lab.config.all(Kind.DISK, Disk) if disk.group is None and disk.present)
    lab.do(ReplaceDisk(disk=lost, by=fresh.ref))
    assert lab.volume().status is VolumeStatus.HEALTHY
    assert lab.equal()
    assert not [alert for alert in open_alerts(lab, Remedy.REPLACE_DISK) if alert.object == lost]


def test_the_only_copy_on_a_disk_without_its_label_is_evacuated_while_it_is_open(lab: EngineLab) -> None:
    lab.make_volume()
    assert lab.write(pattern(8, MIB), 0) == 0
    lost = disk_of(lab)
    damage(lab.path_of(lost), 0)
    lab.do(Rescan())
    lab.do(Rescan())
    (told,) = open_alerts(lab, Remedy.EVACUATE_DISK)
    assert told.object == lost
    lab.do(EvacuateDisk(disk=lost))
    assert lab.flush() == 0
    lab.do(Rescan())
    assert lab.config.disk(lost).status is DiskStatus.MISSING
    lab.restart()
    assert lab.read(0, MIB) == pattern(8, MIB)


def test_a_lun_that_became_smaller_fails_is_told_of_at_once_and_can_be_replaced(lab: EngineLab) -> None:
    lab.make_volume(mirrors=2, size=24 * MIB)
    assert lab.write(pattern(9, MIB), 20 * MIB) == 0
    lost = disk_of(lab, 0)
    os.truncate(lab.path_of(lost), lab.config.disk(lost).public_offset + MIB)
    lab.do(Rescan())
    assert lab.config.disk(lost).status is DiskStatus.FAILING
    assert [alert.object for alert in open_alerts(lab, Remedy.REPLACE_DISK)] == [lost]
    fresh = next(disk for disk in lab.config.all(Kind.DISK, Disk) if disk.group is None and disk.present)
    lab.do(ReplaceDisk(disk=lost, by=fresh.ref))
    assert lab.volume().status is VolumeStatus.HEALTHY
    assert lab.equal()
    assert lab.read(20 * MIB, MIB) == pattern(9, MIB)


def test_the_only_copy_on_a_lun_that_became_smaller_has_to_go_first(lab: EngineLab) -> None:
    lab.make_volume(size=24 * MIB)
    lost = disk_of(lab)
    os.truncate(lab.path_of(lost), lab.config.disk(lost).public_offset + MIB)
    lab.do(Rescan())
    fresh = next(disk for disk in lab.config.all(Kind.DISK, Disk) if disk.group is None and disk.present)
    with pytest.raises(CommandRejected, match="delete"):
        lab.engine.submit(ReplaceDisk(disk=lost, by=fresh.ref))
