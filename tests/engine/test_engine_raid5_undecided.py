"""A write that one column of RAID-5 did not take, and what else is committed before anybody has decided about it.

Its entry in the log goes with the old generation: so the same commit does without the column, or nothing goes on.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from msgspec.structs import replace

from engine.commands import AddLog, ReactivateDisk, ResyncVolume, StartVolumes
from engine.config import Edit
from engine.dataplane.table import Table
from engine.dataplane.volume_io import VolumeIo
from engine.edits.columns import leave_out_log
from engine.edits.detach import fail_disk
from engine.parity.log_renewal import LogRenewal
from engine.records import Disk, Kind, PieceState, PlexState, Ref, Volume, VolumeStatus
from engine.units import KIB, MIB
from tests.engine.engine_lab import EngineLab
from tests.engine.model_sink import eventually
from tests.engine.test_engine_raid5 import parity_is_right, pattern, pieces

SIZE = 6 * MIB
UNIT = 16 * KIB
NEW = pattern(2, 4 * KIB)
"""What is written to the second unit of the first row, and does not reach its column."""


def made(tmp_path: Path) -> Iterator[EngineLab]:
    """A volume of four columns that is all on stable storage, in a folder of its own."""
    folder = tmp_path / "here"
    folder.mkdir()
    lab = EngineLab(folder).start(frail=True)
    lab.make_group(6)
    lab.make_volume(size=SIZE, raid5=True, columns=4, stripe_unit=UNIT)
    assert lab.write(pattern(1, SIZE)) == 0
    assert lab.flush() == 0
    yield lab
    if lab.opened is not None:
        lab.stop()


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[EngineLab]:
    yield from made(tmp_path)


def may_be(found: bytes) -> None:
    """Everything but what was being written stands as it was; and that is old or new."""
    model = pattern(1, SIZE)
    assert found[:UNIT] == model[:UNIT]
    assert found[UNIT + len(NEW) :] == model[UNIT + len(NEW) :]
    assert found[UNIT : UNIT + len(NEW)] in (NEW, model[UNIT : UNIT + len(NEW)])


@contextmanager
def undecided(lab: EngineLab) -> Iterator[list[int]]:
    """A write that column 1 does not take; nobody can decide about it while this lasts. Its answer."""
    piece = pieces(lab)[1]
    lab.lun(piece.disk).fail("write", persistent=True, at=lambda offset: offset >= piece.disk_offset)
    answers: list[int] = []
    writer = threading.Thread(target=lambda: answers.append(lab.write(NEW, UNIT)))
    with lab.engine.committer.lock:
        writer.start()
        io = lab.engine.committer.ios[lab.volume().ref]
        eventually(lambda: io.parked == 1, "the write that waits for a decision")
        yield answers
    writer.join(60)


def fail(lab: EngineLab, disk: Ref) -> None:
    def change(edit: Edit) -> None:
        fail_disk(edit, disk)

    lab.engine.committer.commit(change)


def fence(lab: EngineLab) -> None:
    """One column is out, and another one has missed a write."""
    with undecided(lab):
        fail(lab, pieces(lab)[0].disk)
    missed = pieces(lab)[1].disk
    assert lab.engine.committer.wait_until(lambda config: bool(lab.volume().fenced) and config.disk(missed).failing, 60)
    lab.lun(missed).heal()


def healed(lab: EngineLab) -> None:
    for disk in lab.config.all(Kind.DISK, Disk):
        if disk.failing:
            lab.lun(disk.ref).heal()
            lab.do(ReactivateDisk(disk=disk.ref))
    if lab.volume().status is not VolumeStatus.HEALTHY:
        lab.do(ResyncVolume(volume=lab.volume().ref))
    assert lab.volume().status is VolumeStatus.HEALTHY
    may_be(lab.read(0, SIZE))
    assert lab.flush() == 0
    assert parity_is_right(lab)


def test_a_second_column_that_is_given_up_meanwhile_costs_no_byte(lab: EngineLab) -> None:
    """Without the first one's new bytes the second one's do not follow from the rest of the row."""
    fence(lab)
    lab.do(StartVolumes(volumes=(lab.volume().ref,)))
    may_be(lab.read(0, SIZE))
    healed(lab)


def test_a_copy_of_the_log_that_is_given_up_meanwhile_leaves_no_torn_row_behind(
    lab: EngineLab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine dies as soon as that is on record, before anybody has decided about the column."""
    lab.do(AddLog(volume=lab.volume().ref))
    _, copy = lab.config.logs_of(lab.volume().ref)
    generation = lab.volume().log_generation
    here, then = lab.folder, tmp_path / "then"
    take_over = LogRenewal.take_over

    def keep(renewal: LogRenewal, ref: Ref, volume: Volume, io: VolumeIo, table: Table) -> None:
        if not then.exists():
            shutil.copytree(here, then, ignore=shutil.ignore_patterns("s", "*.sock"))
        take_over(renewal, ref, volume, io, table)

    monkeypatch.setattr(LogRenewal, "take_over", keep)
    with undecided(lab) as answers:
        lab.engine.committer.commit(lambda edit: leave_out_log(edit, copy, PlexState.IOFAIL))
        assert lab.volume().log_generation not in ("", generation)
    assert answers == [0]
    first = pieces(lab)[1].disk
    assert lab.engine.committer.wait_until(lambda config: config.disk(first).failing, 60)
    healed(lab)
    lab.stop()
    shutil.rmtree(here)
    then.rename(here)
    lab.start(frail=True)
    may_be(lab.read(0, SIZE))
    assert pieces(lab)[1].state is PieceState.STALE or parity_is_right(lab)
    healed(lab)


def test_a_write_that_runs_again_at_once_leaves_nobody_in_the_dark(lab: EngineLab) -> None:
    """The volume has a new table when its failure is to be told of. The log would keep its entry for good."""
    io, piece = lab.engine.committer.ios[lab.volume().ref], pieces(lab)[1]
    table, touched = io.table, replace(lab.volume(), content="ext4")
    toucher = threading.Thread(target=lambda: lab.engine.committer.commit(lambda edit: edit.put(touched)))

    def while_it_is_touched(offset: int) -> bool:
        if offset < piece.disk_offset or toucher.ident is not None:
            return False
        toucher.start()
        eventually(lambda: io.table is not table, "the table that follows")
        return True

    lab.lun(piece.disk).fail("write", at=while_it_is_touched)
    assert lab.write(NEW, UNIT) == 0
    toucher.join(60)
    assert lab.engine.committer.wait_until(lambda config: config.disk(piece.disk).failing, 60)
    healed(lab)
    assert lab.read(UNIT, len(NEW)) == NEW
