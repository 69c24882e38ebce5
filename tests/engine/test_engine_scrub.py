"""Mirrors that have come to differ behind the engine's back: found past the page cache, and made equal again."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from engine.commands import (
    AbortTask,
    ChangeSettings,
    PauseTask,
    ResumeTask,
    ScrubVolume,
    ThrottleTask,
    VerifyVolume,
)
from engine.errors import CommandRejected
from engine.records import Alert, Kind, Plex, Ref, Remedy, Task, TaskDelay, TaskState, TaskType
from engine.tasks.steps import RANGES_MAX, joined
from engine.units import KIB, MIB
from tests.engine.engine_lab import EngineLab, lab_fixture
from tests.engine.test_engine_life import pattern

SIZE = 12 * MIB
BLOCK = 4 * KIB


lab = lab_fixture(frail=True)


def mirrored(lab: EngineLab, **choices: object) -> bytes:
    lab.make_volume(size=SIZE, mirrors=2, **choices)
    data = pattern(3, SIZE)
    assert lab.write(data) == 0
    assert lab.flush() == 0
    return data


def spoil(lab: EngineLab, plex: Plex, offset: int, data: bytes) -> None:
    """Write past the engine to where a plex of one column keeps `offset`."""
    (subdisk,) = lab.config.subdisks_of(plex.ref)
    with open(lab.config.disk(subdisk.disk).lun, "r+b") as file:
        file.seek(subdisk.disk_offset + offset)
        file.write(data)


def verify(lab: EngineLab) -> Task:
    ref = lab.engine.submit(VerifyVolume(volume=lab.volume().ref))
    assert lab.engine.wait(ref, 60)
    return lab.config.task(ref)


def repair(lab: EngineLab, source: int = 0) -> Task:
    return lab.do(ScrubVolume(volume=lab.volume().ref, source=lab.plexes()[source].ref))


def test_equal_mirrors_are_equal(lab: EngineLab) -> None:
    mirrored(lab)
    found = verify(lab)
    assert (found.state, found.result) == (TaskState.COMPLETED, "All 2 mirrors of v are equal.")
    assert repair(lab).result == "All mirrors are equal to v-01; nothing had to be changed."


@pytest.mark.parametrize("layout", [{}, {"striped": True, "columns": 2, "stripe_unit": 4 * KIB}])
def test_a_flipped_bit_is_found_named_and_mended_from_the_chosen_mirror(
    lab: EngineLab, layout: dict[str, object]
) -> None:
    data = mirrored(lab, **layout)
    first, second = lab.plexes()
    subdisk = lab.config.subdisks_of(second.ref)[0]
    with open(lab.config.disk(subdisk.disk).lun, "r+b") as file:
        file.seek(subdisk.disk_offset + 5 * BLOCK + 17)
        byte = file.read(1)[0]
        file.seek(-1, 1)
        file.write(bytes([byte ^ 4]))
    found = verify(lab)
    assert found.state is TaskState.FAILED
    ((start, length),) = found.params.ranges
    assert (length, start % BLOCK) == (BLOCK, 0)
    assert "differ in one place" in found.result
    assert lab.plexes()[0].complete
    (alert,) = lab.config.all(Kind.ALERT, Alert)
    assert (alert.object, alert.action) == (lab.volume().ref, Remedy.REPAIR_MIRRORS)
    assert alert.name.endswith("its mirrors differ.")
    plan = lab.engine.plan(ScrubVolume(volume=lab.volume().ref, source=first.ref))
    assert any("1 range" in step.text for step in plan.steps)
    assert plan.task is not None
    assert plan.task.bytes_total == BLOCK
    assert repair(lab).result == "4 KiB that differed were made equal to v-01."
    assert lab.equal()
    assert lab.read(0, SIZE) == data
    assert verify(lab).state is TaskState.COMPLETED


def test_the_operator_says_which_mirror_is_right(lab: EngineLab) -> None:
    data = bytearray(mirrored(lab))
    new = pattern(9, 2 * BLOCK)
    spoil(lab, lab.plexes()[1], 3 * BLOCK, new)
    assert verify(lab).state is TaskState.FAILED
    repair(lab, source=1)
    data[3 * BLOCK : 5 * BLOCK] = new
    assert lab.equal()
    assert lab.read(0, SIZE) == data


def test_what_was_found_outlives_the_engine_and_ends_with_the_repair(lab: EngineLab) -> None:
    mirrored(lab)
    spoil(lab, lab.plexes()[1], MIB, b"other")
    assert verify(lab).state is TaskState.FAILED
    lab.restart()
    source = lab.plexes()[0].ref
    assert _total(lab, source) == BLOCK
    repair(lab)
    lab.restart()
    assert _total(lab, source) == SIZE


def _total(lab: EngineLab, source: object) -> int:
    plan = lab.engine.plan(ScrubVolume(volume=lab.volume().ref, source=source))  # type: ignore[arg-type]
    assert plan.task is not None
    return plan.task.bytes_total


def test_random_damage_is_found_whole_and_nothing_else_is_touched(lab: EngineLab, seed: int) -> None:
    dice = random.Random(seed)
    data = mirrored(lab)
    spoilt = set()
    for _ in range(200):
        at = dice.randrange(SIZE // 512) * 512
        spoil(lab, lab.plexes()[1], at, dice.randbytes(512))
        spoilt.add(at // BLOCK)
    found = verify(lab)
    covered = {
        block for start, length in found.params.ranges for block in range(start // BLOCK, (start + length) // BLOCK)
    }
    assert spoilt <= covered
    assert len(found.params.ranges) <= RANGES_MAX
    assert repair(lab).bytes_copied >= len(spoilt) * BLOCK
    assert lab.equal()
    assert lab.read(0, SIZE) == data


def test_a_sector_that_cannot_be_read_is_written_anew(lab: EngineLab) -> None:
    data = mirrored(lab)
    (subdisk,) = lab.config.subdisks_of(lab.plexes()[1].ref)
    lun, bad = lab.lun(subdisk.disk), range(subdisk.disk_offset + MIB, subdisk.disk_offset + 2 * MIB)
    lun.fail("read", persistent=True, at=lambda offset: offset in bad)
    repair(lab)
    lun.heal()
    assert lab.equal()
    assert lab.read(0, SIZE) == data
    assert not lab.config.disk(subdisk.disk).failing


def test_a_repair_goes_on_after_a_pause_and_after_a_kill(lab: EngineLab) -> None:
    data = mirrored(lab)
    spoil(lab, lab.plexes()[1], 0, bytes(SIZE))
    ref = slow_repair(lab)
    lab.engine.submit(PauseTask(task=ref))
    assert lab.engine.committer.wait_until(lambda config: config.task(ref).state is TaskState.PAUSED, 60)
    lab.kill()
    lab.start()
    if lab.volume().source is None and not lab.config.task(ref).ended:
        lab.engine.submit(ThrottleTask(task=ref, iodelay_ms=0))
        lab.engine.submit(ResumeTask(task=ref))
        assert lab.engine.wait(ref, 60)
    for task in lab.config.tasks_of(lab.group().ref):
        if not task.ended and not task.paused:
            assert lab.engine.wait(task.ref, 60)
    assert lab.read(0, SIZE) == data


def slow_repair(lab: EngineLab) -> Ref:
    """One that rests a minute after each mebibyte, until it is told otherwise."""
    lab.do(ChangeSettings(iodelay_ms=(TaskDelay(TaskType.SCRUB, 60_000),)))
    return lab.engine.submit(ScrubVolume(volume=lab.volume().ref, source=lab.plexes()[0].ref))


def test_what_cannot_be_repaired_is_refused(lab: EngineLab) -> None:
    lab.make_volume(name="one", size=MIB)
    mirrored(lab)
    ours, one = lab.volume().ref, lab.config.plexes_of(lab.volume("one").ref)[0].ref
    with pytest.raises(CommandRejected, match="no mirror of v"):
        lab.engine.submit(ScrubVolume(volume=ours, source=one))
    with pytest.raises(CommandRejected, match="no two complete mirrors"):
        lab.engine.submit(ScrubVolume(volume=lab.volume("one").ref, source=one))


def test_an_aborted_repair_keeps_what_it_has_done(lab: EngineLab) -> None:
    mirrored(lab)
    ref = slow_repair(lab)
    lab.engine.submit(AbortTask(task=ref))
    assert lab.engine.wait(ref, 60)
    assert lab.config.task(ref).ended
    assert lab.equal()


# --- ranges ---
@pytest.mark.parametrize("seed_", range(20))
def test_joined_ranges_cover_all_and_stay_apart(seed_: int) -> None:
    dice = random.Random(seed_)
    found = tuple((dice.randrange(5000), dice.randrange(1, 20)) for _ in range(dice.randrange(300)))
    made = joined(found)
    covered = {byte for start, length in made for byte in range(start, start + length)}
    assert {byte for start, length in found for byte in range(start, start + length)} <= covered
    assert len(made) <= RANGES_MAX
    assert all(one[0] + one[1] < other[0] for one, other in pairwise(made))
    if len(found) <= RANGES_MAX:
        assert len(covered) == len({byte for start, length in found for byte in range(start, start + length)})
