"""Alerts that ask for something are off the list as soon as that is done, however it was done."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.commands import ChangeSettings, ReactivateDisk, Rescan, ResyncVolume, StartVolumes, StopVolumes
from engine.records import Alert, Kind, Ref, RelocationMode, Remedy, Severity, VolumeStatus
from engine.units import MIB
from tests.engine.engine_lab import EngineLab
from tests.engine.test_engine_dirty import disk_of, spread
from tests.engine.test_engine_faults import bring_back, pull


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[EngineLab]:
    made = EngineLab(tmp_path).start(frail=True, relocates=True)
    made.make_group()
    made.do(ChangeSettings(hot_relocation=RelocationMode.MANUAL))
    made.make_volume(mirrors=2)
    yield made
    made.stop()


def open_alerts(lab: EngineLab, about: Ref, action: Remedy) -> list[Alert]:
    alerts = lab.config.all(Kind.ALERT, Alert)
    return [alert for alert in alerts if alert.open and (alert.object, alert.action) == (about, action)]


def is_settled(lab: EngineLab, about: Ref, action: Remedy) -> bool:
    return lab.engine.committer.wait_until(lambda _: not open_alerts(lab, about, action), 60)


@pytest.mark.parametrize("by", ["reactivation", "resynchronization"])
def test_a_disk_that_is_out_of_date_until_its_mirrors_are_filled(lab: EngineLab, by: str) -> None:
    disk = disk_of(lab, 1)
    path = pull(lab, disk)
    lab.do(Rescan())
    spread(lab, 1, 5)
    bring_back(path)
    lab.do(Rescan())
    assert open_alerts(lab, disk, Remedy.REACTIVATE_DISK)
    lab.do(ReactivateDisk(disk=disk) if by == "reactivation" else ResyncVolume(volume=lab.volume().ref))
    assert is_settled(lab, disk, Remedy.REACTIVATE_DISK)
    assert lab.volume().status is VolumeStatus.HEALTHY


def test_relocation_that_is_held_up_until_the_disks_are_back(lab: EngineLab) -> None:
    lab.do(ChangeSettings(hot_relocation=RelocationMode.AUTOMATIC, relocation_wait_s=3600))
    group, used = lab.group().ref, [disk_of(lab, number) for number in (0, 1)]
    near = lab.config.disk(used[0]).enclosure
    unused = [disk.ref for disk in lab.config.disks_of(group) if disk.ref not in used]
    far = next(disk for disk in unused if lab.config.disk(disk).enclosure != near)
    paths = [pull(lab, used[0]), pull(lab, far)]
    lab.do(Rescan())
    assert lab.engine.committer.wait_until(lambda _: bool(open_alerts(lab, group, Remedy.RESCAN)), 60)
    for path in paths:
        bring_back(path)
    lab.do(Rescan())
    assert is_settled(lab, group, Remedy.RESCAN)


@pytest.mark.parametrize("choices", [{}, {"raid5": True, "columns": 3}], ids=["concat", "raid5"])
def test_a_volume_that_takes_no_writes_until_it_is_started(lab: EngineLab, choices: dict[str, object]) -> None:
    volume = lab.make_volume("w", size=8 * MIB, **choices).ref
    assert lab.write(b"x" * 4096, name="w") == 0
    pieces = [piece for plex in lab.plexes("w") for piece in lab.config.subdisks_of(plex.ref)]
    luns = [lab.lun(piece.disk) for piece in pieces][:2]
    for lun in luns:
        lun.fail("flush", "write", persistent=True)
    assert lab.flush("w") or lab.write(bytes(MIB), name="w")
    action = Remedy.START_VOLUME if choices else Remedy.STOP_VOLUME
    assert lab.engine.committer.wait_until(lambda _: bool(open_alerts(lab, volume, action)), 60)
    for lun in luns:
        lun.heal()
    lab.do(StopVolumes(volumes=(volume,), force=True))
    lab.do(StartVolumes(volumes=(volume,)))
    assert is_settled(lab, volume, action)


def test_what_tells_of_something_that_is_over_stays(lab: EngineLab) -> None:
    disk = disk_of(lab, 0)
    lab.engine.committer.alert(Severity.INFORMATION, "An error was mended.", about=disk, action=Remedy.REACTIVATE_DISK)
    lab.make_volume("w", size=8 * MIB, mirrors=2)
    lab.do(Rescan())
    assert open_alerts(lab, disk, Remedy.REACTIVATE_DISK)
