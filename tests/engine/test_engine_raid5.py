"""RAID-5 volumes on a whole engine: made, written, degraded, rebuilt, moved, grown, and put right after a crash."""

from __future__ import annotations

import os
import random
from functools import reduce
from pathlib import Path

from engine.commands import EvacuateDisk, GrowVolume, LogType, Rescan, ResyncVolume, VerifyVolume
from engine.records import PieceState, PlexState, Ref, Subdisk, VolumeStatus
from engine.units import KIB, MIB
from tests.engine.engine_lab import EngineLab, lab_fixture

UNIT = 16 * KIB


lab = lab_fixture(6, frail=True)


def pattern(seed: int, length: int) -> bytes:
    return random.Random(seed).randbytes(length)


def pieces(lab: EngineLab) -> list[Subdisk]:
    (plex,) = lab.plexes()
    return [piece for piece in lab.config.subdisks_of(plex.ref) if piece.replaces is None]


def on_disk(lab: EngineLab, column: int, name: str = "v") -> bytes:
    """What stands in a column, straight from the LUN files."""
    (plex,) = lab.plexes(name)
    found = bytearray()
    for piece in lab.config.subdisks_of(plex.ref):
        if piece.column == column and piece.replaces is None:
            with open(lab.config.disk(piece.disk).lun, "rb") as file:
                file.seek(piece.disk_offset)
                found += file.read(piece.length)
    return bytes(found)


def parity_is_right(lab: EngineLab, name: str = "v") -> bool:
    """All columns combine to zero."""
    (plex,) = lab.plexes(name)
    columns = [int.from_bytes(on_disk(lab, column, name), "little") for column in range(plex.columns)]
    return reduce(int.__xor__, columns) == 0


def pull(lab: EngineLab, disk: Ref) -> Path:
    path = lab.path_of(disk)
    path.rename(path.with_suffix(".away"))
    lab.do(Rescan())
    return path


def bring_back(lab: EngineLab, path: Path) -> None:
    path.with_suffix(".away").rename(path)
    lab.do(Rescan())


def scatter(lab: EngineLab, model: bytearray, seed: int, count: int = 40) -> None:
    """Writes of many sizes at many places."""
    chance = random.Random(seed)
    for _ in range(count):
        length = chance.choice((1, 512, 4096, UNIT, 3 * UNIT, 200_001))
        offset = chance.randrange(len(model) - length)
        data = chance.randbytes(length)
        assert lab.write(data, offset) == 0
        model[offset : offset + length] = data


# --- made and written ---
def test_a_log_lies_where_something_has_been_written_before(lab: EngineLab) -> None:
    lab.make_volume(size=12 * MIB, raid5=True, columns=4)
    log = log_place(lab)
    with lab.path_of(log.disk).open("rb") as file:
        os.fsync(file.fileno())
        assert os.lseek(file.fileno(), log.disk_offset, os.SEEK_DATA) == log.disk_offset
        assert os.lseek(file.fileno(), log.disk_offset, os.SEEK_HOLE) >= log.disk_offset + log.length


def test_a_volume_reads_what_was_written_and_its_parity_follows(lab: EngineLab) -> None:
    volume = lab.make_volume(size=12 * MIB, raid5=True, columns=4)
    assert volume.size == 12 * MIB
    assert volume.status is VolumeStatus.HEALTHY
    assert len(lab.config.logs_of(volume.ref)) == 1
    columns = {piece.disk for piece in pieces(lab)}
    (log,) = (sd for plex in lab.config.logs_of(volume.ref) for sd in lab.config.subdisks_of(plex.ref))
    assert len(columns) == 4
    assert log.disk not in columns
    model = bytearray(volume.size)
    scatter(lab, model, 1)
    assert lab.flush() == 0
    assert lab.read(0, volume.size) == model
    assert parity_is_right(lab)
    lab.restart()
    assert lab.read(0, volume.size) == model
    assert lab.volume().status is VolumeStatus.HEALTHY


def test_without_a_log_it_works_too(lab: EngineLab) -> None:
    volume = lab.make_volume(size=6 * MIB, raid5=True, log=LogType.NONE)
    assert not lab.config.logs_of(volume.ref)
    model = bytearray(volume.size)
    scatter(lab, model, 2)
    assert lab.flush() == 0
    assert lab.read(0, volume.size) == model
    assert parity_is_right(lab)


