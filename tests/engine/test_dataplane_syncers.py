"""Distinct devices are flushed at the same time, each once, and each outcome reaches whom it concerns."""

from __future__ import annotations

import errno
import random
import threading
from typing import TYPE_CHECKING

import pytest

from engine.dataplane.fault import FaultKind
from engine.dataplane.flusher import Flusher
from engine.dataplane.fold import Piece, PlexLayout, fold
from engine.dataplane.pool import Pool
from engine.dataplane.syncers import HELPERS, Syncers
from engine.dataplane.volume_io import VolumeIo
from engine.devices.base import BaseDevice, Data
from engine.errors import DeviceError
from engine.runtime import ThreadRuntime

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.dataplane.fault import Fault
    from engine.devices.base import BlockDevice
    from engine.runtime import Thread

DEADLINE_S = 60.0
MIB = 1 << 20


class Meeting(BaseDevice):
    """A device whose flush ends only when all who were invited flush at the same time."""

    def __init__(self, name: str, together: threading.Barrier | None = None, number: int = 0) -> None:
        super().__init__(name, MIB)
        self.bytes = bytearray(MIB)
        self.together = together
        self.number = number
        self.flushes = 0

    def write(self, offset: int, data: Data, *, durable: bool = False) -> None:
        self.bytes[offset : offset + len(data)] = data

    def flush(self) -> None:
        self.flushes += 1
        if self.together is not None:
            self.together.wait(DEADLINE_S)
        if self.number:
            self.losses += 1
            raise DeviceError(self.number, self.name, "Flushing")


class NoThreads(ThreadRuntime):
    """A machine that has no thread left."""

    def thread(self, name: str, target: Callable[[], None]) -> Thread:
        raise RuntimeError("can't start new thread")


def flush(device: BlockDevice) -> int:
    try:
        device.flush()
    except DeviceError as error:
        return error.errno
    return 0


def sync_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("vea-sync")]


def test_all_are_flushed_at_the_same_time() -> None:
    together = threading.Barrier(HELPERS + 1)
    devices = [Meeting(str(number), together) for number in range(HELPERS + 1)]
    syncers = Syncers(ThreadRuntime(), flush)
    assert syncers.run(devices) == [0] * len(devices)
    syncers.close()
    assert [device.flushes for device in devices] == [1] * len(devices)
    assert sync_threads() == []


@pytest.mark.parametrize("runtime", [ThreadRuntime(), NoThreads()])
def test_outcomes_come_in_order_and_each_device_is_flushed_once(runtime: ThreadRuntime) -> None:
    chance = random.Random(7)
    syncers = Syncers(runtime, flush)
    for count in [0, 1, 2, 3, HELPERS, 3 * HELPERS] * 20:
        numbers = [chance.choice([0, 0, errno.EIO, errno.ENOSPC]) for _ in range(count)]
        devices = [Meeting(str(place), number=number) for place, number in enumerate(numbers)]
        assert syncers.run(devices) == numbers
        assert [device.flushes for device in devices] == [1] * count
    syncers.close()
    assert sync_threads() == []


def test_without_need_no_thread_is_started_and_after_the_end_none() -> None:
    syncers = Syncers(ThreadRuntime(), flush)
    assert syncers.run([Meeting("alone")]) == [0]
    assert sync_threads() == []
    syncers.close()
    assert syncers.run([Meeting("a"), Meeting("b", number=errno.EIO)]) == [0, errno.EIO]
    assert sync_threads() == []


def test_a_defect_counts_as_a_failed_flush(expect_log: Callable[[str], None]) -> None:
    def broken(device: BlockDevice) -> int:
        raise ZeroDivisionError

    expect_log("ERROR engine.dataplane.syncers: Flushing . met a defect")
    syncers = Syncers(ThreadRuntime(), broken)
    assert syncers.run([Meeting("a"), Meeting("b"), Meeting("c")]) == [errno.EIO] * 3
    syncers.close()


@pytest.mark.parametrize("bad", [0, 1])
def test_a_mirror_is_flushed_on_both_legs_at_once_and_the_bad_one_is_told(bad: int) -> None:
    together = threading.Barrier(2)
    legs = [Meeting(name, together) for name in "ab"]
    legs[bad].number = errno.EIO
    plexes = [PlexLayout(leg.name, 1, 0, (Piece(0, 0, MIB, leg, 0),)) for leg in legs]
    faults: list[Fault] = []
    told = threading.Event()

    def hear(fault: Fault) -> None:
        faults.append(fault)
        told.set()

    runtime = ThreadRuntime()
    pool, flusher = Pool(runtime, 1), Flusher(runtime)
    volume = VolumeIo("v", fold(plexes, MIB), hear, pool, flusher, runtime)
    volume.write(0, b"x" * 4096)
    assert volume.settle_writes() is False
    assert told.wait(DEADLINE_S)
    assert [(fault.kind, fault.device) for fault in faults] == [(FaultKind.FLUSH, legs[bad])]
    assert volume.written == set()
    volume.swap(fold([plexes[1 - bad]], MIB))
    volume.flush()
    volume.close()
    pool.close()
    flusher.close()
    assert legs[0].bytes == legs[1].bytes
    assert sync_threads() == []
