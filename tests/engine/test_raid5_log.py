"""The log by itself: what a replay believes, what it completes, and what it calls damage."""

from __future__ import annotations

import errno
import threading
from random import Random
from typing import TYPE_CHECKING

import pytest

from engine.dataplane import raid5_log
from engine.dataplane.fold import fold
from engine.dataplane.raid5_log import LogFailed, Raid5Log, newest_superblock
from engine.dataplane.raid5_log_format import BLOCK, RING_AT, ExtentKind, LogExtent, LogOwner
from engine.dataplane.raid5_replay import Damaged, Replayed, replay
from engine.devices.faulty import FaultyDevice
from engine.devices.memory import MemoryDevice
from engine.runtime import ThreadRuntime
from tests.engine.raid5_lab import VOLUME_ID, column_bytes, generation, layout, log_copies

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine.dataplane.table import Table

UNIT = 4096
ROWS = 8
LENGTH = 256 << 10
RUNTIME = ThreadRuntime()


class Lab:
    """Three columns and two log copies in memory."""

    def __init__(self) -> None:
        self.memory = [MemoryDevice(f"lun{n}", 1 << 20) for n in range(5)]
        self.columns = self.memory[:3]
        self.logs = [FaultyDevice(device) for device in self.memory[3:]]

    def log(self, number: int = 1, previous: int | None = None, copies: int = 2) -> Raid5Log:
        before = None if previous is None else generation(previous)
        found = log_copies(self.logs, LENGTH)[:copies]
        return Raid5Log(found, VOLUME_ID, generation(number), RUNTIME, previous=before)

    def table(self, out: tuple[int, ...] = ()) -> Table:
        return fold([layout(self.columns, UNIT, ROWS, out=out)], ROWS * 2 * UNIT)

    def replay(self, number: int = 1, copies: tuple[int, ...] = (0, 1)) -> Replayed | Damaged:
        found = log_copies(self.logs, LENGTH)
        return replay([found[n] for n in copies], VOLUME_ID, generation(number), self.table())

    def unit(self, column: int, row: int) -> bytes:
        return column_bytes(self.columns[column], ROWS * UNIT)[row * UNIT : (row + 1) * UNIT]

    def spoil(self, copy: int, at: int, length: int = BLOCK) -> None:
        """Other bytes at a place of a log copy."""
        self.memory[3 + copy].write(131072 + at, b"\xa5" * length)


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    monkeypatch.setattr(raid5_log, "SMALLEST", LENGTH)
    made = Lab()
    yield made
    for device in made.memory:
        device.close()


def put(log: Raid5Log, column: int, row: int, fill: int) -> int:
    """An entry that makes one unit of a column `fill`; it takes two blocks of the ring."""
    return log.append([LogExtent(ExtentKind.COLUMN, column, 0, row * UNIT, UNIT)], [bytes([fill]) * UNIT])


def test_an_empty_log_has_nothing_to_do(lab: Lab) -> None:
    lab.log()
    assert lab.replay() == Replayed()


def test_entries_are_done_again_in_order(lab: Lab) -> None:
    log = lab.log()
    for fill in (1, 2, 3):
        put(log, 0, 2, fill)
    put(log, 1, 2, 9)
    found = lab.replay()
    assert found == Replayed(entries=4, bytes=4 * UNIT)
    assert lab.unit(0, 2) == b"\3" * UNIT
    assert lab.unit(1, 2) == b"\x09" * UNIT


def test_what_one_copy_lacks_is_completed_from_the_other_before_legs_are_touched(lab: Lab) -> None:
    log = lab.log()
    for row in range(4):
        put(log, 0, row, row + 1)
    lab.spoil(0, RING_AT + 2 * BLOCK)  # the head of the second entry
    lab.spoil(1, RING_AT + 5 * BLOCK)  # the payload of the third
    assert isinstance(lab.replay(), Replayed)
    assert [lab.unit(0, row)[0] for row in range(4)] == [1, 2, 3, 4]
    for copy in (0, 1):
        assert lab.replay(copies=(copy,)) == Replayed(entries=4, bytes=4 * UNIT)


@pytest.mark.parametrize("spoilt", range(3))
def test_a_gap_below_what_was_durable_is_damage_not_the_end(lab: Lab, spoilt: int) -> None:
    log = lab.log(copies=1)
    for row in range(4):
        put(log, 0, row, row + 1)
    lab.spoil(0, RING_AT + spoilt * 2 * BLOCK)
    found = lab.replay(copies=(0,))
    assert isinstance(found, Damaged)
    assert "lacks an entry" in found.reason
    assert lab.unit(0, 0) == bytes(UNIT)


def test_the_last_entry_may_be_torn(lab: Lab) -> None:
    log = lab.log(copies=1)
    put(log, 0, 0, 1)
    put(log, 0, 1, 2)
    lab.spoil(0, RING_AT + 3 * BLOCK + 512, 512)
    assert lab.replay(copies=(0,)) == Replayed(entries=1, bytes=UNIT)


def test_where_it_would_go_on_it_must_be_readable(lab: Lab) -> None:
    put(lab.log(), 0, 0, 1)
    lab.logs[0].fail("read", nth=7, persistent=True)
    assert isinstance(lab.replay(), Replayed)
    lab.logs[0].heal()
    for device in lab.logs:
        device.fail("read", nth=5, persistent=True)
    assert isinstance(lab.replay(), Damaged)


