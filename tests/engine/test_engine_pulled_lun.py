"""A LUN that is pulled is its disk that is missing, and no further disk that nobody has seen before."""

from __future__ import annotations

import os
from pathlib import Path

from engine.commands import DeportGroup, ImportGroup, Rescan
from engine.records import Alert, Disk, Kind
from tests.engine.engine_lab import EngineLab, lab_fixture

lab = lab_fixture(0, luns=3)


def disks(lab: EngineLab) -> dict[str, Disk]:
    return {disk.name: disk for disk in lab.config.all(Kind.DISK, Disk)}


def test_a_lun_that_an_earlier_run_knew_is_pulled_right_after_it_came_into_a_group(lab: EngineLab) -> None:
    """No look between has read its label."""
    lab.restart()
    lab.make_group()
    names = set(disks(lab))
    pulled = next(disk for disk in disks(lab).values() if disk.group is not None)
    path = Path(pulled.lun)
    away = path.with_suffix(".pulled")
    os.rename(path, away)
    lab.do(Rescan())
    assert set(disks(lab)) == names
    assert not disks(lab)[pulled.name].present
    assert {alert.object for alert in lab.config.all(Kind.ALERT, Alert) if "missing" in alert.name} == {pulled.ref}
    os.rename(away, path)
    lab.do(Rescan())
    assert set(disks(lab)) == names
    assert disks(lab)[pulled.name].present


def test_a_disk_that_missed_an_import_says_where_what_and_what_to_do(lab: EngineLab) -> None:
    group = lab.make_group().ref
    pulled = next(disk for disk in disks(lab).values() if disk.group is not None)
    path = Path(pulled.lun)
    away = path.with_suffix(".pulled")
    os.rename(path, away)
    lab.do(Rescan())
    lab.do(DeportGroup(group=group))
    lab.do(ImportGroup(group=group))
    os.rename(away, path)
    lab.do(Rescan())
    (told,) = [alert for alert in lab.config.all(Kind.ALERT, Alert) if "come back" in alert.name]
    assert told.object == pulled.ref
    assert told.name == f"{pulled.name} of the disk group dg has come back as it was before."
    assert "was away" in told.cause
    assert "by itself" in told.remedy
