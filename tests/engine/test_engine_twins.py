"""Copies of LUNs that lie about: none is ever written to, or read in place of the disk that it is a copy of."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

import pytest

from engine.cli.lab_faults import damage
from engine.commands import (
    AddLuns,
    EvacuateDisk,
    RemoveLuns,
    ReplaceDisk,
    Rescan,
    ResyncVolume,
    StartVolumes,
)
from engine.errors import CommandRejected
from engine.records import Alert, Disk, Kind, Ref, Remedy, VolumeStatus
from engine.units import MIB
from tests.engine.engine_lab import EngineLab, lab_fixture
from tests.engine.test_engine_life import pattern

lab = lab_fixture(3, luns=5)


def disk_of(lab: EngineLab) -> Ref:
    return lab.config.subdisks_of(lab.plexes()[0].ref)[0].disk


def twin_of(lab: EngineLab, number: int = 0, *, known: bool = True) -> Path:
    """What is written from here on the copy lacks."""
    path = lab.path_of(disk_of(lab))
    twin = path.with_name(f"{path.stem}-twin{number}.img")
    shutil.copy(path, twin)
    if known:
        lab.do(AddLuns(paths=(str(twin),)))
        lab.do(Rescan())
    return twin


def disk_at(lab: EngineLab, path: Path) -> Disk:
    return next(disk for disk in lab.config.all(Kind.DISK, Disk) if disk.lun == str(path))


def alerts(lab: EngineLab, about: Ref) -> list[Alert]:
    return [alert for alert in lab.config.all(Kind.ALERT, Alert) if alert.open and alert.object == about]


def error_of_read(lab: EngineLab) -> int:
    try:
        lab.read(0, MIB)
    except OSError as error:
        return error.errno or 0
    return 0


def away(path: Path) -> Path:
    return path.rename(path.with_suffix(".away"))


@pytest.mark.parametrize("copies", [1, 2])
def test_the_only_copy_on_a_disk_that_lost_its_label_is_had_from_it_and_not_from_an_old_copy(
    lab: EngineLab, copies: int
) -> None:
    lab.make_volume()
    twins = [twin_of(lab, number) for number in range(copies)]
    assert lab.write(pattern(1, MIB), 0) == 0
    before = [twin.read_bytes() for twin in twins]
    lost, path = disk_of(lab), lab.path_of(disk_of(lab))
    damage(path, 0)
    for _ in range(2):
        lab.do(Rescan())
        assert lab.path_of(lost) == path
        assert lab.read(0, MIB) == pattern(1, MIB)
    (told,) = alerts(lab, lost)
    assert told.action is Remedy.EVACUATE_DISK
    lab.do(EvacuateDisk(disk=lost))
    assert lab.flush() == 0
    for _ in range(3):
        lab.do(Rescan())
    told_last = {alert.name: alert.action for alert in alerts(lab, lost)}
    assert told_last["Harddisk0 of the disk group dg is missing."] is Remedy.REPLACE_DISK
    assert len(alerts(lab, lost)) == len(told_last), "something is told again and again"
    assert lab.read(0, MIB) == pattern(1, MIB)
    assert [twin.read_bytes() for twin in twins] == before
    lab.restart()
    assert lab.read(0, MIB) == pattern(1, MIB)


def test_a_label_that_goes_in_the_same_moment_as_a_copy_comes_leaves_the_disk_where_it_is(lab: EngineLab) -> None:
    lab.make_volume()
    twin = twin_of(lab, known=False)
    assert lab.write(pattern(2, MIB), 0) == 0
    before, path = twin.read_bytes(), lab.path_of(disk_of(lab))
    damage(path, 0)
    lab.do(AddLuns(paths=(str(twin),)))
    lab.do(Rescan())
    assert lab.path_of(disk_of(lab)) == path
    assert lab.read(0, MIB) == pattern(2, MIB)
    assert twin.read_bytes() == before


def test_a_copy_is_not_taken_for_the_disk_that_has_gone(lab: EngineLab) -> None:
    lab.make_volume()
    twin = twin_of(lab)
    assert lab.write(pattern(3, MIB), 0) == 0
    before, lost, path = twin.read_bytes(), disk_of(lab), lab.path_of(disk_of(lab))
    gone = away(path)
    lab.do(Rescan())
    assert not lab.config.disk(lost).present
    assert error_of_read(lab) == errno.EIO
    assert any("Bring its LUN back" in alert.remedy for alert in alerts(lab, lost))
    gone.rename(path)
    lab.do(Rescan())
    assert lab.path_of(lost) == path
    assert lab.read(0, MIB) == pattern(3, MIB)
    assert lab.volume().status is VolumeStatus.HEALTHY
    assert twin.read_bytes() == before


def test_what_has_other_copies_is_made_anew_on_a_new_lun_while_a_copy_lies_about(lab: EngineLab) -> None:
    lab.make_volume(mirrors=2)
    twin = twin_of(lab)
    assert lab.write(pattern(4, MIB), 0) == 0
    before, lost = twin.read_bytes(), disk_of(lab)
    damage(lab.path_of(lost), 0)
    lab.do(Rescan())
    assert not lab.config.disk(lost).present
    with pytest.raises(CommandRejected):
        lab.engine.submit(ReplaceDisk(disk=lost, by=disk_at(lab, twin).ref))
    fresh = next(
        disk
        for disk in lab.config.all(Kind.DISK, Disk)
        if disk.group is None and disk.present and not disk.content and disk.lun != str(twin)
    )
    lab.do(ReplaceDisk(disk=lost, by=fresh.ref))
    assert lab.volume().status is VolumeStatus.HEALTHY
    assert lab.equal()
    assert lab.read(0, MIB) == pattern(4, MIB)
    assert twin.read_bytes() == before


@pytest.mark.parametrize("mirrors", [1, 2])
def test_another_lun_that_turns_up_as_a_disk_that_has_gone_is_believed_as_little_as_an_old_one(
    lab: EngineLab, mirrors: int
) -> None:
    """Both are found by one look: nobody has seen the two beside each other."""
    lab.make_volume(mirrors=mirrors)
    twin = twin_of(lab, known=False)
    assert lab.write(pattern(5, MIB), 0) == 0
    lost = disk_of(lab)
    away(lab.path_of(lost))
    lab.do(AddLuns(paths=(str(twin),)))
    assert lab.path_of(lost) == twin
    if mirrors == 1:
        assert error_of_read(lab) == errno.EIO
        assert [alert.action for alert in alerts(lab, lab.volume().ref)] == [Remedy.START_VOLUME]
    else:
        assert lab.read(0, MIB) == pattern(5, MIB)
        assert lab.write(pattern(6, MIB), MIB) == 0
        assert lab.read(0, 2 * MIB) == pattern(5, MIB) + pattern(6, MIB)


def test_a_copy_that_is_taken_off_the_list_and_added_again_may_be_the_disk(lab: EngineLab) -> None:
    """Where the LUN has gone for good, an old copy may be better than nothing: that is for the operator to say."""
    lab.make_volume()
    twin = twin_of(lab)
    lost = disk_of(lab)
    away(lab.path_of(lost))
    lab.do(Rescan())
    lab.do(RemoveLuns(disks=(disk_at(lab, twin).ref,)))
    lab.do(AddLuns(paths=(str(twin),)))
    assert lab.path_of(lost) == twin


def test_where_a_copy_is_all_that_keeps_a_disk_away_nothing_is_to_be_deleted(lab: EngineLab) -> None:
    lab.make_volume()
    twin = twin_of(lab)
    assert lab.write(pattern(7, MIB), 0) == 0
    original = lab.path_of(disk_of(lab))
    lab.stop()
    shutil.copy(original, twin)
    lab.start()
    (told,) = alerts(lab, disk_of(lab))
    assert "Take the copy away" in told.remedy
    assert "delete" not in told.remedy
    assert str(twin) in told.cause
    copy = disk_at(lab, twin)
    twin.unlink()
    lab.do(RemoveLuns(disks=(copy.ref,)))
    lab.do(Rescan())
    assert lab.read(0, MIB) == pattern(7, MIB)
    assert told.name not in {one.name for one in alerts(lab, disk_of(lab))}


def test_an_old_image_of_a_disk_that_keeps_no_configuration_is_told_by_its_stamp(tmp_path: Path) -> None:
    """Five disks of a group keep its configuration. Every import stamps them all: an image from before it is older."""
    lab = EngineLab(tmp_path, luns=3).start()
    try:
        lab.make_group(6)
        (store,) = lab.engine.committer.stores.values()
        (sixth,) = (disk for disk in lab.config.disks_of(lab.group().ref) if disk.ref not in store.copies)
        lab.make_volume(mirrors=2, disks=(sixth.ref, store.copies[0]))
        lab.make_volume("alone", disks=(sixth.ref,), size=8 * MIB)
        path = lab.path_of(sixth.ref)
        lab.stop()
        shutil.copy(path, path.with_suffix(".old"))
        lab.start()
        assert lab.write(pattern(8, MIB), 0) == 0
        assert lab.volume("alone").serving
        lab.stop()
        path.with_suffix(".old").replace(path)
        lab.start()
        assert not lab.volume("alone").serving
        for _ in range(4):
            assert lab.read(0, MIB) == pattern(8, MIB)
        lab.do(ResyncVolume(volume=lab.volume().ref))
        assert lab.equal()
        assert lab.read(0, MIB) == pattern(8, MIB)
        lab.do(StartVolumes(volumes=(lab.volume("alone").ref,)))
        lab.restart()
        assert lab.volume("alone").serving
    finally:
        if lab.opened is not None:
            lab.stop()


def test_an_old_image_holds_back_what_has_no_other_copy_and_nothing_else_on_its_disk(lab: EngineLab) -> None:
    lab.make_volume("mirrored", size=8 * MIB, mirrors=2)
    lab.make_volume("parity", size=8 * MIB, raid5=True, columns=3)
    shared = lab.config.subdisks_of(lab.plexes("mirrored")[0].ref)[0].disk
    lab.make_volume("alone", size=8 * MIB, disks=(shared,))
    path = lab.path_of(shared)
    shutil.copy(path, path.with_suffix(".old"))
    for number, name in enumerate(("mirrored", "parity"), start=9):
        assert lab.write(pattern(number, MIB), 0, name) == 0
    lab.stop()
    path.with_suffix(".old").replace(path)
    lab.start()
    assert not lab.volume("alone").serving
    for number, name in enumerate(("mirrored", "parity"), start=9):
        assert lab.read(0, MIB, name) == pattern(number, MIB)
        assert not lab.volume(name).fenced
