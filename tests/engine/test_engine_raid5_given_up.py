"""A log of RAID-5 that was begun for a transaction which could not be made durable, and which is true after all at the
next start: one disk has it."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.commands import AddLog, Rescan, StartVolumes
from engine.edits.columns import leave_out_log
from engine.errors import GroupFrozen
from engine.records import PieceState, PlexState, Subdisk
from tests.engine.engine_lab import EngineLab
from tests.engine.test_engine_raid5 import parity_is_right, pieces
from tests.engine.test_engine_raid5_undecided import NEW, SIZE, UNIT, healed, made, may_be, undecided


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[EngineLab]:
    yield from made(tmp_path)


def places(lab: EngineLab) -> list[Subdisk]:
    """Where the copies of the log lie."""
    return [sd for log in lab.config.logs_of(lab.volume().ref) for sd in lab.config.subdisks_of(log.ref)]


def give_up(lab: EngineLab) -> None:
    """A transaction that leaves a copy of the log out reaches a single disk."""
    ref, generation = lab.volume().ref, lab.volume().log_generation
    *_, copy = lab.config.logs_of(ref)
    for disk in lab.config.disks_of(lab.group().ref):
        if disk.ref != pieces(lab)[0].disk:
            edge = disk.public_offset
            lab.lun(disk.ref).fail("durable", persistent=True, at=lambda offset, edge=edge: offset < edge)
    with pytest.raises(GroupFrozen):
        lab.engine.committer.commit(lambda edit: leave_out_log(edit, copy, PlexState.IOFAIL))
    for disk in lab.config.disks_of(lab.group().ref):
        lab.lun(disk.ref).heal()
    assert lab.volume().log_generation == generation


def test_what_is_written_behind_it_is_put_right_all_the_same(lab: EngineLab, tmp_path: Path) -> None:
    """A row is torn when the engine dies. The log that is named by then knows nothing of it: it must not say that all
    rows are whole."""
    lab.do(AddLog(volume=lab.volume().ref))
    generation, here, then = lab.volume().log_generation, lab.folder, tmp_path / "then"
    give_up(lab)
    with undecided(lab):
        shutil.copytree(here, then, ignore=shutil.ignore_patterns("s", "*.sock"))
    lab.stop()
    shutil.rmtree(here)
    then.rename(here)
    lab.start(frail=True)
    ref = lab.volume().ref
    assert lab.volume().log_generation != generation
    assert lab.engine.committer.wait_until(lambda config: config.volume(ref).parity_known, 60)
    may_be(lab.read(0, SIZE))
    assert lab.flush() == 0
    assert parity_is_right(lab)
    healed(lab)


def test_the_log_in_use_goes_on(lab: EngineLab) -> None:
    lab.do(AddLog(volume=lab.volume().ref))
    give_up(lab)
    assert lab.write(NEW, UNIT) == 0
    lab.kill()
    lab.start(frail=True)
    may_be(lab.read(0, SIZE))
    assert lab.read(UNIT, len(NEW)) == NEW


def test_where_it_can_not_be_taken_back_nothing_more_is_written(lab: EngineLab) -> None:
    lab.do(AddLog(volume=lab.volume().ref))
    place = places(lab)[0]
    edge = place.disk_offset
    lab.lun(place.disk).fail("durable", nth=2, persistent=True, at=lambda offset: offset >= edge)
    give_up(lab)
    assert lab.write(NEW, UNIT) == errno.EIO
    lab.do(Rescan())
    assert lab.volume().fenced
    lab.do(StartVolumes(volumes=(lab.volume().ref,)))
    assert lab.write(NEW, UNIT) == 0
    healed(lab)
    assert lab.read(UNIT, len(NEW)) == NEW


def test_a_disk_that_fails_under_a_log_takes_a_column_from_another_volume_with_its_log(lab: EngineLab) -> None:
    """Whose entries stand for all its columns: one that goes without a new log may come back to old ones."""
    place = places(lab)[0]
    lab.make_volume("w", raid5=True, columns=5, size=SIZE)
    other, edge = lab.volume("w"), place.disk_offset
    (column,) = (piece for piece in lab.config.subdisks_on(place.disk) if piece.ref != place.ref)
    lab.lun(place.disk).fail("durable", at=lambda offset: edge <= offset < edge + place.length)
    lab.do(AddLog(volume=lab.volume().ref))
    assert lab.config.subdisk(column.ref).state is PieceState.STALE
    assert lab.volume("w").log_generation != other.log_generation
