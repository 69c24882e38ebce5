"""Many threads on one volume: plexes stay equal, swaps are clean cuts, and the check sees it when locks are missing."""

from __future__ import annotations

import errno
import threading
from contextlib import contextmanager, nullcontext
from random import Random
from typing import TYPE_CHECKING

import pytest

from engine.dataplane.fold import Piece, PlexLayout, fold
from engine.dataplane.gate import Gate
from engine.dataplane.regions import STRIPES, RegionLocks
from engine.dataplane.request import Op, Request
from engine.devices.counted import CountedDevice
from engine.devices.delayed import DelayedDevice
from engine.runtime import ThreadRuntime
from engine.units import KIB, MIB
from tests.conftest import SOAK
from tests.engine.model_sink import DEADLINE_S, CountingSink, eventually
from tests.engine.model_volume import DataPlane, data_plane

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from engine.dataplane.table import Table
    from engine.dataplane.volume_io import VolumeIo
    from engine.devices.base import BlockDevice

SIZE = 4 * MIB
GLANCE_S = 0.3
"""How long a check looks for what must not happen."""


@pytest.fixture
def plane() -> Iterator[DataPlane]:
    with data_plane(4) as plane:
        yield plane


@contextmanager
def thread(target: Callable[[], None]) -> Iterator[threading.Thread]:
    """Runs beside the block and must have ended soon after it."""
    running = threading.Thread(target=target)
    running.start()
    try:
        yield running
    finally:
        running.join(DEADLINE_S)
        assert not running.is_alive()


def plex(key: str, device: BlockDevice, offset: int = 0, *, readable: bool = True) -> PlexLayout:
    return PlexLayout(key, 1, 0, (Piece(0, 0, SIZE, device, offset),), readable)


def striped(key: str, devices: list[BlockDevice]) -> PlexLayout:
    column = SIZE // len(devices)
    pieces = tuple(Piece(number, 0, column, device, SIZE) for number, device in enumerate(devices))
    return PlexLayout(key, len(devices), 64 * KIB, pieces)


def content(device: BlockDevice, offset: int = 0, length: int = SIZE) -> bytes:
    buffer = bytearray(length)
    device.read_into(offset, memoryview(buffer))
    return bytes(buffer)


