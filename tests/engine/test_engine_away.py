"""Free LUNs that are away when the engine starts: shown as missing until they are back, or taken off the list."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from engine.commands import AddLuns, CreateGroup, DeportGroup, RemoveLuns, Rescan
from engine.records import Alert, Disk, DiskStatus, Kind
from engine.units import MIB
from tests.engine.engine_lab import EngineLab, lab_fixture

lab = lab_fixture()


def disks(lab: EngineLab) -> dict[str, Disk]:
    return {disk.name: disk for disk in lab.config.all(Kind.DISK, Disk)}


def added(lab: EngineLab, path: Path) -> Disk:
    path.write_bytes(b"")
    with path.open("r+b") as file:
        file.truncate(32 * MIB)
    lab.do(AddLuns(paths=(str(path),)))
    return next(disk for disk in disks(lab).values() if disk.lun == str(path))


def start_without(lab: EngineLab, path: Path) -> Path:
    lab.stop()
    away = path.rename(path.with_suffix(".away"))
    lab.start()
    return away


def test_a_free_lun_that_is_away_at_a_start_is_missing_until_it_is_back(lab: EngineLab, tmp_path: Path) -> None:
    disk, before = added(lab, tmp_path / "mine"), len(disks(lab))
    away = start_without(lab, tmp_path / "mine")
    shown = disks(lab)[disk.name]
    assert (shown.ref, shown.present, shown.status) == (disk.ref, False, DiskStatus.MISSING)
    assert (shown.size, shown.lun) == (disk.size, disk.lun)
    (alert,) = [each for each in lab.config.all(Kind.ALERT, Alert) if not each.acknowledged]
    assert (alert.name, alert.object) == (f"{disk.name} is missing.", disk.ref)
    assert "take it off the list" in alert.remedy
    lab.do(Rescan())
    lab.restart()
    assert not disks(lab)[disk.name].present
    away.rename(tmp_path / "mine")
    lab.do(Rescan())
    assert len(disks(lab)) == before
    back = disks(lab)[disk.name]
    assert (back.ref, back.present, back.status) == (disk.ref, True, disk.status)
    lab.do(CreateGroup(name="other", disks=(back.ref,)))


def test_a_missing_lun_can_be_taken_off_the_list_and_stays_off(lab: EngineLab, tmp_path: Path) -> None:
    disk = added(lab, tmp_path / "mine")
    away = start_without(lab, tmp_path / "mine")
    lab.do(RemoveLuns(disks=(disk.ref,)))
    assert disk.name not in disks(lab)
    lab.restart()
    assert disk.name not in disks(lab)
    away.rename(tmp_path / "mine")
    lab.do(Rescan())
    assert disk.name not in disks(lab)


def test_a_group_whose_luns_are_all_away_leaves_them_missing_and_is_itself_again(lab: EngineLab) -> None:
    lab.make_volume()
    before, members = disks(lab), lab.config.disks_of(lab.group().ref)
    paths = [lab.path_of(disk.ref) for disk in members]
    lab.stop()
    for path in paths:
        path.rename(path.with_suffix(".away"))
    lab.start()
    assert {name: disk.ref for name, disk in disks(lab).items()} == {n: disk.ref for n, disk in before.items()}
    assert {disk.name for disk in disks(lab).values() if not disk.present} == {disk.name for disk in members}
    for path in paths:
        path.with_suffix(".away").rename(path)
    lab.restart()
    after = disks(lab)
    assert {n: (d.ref, d.group, d.status) for n, d in after.items()} == {
        n: (d.ref, d.group, d.status) for n, d in before.items()
    }


def test_another_file_at_the_path_of_a_member_is_not_that_member(lab: EngineLab) -> None:
    disk = lab.config.disks_of(lab.group().ref)[0]
    path = lab.path_of(disk.ref)
    lab.stop()
    path.rename(path.with_suffix(".away"))
    with path.open("wb") as file:
        file.truncate(96 * MIB)
    lab.start()
    assert not lab.config.disk(disk.ref).present
    (stranger,) = [each for each in disks(lab).values() if each.lun == str(path)]
    assert stranger.ref != disk.ref
    assert stranger.group is None
    assert not any(path.read_bytes())


def test_a_wiped_lun_leaves_no_second_disk_behind(lab: EngineLab, tmp_path: Path) -> None:
    disk = added(lab, tmp_path / "mine")
    lab.do(CreateGroup(name="other", disks=(disk.ref,)))
    lab.do(DeportGroup(group=lab.group("other").ref))
    before = len(disks(lab))
    away = start_without(lab, tmp_path / "mine")
    assert not disks(lab)[disk.name].present
    with (tmp_path / "mine").open("wb") as file:
        file.truncate(disk.size)
    lab.do(Rescan())
    assert len(disks(lab)) == before
    assert all(each.present for each in disks(lab).values())
    away.unlink()


@pytest.mark.parametrize("seed", range(6))
def test_no_lun_is_ever_shown_twice_or_lost(tmp_path: Path, seed: int) -> None:
    """LUNs come, go and change places while the engine is up or down: each path and each disk is shown once."""
    chance, lab = random.Random(seed), EngineLab(tmp_path).start()
    group = lab.make_group()
    mine = [lab.folder / f"mine{number}" for number in range(3)]
    for path in mine:
        added(lab, path)
    paths = [Path(disk.lun) for disk in disks(lab).values()]
    members = {disk.ref for disk in lab.config.disks_of(group.ref)}
    for _ in range(12):
        match chance.randrange(4):
            case 0:
                lab.restart()
            case 1:
                lab.do(Rescan())
            case _:
                path = chance.choice(paths)
                away = path.with_suffix(".away")
                path.rename(away) if path.exists() else away.rename(path)
    for path in paths:
        if not path.exists():
            path.with_suffix(".away").rename(path)
    lab.restart()
    shown = disks(lab).values()
    assert sorted(disk.lun for disk in shown) == sorted(map(str, paths))
    assert all(disk.present for disk in shown)
    assert {disk.ref for disk in lab.config.disks_of(group.ref)} == members
    lab.stop()