def test_no_superblock_of_this_generation_is_damage(lab: Lab) -> None:
    lab.log(1)
    assert isinstance(lab.replay(2), Damaged)


def test_a_new_generation_leaves_the_old_one_whole_until_it_is_used(lab: Lab) -> None:
    old = lab.log(1)
    put(old, 0, 0, 1)
    fresh = lab.log(2, previous=1)
    assert lab.replay(1) == Replayed(entries=1, bytes=UNIT)
    assert lab.replay(2) == Replayed()
    put(fresh, 0, 0, 7)
    assert lab.replay(2) == Replayed(entries=1, bytes=UNIT)
    assert lab.unit(0, 0) == b"\7" * UNIT


def test_a_generation_that_was_given_up_does_not_count_and_does_no_harm(lab: Lab) -> None:
    old = lab.log(1)
    for row in range(3):
        old.done(put(old, 0, row, 1))
    old.freeze()
    assert not old.trim(lambda: True)
    lab.log(2, previous=1)
    old.thaw()
    assert old.trim(lambda: True)
    put(old, 0, 4, 5)
    assert lab.replay(1) == Replayed(entries=1, bytes=UNIT)
    for copy in log_copies(lab.logs, LENGTH):
        assert newest_superblock(copy, LogOwner(VOLUME_ID, generation(1))) is not None


def test_an_entry_of_a_failed_batch_is_not_found_behind_a_new_one(lab: Lab) -> None:
    """The second of two entries landed, the first did not: the log takes no more, and a replay ends before both."""
    log = lab.log(copies=1)
    put(log, 0, 0, 1)
    lab.logs[0].fail("write")
    with pytest.raises(LogFailed):
        put(log, 0, 1, 2)
    with pytest.raises(LogFailed):
        put(log, 0, 2, 3)
    assert lab.replay(copies=(0,)) == Replayed(entries=1, bytes=UNIT)


def test_space_is_free_only_behind_a_durable_head(lab: Lab) -> None:
    log = lab.log(copies=1)
    first = put(log, 0, 0, 1)
    second = put(log, 0, 1, 2)
    log.done(second)
    assert not log.trim(lambda: True)  # the first is under way
    log.done(first)
    assert not log.trim(lambda: False)  # nobody knows what is stable: pinned
    assert not log.trim(lambda: True)
    assert lab.replay(copies=(0,)) == Replayed(entries=2, bytes=2 * UNIT)


def test_the_ring_goes_round_many_times(lab: Lab, seed: int) -> None:
    random = Random(seed)
    log = lab.log()
    wanted: dict[int, int] = {}
    pending: list[tuple[int, int, int]] = []
    for step in range(600):
        size = raid5_log.entry_size(1, UNIT)
        assert log.reserve(size, lambda: True, lambda: False)
        row, fill = random.randrange(ROWS), step % 251 + 1
        pending.append((put(log, 0, row, fill), row, fill))
        log.release(size)
        wanted[row] = fill
        while len(pending) > random.randrange(1, 6):
            sequence, at, old = pending.pop(0)
            lab.columns[0].write(65536 + at * UNIT, bytes([old]) * UNIT)
            log.done(sequence)
        if random.random() < 0.02:
            assert isinstance(lab.replay(), Replayed)
            assert [lab.unit(0, row)[0] for row in sorted(wanted)] == [wanted[row] for row in sorted(wanted)]


def test_whoever_waits_for_space_goes_on_when_the_log_is_replaced(lab: Lab) -> None:
    log = lab.log(copies=1)
    held = []
    while log.reserve(log.largest, lambda: True, lambda: True):
        held.append(log.largest)
    answers: list[bool] = []
    waiter = threading.Thread(target=lambda: answers.append(log.reserve(log.largest, lambda: True, lambda: False)))
    waiter.start()
    log.retire()
    waiter.join(60)
    assert answers == [False]
    with pytest.raises(ValueError, match="too many"):
        log.reserve(log.largest + 1, lambda: True, lambda: False)


def test_a_leg_that_fails_at_replay_is_told_and_the_others_are_written(lab: Lab) -> None:
    log = lab.log()
    put(log, 0, 0, 1)
    put(log, 1, 0, 2)
    bad = FaultyDevice(lab.columns[0])
    bad.fail("write", number=errno.EIO)
    plex = layout([bad, *lab.columns[1:]], UNIT, ROWS, out=(2,))
    table = fold([plex], ROWS * 2 * UNIT)
    found = replay(log_copies(lab.logs, LENGTH), VOLUME_ID, generation(1), table)
    assert isinstance(found, Replayed)
    assert {key: (leg.column, leg.number) for key, leg in found.failed.items()} == {"sd0": (0, errno.EIO)}
    assert not found.missed
    assert lab.unit(1, 0) == b"\2" * UNIT
    put(log, 2, 1, 3)
    missed = replay(log_copies(lab.logs, LENGTH), VOLUME_ID, generation(1), table)
    assert isinstance(missed, Replayed)
    assert missed.missed == {2}