class Client:
    """Writes, zeroes, discards and reads at random until told to stop; nothing may fail."""

    def __init__(self, volume: VolumeIo, seed: int) -> None:
        self._volume = volume
        self._random = Random(seed)
        self._stop = threading.Event()
        self.requests = 0
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(DEADLINE_S)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        slot = self._volume.slot("client")
        while not self._stop.is_set():
            batch = [self._request() for _ in range(self._random.randrange(1, 8))]
            sink = CountingSink()
            self._volume.execute(batch, slot, sink)
            assert sink.wait(len(batch)) == [0] * len(batch)
            self.requests += len(batch)
        self._volume.retire(slot)

    def _request(self) -> Request:
        length = self._random.choice((512, 4096, 4096, 70_000, MIB + 1))
        offset = self._random.randrange(0, SIZE - length)
        op = self._random.choice((Op.READ, Op.WRITE, Op.WRITE, Op.WRITE, Op.ZERO, Op.DISCARD, Op.FLUSH))
        data = bytearray(self._random.randbytes(16) * (length // 16 + 1))[:length]
        return Request(op, offset, length, memoryview(data), durable=self._random.random() < 0.05)


def run_clients(volume: VolumeIo, seed: int, beside: Callable[[], None]) -> int:
    clients = [Client(volume, seed + number) for number in range(3)]
    try:
        beside()
    finally:
        for client in clients:
            client.stop()
    return sum(client.requests for client in clients)


def test_overlapping_writes_of_many_threads_leave_all_plexes_equal(plane: DataPlane, seed: int) -> None:
    one, two, three, four = plane.memory
    layouts = [plex("a", one), plex("b", two), striped("c", [three, four])]
    volume = plane.volume(fold(layouts, SIZE))
    enough = 20_000 if SOAK else 1_500
    clients: list[int] = []

    def beside() -> None:
        eventually(lambda: volume.statistics().writes > enough, "enough writes")

    clients.append(run_clients(volume, seed, beside))
    assert content(one) == content(two)
    volume.swap(fold(layouts[2:], SIZE))
    assert volume.read(0, SIZE) == content(one)
    totals = volume.statistics()
    assert totals.reads + totals.writes <= clients[0] + 1


def test_swaps_under_load_are_clean_cuts(plane: DataPlane, seed: int) -> None:
    """Plexes come, are filled and go while clients write; what has been dropped is never touched again."""
    homes = plane.memory
    volume = plane.volume(fold([plex("0", homes[0])], SIZE))
    worker = volume.slot("worker")
    rounds = 60 if SOAK else 12

    def beside() -> None:
        for turn in range(rounds):
            old, new = homes[turn % 2], homes[(turn + 1) % 2]
            volume.swap(fold([plex("old", old), plex("new", new, readable=False)], SIZE))
            fill(volume, worker, old, new)
            volume.swap(fold([plex("old", old), plex("new", new)], SIZE))
            with volume.hold():
                assert content(old) == content(new), f"round {turn}"
            volume.swap(fold([plex("new", new)], SIZE))
            junk = Random(turn).randbytes(4096) * (SIZE // 4096)
            old.write(0, junk)
            eventually(lambda least=turn * 20 + 20: volume.statistics().writes > least, "some writes")
            assert content(old) == junk, "a dropped plex was written to"

    run_clients(volume, seed, beside)
    volume.retire(worker)


def fill(volume: VolumeIo, slot: object, source: BlockDevice, target: BlockDevice) -> None:
    """What a copy worker does: a chunk at a time, inside of the gate, with its regions held."""
    buffer = memoryview(bytearray(256 * KIB))
    for offset in range(0, SIZE, len(buffer)):
        volume.gate.enter(slot)  # type: ignore[arg-type]
        try:
            with volume.regions.hold(offset, len(buffer)):
                source.read_into(offset, buffer)
                target.write(offset, buffer)
        finally:
            volume.gate.leave(slot)  # type: ignore[arg-type]


def check_second_writer_waits(plane: DataPlane, glance_s: float) -> None:
    """While one write is between two legs, another to the same region must not begin."""
    slow = DelayedDevice(plane.memory[1], plane.runtime)
    volume = plane.volume(fold([plex("a", plane.memory[0]), plex("b", slow)], SIZE))
    slow.shut("write")
    with thread(lambda: volume.write(100, b"1" * 100)), thread(lambda: volume.write(150, b"2" * 100)):
        came = slow.await_waiting(1)
        both = slow.await_waiting(2, timeout_s=glance_s)
        slow.open()
    assert came
    assert not both, "two writers in one region"
    assert content(plane.memory[0]) == content(plane.memory[1])


def check_copy_and_write_take_turns(plane: DataPlane, glance_s: float) -> None:
    """A client's write never comes between the reading and the writing of a copied chunk."""
    target = DelayedDevice(plane.memory[1], plane.runtime)
    source = plane.memory[0]
    volume = plane.volume(fold([plex("a", source), plex("b", target, readable=False)], SIZE))
    slot = volume.slot("worker")
    target.shut("write")
    with thread(lambda: fill(volume, slot, source, target)):
        came = target.await_waiting(1)
        with thread(lambda: volume.write(100, b"new")):
            both = target.await_waiting(2, timeout_s=glance_s)
            target.open()
    volume.retire(slot)
    assert came
    assert not both, "a write came into a chunk that is being copied"
    assert content(source) == content(plane.memory[1])


def check_swap_waits(plane: DataPlane, glance_s: float) -> None:
    """A swap returns only when the last batch on the old table has ended."""
    slow = DelayedDevice(plane.memory[0], plane.runtime)
    volume = plane.volume(fold([plex("a", slow)], SIZE))
    done = threading.Event()

    def swap() -> None:
        volume.swap(fold([plex("b", plane.memory[1])], SIZE))
        done.set()

    slow.shut("write")
    with thread(lambda: volume.write(0, b"old")):
        came = slow.await_waiting(1)
        with thread(swap):
            early = done.wait(glance_s)
            slow.open()
    assert came
    assert not early, "a swap did not wait"


CHECKS = [check_second_writer_waits, check_copy_and_write_take_turns, check_swap_waits]


@pytest.mark.parametrize("check", CHECKS)
def test_order(check: Callable[[DataPlane, float], None], plane: DataPlane) -> None:
    check(plane, GLANCE_S)


@pytest.mark.parametrize("check", CHECKS)
def test_the_checks_see_missing_locks(
    check: Callable[[DataPlane, float], None], plane: DataPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RegionLocks, "hold", lambda self, offset, length: nullcontext())
    monkeypatch.setattr(Gate, "_await_slots", lambda self, allowed: None)
    with pytest.raises(AssertionError):
        check(plane, DEADLINE_S)


def test_draining_does_not_wait_for_a_parked_request(plane: DataPlane) -> None:
    volume = plane.volume(fold([plex("a", plane.memory[0])], SIZE, writable=False))
    sink = CountingSink()
    slot = volume.slot("client")
    volume.execute([Request(Op.WRITE, 0, 1, memoryview(b"x"))], slot, sink)
    with volume.hold():
        volume.swap(fold([plex("a", plane.memory[0])], SIZE))
        assert sink.outcomes == {}
    assert sink.wait(1) == [0]
    volume.retire(slot)


def test_a_cold_read_does_not_keep_the_connection_waiting(plane: DataPlane) -> None:
    slow = DelayedDevice(plane.memory[0], plane.runtime)
    volume = plane.volume(fold([plex("a", slow)], SIZE))
    volume.write(0, b"cold")
    slow.shut("read")
    sink = CountingSink()
    slot = volume.slot("client")
    buffers = [memoryview(bytearray(4)) for _ in range(4)]
    volume.execute([Request(Op.READ, 0, 4, buffer) for buffer in buffers], slot, sink)
    assert slow.await_waiting(2)  # several are in flight at once
    assert sink.outcomes == {}
    slow.open()
    assert sink.wait(4) == [0] * 4
    assert all(buffer == b"cold" for buffer in buffers)
    volume.retire(slot)


def test_a_swap_comes_between_the_steps_of_a_long_zero(plane: DataPlane) -> None:
    size = 100 * MIB
    slow = DelayedDevice(plane.memory[0], plane.runtime)
    old = fold([PlexLayout("a", 1, 0, (Piece(0, 0, size, slow, 0),))], size)
    new = fold([PlexLayout("b", 1, 0, (Piece(0, 0, size, plane.memory[1], 0),))], size)
    volume = plane.volume(old)
    slow.shut("zero")
    with thread(lambda: volume.zero(0, size)):
        slow.await_waiting(1)
        with thread(lambda: volume.swap(new)):
            eventually(lambda: volume.table is new, "the new table")
            slow.open()
    assert slow._waiting == 0


def test_close_waits_for_what_is_under_way(plane: DataPlane) -> None:
    slow = DelayedDevice(plane.memory[0], plane.runtime)
    volume = plane.volume(fold([plex("a", slow)], SIZE))
    slow.shut("read")
    sink = CountingSink()
    slot = volume.slot("client")
    volume.execute([Request(Op.READ, 0, 1, memoryview(bytearray(1)))], slot, sink)
    assert slow.await_waiting(1)
    plane.volumes.remove(volume)
    with thread(volume.close):
        eventually(lambda: volume.gate.closed, "a closed gate")
        late = CountingSink()
        volume.execute([Request(Op.FLUSH)], slot, late)
        assert late.wait(1) == [errno.ESHUTDOWN]
        slow.open()
    assert sink.wait(1) == [0]


def test_group_commit_flushes_a_device_once_for_all_who_wait(plane: DataPlane) -> None:
    counted = CountedDevice(plane.memory[0])
    slow = DelayedDevice(counted, plane.runtime)
    volumes = [plane.volume(fold([plex("a", slow, number * SIZE)], SIZE), f"vol{number}") for number in range(2)]
    slots = [volume.slot("client") for volume in volumes]
    volumes[0].write(0, b"x")
    slow.shut("flush")
    sink = CountingSink()
    volumes[0].execute([Request(Op.FLUSH)], slots[0], sink)
    assert slow.await_waiting(1)
    for volume, slot in zip(volumes, slots, strict=True):
        volume.write(0, b"y")
        volume.execute([Request(Op.FLUSH) for _ in range(5)], slot, sink)
    assert sink.outcomes == {}
    slow.open()
    assert sink.wait(11) == [0] * 11
    assert counted.operations["flush"] == 2  # the one under way, and one for the ten that came meanwhile
    for volume, slot in zip(volumes, slots, strict=True):
        assert volume.written == set()
        volume.retire(slot)


def test_region_locks_are_taken_in_one_order_and_given_back(seed: int) -> None:
    locks = RegionLocks(ThreadRuntime())
    random = Random(seed)

    def take_many() -> None:
        own = Random(random.random())
        for _ in range(300):
            with locks.hold(own.randrange(200) * MIB + own.randrange(MIB), own.randrange(1, 100 * MIB)):
                pass

    with thread(take_many), thread(take_many), thread(take_many):
        take_many()
    assert not any(lock.acquire(blocking=False) is False for lock in locks.locks)
    assert len(locks.locks) == STRIPES


def test_tables_with_one_reader_for_each_region(plane: DataPlane) -> None:
    """A block is always read from the same plex, and the plexes share the regions."""
    table: Table = fold([plex("a", plane.memory[0]), plex("b", plane.memory[1])], SIZE)
    for device, letter in zip(plane.memory, (b"a", b"b"), strict=False):
        device.write(0, letter * SIZE)
    volume = plane.volume(table)
    assert volume.read(0, SIZE) == b"".join(letter * MIB for letter in (b"a", b"b", b"a", b"b"))
    for offset in range(MIB - 10, MIB + 10):
        assert volume.read(offset, 1) == (b"a" if offset < MIB else b"b")
    volume.swap(fold([plex("a", plane.memory[0]), plex("b", plane.memory[1])], SIZE, prefer="b"))
    assert volume.read(0, SIZE) == b"b" * SIZE
