"""What the writers of a RAID-5 volume take at once: batches that are arranged by keeping the log waiting."""

from __future__ import annotations

import errno
import random
from typing import TYPE_CHECKING

import pytest

from engine.dataplane import raid5_plan
from engine.dataplane.call import Call
from engine.dataplane.fault import FaultKind
from engine.dataplane.fold import fold
from engine.dataplane.raid5_log import Raid5Log
from engine.dataplane.raid5_log_format import RING_AT
from engine.dataplane.request import Op, Request
from engine.devices.counted import CountedDevice
from engine.devices.delayed import DelayedDevice
from tests.engine.model_volume import DataPlane, data_plane
from tests.engine.raid5_lab import (
    VOLUME_ID,
    column_bytes,
    generation,
    layout,
    log_copies,
    make_volume,
    naive_volume,
    read,
    write,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

UNIT = 16384
ROW = 3 * UNIT
ROWS = 16
LOG_BYTES = 1 << 20


class Held:
    """Four columns, a log whose writes can be kept waiting and are counted."""

    def __init__(self, plane: DataPlane, length: int = LOG_BYTES, rows: int = ROWS) -> None:
        self.plane = plane
        self.rows = rows
        self.columns = plane.memory[:4]
        self.flushes = DelayedDevice(self.columns[0], plane.runtime)
        for device in plane.memory:
            device.zero(0, 4 << 20, may_unmap=True)
        self.counted = CountedDevice(plane.memory[4], keep_log=True)
        self.gate = DelayedDevice(self.counted, plane.runtime)
        log = Raid5Log(log_copies([self.gate], length), VOLUME_ID, generation(1), plane.runtime)
        table = fold([layout([self.flushes, *self.columns[1:]], UNIT, rows)], rows * ROW)
        self.volume = make_volume(table, plane.faults.append, plane.pool, plane.flusher, plane.runtime, log)
        plane.volumes.append(self.volume)
        self.calls: list[Call] = []

    def send(self, offset: int, data: bytes) -> None:
        self.calls.append(Call(self.plane.runtime))
        self.volume.hand_to_pool(Request(Op.WRITE, offset, len(data), memoryview(data)), self.calls[-1])

    def behind_one(self, act: Callable[[], None]) -> None:
        """Do it while a small write of the last row waits for the log: what comes then is taken at once."""
        self.gate.shut("write")
        self.send((ROWS - 1) * ROW, b"first")
        assert self.gate.await_waiting()
        act()
        self.counted.log.clear()
        self.gate.open()
        assert [call.wait(60) for call in self.calls] == [0] * len(self.calls)

    def content(self) -> bytes:
        self.volume.checkpoint()
        found, wrong = naive_volume([column_bytes(device, self.rows * UNIT) for device in self.columns], UNIT)
        assert not wrong
        return found


@pytest.fixture
def plane() -> Iterator[DataPlane]:
    with data_plane(5) as made:
        yield made


def test_what_waits_goes_to_the_log_at_once_and_neighbours_become_whole_rows(plane: DataPlane) -> None:
    held = Held(plane)
    data = bytes(range(1, 13)) * 4096

    def send_all() -> None:
        for at in range(0, ROW, 4096):
            held.send(at, data[at : at + 4096])

    held.behind_one(send_all)
    entries = [length for verb, _, length in held.counted.log if verb == "write"]
    assert len(entries) == 3  # the first one's, the row's data, which need not be durable, and their checksums
    assert sorted(entries)[:2] == [4096, 4096 + 4096]
    assert held.content()[:ROW] == data


def test_much_waits_until_it_is_as_much_as_is_under_way(plane: DataPlane) -> None:
    """Half as much as a writer has at hand, and as much again: both go to the log together."""
    held = Held(plane, 16 << 20, 128)
    much, half = 16 * ROW, 8 * ROW
    data = random.Random(1).randbytes(2 * much)
    held.gate.shut("write")
    held.send(64 * ROW, data[:much])
    assert held.gate.await_waiting(1, 60)
    held.send(0, data[much : much + half])
    came = held.gate.await_waiting(2, 0.3)
    held.send(half, data[much + half :])
    held.gate.open()
    assert not came
    assert [call.wait(60) for call in held.calls] == [0, 0, 0]
    written = [length for verb, offset, length in held.counted.log if verb == "write" and offset >= 131072 + RING_AT]
    assert sorted(written)[2:] == [much, much]  # rows on their way; the other two are their entries
    assert held.content()[:much] + held.content()[64 * ROW :][:much] == data[much:] + data[:much]


def test_a_little_does_not_wait_for_much_that_is_under_way(plane: DataPlane) -> None:
    held = Held(plane, 16 << 20, 128)
    held.gate.shut("write")
    held.send(0, b"m" * (16 * ROW))
    assert held.gate.await_waiting(1, 60)
    held.send(64 * ROW, b"little")
    came = held.gate.await_waiting(2, 60)
    held.gate.open()
    assert came
    assert [call.wait(60) for call in held.calls] == [0, 0]


def test_less_than_is_under_way_is_written_when_nothing_more_comes(plane: DataPlane) -> None:
    held = Held(plane, 16 << 20, 128)
    held.gate.shut("write")
    held.send(0, b"m" * (16 * ROW))
    assert held.gate.await_waiting(1, 60)
    held.send(64 * ROW, b"l" * (8 * ROW))
    held.gate.open()
    assert [call.wait(60) for call in held.calls] == [0, 0]
    assert held.content()[64 * ROW : 72 * ROW] == b"l" * (8 * ROW)


def test_nobody_waits_for_the_flush_that_makes_space_in_a_log_that_has_some(plane: DataPlane) -> None:
    held = Held(plane)
    held.flushes.shut("flush")
    wanted = bytearray(ROWS * ROW)
    try:
        for number in range(45):  # of 56 that fit
            at = number % ROWS * ROW + number // ROWS * 4096
            wanted[at : at + 4096] = bytes([number]) * 4096
            assert write(held.volume, plane.runtime, at, bytes([number]) * 4096) == 0
        assert held.flushes.await_waiting(1, 60)
    finally:
        held.flushes.open()
    for number in range(150):
        at = number % ROWS * ROW
        wanted[at : at + 4096] = bytes([number]) * 4096
        assert write(held.volume, plane.runtime, at, bytes([number]) * 4096) == 0
    assert held.content() == wanted


def test_of_what_overlaps_in_a_batch_the_later_wins(plane: DataPlane) -> None:
    held = Held(plane)

    def send_all() -> None:
        held.send(1000, b"a" * 6000)
        held.send(3000, b"b" * 2000)
        held.send(100, b"c" * 1500)
        held.send(7000, b"d" * 100)

    held.behind_one(send_all)
    assert held.content()[:7100] == bytes(100) + b"c" * 1500 + b"a" * 1400 + b"b" * 2000 + b"a" * 2000 + b"d" * 100


def test_parts_of_rows_that_are_only_summed_do_not_overfill_the_log(plane: DataPlane) -> None:
    """Each part makes all of its row be logged; together they are too large for one entry of this log."""
    held = Held(plane)
    assert write(held.volume, plane.runtime, 0, b"o" * (8 * ROW)) == 0
    wanted = bytearray(b"o" * (8 * ROW))

    def send_all() -> None:
        for row in range(8):
            held.send(row * ROW + 100, b"n" * 50)
            wanted[row * ROW + 100 : row * ROW + 150] = b"n" * 50

    held.behind_one(send_all)
    assert held.content()[: 8 * ROW] == wanted


def test_a_row_that_is_larger_than_the_log_takes_is_flushed_first(plane: DataPlane) -> None:
    held = Held(plane)
    log = held.volume.raid5.log if held.volume.raid5 is not None else None
    assert log is not None
    assert write(held.volume, plane.runtime, 0, b"o" * (2 * ROW)) == 0
    assert log.is_summed(0)
    log.largest = 32768  # as if the rows were that large
    rooms = [room for _ in range(4) if (room := log.take_room(1))]
    assert write(held.volume, plane.runtime, 10, b"n") == 0
    for room in rooms:
        log.give_back(room)
    assert not log.is_summed(0)
    assert held.content()[:20] == b"o" * 10 + b"n" + b"o" * 9


def test_what_waits_when_the_volume_is_closed_is_refused(plane: DataPlane) -> None:
    held = Held(plane)
    held.gate.shut("write")
    held.send(0, b"first")
    assert held.gate.await_waiting()
    closer = plane.runtime.thread("closer", held.volume.close)
    while not held.volume.gate.closed:
        plane.runtime.sleep(0.001)
    held.send(ROW, b"second")
    held.gate.open()
    assert [call.wait(60) for call in held.calls] == [0, errno.ESHUTDOWN]
    closer.join(60)
    plane.volumes.remove(held.volume)


def test_a_defect_ends_its_requests_and_no_writer(
    plane: DataPlane, monkeypatch: pytest.MonkeyPatch, expect_log: Callable[[str], None]
) -> None:
    held = Held(plane)
    expect_log("met a defect")

    def defect(*_: object) -> None:
        raise ZeroDivisionError("planted")

    with monkeypatch.context() as patch:
        patch.setattr(raid5_plan, "_bands", defect)
        assert write(held.volume, plane.runtime, 0, b"x") == errno.EIO
    assert [fault.kind for fault in plane.faults] == [FaultKind.DEFECT]
    assert write(held.volume, plane.runtime, 0, b"y") == 0
    assert read(held.volume, plane.runtime, 0, 1) == b"y"


def test_a_fenced_volume_takes_no_write_and_gives_no_wait(plane: DataPlane) -> None:
    held = Held(plane)
    held.gate.shut("write")
    held.send(0, b"first")
    assert held.gate.await_waiting()
    held.send(ROW, b"second")
    held.volume.fence()
    held.gate.open()
    assert [call.wait(60) for call in held.calls] == [0, errno.EIO]
