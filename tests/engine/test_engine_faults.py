"""A whole engine whose LUNs fail: nothing acknowledged is lost, nothing hangs, everything comes back."""

from __future__ import annotations

import errno
import threading
from pathlib import Path

import pytest

from engine.commands import (
    AddMirrors,
    ChangeSettings,
    Move,
    MoveSubdisks,
    PauseTask,
    ReactivateDisk,
    RemoveLog,
    Rescan,
    ResumeTask,
    ResyncVolume,
    StartVolumes,
    StopVolumes,
    Target,
)
from engine.records import Alert, DiskStatus, Kind, PlexState, Ref, Task, TaskDelay, TaskType, VolumeStatus
from engine.units import MIB
from tests.engine.engine_lab import EngineLab, lab_fixture
from tests.engine.test_engine_life import pattern

AWAY = ".away"


lab = lab_fixture(frail=True)


def disk_of(lab: EngineLab, number: int, name: str = "v") -> Ref:
    """The disk of a volume's plex."""
    return lab.config.subdisks_of(lab.plexes(name)[number].ref)[0].disk


def states(lab: EngineLab, name: str = "v") -> list[PlexState]:
    return [plex.state for plex in lab.plexes(name)]


def pull(lab: EngineLab, disk: Ref) -> Path:
    path = lab.path_of(disk)
    path.rename(str(path) + AWAY)
    return path


def bring_back(path: Path) -> None:
    Path(str(path) + AWAY).rename(path)


# --- legs ---
def test_a_failed_leg_costs_no_write_and_comes_back_when_the_operator_says_so(lab: EngineLab) -> None:
    lab.make_volume(mirrors=2)
    disk = disk_of(lab, 0)
    lab.lun(disk).fail("write", persistent=True)
    assert lab.write(pattern(1, MIB), 0) == 0
    assert states(lab)[0] is PlexState.IOFAIL
    assert lab.config.disk(disk).status is DiskStatus.FAILING
    lab.lun(disk).heal()
    lab.do(Rescan())
    assert lab.config.disk(disk).status is DiskStatus.FAILING
    lab.do(ReactivateDisk(disk=disk))
    assert lab.config.disk(disk).status is DiskStatus.IMPORTED
    assert lab.volume().status is VolumeStatus.HEALTHY
    assert lab.equal()


def test_a_failing_disk_takes_a_plex_that_is_filled_there_out_of_writes(lab: EngineLab) -> None:
    """The FILLING plex of one volume on the disk that fails under another volume."""
    lab.make_volume(size=16 * MIB, mirrors=2)
    disk = disk_of(lab, 0)
    volume = lab.make_volume("w", size=16 * MIB, disks=(disk_of(lab, 1),))
    lab.lun(disk).fail("write", nth=5, persistent=True)
    lab.engine.submit(AddMirrors(volume=volume.ref, disks=(disk,)))
    for turn in range(16):
        assert lab.write(pattern(turn, MIB), turn * MIB, "w") == 0
        assert lab.write(pattern(turn, MIB), turn * MIB) == 0
    assert lab.flush("w") == 0


def test_a_source_that_dies_gives_way_to_another_plex_that_has_every_acknowledged_byte(lab: EngineLab) -> None:
    lab.make_volume(mirrors=2)
    data = pattern(3, MIB)
    for offset in (0, 8 * MIB, 16 * MIB):
        assert lab.write(data, offset) == 0
    lab.do(ChangeSettings(iodelay_ms=(TaskDelay(TaskType.RESYNC, 60_000),)))
    lab.kill()
    lab.start(frail=True)
    lab.engine._runner.close()  # the copy that makes the plexes equal has not got far
    source = lab.volume().source
    assert source is not None
    disk = lab.config.subdisks_of(source)[0].disk
    lab.lun(disk).fail("read", "write", persistent=True, at=lambda offset: offset >= 4 * MIB)
    assert lab.read(0, MIB) == data
    assert lab.write(pattern(4, MIB), MIB) == 0
    assert lab.config.plex(source).state is PlexState.IOFAIL


# --- LUNs that go ---
def test_a_striped_volume_never_acknowledges_what_falls_on_a_missing_column(lab: EngineLab) -> None:
    lab.make_volume(striped=True, columns=2, size=8 * MIB)
    assert lab.write(pattern(5, 2 * MIB), 0) == 0
    path = pull(lab, disk_of(lab, 0))
    lab.do(Rescan())
    assert lab.write(pattern(6, 2 * MIB), 0) != 0
    bring_back(path)
    lab.do(Rescan())
    assert lab.write(pattern(7, 2 * MIB), 0) == 0
    assert lab.read(0, 2 * MIB) == pattern(7, 2 * MIB)


