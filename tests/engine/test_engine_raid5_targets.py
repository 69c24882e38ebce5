"""Places that columns of RAID-5 are moved to, and that miss a write meanwhile: nothing waits for them, nobody believes
them."""

from __future__ import annotations

import errno
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.commands import ChangeSettings, EvacuateDisk, ResyncVolume
from engine.records import PieceState, Ref, Subdisk, TaskDelay, TaskState, TaskType, VolumeStatus
from engine.units import KIB, MIB
from tests.engine.engine_lab import EngineLab
from tests.engine.model_sink import eventually
from tests.engine.test_engine_raid5 import parity_is_right, pattern, pieces

SIZE = 16 * MIB
UNIT = 16 * KIB
MOVED = 2
"""The column that moves; in row 0 of five columns it is the third one with data."""


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[EngineLab]:
    lab = EngineLab(tmp_path, luns=4).start(frail=True)
    lab.make_group(8)
    lab.make_volume(size=SIZE, raid5=True, columns=5, stripe_unit=UNIT)
    yield lab
    if lab.opened is not None:
        lab.stop()


def moving(lab: EngineLab) -> tuple[Ref, Subdisk]:
    """The task that moves a column, and where to."""
    piece = pieces(lab)[MOVED]
    task = lab.engine.submit(EvacuateDisk(disk=piece.disk))
    (target,) = lab.config.replacements_of(piece.ref)
    return task, target


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC], ids=["eio", "enospc"])
def test_the_log_waits_for_no_place_that_has_been_given_up(lab: EngineLab, number: int) -> None:
    """Its entry of the write that the place has missed would keep the ring from moving on, and with it all writers."""
    lab.do(ChangeSettings(iodelay_ms=(TaskDelay(TaskType.EVACUATE_DISK, 60_000),)))
    task, target = moving(lab)
    end = target.disk_offset + target.length
    lab.lun(target.disk).fail("write", number=number, at=lambda offset: end - MIB <= offset < end)
    model = bytearray(SIZE)
    model[-MIB:] = pattern(1, MIB)
    assert lab.write(bytes(model[-MIB:]), SIZE - MIB) == 0
    assert lab.engine.wait(task, 60)
    assert lab.config.task(task).state is TaskState.FAILED
    assert lab.volume().status is VolumeStatus.HEALTHY
    for number in range(300):
        offset, data = number * 40 * KIB + 512, pattern(number, 8 * KIB)
        assert lab.write(data, offset) == 0
        model[offset : offset + len(data)] = data
    assert lab.read(0, SIZE) == model
    assert lab.flush() == 0
    assert parity_is_right(lab)


def test_a_place_that_takes_over_while_it_misses_a_write_is_left_out_at_once(lab: EngineLab) -> None:
    """The write runs again on the new table. Were the old bytes there believed, parity would follow from them."""
    model = bytearray(pattern(1, SIZE))
    assert lab.write(bytes(model)) == 0
    task, target = moving(lab)
    io, lun = lab.engine.committer.ios[lab.volume().ref], lab.lun(target.disk)
    data, offset = pattern(2, 4 * KIB), 2 * UNIT
    answers: list[int] = []
    writer = threading.Thread(target=lambda: answers.append(lab.write(data, offset)))
    stuck = threading.Event()

    def when_copied(place: int) -> bool:
        """The first flush, which is of no place: a write goes there, and fails only when the place takes over."""
        if not place and not writer.ident:
            writer.start()
            assert stuck.wait(60)
        return False

    def when_taking_over(place: int) -> bool:
        if stuck.is_set() or place != target.disk_offset or threading.current_thread().name.startswith("task"):
            return False
        stuck.set()
        eventually(lambda: io.gate.table is None, "the commit that lets it take over")
        return True

    lun.fail("flush", persistent=True, at=when_copied)
    lun.fail("write", at=when_taking_over)
    assert lab.engine.wait(task, 60)
    writer.join(60)
    assert answers == [0]
    model[offset : offset + len(data)] = data
    assert pieces(lab)[MOVED].disk == target.disk
    assert lab.read(0, SIZE) == model
    if pieces(lab)[MOVED].state is PieceState.STALE:
        lab.do(ResyncVolume(volume=lab.volume().ref))
    assert lab.volume().status is VolumeStatus.HEALTHY
    assert lab.read(0, SIZE) == model
    assert lab.flush() == 0
    assert parity_is_right(lab)
