"""What is not known of snapshots is copied whole, and nothing that may lack something passes for a snapshot."""

from __future__ import annotations

import errno

import pytest
from msgspec.structs import replace

from engine import commands as c
from engine.config import Edit
from engine.dataplane.volume_io import VolumeIo
from engine.errors import DeviceError, Unsettled
from engine.records import Alert, DirtyLog, Disk, GroupState, Kind, Task, TaskDelay, TaskState, TaskType
from engine.units import MIB
from tests.engine.engine_lab import EngineLab, lab_fixture
from tests.engine.test_engine_prepare import prepare, why_not
from tests.engine.test_engine_snapshots import at, back, pass_by, prepared, put, snap

lab = lab_fixture(frail=True)


def links(lab: EngineLab) -> list[bool]:
    return [link.is_known for name in ("v", "SnapVolume01") for link in lab.volume(name).links]


def test_a_set_that_a_crash_met_before_it_was_on_the_disks_is_no_set(
    lab: EngineLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared(lab)
    real = VolumeIo.flush

    def flush(io: VolumeIo) -> None:
        if "SnapVolume01" in (volume.name for volume in lab.config.volumes_of(lab.group().ref)):
            raise DeviceError(errno.ESHUTDOWN, io.name, "Flush")
        real(io)

    monkeypatch.setattr(VolumeIo, "flush", flush)
    lab.engine.submit(c.TakeSnapshots(choices=(c.SnapChoice(lab.volume().ref),)))
    lab.kill()
    monkeypatch.undo()
    lab.start(frail=True)
    (task,) = [task for task in lab.config.all(Kind.TASK, Task) if task.name == "Snap Shot of v"]
    assert lab.engine.wait(task.ref, 60)
    made = lab.volume("SnapVolume01")
    assert lab.config.task(task.ref).state is TaskState.FAILED
    assert "copies everything" in lab.config.task(task.ref).result
    assert (made.started, made.serving) == (False, False)
    assert links(lab) == [False, False]
    assert any("Snap Shot of v failed" in alert.name for alert in lab.config.all(Kind.ALERT, Alert))
    assert back(lab, "SnapVolume01").bytes_copied == lab.volume().size
    assert lab.equal()


def test_a_group_that_travels_keeps_what_its_snapshots_know(lab: EngineLab) -> None:
    prepared(lab)
    snap(lab)
    put(lab, 1, 101)
    put(lab, 2, 102, "SnapVolume01")
    group = lab.group().ref
    lab.do(c.DeportGroup(group=group))
    assert lab.config.group(group).state is GroupState.DEPORTED
    lab.do(c.ImportGroup(group=group))
    assert links(lab) == [True, True]
    assert back(lab, "SnapVolume01", master=c.Master.SNAPSHOT).bytes_copied == 2 * 4096
    assert (at(lab, 1), at(lab, 2)) == (1, 102)
    assert lab.equal()


def test_an_import_by_force_believes_no_map(lab: EngineLab) -> None:
    prepared(lab)
    snap(lab)
    group = lab.group().ref
    lab.do(c.DeportGroup(group=group))
    lab.do(c.ImportGroup(group=group, force=True))
    assert links(lab) == [False, False]


@pytest.mark.parametrize("name", ["v", "SnapVolume01"])
def test_a_map_that_has_lost_all_places_never_comes_back_empty(lab: EngineLab, name: str) -> None:
    prepared(lab)
    snap(lab)
    put(lab, 1, 101, name)
    disks = {place.disk for link in lab.volume(name).links for place in link.changes.places}
    for disk in disks:
        lab.lun(disk).fail("durable", persistent=True)
    lab.write(b"q" * 4096, 2 * MIB, name)
    for disk in disks:
        lab.lun(disk).heal()
        if lab.config.disk(disk).failing:
            lab.do(c.ReactivateDisk(disk=disk))
    lab.make_volume("other", size=4 * MIB)
    pass_by(lab, "stop")
    assert not all(links(lab))
    pass_by(lab, "kill")
    assert not all(links(lab))
    for refused in (one for one in ("v", "SnapVolume01") if lab.volume(one).fenced):
        lab.do(c.StopVolumes(volumes=(lab.volume(refused).ref,)))
        lab.do(c.StartVolumes(volumes=(lab.volume(refused).ref,)))
    back(lab, "SnapVolume01")
    assert lab.equal()


def test_an_old_image_under_a_disk_makes_its_snapshots_unknown(lab: EngineLab) -> None:
    """The LUN of the snapshot is put back to an older state while the engine is down."""
    prepared(lab)
    snap(lab)
    disk = lab.config.subdisks_of(lab.plexes("SnapVolume01")[0].ref)[0].disk
    path = lab.path_of(disk)
    put(lab, 2, 102, "SnapVolume01")
    lab.flush("SnapVolume01")
    lab.stop()
    old = path.read_bytes()
    lab.start(frail=True)
    put(lab, 3, 103, "SnapVolume01")
    lab.do(c.Rename(object=lab.volume().ref, name="w"))
    lab.do(c.Rename(object=lab.volume("w").ref, name="v"))
    lab.stop()
    with open(path, "r+b") as file:
        file.write(old)
    lab.start(frail=True)
    assert not all(links(lab))
    back(lab, "SnapVolume01")
    assert lab.equal()


def test_a_restored_configuration_believes_no_link(lab: EngineLab) -> None:
    prepared(lab)
    snap(lab)
    group = lab.group().ref
    lab.do(c.DeleteVolumes(volumes=(lab.volume("SnapVolume01").ref,)))
    backups = sorted((one for one in lab.config.every(Kind.BACKUP)), key=lambda one: one.name)
    assert backups
    for backup in reversed(backups):
        command = c.RestoreConfiguration(group=group, backup=backup.ref)
        if not lab.engine.plan(command).problems:
            lab.do(command)
            break
    for volume in lab.config.volumes_of(group):
        assert volume.links == ()
    assert all(
        plex.snap is None for volume in lab.config.volumes_of(group) for plex in lab.config.plexes_of(volume.ref)
    )


def test_chains_are_taken_apart_from_their_end(lab: EngineLab) -> None:
    prepared(lab, size=8 * MIB + 2 * MIB)
    snap(lab)
    prepare(lab, "SnapVolume01")
    refused = c.SnapBack(snapshots=(lab.volume("SnapVolume01").ref,))
    assert "has 2 mirrors" in why_not(lab, refused)
    snap(lab, "SnapVolume01")
    assert why_not(lab, refused) == "SnapVolume02 is a snapshot of SnapVolume01."
    put(lab, 1, 51, "SnapVolume01")
    back(lab, "SnapVolume02")
    plex = next(plex.ref for plex in lab.plexes("SnapVolume01") if plex.snap is not None)
    lab.do(c.AbortSnapshot(plexes=(plex,)))
    back(lab, "SnapVolume01", master=c.Master.SNAPSHOT)
    assert at(lab, 1) == 51
    assert lab.equal()


def test_the_master_of_a_restore_is_never_left_for_half_a_copy(lab: EngineLab) -> None:
    """Its disk fails while the copy runs: reads fail, or are right; never what stood there before."""
    prepared(lab, mirrors=2)
    snap(lab)
    for number in range(1, 9):
        put(lab, number, 100 + number)
    snapshot = lab.volume("SnapVolume01").ref
    disks = {sd.disk for plex in lab.plexes("SnapVolume01") for sd in lab.config.subdisks_of(plex.ref)}
    ref = lab.engine.submit(c.SnapBack(snapshots=(snapshot,), master=c.Master.SNAPSHOT))
    for disk in disks:
        lab.lun(disk).fail("read", "write", "durable", persistent=True)
    assert lab.engine.wait(ref, 60)
    done = lab.config.task(ref).state is TaskState.COMPLETED
    for number in range(1, 9):
        try:
            assert at(lab, number) == number
        except OSError:
            assert not done
    assert isinstance(lab.config.disk(next(iter(disks))), Disk)


def test_while_a_restore_runs_a_new_snapshot_is_refused_with_what_is_in_the_way(lab: EngineLab) -> None:
    prepared(lab, mirrors=2)
    prepare(lab)
    snap(lab)
    for number in range(1, 9):
        put(lab, number, 100 + number)
    lab.do(c.ChangeSettings(iodelay_ms=(TaskDelay(TaskType.RESYNC, 200),)))
    ref = lab.engine.submit(c.SnapBack(snapshots=(lab.volume("SnapVolume01").ref,), master=c.Master.SNAPSHOT))
    said = why_not(lab, c.TakeSnapshots(choices=(c.SnapChoice(lab.volume().ref),)))
    assert "Snap Back SnapVolume01 to v" in said
    assert lab.engine.wait(ref, 60)


def test_a_snap_shot_of_a_volume_that_has_lost_its_log_says_so(lab: EngineLab) -> None:
    """Nothing tells whether its mirrors are the same; no write of anybody has failed."""
    prepared(lab)
    committer = lab.engine.committer

    def wear_out(edit: Edit) -> None:
        for disk in edit.config.disks_of(lab.group().ref):
            edit.put(replace(disk, failing=True))
        edit.put(replace(edit.config.volume(lab.volume().ref), dirty_log=DirtyLog(MIB, ())))

    committer.commit(wear_out)
    with pytest.raises(Unsettled, match="has lost its dirty region log"):
        snap(lab)