def test_when_both_halves_of_a_mirror_miss_a_disk_nothing_is_written_to_what_is_left(lab: EngineLab) -> None:
    """Two plexes of two columns, each without one disk: together they hold all, but no plex is whole."""
    lab.make_volume(mirrors=2, striped=True, columns=2, size=8 * MIB)
    first, second = (lab.config.subdisks_of(plex.ref) for plex in lab.plexes())
    data = pattern(8, 8 * MIB)
    assert lab.write(data, 0) == 0
    paths = [pull(lab, first[0].disk), pull(lab, second[1].disk)]
    task = lab.engine.submit(Rescan())
    assert lab.engine.wait(task, 60)
    errors = [lab.write(b"x" * 65536, at * 65536) for at in range(8)]
    for path in paths:
        bring_back(path)
    lab.do(Rescan())
    read = lab.read(0, 8 * MIB)
    for at, error in enumerate(errors):
        here = read[at * 65536 : (at + 1) * 65536]
        assert here == (data[at * 65536 : (at + 1) * 65536] if error else b"x" * 65536)
    assert lab.read(4 * MIB, MIB) == data[4 * MIB : 5 * MIB]


def test_a_shrunk_lun_takes_its_plex_out_so_that_growing_again_brings_no_old_bytes(lab: EngineLab) -> None:
    lab.make_volume(mirrors=2, size=24 * MIB)
    assert lab.write(pattern(9, MIB), 20 * MIB) == 0
    subdisk = lab.config.subdisks_of(lab.plexes()[0].ref)[0]
    path = lab.path_of(subdisk.disk)
    size = path.stat().st_size
    import os

    os.truncate(path, subdisk.disk_offset + MIB)
    lab.do(Rescan())
    newer = pattern(10, MIB)
    assert lab.write(newer, 20 * MIB) == 0
    os.truncate(path, size)
    lab.restart()
    assert states(lab)[0] not in (PlexState.CLEAN, PlexState.ACTIVE)
    for at in range(20, 21):
        assert lab.read(at * MIB, MIB) == newer


def test_a_group_that_lost_its_majority_shows_it_freezes_and_thaws_when_its_disks_are_back(lab: EngineLab) -> None:
    lab.make_volume(mirrors=2)
    assert lab.write(pattern(11, MIB), 0) == 0
    disks = [disk.ref for disk in lab.config.disks_of(lab.group().ref)]
    keep = disk_of(lab, 1)
    paths = [pull(lab, disk) for disk in disks if disk != keep]
    lab.engine.wait(lab.engine.submit(Rescan()), 60)
    assert lab.group().frozen
    assert [lab.config.disk(disk).present for disk in disks] == [disk == keep for disk in disks]
    error = lab.write(pattern(12, MIB), 0)
    for path in paths:
        bring_back(path)
    lab.do(Rescan())
    assert not lab.group().frozen
    assert all(lab.config.disk(disk).present for disk in disks)
    assert lab.read(0, MIB) == pattern(11 if error else 12, MIB)
    assert lab.write(pattern(13, MIB), 0) == 0
    assert lab.read(0, MIB) == pattern(13, MIB)
    lab.kill()
    lab.start(frail=True)
    assert lab.read(0, MIB) == pattern(13, MIB)


def test_a_disk_that_comes_back_keeps_a_configuration_copy_at_once(lab: EngineLab) -> None:
    store = lab.engine.committer.stores[lab.group().ref]
    disks = [disk.ref for disk in lab.config.disks_of(lab.group().ref)]
    path = pull(lab, disks[0])
    lab.do(Rescan())
    assert disks[0] not in store.copies
    bring_back(path)
    lab.do(Rescan())
    assert disks[0] in store.copies


def test_a_moving_target_that_vanishes_fails_the_move_and_loses_nothing(lab: EngineLab) -> None:
    volume = lab.make_volume(size=24 * MIB)
    subdisk = lab.config.subdisks_of(lab.plexes()[0].ref)[0]
    assert lab.write(pattern(14, 24 * MIB), 0) == 0
    with lab.engine.committer.ios[volume.ref].regions.hold(0, 24 * MIB):  # the copy gets nowhere meanwhile
        task = lab.engine.submit(MoveSubdisks(moves=(Move(subdisk.ref),)))
        lab.engine.submit(PauseTask(task=task))
    assert lab.engine.committer.wait_until(lambda config: config.task(task).state == "paused", 60)
    (target,) = lab.config.replacements_of(subdisk.ref)
    path = pull(lab, target.disk)
    lab.do(Rescan())
    assert lab.write(pattern(15, MIB), 0) == 0
    bring_back(path)
    lab.do(Rescan())
    if lab.config.task(task).state == "paused":
        lab.engine.submit(ResumeTask(task=task))
    assert lab.engine.wait(task, 60)
    assert lab.read(0, MIB) == pattern(15, MIB)


