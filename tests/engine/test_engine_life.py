"""A whole engine on real files: what survives an orderly stop, a kill, a lost LUN, and a second host."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from engine.commands import (
    ClearTasks,
    CreateGroup,
    DeleteVolumes,
    DeportGroup,
    GrowVolume,
    ImportGroup,
    Move,
    MoveSubdisks,
    Refresh,
    Rescan,
    ResyncVolume,
    StartVolumes,
    StopVolumes,
    Target,
)
from engine.errors import CommandRejected, EngineBusy, EngineError
from engine.records import Alert, Disk, DiskStatus, Group, GroupState, Kind, PlexState, Task, VolumeStatus
from engine.units import MIB
from tests.engine.engine_lab import EngineLab, lab_fixture

lab = lab_fixture(0)


def pattern(seed: int, length: int) -> bytes:
    return random.Random(seed).randbytes(length)


# --- stop and start ---
def test_an_orderly_stop_leaves_mirrors_clean_and_the_next_start_copies_nothing(lab: EngineLab) -> None:
    lab.make_group()
    lab.make_volume(mirrors=2)
    data = pattern(1, MIB)
    assert lab.write(data, 3 * MIB) == 0
    assert all(plex.state is PlexState.ACTIVE for plex in lab.plexes())
    lab.restart()
    assert all(plex.state is PlexState.CLEAN for plex in lab.plexes())
    assert lab.volume().status is VolumeStatus.HEALTHY
    assert lab.volume().source is None
    assert lab.read(3 * MIB, MIB) == data


def test_a_stopped_volume_stays_stopped_over_a_restart(lab: EngineLab) -> None:
    lab.make_group()
    volume = lab.make_volume()
    lab.do(StopVolumes(volumes=(volume.ref,)))
    lab.restart()
    assert lab.volume().status is VolumeStatus.STOPPED
    assert not lab.volume().serving
    lab.do(StartVolumes(volumes=(volume.ref,)))
    assert lab.volume().serving


def test_what_a_deleted_volume_held_is_never_readable_again(lab: EngineLab) -> None:
    lab.make_group(1)
    volume = lab.make_volume(size=8 * MIB)
    assert lab.write(b"\xa5" * MIB, 0) == 0
    first = lab.config.subdisks_of(lab.plexes()[0].ref)[0]
    lab.do(DeleteVolumes(volumes=(volume.ref,)))
    lab.make_volume(size=8 * MIB)
    again = lab.config.subdisks_of(lab.plexes()[0].ref)[0]
    assert again.disk_offset == first.disk_offset
    assert not any(lab.read(0, 8 * MIB))


def test_a_grown_volume_reads_as_zero_behind_its_old_end(lab: EngineLab) -> None:
    lab.make_group()
    other = lab.make_volume("w", size=16 * MIB)
    assert lab.write(b"\x5a" * 16 * MIB, 0, "w") == 0
    volume = lab.make_volume(size=8 * MIB, striped=True, columns=2)
    lab.do(DeleteVolumes(volumes=(other.ref,)))
    assert lab.write(b"\x11" * 8 * MIB, 0) == 0
    lab.do(GrowVolume(volume=volume.ref, size=20 * MIB))
    assert lab.volume().size == 20 * MIB
    assert lab.read(0, 8 * MIB) == b"\x11" * 8 * MIB
    assert not any(lab.read(8 * MIB, 12 * MIB))


# --- LUNs that go away ---
def test_a_pulled_lun_leaves_the_mirror_serving_and_comes_back_by_resync(lab: EngineLab) -> None:
    lab.make_group()
    lab.make_volume(mirrors=2)
    assert lab.write(pattern(2, MIB), 0) == 0
    disk = lab.config.subdisks_of(lab.plexes()[1].ref)[0].disk
    path = lab.path_of(disk)
    path.rename(path.with_suffix(".away"))
    lab.do(Rescan())
    assert lab.config.disk(disk).status is DiskStatus.MISSING
    assert lab.volume().status is VolumeStatus.FAILED_REDUNDANCY
    newer = pattern(3, MIB)
    assert lab.write(newer, 0) == 0
    path.with_suffix(".away").rename(path)
    lab.do(Rescan())
    assert lab.config.disk(disk).present
    assert lab.read(0, MIB) == newer
    lab.do(ResyncVolume(volume=lab.volume().ref))
    assert lab.volume().status is VolumeStatus.HEALTHY
    assert lab.read(0, MIB) == newer
    assert lab.equal()


def test_a_lun_that_shrinks_costs_an_error_and_never_a_silent_extension(lab: EngineLab) -> None:
    lab.make_group(1)
    lab.make_volume(size=24 * MIB)
    subdisk = lab.config.subdisks_of(lab.plexes()[0].ref)[0]
    path = lab.path_of(subdisk.disk)
    os.truncate(path, subdisk.disk_offset + MIB)
    assert lab.write(b"x" * MIB, 20 * MIB) != 0
    assert path.stat().st_size == subdisk.disk_offset + MIB
    with pytest.raises(OSError, match="Input/output"):
        lab.read(20 * MIB, 4096)
    alerts = lab.config.all(Kind.ALERT, Alert)
    assert any(alert.object == subdisk.disk and alert.remedy for alert in alerts)


@pytest.mark.parametrize("look", [Rescan(), Refresh()], ids=["rescan", "refresh"])
def test_a_grown_lun_offers_its_space_when_it_is_looked_at(lab: EngineLab, look: Rescan | Refresh) -> None:
    group = lab.make_group(1)
    (disk,) = lab.config.disks_of(group.ref)
    os.truncate(lab.path_of(disk.ref), disk.size + 64 * MIB)
    lab.do(look)
    grown = lab.config.disk(disk.ref)
    assert grown.size == disk.size + 64 * MIB
    assert grown.free == disk.free + 64 * MIB
    lab.restart()
    assert lab.config.disk(disk.ref).free == grown.free


# --- two hosts ---
def test_a_second_host_sees_who_has_a_group_and_cannot_take_it(lab: EngineLab, tmp_path: Path) -> None:
    group = lab.make_group()
    other = EngineLab(tmp_path, "b").start()
    try:
        seen = other.group()
        assert seen.state is GroupState.FOREIGN
        with pytest.raises(CommandRejected, match="is imported by"):
            other.engine.submit(ImportGroup(group=seen.ref))
        with pytest.raises(EngineError):
            other.engine.submit(ImportGroup(group=seen.ref, clear=True, force=True))
        free = next(disk for disk in other.config.all(Kind.DISK, Disk) if disk.group == seen.ref)
        with pytest.raises(EngineError):
            other.engine.submit(CreateGroup(name="mine", disks=(free.ref,), force=True))
    finally:
        other.stop()
    assert lab.group().state is GroupState.IMPORTED
    lab.do(DeportGroup(group=group.ref))


def test_a_group_goes_to_another_host_and_back_with_its_data(lab: EngineLab, tmp_path: Path) -> None:
    group = lab.make_group()
    lab.make_volume(mirrors=2)
    data = pattern(4, MIB)
    assert lab.write(data, MIB) == 0
    lab.do(DeportGroup(group=group.ref))
    assert lab.group().state is GroupState.DEPORTED
    assert lab.volume().status is VolumeStatus.STOPPED
    other = EngineLab(tmp_path, "b").start()
    try:
        other.do(ImportGroup(group=other.group().ref))
        assert other.read(MIB, MIB) == data
        assert other.write(b"from b", 0) == 0
        other.do(DeportGroup(group=other.group().ref))
    finally:
        other.stop()
    lab.do(ImportGroup(group=lab.group().ref))
    assert lab.read(0, 6) == b"from b"
    assert lab.equal()


def test_one_state_folder_is_one_engine(lab: EngineLab, tmp_path: Path) -> None:
    with pytest.raises(EngineBusy, match="Another engine uses the state folder"):
        EngineLab(tmp_path).start()


# --- plan and submit ---
def test_a_submit_whose_plan_would_act_otherwise_is_refused_with_the_new_plan(lab: EngineLab) -> None:
    lab.make_group()
    lab.make_volume(size=8 * MIB)
    subdisk = lab.config.subdisks_of(lab.plexes()[0].ref)[0]
    command = MoveSubdisks(moves=(Move(subdisk.ref),))
    shown = lab.engine.plan(command)
    (target,) = shown.allocates
    lab.do(MoveSubdisks(moves=(Move(subdisk.ref, (Target(target.disk, target.offset + 16 * MIB),)),)))
    with pytest.raises(CommandRejected) as refusal:
        lab.engine.submit(command, shown.basis)
    assert refusal.value.plan is not None
    assert refusal.value.plan.allocates != shown.allocates
    assert lab.engine.wait(lab.engine.submit(command, refusal.value.plan.basis), 60)


# --- damage ---
@pytest.mark.parametrize("damage", ["random", "truncated", "zero"])
def test_a_damaged_private_region_is_told_and_the_rest_goes_on(tmp_path: Path, damage: str) -> None:
    lab = EngineLab(tmp_path).start()
    lab.make_group(4)
    lab.make_volume(mirrors=2)
    data = pattern(5, MIB)
    assert lab.write(data, 0) == 0
    victim = lab.path_of(lab.config.disks_of(lab.group().ref)[0].ref)
    lab.stop()
    with victim.open("r+b") as file:
        if damage == "truncated":
            file.truncate(2 * MIB)
        else:
            file.seek(MIB)
            file.write(pattern(6, 4 * MIB) if damage == "random" else bytes(4 * MIB))
    lab.start()
    assert lab.group().state is GroupState.IMPORTED
    assert lab.read(0, MIB) == data
    assert lab.config.all(Kind.ALERT, Alert)
    lab.stop()


# --- kill -9 ---
SERVE = """
import sys
from engine.host import start_host
host = start_host(lab=sys.argv[1], state=sys.argv[2], socket=sys.argv[3])
print("ready", flush=True)
sys.stdin.read()
"""


def test_a_killed_engine_comes_back_with_every_acknowledged_byte(tmp_path: Path) -> None:
    """Writes go on over the export while the process is killed; afterwards both mirrors are equal and none is lost."""
    lab = EngineLab(tmp_path).start()
    lab.make_group()
    lab.make_volume(mirrors=2)
    lab.stop()
    here = tmp_path / "a"
    for turn in range(4):
        child = subprocess.Popen(
            [sys.executable, "-c", SERVE, str(lab.lab), str(here / "state"), str(here / "s")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert child.stdin is not None
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        writer = subprocess.run(
            ["qemu-io", "-f", "raw", f"nbd+unix:///dg/v?socket={here}/nbd.sock"]
            + [word for n in range(8) for word in ("-c", f"write -P {turn * 8 + n + 1} {n * 3}M 2M")],
            capture_output=True,
            text=True,
            check=True,
        )
        assert writer.stdout.count("wrote") == 8
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdin.close()
        child.stdout.close()
    lab.start()
    for n in range(8):
        assert lab.read(n * 3 * MIB, 2 * MIB) == bytes([3 * 8 + n + 1]) * 2 * MIB
    copying = [task for task in lab.config.tasks_of(lab.group().ref) if task.type == "Mirror Resynchronization"]
    assert copying, "a mirror that was killed while ACTIVE must be made equal"
    for task in copying:
        assert lab.engine.wait(task.ref, 60)
    assert lab.volume().status is VolumeStatus.HEALTHY
    assert lab.equal()
    assert any("not stopped in order" in alert.name for alert in lab.config.all(Kind.ALERT, Alert))
    lab.stop()


def test_host_state_is_text_that_can_be_read(lab: EngineLab, tmp_path: Path) -> None:
    saved = json.loads((tmp_path / "a" / "state" / "host.json").read_text())
    assert len(saved["host_id"]) == 32
    assert len(saved["luns"]) == 6
    assert isinstance(lab.config.all(Kind.GROUP, Group), list)


def test_logs_outlive_the_engine_and_what_was_cleared_stays_in_them(lab: EngineLab) -> None:
    lab.make_group()
    made = next(task for task in lab.config.all(Kind.TASK, Task) if task.name == "Create Disk Group dg")
    lab.engine.submit(ClearTasks())
    assert lab.config.task(made.ref).cleared
    assert [task for task in lab.config.all(Kind.TASK, Task) if not task.cleared] == []
    lab.restart()
    again = lab.config.task(made.ref)
    assert (again.name, again.cleared, again.state) == (made.name, True, "completed")
    newer = lab.do(Rescan())
    assert int(newer.ref.id) > int(made.ref.id)
