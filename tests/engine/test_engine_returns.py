"""Disks that come back: caught up from what the map knows without anybody asking, unless they come and go."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.commands import (
    AbortTask,
    AttachPlex,
    ChangeSettings,
    DetachPlex,
    ReactivateDisk,
    Rescan,
)
from engine.config import Config
from engine.records import (
    Alert,
    Kind,
    PlexState,
    Ref,
    RelocationMode,
    Remedy,
    Severity,
    Task,
    TaskDelay,
    TaskType,
    VolumeStatus,
)
from engine.trouble import catch_up
from engine.units import MIB
from tests.engine.engine_lab import EngineLab
from tests.engine.test_engine_dirty import REGION, disk_of, resyncs, spread
from tests.engine.test_engine_faults import AWAY, bring_back, pull


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[EngineLab]:
    made = EngineLab(tmp_path).start(frail=True, relocates=True)
    made.make_group()
    waits_long(made)
    made.make_volume(mirrors=2)
    yield made
    made.stop()


def alerts(lab: EngineLab, disk: Ref) -> list[Alert]:
    """What is open about a disk."""
    return [alert for alert in lab.config.all(Kind.ALERT, Alert) if alert.open and alert.object == disk]


def gone_and_back(lab: EngineLab, disk: Ref, *written: int) -> None:
    """A disk is away for a while, in which the volume is written."""
    path = pull(lab, disk)
    lab.do(Rescan())
    spread(lab, *written)
    bring_back(path)
    lab.do(Rescan())


def healthy(lab: EngineLab, name: str = "v") -> bool:
    ref = lab.volume(name).ref

    def holds(config: Config) -> bool:
        at_work = any(not task.ended for task in config.all(Kind.TASK, Task))
        return config.volume(ref).status is VolumeStatus.HEALTHY and not at_work

    return lab.engine.committer.wait_until(holds, 60)


def rests(lab: EngineLab, delay_ms: int) -> None:
    """How long copies that begin from now on rest after each mebibyte."""
    lab.do(ChangeSettings(iodelay_ms=(TaskDelay(TaskType.RESYNC, delay_ms),)))


def test_a_disk_that_is_back_gets_what_it_has_missed_by_itself(lab: EngineLab) -> None:
    disk = disk_of(lab, 1)
    spread(lab, 1 * MIB)
    assert lab.flush() == 0
    gone_and_back(lab, disk, 3 * MIB, 20 * MIB)
    assert healthy(lab)
    (task,) = resyncs(lab)
    assert task.bytes_total == task.bytes_copied == 3 * REGION
    assert lab.equal()
    (told,) = alerts(lab, disk)
    assert (told.severity, told.action) == (Severity.INFORMATION, None)
    assert "is back, and brought up to date" in told.name
    assert "v has been used without it; 3 MiB" in told.cause


def test_in_manual_mode_it_waits_for_the_operator(lab: EngineLab) -> None:
    lab.do(ChangeSettings(hot_relocation=RelocationMode.MANUAL))
    disk = disk_of(lab, 1)
    gone_and_back(lab, disk, 3 * MIB)
    assert resyncs(lab) == []
    (told,) = alerts(lab, disk)
    assert (told.severity, told.action) == (Severity.WARNING, Remedy.REACTIVATE_DISK)
    lab.do(ReactivateDisk(disk=disk))
    assert healthy(lab)
    assert lab.equal()


def test_one_that_comes_and_goes_waits_for_the_operator(lab: EngineLab, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = disk_of(lab, 1)
    for turn in range(5):
        gone_and_back(lab, disk, turn * MIB)
        assert healthy(lab) if turn < 2 else lab.plexes()[1].state is PlexState.STALE
    assert len(resyncs(lab)) == 2
    (told,) = [alert for alert in alerts(lab, disk) if alert.severity is Severity.WARNING]
    assert told.action is Remedy.REACTIVATE_DISK
    assert "5 times" in told.cause
    lab.do(ReactivateDisk(disk=disk))
    assert healthy(lab)
    assert resyncs(lab)[-1].bytes_copied == 5 * REGION
    monkeypatch.setattr(catch_up, "WINDOW_S", 0.0)
    gone_and_back(lab, disk, 9 * MIB)
    assert healthy(lab)
    assert lab.equal()


def test_an_older_image_is_never_filled_by_itself(lab: EngineLab) -> None:
    disk = disk_of(lab, 1)
    old = lab.path_of(disk).with_suffix(".old")
    assert lab.flush() == 0
    shutil.copy(lab.path_of(disk), old)
    lab.make_volume("w", 8 * MIB)
    path = pull(lab, disk)
    lab.do(Rescan())
    spread(lab, 1 * MIB)
    old.rename(path)
    lab.do(Rescan())
    assert resyncs(lab) == []
    (told,) = [alert for alert in alerts(lab, disk) if alert.action is not None]
    assert told.action is Remedy.REACTIVATE_DISK
    lab.do(ReactivateDisk(disk=disk))
    assert healthy(lab)
    assert resyncs(lab)[-1].bytes_copied == 24 * MIB
    assert lab.equal()


def test_one_that_is_back_while_its_volume_is_busy_follows_as_soon_as_it_is_not(lab: EngineLab) -> None:
    lab.make_volume("w", size=8 * MIB, mirrors=3)
    first, second = lab.plexes("w")[1:]
    disk = disk_of(lab, 2, "w")
    lab.do(DetachPlex(plex=first.ref))
    path = pull(lab, disk)
    lab.do(Rescan())
    for at in range(0, 8 * MIB, MIB):
        assert lab.write(b"w" * 4096, at, "w") == 0
    rests(lab, 60_000)
    busy = lab.engine.submit(AttachPlex(plex=first.ref))
    rests(lab, 0)
    bring_back(path)
    lab.do(Rescan())
    assert not lab.config.task(busy).ended
    assert lab.config.plex(second.ref).state is PlexState.STALE
    lab.engine.submit(AbortTask(task=busy))
    assert lab.engine.committer.wait_until(lambda config: config.plex(second.ref).complete, 60)
    lab.do(AttachPlex(plex=first.ref))
    assert healthy(lab, "w")
    assert lab.equal("w")


def test_a_copy_that_the_operator_ends_is_not_begun_again(lab: EngineLab) -> None:
    disk = disk_of(lab, 1)
    rests(lab, 60_000)
    gone_and_back(lab, disk, 3 * MIB, 7 * MIB)
    (ref,) = (task.ref for task in lab.config.all(Kind.TASK, Task) if task.type is TaskType.RESYNC)
    lab.engine.submit(AbortTask(task=ref))
    (task,) = resyncs(lab)
    assert task.state == "aborted"
    assert lab.plexes()[1].state is PlexState.STALE
    lab.do(Rescan())
    assert len(resyncs(lab)) == 1


def test_one_that_comes_back_between_two_runs_is_caught_up_at_the_start(lab: EngineLab) -> None:
    disk = disk_of(lab, 1)
    spread(lab, 1 * MIB)
    assert lab.flush() == 0
    path = pull(lab, disk)
    lab.do(Rescan())
    spread(lab, 3 * MIB, 20 * MIB)
    lab.stop()
    bring_back(path)
    lab.start(frail=True)
    assert healthy(lab)
    assert resyncs(lab)[-1].bytes_copied == 3 * REGION
    assert lab.equal()


@pytest.mark.parametrize("crash", [False, True], ids=["stopped", "crashed"])
@pytest.mark.parametrize("again", [False, True], ids=["once", "again"])
def test_one_that_was_missing_at_an_import_gets_only_what_it_has_missed(
    lab: EngineLab, crash: bool, again: bool
) -> None:
    path = missing_at_import(lab, crash=crash)
    spread(lab, 3 * MIB, 20 * MIB)
    if again:
        lab.restart_frail()
        waits_long(lab)
    bring_back(path)
    lab.do(Rescan())
    assert healthy(lab)
    assert resyncs(lab)[-1].bytes_copied == (3 if crash else 2) * REGION
    assert lab.equal()


def test_an_older_image_of_one_that_was_missing_at_an_import_is_copied_whole(lab: EngineLab) -> None:
    old = lab.path_of(disk_of(lab, 1)).with_suffix(".old")
    assert lab.flush() == 0
    shutil.copy(lab.path_of(disk_of(lab, 1)), old)
    lab.make_volume("w", 8 * MIB)
    path = missing_at_import(lab, crash=False)
    spread(lab, 3 * MIB)
    old.rename(path)
    lab.do(Rescan())
    assert resyncs(lab) == []
    assert not any(plex.tracked for plex in lab.plexes())
    lab.do(ReactivateDisk(disk=disk_of(lab, 1)))
    assert resyncs(lab)[-1].bytes_copied == 24 * MIB
    assert lab.equal()


def waits_long(lab: EngineLab) -> None:
    lab.do(ChangeSettings(hot_relocation=RelocationMode.AUTOMATIC, relocation_wait_s=3600))


def missing_at_import(lab: EngineLab, *, crash: bool) -> Path:
    """A volume was written before an end in which one of its disks goes."""
    spread(lab, 1 * MIB)
    assert lab.flush() == 0
    path = lab.path_of(disk_of(lab, 1))
    (lab.kill if crash else lab.stop)()
    path.rename(str(path) + AWAY)
    lab.start(frail=True, relocates=False)
    waits_long(lab)
    (plex,) = [each for each in lab.plexes() if not each.complete]
    assert plex.state is PlexState.STALE
    assert plex.tracked
    return path