# --- flushes ---
@pytest.mark.parametrize("nth", [1, 2, 3, 4])
def test_what_a_failed_disk_takes_back_of_a_transaction_never_comes_again(lab: EngineLab, nth: int) -> None:
    """The disk that a subdisk moves to fails while the configuration that says so is written."""
    lab.make_volume(mirrors=2)
    disk = next(one.ref for one in lab.config.disks_of(lab.group().ref) if not lab.config.subdisks_on(one.ref))
    lab.lun(disk).fail("durable", nth=nth, persistent=True)
    moved = lab.config.subdisks_of(lab.plexes()[0].ref)[0]
    lab.engine.wait(lab.engine.submit(MoveSubdisks(moves=(Move(moved.ref, (Target(disk),)),))), 60)
    before = lasting(lab)
    lab.restart_frail()
    assert lasting(lab) == before
    assert lab.read(0, MIB) == bytes(MIB)


def lasting(lab: EngineLab) -> set[Ref]:
    """The volumes, plexes and subdisks that there are."""
    return {record.ref for record in lab.config if record.ref.kind in (Kind.VOLUME, Kind.PLEX, Kind.SUBDISK)}


def test_a_failed_flush_fences_the_only_copy_over_a_restart_until_the_operator_has_acted(lab: EngineLab) -> None:
    volume = lab.make_volume()
    assert lab.write(pattern(16, MIB), 0) == 0
    lab.lun(disk_of(lab, 0)).fail("flush")
    assert lab.flush() == errno.EIO
    assert lab.write(b"x", 0) == errno.EIO
    lab.restart()
    assert lab.volume().fenced
    assert lab.write(b"x", 0) == errno.EIO
    lab.do(StopVolumes(volumes=(volume.ref,)))
    lab.do(StartVolumes(volumes=(volume.ref,)))
    assert not lab.volume().fenced
    assert lab.write(b"x", 0) == 0
    assert lab.flush() == 0


def test_a_flush_that_fails_under_a_task_is_not_believed_at_the_stop(lab: EngineLab) -> None:
    """Somebody else's flush used up the system's one report: the stop must not say CLEAN."""
    lab.make_volume(mirrors=2)
    assert lab.write(pattern(17, MIB), 0) == 0
    device = lab.lun(disk_of(lab, 0))
    device.fail("flush")
    with pytest.raises(OSError, match="Input/output"):
        device.flush()
    lab.restart()
    assert PlexState.CLEAN not in (states(lab)[0],)
    assert lab.read(0, MIB) == pattern(17, MIB)


@pytest.mark.parametrize("what", ["filling", "target"])
def test_a_failed_flush_of_a_place_that_is_being_filled_never_keeps_a_client_waiting(lab: EngineLab, what: str) -> None:
    disks = [disk.ref for disk in lab.config.disks_of(lab.group().ref)]
    volume = lab.make_volume(size=16 * MIB, disks=(disks[0],))
    lab.lun(disks[1]).fail("flush", persistent=True)
    from engine.commands import Target

    if what == "filling":
        task = lab.engine.submit(AddMirrors(volume=volume.ref, disks=(disks[1],)))
    else:
        subdisk = lab.config.subdisks_of(lab.plexes()[0].ref)[0]
        task = lab.engine.submit(MoveSubdisks(moves=(Move(subdisk.ref, (Target(disks[1]),)),)))
    for turn in range(16):
        assert lab.write(pattern(turn, MIB), turn * MIB) == 0
        assert lab.flush() == 0
    assert lab.engine.wait(task, 60)
    assert lab.config.task(task).state == "failed"
    assert lab.write(b"y", 0) == 0
    assert lab.flush() == 0


# --- no space ---
def test_no_space_while_a_mirror_is_filled_ends_the_filling(lab: EngineLab) -> None:
    disks = [disk.ref for disk in lab.config.disks_of(lab.group().ref)]
    volume = lab.make_volume(size=16 * MIB, disks=(disks[0],))
    assert lab.write(pattern(18, 16 * MIB), 0) == 0
    lab.lun(disks[0]).fail("write", number=errno.ENOSPC)
    task = lab.engine.submit(AddMirrors(volume=volume.ref, disks=(disks[1],)))
    assert lab.write(pattern(19, MIB), 0) == errno.ENOSPC
    assert lab.engine.wait(task, 60)
    if lab.config.task(task).state == "completed":
        assert lab.equal()
    lab.lun(disks[0]).heal()
    assert lab.write(pattern(20, MIB), 0) == 0


