"""Copies that were cut short begin again by themselves, once what stopped them has passed, without a restart."""

from __future__ import annotations

import errno

from engine.commands import Rescan, ResyncVolume
from engine.records import Alert, Kind, PlexState, Ref, Task, TaskState, TaskType
from engine.units import MIB
from tests.engine.engine_lab import EngineLab, lab_fixture

lab = lab_fixture(frail=True)


def disk_of(lab: EngineLab, plex: Ref) -> Ref:
    return lab.config.subdisks_of(plex)[0].disk


def resyncs(lab: EngineLab) -> list[Task]:
    return [task for task in lab.config.all(Kind.TASK, Task) if task.type is TaskType.RESYNC]


def in_doubt(lab: EngineLab, mirrors: int) -> Ref:
    """A volume of whose mirrors one lacks a write; the answer is the plex that lacks it."""
    lab.make_volume(mirrors=mirrors)
    for at in range(0, 24 * MIB, MIB):
        assert lab.write(bytes([at // MIB + 1]) * MIB, at) == 0
    behind = lab.plexes()[1].ref
    lab.lun(disk_of(lab, behind)).fail("write", number=errno.ENOSPC, persistent=True)
    assert lab.write(b"x" * MIB, 0) == errno.ENOSPC
    assert lab.engine.committer.wait_until(lambda config: config.volume(lab.volume().ref).source is not None, 60)
    assert lab.volume().source != behind
    assert resyncs(lab) == []
    return behind


def ends_equal(lab: EngineLab) -> None:
    volume = lab.volume().ref
    assert lab.engine.committer.wait_until(lambda config: config.volume(volume).source is None, 60)


def test_space_that_is_back_and_a_rescan_make_the_mirrors_equal(lab: EngineLab) -> None:
    behind = in_doubt(lab, 2)
    lab.lun(disk_of(lab, behind)).heal()
    lab.do(Rescan())
    ends_equal(lab)
    assert lab.equal()
    lab.do(Rescan())
    assert len(resyncs(lab)) == 1
    assert any(alert.name == "v is copied again." for alert in lab.config.all(Kind.ALERT, Alert))


def test_a_rescan_tries_once_while_the_cause_lasts(lab: EngineLab) -> None:
    in_doubt(lab, 2)
    for tries in (1, 2):
        lab.do(Rescan())
        assert all(lab.engine.wait(task.ref, 60) for task in resyncs(lab))
        assert [task.state for task in resyncs(lab)] == [TaskState.FAILED] * tries
        assert lab.volume().source is not None


def test_a_copy_whose_source_dies_goes_on_from_the_next_mirror(lab: EngineLab) -> None:
    behind = in_doubt(lab, 3)
    lab.lun(disk_of(lab, behind)).heal()
    source = lab.volume().source
    assert source is not None
    lab.lun(disk_of(lab, source)).fail("read", persistent=True, at=lambda offset: offset >= 16 * MIB)
    first = lab.engine.submit(ResyncVolume(volume=lab.volume().ref))
    assert lab.engine.wait(first, 60)
    assert lab.config.task(first).state is TaskState.COMPLETED
    ends_equal(lab)
    assert lab.config.plex(source).state is PlexState.IOFAIL
    left = [plex for plex in lab.plexes() if plex.complete]
    assert len(left) == 2
    assert len({lab.plex_digest(plex.ref) for plex in left}) == 1
    for at in range(MIB, 24 * MIB, MIB):
        assert lab.read(at, MIB) == bytes([at // MIB + 1]) * MIB
    assert len(resyncs(lab)) == 1  # the very same has begun anew
