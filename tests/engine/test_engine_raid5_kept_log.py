"""The log of a RAID-5 volume that takes no writes: all that puts its rows right, so that nothing becomes of it before
the volume has been started."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from engine.commands import (
    AddLog,
    Command,
    EvacuateDisk,
    GrowVolume,
    RemoveLog,
    RepairVolumes,
    ShrinkVolume,
    StartVolumes,
)
from engine.edits.columns import leave_out_log
from engine.errors import CommandRejected
from engine.records import PieceState, PlexState
from tests.engine.engine_lab import EngineLab
from tests.engine.test_engine_raid5 import bring_back, log_place, pieces, pull
from tests.engine.test_engine_raid5_undecided import NEW, SIZE, UNIT, fail, fence, healed, made, may_be, undecided


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[EngineLab]:
    yield from made(tmp_path)


def started(lab: EngineLab) -> None:
    """It is put right from its log; else only force would start it."""
    lab.do(StartVolumes(volumes=(lab.volume().ref,)))
    assert not lab.volume().fenced
    may_be(lab.read(0, SIZE))
    healed(lab)


@pytest.mark.parametrize("what", [AddLog, RemoveLog, EvacuateDisk])
def test_it_is_neither_moved_nor_taken_away_nor_doubled(
    lab: EngineLab, what: type[AddLog | RemoveLog | EvacuateDisk]
) -> None:
    fence(lab)
    command: Command = EvacuateDisk(disk=log_place(lab).disk)
    if what is not EvacuateDisk:
        command = what(volume=lab.volume().ref)
    with pytest.raises(CommandRejected, match="takes no writes"):
        lab.engine.submit(command)
    started(lab)


def test_its_disk_may_be_away_for_a_while(lab: EngineLab) -> None:
    fence(lab)
    path = pull(lab, log_place(lab).disk)
    bring_back(lab, path)
    started(lab)


def test_it_gets_no_other_place_and_no_other_size(lab: EngineLab) -> None:
    """Also where every column is there."""
    fenced = replace(lab.volume(), fenced="The host was full.")
    lab.engine.committer.commit(lambda edit: edit.put(fenced))
    volume, place = fenced.ref, log_place(lab)
    path = pull(lab, place.disk)
    sizes = GrowVolume(volume=volume, size=2 * SIZE), ShrinkVolume(volume=volume, size=SIZE // 2)
    for command in (RepairVolumes(volumes=(volume,)), *sizes):
        assert "takes no writes" in lab.engine.plan(command).problems[0].text
    bring_back(lab, path)
    assert log_place(lab) == place
    started(lab)


def test_its_disk_may_be_away_at_a_start(lab: EngineLab) -> None:
    """And a column with it, without which nothing else tells what was being written."""
    assert lab.write(NEW, UNIT) == 0
    paths = [lab.path_of(disk) for disk in (log_place(lab).disk, pieces(lab)[2].disk)]
    lab.kill()
    for path in paths:
        path.rename(path.with_suffix(".away"))
    lab.start(frail=True)
    assert "no log" in lab.volume().fenced
    bring_back(lab, paths[0])
    lab.do(StartVolumes(volumes=(lab.volume().ref,)))
    assert not lab.volume().fenced
    assert lab.read(UNIT, len(NEW)) == NEW
    bring_back(lab, paths[1])
    healed(lab)


def test_it_is_read_also_when_it_took_no_more_writes_in_the_end(lab: EngineLab) -> None:
    fail(lab, pieces(lab)[0].disk)
    (log,) = lab.config.logs_of(lab.volume().ref)
    with undecided(lab):
        lab.engine.committer.commit(lambda edit: leave_out_log(edit, log, PlexState.IOFAIL))
        assert lab.volume().fenced
    assert pieces(lab)[1].state is PieceState.GOOD
    lab.lun(pieces(lab)[1].disk).heal()
    started(lab)