def test_no_space_names_a_source_and_resync_heals(lab: EngineLab) -> None:
    lab.make_volume(mirrors=2)
    assert lab.write(pattern(21, MIB), 0) == 0
    lab.lun(disk_of(lab, 1)).fail("write", number=errno.ENOSPC)
    assert lab.write(pattern(22, MIB), 0) == errno.ENOSPC
    assert lab.engine.committer.wait_until(lambda config: config.volume(lab.volume().ref).source is not None, 60)
    lab.do(ResyncVolume(volume=lab.volume().ref))
    assert lab.volume().source is None
    assert lab.equal()


def test_mirrors_that_differ_by_an_answered_write_are_not_clean_before_it_is_decided(lab: EngineLab) -> None:
    """The client has had its ENOSPC, the control thread has not come to it, and the volumes are stopped meanwhile."""
    volume = lab.make_volume(mirrors=2)
    lab.do(RemoveLog(volume=volume.ref))
    assert lab.write(pattern(21, MIB), 0) == 0
    lab.lun(disk_of(lab, 1)).fail("write", number=errno.ENOSPC)
    with lab.engine.committer.lock:
        assert lab.write(pattern(22, MIB), 0) == errno.ENOSPC
        lab.engine._groups.volumes.stop_in_order(lab.group().ref)
        assert states(lab) == [PlexState.ACTIVE] * 2
    assert lab.engine.committer.wait_until(lambda config: config.volume(volume.ref).source is not None, 60)


# --- stops ---
def test_no_write_slips_in_between_the_last_flush_and_the_record_that_says_clean(lab: EngineLab) -> None:
    """A client writes all the time while the volumes are stopped: what is on disk as CLEAN has had its flush."""
    lab.make_volume(mirrors=2)
    assert lab.write(pattern(23, MIB), 0) == 0
    committer, ref = lab.engine.committer, lab.volume().ref
    io = committer.ios[ref]
    seen: list[tuple[bool, int]] = []
    original = committer.commit

    def watched(change):  # type: ignore[no-untyped-def]
        before = io.gate.table
        seen.append((before is None, len(io.written)))
        return original(change)

    committer.commit = watched  # type: ignore[method-assign]
    try:
        lab.engine._groups.volumes.stop_in_order(lab.group().ref)
    finally:
        del committer.commit  # type: ignore[method-assign]
    assert seen[0] == (True, 0)
    assert states(lab) == [PlexState.CLEAN] * 2
    assert lab.write(b"z", 0) == 0
    assert states(lab) == [PlexState.ACTIVE] * 2


def test_a_stopped_volume_can_be_moved_after_a_restart(lab: EngineLab) -> None:
    volume = lab.make_volume(size=8 * MIB)
    data = pattern(24, MIB)
    assert lab.write(data, 0) == 0
    lab.do(StopVolumes(volumes=(volume.ref,)))
    lab.restart()
    subdisk = lab.config.subdisks_of(lab.plexes()[0].ref)[0]
    lab.do(MoveSubdisks(moves=(Move(subdisk.ref),)))
    lab.do(StartVolumes(volumes=(volume.ref,)))
    assert lab.read(0, MIB) == data


# --- the commit path ---
@pytest.mark.allow_log("A listener")
def test_a_listener_that_raises_harms_nobody(lab: EngineLab) -> None:
    def bad(batch: object) -> None:
        raise ValueError("no")

    heard: list[int] = []
    lab.engine.attach(bad)
    lab.engine.attach(lambda batch: heard.append(batch.sequence))
    lab.make_volume()
    assert heard == sorted(set(heard))
    assert heard


@pytest.mark.allow_log("could not be written")
def test_a_full_state_folder_stops_no_decision(lab: EngineLab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.make_volume(mirrors=2)
    state = lab.engine.state

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "open", full)
    lab.lun(disk_of(lab, 0)).fail("write", persistent=True)
    for turn in range(3):
        assert lab.write(pattern(turn, MIB), 0) == 0
    monkeypatch.undo()
    assert lab.read(0, MIB) == pattern(2, MIB)
    assert state.number() > 0


def test_closing_twice_is_closing_once(lab: EngineLab) -> None:
    engine = lab.engine
    lab.stop()
    engine.close()


def test_parked_first_writes_on_a_frozen_group_end_with_an_error_and_succeed_after_the_thaw(lab: EngineLab) -> None:
    lab.make_volume(mirrors=2)
    disks = [disk.ref for disk in lab.config.disks_of(lab.group().ref)]
    for disk in disks:
        lab.lun(disk).fail("durable", persistent=True)
    assert lab.write(pattern(1, MIB), 0) != 0
    assert lab.group().frozen
    for disk in disks:
        lab.lun(disk).heal()
    lab.do(Rescan())
    assert not lab.group().frozen
    assert lab.write(pattern(2, MIB), 0) == 0
    assert threading.active_count() > 1
    assert not [task for task in lab.config.all(Kind.TASK, Task) if task.state == "running"]
    assert isinstance(lab.config.all(Kind.ALERT, Alert), list)