# --- a column away ---
def test_a_pulled_column_costs_nothing_and_is_rebuilt(lab: EngineLab) -> None:
    volume = lab.make_volume(size=12 * MIB, raid5=True, columns=4)
    model = bytearray(volume.size)
    scatter(lab, model, 3)
    disk = pieces(lab)[1].disk
    path = pull(lab, disk)
    assert lab.volume().status is VolumeStatus.DEGRADED
    assert lab.volume().serving
    assert lab.read(0, volume.size) == model
    scatter(lab, model, 4)
    assert lab.read(0, volume.size) == model
    assert pieces(lab)[1].state is PieceState.STALE
    bring_back(lab, path)
    assert lab.read(0, volume.size) == model
    assert lab.volume().status is VolumeStatus.DEGRADED
    lab.do(ResyncVolume(volume=volume.ref))
    assert lab.volume().status is VolumeStatus.HEALTHY
    assert all(piece.state is PieceState.GOOD for piece in pieces(lab))
    assert lab.read(0, volume.size) == model
    assert lab.flush() == 0
    assert parity_is_right(lab)


def log_place(lab: EngineLab) -> Subdisk:
    (log,) = lab.config.logs_of(lab.volume().ref)
    (place,) = lab.config.subdisks_of(log.ref)
    return place


def test_a_column_and_the_log_move_while_it_is_written(lab: EngineLab) -> None:
    volume = lab.make_volume(size=12 * MIB, raid5=True, columns=4)
    model = bytearray(volume.size)
    scatter(lab, model, 8)
    for disk in (pieces(lab)[2].disk, log_place(lab).disk):
        task = lab.engine.submit(EvacuateDisk(disk=disk))
        scatter(lab, model, 9)
        assert lab.engine.wait(task, 60)
        assert lab.config.task(task).state == "completed", lab.config.task(task).result
        assert not lab.config.subdisks_on(disk)
        assert lab.read(0, volume.size) == model
    assert lab.flush() == 0
    assert parity_is_right(lab)
    assert log_place(lab).disk not in {piece.disk for piece in pieces(lab)}


def test_what_is_out_of_date_moves_without_a_copy_and_is_rebuilt_at_its_new_place(lab: EngineLab) -> None:
    volume = lab.make_volume(size=12 * MIB, raid5=True, columns=4)
    model = bytearray(volume.size)
    scatter(lab, model, 10)
    disk = pieces(lab)[3].disk
    pull(lab, disk)
    scatter(lab, model, 11)
    plan = lab.engine.plan(EvacuateDisk(disk=disk))
    assert plan.copies_bytes == 0
    lab.do(EvacuateDisk(disk=disk))
    assert pieces(lab)[3].state is PieceState.STALE
    assert lab.read(0, volume.size) == model
    lab.do(ResyncVolume(volume=volume.ref))
    assert lab.volume().status is VolumeStatus.HEALTHY
    assert lab.read(0, volume.size) == model
    assert lab.flush() == 0
    assert parity_is_right(lab)


def test_it_grows(lab: EngineLab) -> None:
    volume = lab.make_volume(size=6 * MIB, raid5=True)
    model = bytearray(volume.size)
    scatter(lab, model, 5)
    lab.do(GrowVolume(volume=volume.ref, size=20 * MIB))
    assert lab.volume().size == 20 * MIB
    model += bytes(14 * MIB)
    assert lab.read(0, 20 * MIB) == model
    scatter(lab, model, 6)
    assert lab.read(0, 20 * MIB) == model
    assert lab.flush() == 0
    assert parity_is_right(lab)
    lab.do(VerifyVolume(volume=volume.ref))


def test_after_a_kill_its_log_makes_the_rows_whole(lab: EngineLab) -> None:
    volume = lab.make_volume(size=6 * MIB, raid5=True)
    model = bytearray(volume.size)
    scatter(lab, model, 7)
    assert lab.plexes()[0].state is PlexState.ACTIVE
    generation = lab.volume().log_generation
    assert generation
    lab.kill()
    lab.start(frail=True)
    assert lab.volume().log_generation != generation
    assert lab.volume().parity_known
    assert lab.read(0, volume.size) == model
    assert parity_is_right(lab)
