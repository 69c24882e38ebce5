"""A group with RAID-5 goes from host to host: by deport, by takeover, with disks missing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.commands import DeportGroup, ImportGroup, ReactivateDisk, Rescan
from engine.errors import CommandRejected
from engine.records import GroupState, Kind, Task, VolumeStatus
from engine.units import KIB, MIB
from tests.engine.engine_lab import EngineLab
from tests.engine.test_engine_raid5 import bring_back, parity_is_right, pull, scatter

SIZE = 12 * MIB


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[EngineLab]:
    made = EngineLab(tmp_path, luns=4).start()
    made.make_group(5)
    made.make_volume(raid5=True, columns=3, stripe_unit=16 * KIB, size=SIZE)
    yield made
    if made.opened is not None:
        made.stop()


def other_host(tmp_path: Path) -> EngineLab:
    return EngineLab(tmp_path, "b").start()


def settled(lab: EngineLab) -> None:
    """No task runs any more."""
    assert lab.engine.committer.wait_until(lambda config: all(task.ended for task in config.all(Kind.TASK, Task)), 60)


def columns(lab: EngineLab) -> list[Path]:
    return [lab.path_of(subdisk.disk) for subdisk in lab.config.subdisks_of(lab.plexes()[0].ref)]


def test_the_owner_is_named_while_it_lives_and_its_log_is_done_by_who_takes_over(
    lab: EngineLab, tmp_path: Path
) -> None:
    model = bytearray(SIZE)
    scatter(lab, model, 1)
    other = other_host(tmp_path)
    name = lab.engine.state.host_name
    with pytest.raises(CommandRejected, match=f"imported by {name}"):
        other.engine.submit(ImportGroup(group=other.group().ref))
    other.stop()
    lab.kill()  # its log has changes that no column may have whole
    other = other_host(tmp_path)
    assert other.group().state is GroupState.FOREIGN
    with pytest.raises(CommandRejected, match=f"imported by {name}"):
        other.engine.submit(ImportGroup(group=other.group().ref, force=True))
    other.do(ImportGroup(group=other.group().ref, clear=True, new_name="taken"))
    settled(other)
    volume = next(one for one in other.config.volumes_of(other.group("taken").ref))
    assert (volume.parity_known, volume.status) == (True, VolumeStatus.HEALTHY)
    other.stop()
    other = other_host(tmp_path)
    try:
        assert other.group("taken").state is GroupState.IMPORTED
        other.do(DeportGroup(group=other.group("taken").ref))
    finally:
        other.stop()
    lab.start()
    assert lab.group("taken").state is GroupState.DEPORTED
    lab.do(ImportGroup(group=lab.group("taken").ref, new_name="dg"))
    assert lab.read(0, SIZE) == bytes(model)
    assert parity_is_right(lab)


def test_a_disk_that_is_missing_at_the_import_is_rebuilt_when_it_is_back(lab: EngineLab, tmp_path: Path) -> None:
    model = bytearray(SIZE)
    scatter(lab, model, 2)
    path = columns(lab)[1]
    lab.do(DeportGroup(group=lab.group().ref))
    lab.stop()
    path.rename(path.with_suffix(".away"))
    other = other_host(tmp_path)
    try:
        other.do(ImportGroup(group=other.group().ref))
        assert other.volume().status is VolumeStatus.DEGRADED
        assert other.read(0, SIZE) == bytes(model)
        scatter(other, model, 3)
        bring_back(other, path)
        settled(other)
        lost = next(disk.ref for disk in other.config.disks_of(other.group().ref) if disk.lun == str(path))
        assert other.read(0, SIZE) == bytes(model)
        if other.volume().status is not VolumeStatus.HEALTHY:  # nobody has brought it up to date yet
            other.do(ReactivateDisk(disk=lost))
            settled(other)
        assert other.volume().status is VolumeStatus.HEALTHY
        assert other.read(0, SIZE) == bytes(model)
        assert parity_is_right(other)
    finally:
        other.stop()


def test_a_dirty_log_and_a_missing_column_at_once_are_put_right_by_the_other_host(
    lab: EngineLab, tmp_path: Path
) -> None:
    model = bytearray(SIZE)
    scatter(lab, model, 4)
    path = columns(lab)[0]
    lab.kill()
    path.rename(path.with_suffix(".away"))
    other = other_host(tmp_path)
    try:
        other.do(ImportGroup(group=other.group().ref, clear=True))
        settled(other)
        assert other.volume().status is VolumeStatus.DEGRADED
        assert other.read(0, SIZE) == bytes(model)
    finally:
        other.stop()


def test_with_half_of_its_disks_a_group_needs_force_and_lost_columns_are_errors(lab: EngineLab, tmp_path: Path) -> None:
    model = bytearray(SIZE)
    scatter(lab, model, 5)
    away = columns(lab)[:2]
    others = {lab.path_of(disk.ref) for disk in lab.config.disks_of(lab.group().ref)} - set(columns(lab))
    away.append(sorted(others)[0])
    lab.do(DeportGroup(group=lab.group().ref))
    lab.stop()
    for path in away:
        path.rename(path.with_suffix(".away"))
    other = other_host(tmp_path)
    try:
        with pytest.raises(CommandRejected, match="Only 2 of 5 disks"):
            other.engine.submit(ImportGroup(group=other.group().ref))
        other.do(ImportGroup(group=other.group().ref, force=True))
        assert other.volume().status in (VolumeStatus.FAILED, VolumeStatus.MISSING)
        with pytest.raises(OSError, match="Input/output error"):
            other.read(0, SIZE)
        for path in away:
            path.with_suffix(".away").rename(path)
        other.do(Rescan())
        settled(other)
        assert other.read(0, SIZE) == bytes(model)
    finally:
        other.stop()


def test_a_column_that_was_pulled_before_the_deport_stays_out_on_the_other_host(lab: EngineLab, tmp_path: Path) -> None:
    model = bytearray(SIZE)
    scatter(lab, model, 6)
    path = pull(lab, lab.config.subdisks_of(lab.plexes()[0].ref)[2].disk)
    scatter(lab, model, 7)
    lab.do(DeportGroup(group=lab.group().ref))
    lab.stop()
    path.with_suffix(".away").rename(path)  # back, and older than the rest
    other = other_host(tmp_path)
    try:
        other.do(ImportGroup(group=other.group().ref))
        settled(other)
        assert other.volume().status is VolumeStatus.DEGRADED
        assert other.read(0, SIZE) == bytes(model)
    finally:
        other.stop()
