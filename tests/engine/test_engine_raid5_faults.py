"""RAID-5 volumes on LUNs that fail: one column costs nothing, a second one costs no byte, and nothing is guessed."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from engine import rules
from engine.commands import (
    AddLog,
    EvacuateDisk,
    LogType,
    ReactivateDisk,
    RepairVolumes,
    Rescan,
    ResyncVolume,
    StartVolumes,
    VerifyVolume,
)
from engine.errors import CommandRejected
from engine.records import Alert, Disk, Kind, PieceState, PlexState, TaskState, VolumeStatus
from engine.units import KIB, MIB
from tests.engine.engine_lab import EngineLab, lab_fixture
from tests.engine.test_engine_raid5 import (
    bring_back,
    log_place,
    parity_is_right,
    pattern,
    pieces,
    pull,
    scatter,
)

lab = lab_fixture(6, frail=True)


def made(lab: EngineLab, **choices: object) -> bytearray:
    """A volume of four columns with something in it, and what that is."""
    volume = lab.make_volume(size=12 * MIB, raid5=True, columns=4, **choices)
    model = bytearray(volume.size)
    scatter(lab, model, 20)
    return model


def states(lab: EngineLab) -> list[PieceState]:
    return [piece.state for piece in pieces(lab)]


def alerts(lab: EngineLab) -> str:
    return "\n".join(f"{alert.name} {alert.cause}" for alert in lab.config.all(Kind.ALERT, Alert))


def is_told(lab: EngineLab, words: str) -> bool:
    """Waited for: a client may have its answer before the operator is told."""
    return lab.engine.committer.wait_until(lambda _: words in alerts(lab), 60)


def restart_after_kill(lab: EngineLab) -> None:
    lab.kill()
    lab.start(frail=True)


def rebuilt(lab: EngineLab, model: bytearray) -> None:
    """Bring everything back in order by what the console proposes, and check every byte."""
    for disk in lab.config.all(Kind.DISK, Disk):
        if disk.failing:
            lab.lun(disk.ref).heal()
            lab.do(ReactivateDisk(disk=disk.ref))
    if lab.volume().status is not VolumeStatus.HEALTHY:
        lab.do(ResyncVolume(volume=lab.volume().ref))
    assert lab.volume().status is VolumeStatus.HEALTHY
    assert lab.read(0, len(model)) == model
    assert lab.flush() == 0
    assert parity_is_right(lab)


# --- one column ---
@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC], ids=["eio", "enospc"])
def test_a_column_that_takes_no_writes_is_left_out_before_anybody_is_answered(lab: EngineLab, number: int) -> None:
    model = made(lab)
    piece = pieces(lab)[2]
    lab.lun(piece.disk).fail("write", number=number, persistent=True, at=lambda offset: offset >= piece.disk_offset)
    scatter(lab, model, 21)
    assert states(lab)[2] is PieceState.STALE
    assert lab.config.disk(piece.disk).failing is (number == errno.EIO)
    assert lab.volume().status in (VolumeStatus.DEGRADED, VolumeStatus.DEGRADED_AT_RISK)
    assert lab.read(0, len(model)) == model
    lab.lun(piece.disk).heal()
    rebuilt(lab, model)


def test_a_flush_that_fails_costs_the_column_and_no_byte(lab: EngineLab) -> None:
    model = made(lab)
    piece = pieces(lab)[1]
    lab.lun(piece.disk).fail("flush", persistent=True)
    assert lab.flush() == 0
    assert states(lab)[1] is PieceState.STALE
    assert lab.read(0, len(model)) == model
    rebuilt(lab, model)


def test_a_column_that_can_not_be_read_is_left_out_or_healed(lab: EngineLab) -> None:
    model = made(lab)
    piece = pieces(lab)[0]
    lab.lun(piece.disk).fail("read", persistent=True, at=lambda offset: offset >= piece.disk_offset)
    assert lab.read(0, len(model)) == model
    assert states(lab)[0] is PieceState.STALE
    rebuilt(lab, model)


def test_a_place_that_can_not_be_read_is_written_again_from_the_other_columns(lab: EngineLab) -> None:
    model = made(lab)
    piece = pieces(lab)[0]
    lab.lun(piece.disk).spoil(piece.disk_offset + 32 * KIB, 12 * KIB)
    assert lab.read(0, len(model)) == model
    assert states(lab) == [PieceState.GOOD] * 4
    assert not lab.lun(piece.disk).spoilt
    assert lab.config.disk(piece.disk).errors > 0
    assert not lab.config.disk(piece.disk).failing
    assert is_told(lab, "was mended")
    assert lab.flush() == 0
    assert parity_is_right(lab)


@pytest.mark.parametrize("column", [3, 0], ids=["parity", "data"])
@pytest.mark.parametrize("command", [VerifyVolume, ResyncVolume])
def test_a_task_that_meets_a_unit_that_can_not_be_read_mends_it_and_goes_on(
    lab: EngineLab, command: type[VerifyVolume | ResyncVolume], column: int
) -> None:
    model = made(lab)
    assert lab.flush() == 0
    piece = pieces(lab)[column]  # the last column holds the parity of the first row
    lab.lun(piece.disk).spoil(piece.disk_offset + 4 * KIB, 8 * KIB)
    lab.do(command(volume=lab.volume().ref))
    assert states(lab) == [PieceState.GOOD] * 4
    assert not lab.lun(piece.disk).spoilt
    assert lab.config.disk(piece.disk).errors == 1
    assert is_told(lab, "was mended")
    assert parity_is_right(lab)
    assert lab.read(0, len(model)) == model


def test_parity_that_nobody_knows_is_made_from_the_data_and_never_the_data_from_it(lab: EngineLab) -> None:
    model = made(lab)
    assert lab.flush() == 0
    lab.engine.committer.ios[lab.volume().ref].raid5.trust.parity_known_to = 0  # type: ignore[union-attr]
    parity, data = pieces(lab)[3], pieces(lab)[0]
    lab.lun(parity.disk).spoil(parity.disk_offset, 4 * KIB)
    lab.do(ResyncVolume(volume=lab.volume().ref))
    assert not lab.lun(parity.disk).spoilt
    assert parity_is_right(lab)
    assert lab.read(0, len(model)) == model
    lab.lun(data.disk).spoil(data.disk_offset, 4 * KIB)
    task = lab.engine.submit(ResyncVolume(volume=lab.volume().ref))
    assert lab.engine.wait(task, 60)
    assert lab.config.task(task).state is TaskState.FAILED
    assert lab.lun(data.disk).spoilt, "nothing was written there"


def test_a_column_that_moves_is_read_from_the_others_where_it_must_be_and_mended(lab: EngineLab) -> None:
    model = made(lab)
    piece = pieces(lab)[1]
    lab.lun(piece.disk).spoil(piece.disk_offset + 64 * KIB, 4 * KIB)
    lab.do(EvacuateDisk(disk=piece.disk))
    assert pieces(lab)[1].disk != piece.disk
    assert not lab.config.disk(piece.disk).failing
    assert lab.config.disk(piece.disk).errors == 1
    assert lab.read(0, len(model)) == model
    assert lab.flush() == 0
    assert parity_is_right(lab)


# --- a second column ---
def test_a_second_column_is_never_given_up_and_a_restart_puts_its_rows_right(lab: EngineLab) -> None:
    model = made(lab)
    first, second = pieces(lab)[0], pieces(lab)[3]
    path = pull(lab, first.disk)
    scatter(lab, model, 22)
    assert lab.flush() == 0
    assert states(lab)[0] is PieceState.STALE
    lab.lun(second.disk).fail("write", persistent=True, at=lambda offset: offset >= second.disk_offset)
    before = bytes(model[: 48 * KIB])
    data = pattern(23, 48 * KIB)
    assert lab.write(data, 0) != 0
    assert states(lab)[3] is PieceState.GOOD
    ref = lab.volume().ref  # the client has its error first, the record follows
    assert lab.engine.committer.wait_until(lambda config: bool(config.volume(ref).fenced), 60)
    assert lab.volume().status is VolumeStatus.FAILED
    assert lab.write(b"more", MIB) == errno.EIO
    lab.lun(second.disk).heal()
    lab.do(StartVolumes(volumes=(lab.volume().ref,)))
    assert not lab.volume().fenced
    found = lab.read(0, len(model))
    assert found[48 * KIB :] == model[48 * KIB :]
    units = [found[at : at + 16 * KIB] for at in range(0, 48 * KIB, 16 * KIB)]
    for number, unit in enumerate(units):
        at = number * 16 * KIB
        assert unit in (before[at : at + 16 * KIB], data[at : at + 16 * KIB])
    model[: 48 * KIB] = found[: 48 * KIB]
    scatter(lab, model, 24)
    assert lab.read(0, len(model)) == model
    bring_back(lab, path)
    rebuilt(lab, model)


def test_two_columns_away_stop_writes_and_their_return_costs_nothing(lab: EngineLab) -> None:
    model = made(lab)
    paths = [pull(lab, pieces(lab)[number].disk) for number in (1, 2)]
    assert lab.volume().status is VolumeStatus.FAILED
    assert not lab.volume().serving
    assert lab.write(b"x", 0) == errno.EIO
    for path in paths:
        bring_back(lab, path)
    assert states(lab).count(PieceState.STALE) == 1
    rebuilt(lab, model)


def test_while_nothing_can_be_written_down_a_failed_write_stops_all_writes(lab: EngineLab) -> None:
    model = made(lab)
    piece = pieces(lab)[2]
    disks = lab.config.disks_of(lab.group().ref)
    for disk in disks:
        edge = disk.public_offset
        lab.lun(disk.ref).fail("durable", persistent=True, at=lambda offset, edge=edge: offset < edge)
    lab.lun(piece.disk).fail("write", persistent=True, at=lambda offset: offset >= piece.disk_offset)
    data = pattern(31, 48 * KIB)
    assert lab.write(data, 0) != 0
    assert lab.write(b"more", MIB) == errno.EIO
    assert lab.read(MIB, MIB) == model[MIB : 2 * MIB]
    for disk in disks:
        lab.lun(disk.ref).heal()
    lab.do(Rescan())
    assert "nothing could be written down" in lab.volume().fenced
    lab.do(StartVolumes(volumes=(lab.volume().ref,)))
    found = lab.read(0, len(model))
    assert found[48 * KIB :] == model[48 * KIB :]
    model[: 48 * KIB] = found[: 48 * KIB]
    scatter(lab, model, 32)
    rebuilt(lab, model)


# --- the log ---
def test_a_log_that_fails_is_left_out_and_comes_back_empty(lab: EngineLab) -> None:
    model = made(lab)
    place = log_place(lab)
    generation = lab.volume().log_generation
    lab.lun(place.disk).fail("durable", persistent=True, at=lambda offset: offset >= place.disk_offset)
    scatter(lab, model, 25)
    (log,) = lab.config.logs_of(lab.volume().ref)
    assert log.state is PlexState.IOFAIL
    assert lab.volume().log_generation != generation
    assert is_told(lab, "goes on without a log")
    assert lab.read(0, len(model)) == model
    lab.lun(place.disk).heal()
    lab.do(ReactivateDisk(disk=place.disk))
    if lab.config.plex(log.ref).state is not PlexState.ACTIVE:
        lab.do(ResyncVolume(volume=lab.volume().ref))
    assert lab.config.plex(log.ref).state is PlexState.ACTIVE
    assert lab.volume().log_generation
    scatter(lab, model, 26)
    restart_after_kill(lab)
    assert lab.volume().parity_known
    assert lab.read(0, len(model)) == model


def test_two_copies_of_a_log_lie_on_different_disks_and_one_goes_on_alone(tmp_path: Path) -> None:
    lab = EngineLab(tmp_path).start(frail=True)
    try:
        lab.make_group(3)
        volume = lab.make_volume(size=8 * MIB, raid5=True)
        places = [sd for log in lab.config.logs_of(volume.ref) for sd in lab.config.subdisks_of(log.ref)]
        assert len({place.disk for place in places}) == 2
        model = bytearray(volume.size)
        scatter(lab, model, 27)
        pull(lab, places[0].disk)
        scatter(lab, model, 28)
        restart_after_kill(lab)
        assert lab.volume().status is VolumeStatus.DEGRADED
        assert not lab.volume().fenced
        assert lab.read(0, len(model)) == model
    finally:
        lab.stop()


# --- after a crash without a log ---
def test_without_a_log_all_parity_is_made_anew_after_a_kill(lab: EngineLab) -> None:
    model = made(lab, log=LogType.NONE)
    restart_after_kill(lab)
    assert lab.engine.committer.wait_until(lambda config: config.volume(lab.volume().ref).parity_known, 60)
    assert lab.volume().status is VolumeStatus.HEALTHY
    assert lab.read(0, len(model)) == model
    assert parity_is_right(lab)
    lab.do(AddLog(volume=lab.volume().ref))
    assert lab.volume().log_generation


def test_torn_parity_is_found_and_made_right(lab: EngineLab) -> None:
    model = made(lab)
    assert lab.flush() == 0
    lab.do(VerifyVolume(volume=lab.volume().ref))
    piece = pieces(lab)[3]  # holds the parity of the first row
    with open(lab.config.disk(piece.disk).lun, "r+b") as file:
        file.seek(piece.disk_offset + 100)
        file.write(b"torn")
    task = lab.engine.submit(VerifyVolume(volume=lab.volume().ref))
    assert lab.engine.wait(task, 60)
    assert lab.config.task(task).state is TaskState.FAILED
    assert "does not follow from its data" in lab.config.task(task).result
    done = lab.do(ResyncVolume(volume=lab.volume().ref))
    assert "was made right" in done.result
    assert lab.flush() == 0
    assert parity_is_right(lab)
    assert lab.read(0, len(model)) == model


def test_dirty_and_degraded_without_a_log_is_held_back_unless_forced(lab: EngineLab) -> None:
    model = made(lab, log=LogType.NONE)
    disk = pieces(lab)[1].disk
    path = lab.path_of(disk)
    lab.kill()
    path.rename(path.with_suffix(".away"))
    lab.start(frail=True)
    volume = lab.volume()
    assert "has no log" in volume.fenced
    assert volume.status is VolumeStatus.FAILED
    assert not volume.serving
    assert is_told(lab, "held back")
    blocked = rules.can_do_without(lab.config, disk)
    assert blocked is not None
    assert "start the volume" in blocked.help
    assert lab.engine.plan(RepairVolumes(volumes=(volume.ref,))).problems
    with pytest.raises(CommandRejected, match="may be wrong"):
        lab.engine.submit(StartVolumes(volumes=(volume.ref,)))
    forced = lab.engine.plan(StartVolumes(volumes=(volume.ref,), force=True))
    assert any("check its data" in warning for warning in forced.warnings)
    lab.do(StartVolumes(volumes=(volume.ref,), force=True))
    assert lab.volume().serving
    assert lab.volume().status is VolumeStatus.DEGRADED
    assert lab.read(0, len(model)) == model
    scatter(lab, model, 29)
    bring_back(lab, path)
    rebuilt(lab, model)


def test_held_back_for_a_missing_disk_goes_on_when_it_is_back(lab: EngineLab) -> None:
    model = made(lab, log=LogType.NONE)
    path = lab.path_of(pieces(lab)[1].disk)
    lab.kill()
    path.rename(path.with_suffix(".away"))
    lab.start(frail=True)
    assert lab.volume().fenced
    bring_back(lab, path)
    assert not lab.volume().fenced
    assert lab.engine.committer.wait_until(lambda config: config.volume(lab.volume().ref).parity_known, 60)
    assert lab.read(0, len(model)) == model
    scatter(lab, model, 30)
    assert lab.flush() == 0
    assert parity_is_right(lab)


def test_two_missing_at_a_start_wait_for_their_log(lab: EngineLab) -> None:
    model = made(lab)
    paths = [lab.path_of(pieces(lab)[number].disk) for number in (0, 2)]
    lab.kill()
    for path in paths:
        path.rename(path.with_suffix(".away"))
    lab.start(frail=True)
    assert lab.volume().fenced
    for path in paths:
        bring_back(lab, path)
    lab.do(Rescan())
    assert not lab.volume().fenced
    assert lab.read(0, len(model)) == model
    assert parity_is_right(lab)
    assert lab.volume().status is VolumeStatus.HEALTHY
