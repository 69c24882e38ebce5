"""Faults: what fails is parked and told, nothing is acknowledged that is not on every leg of the table."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Literal

import pytest

from engine.dataplane.fault import Fault, FaultKind
from engine.dataplane.fold import Piece, PlexLayout, fold
from engine.dataplane.request import Op, Request
from engine.devices.faulty import FaultyDevice
from engine.errors import DeviceError
from engine.units import KIB, MIB
from tests.engine.model_sink import CountingSink, eventually
from tests.engine.model_volume import DataPlane, data_plane

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from engine.dataplane.table import Table
    from engine.dataplane.volume_io import VolumeIo
    from engine.devices.base import BlockDevice, Data

SIZE = 4 * MIB


@pytest.fixture
def plane() -> Iterator[DataPlane]:
    with data_plane(3) as plane:
        yield plane


def plex(key: str, device: BlockDevice, offset: int = 0, *, readable: bool = True) -> PlexLayout:
    return PlexLayout(key, 1, 0, (Piece(0, 0, SIZE, device, offset),), readable)


def mirror(*devices: BlockDevice, writable: bool = True, offset: int = 0) -> Table:
    plexes = [plex(f"plex{number}", device, offset) for number, device in enumerate(devices)]
    return fold(plexes, SIZE, writable=writable)


def send(volume: VolumeIo, *requests: Request) -> CountingSink:
    sink = CountingSink()
    slot = volume.slot("client")
    volume.execute(requests, slot, sink)
    volume.retire(slot)
    return sink


def write(offset: int, data: bytes, *, durable: bool = False) -> Request:
    return Request(Op.WRITE, offset, len(data), memoryview(data), durable=durable)


def content(device: BlockDevice, offset: int, length: int) -> bytes:
    buffer = bytearray(length)
    device.read_into(offset, memoryview(buffer))
    return bytes(buffer)


def test_a_write_that_fails_on_a_leg_is_acknowledged_only_when_that_leg_is_gone(plane: DataPlane) -> None:
    bad, good = FaultyDevice(plane.memory[0]), plane.memory[1]
    volume = plane.volume(mirror(bad, good))
    bad.fail("write", persistent=True)
    sink = send(volume, write(5000, b"a" * 4096), write(9096, b"b"))
    assert sink.outcomes == {}
    assert volume.parked == 2
    (fault,) = plane.faults  # one cause, told once
    assert (fault.kind, fault.plex, fault.device, fault.number) == (FaultKind.LEG, "plex0", bad, errno.EIO)
    assert (fault.op, fault.offset, fault.length) == (Op.WRITE, 5000, 4096)
    volume.swap(fold([plex("plex1", good)], SIZE))
    assert sink.wait(2) == [0, 0]
    assert content(good, 5000, 4097) == b"a" * 4096 + b"b"


def test_a_fault_is_told_again_after_a_swap_that_did_not_help(plane: DataPlane) -> None:
    bad = FaultyDevice(plane.memory[0])
    volume = plane.volume(mirror(bad))
    bad.fail("write", persistent=True)
    sink = send(volume, write(0, b"x"))
    volume.swap(mirror(bad))
    wait_for_faults(plane, 2)
    wait_for_parked(volume, 1)
    volume.fail_parked(errno.EIO)
    assert sink.wait(1) == [errno.EIO]


def test_a_failed_read_is_parked_and_goes_to_the_other_plex(plane: DataPlane) -> None:
    bad, good = FaultyDevice(plane.memory[0]), plane.memory[1]
    volume = plane.volume(mirror(bad, good))
    volume.write(0, b"r" * (2 * MIB))
    bad.fail("read", persistent=True)
    buffers = [memoryview(bytearray(4096)) for _ in range(2)]
    sink = send(volume, *(Request(Op.READ, number * MIB, 4096, buffers[number]) for number in range(2)))
    assert len(sink.outcomes) == 1  # the other region is read from the good plex
    assert plane.faults[0].plex == "plex0"
    volume.swap(fold([plex("plex1", good)], SIZE))
    assert sink.wait(2) == [0, 0]
    assert all(bytes(buffer) == b"r" * 4096 for buffer in buffers)


def test_the_first_write_is_parked_until_the_table_is_writable(plane: DataPlane) -> None:
    devices = plane.memory[:2]
    volume = plane.volume(mirror(*devices, writable=False))
    sink = send(volume, write(0, b"a"), Request(Op.ZERO, 4096, 4096), Request(Op.DISCARD, 0, 1), Request(Op.FLUSH))
    assert sink.wait(1) == [0]  # the FLUSH
    assert [fault.kind for fault in plane.faults] == [FaultKind.FIRST_WRITE]
    assert volume.read(0, 10) == bytes(10)
    volume.swap(mirror(*devices))
    assert sink.wait(4) == [0, 0, 0, 0]


def test_no_space_is_the_clients_error_and_told_with_its_range(plane: DataPlane) -> None:
    full = FaultyDevice(plane.memory[1])
    volume = plane.volume(mirror(plane.memory[0], full))
    full.fail("write", number=errno.ENOSPC, persistent=True)
    sink = send(volume, write(4096, b"a" * 4096), write(8192, b"b"))
    assert sink.wait(2) == [errno.ENOSPC, errno.ENOSPC]
    assert [(fault.kind, fault.offset, fault.length) for fault in plane.faults] == [
        (FaultKind.NO_SPACE, 4096, 4096),
        (FaultKind.NO_SPACE, 8192, 1),
    ]
    assert volume.parked == 0


def test_a_leg_that_is_being_filled_and_has_no_room_is_a_failed_leg(plane: DataPlane) -> None:
    """It would miss the write for good: the client's write goes on without it."""
    full = FaultyDevice(plane.memory[1])
    complete = plex("plex0", plane.memory[0])
    volume = plane.volume(fold([complete, plex("plex1", full, readable=False)], SIZE))
    full.fail("write", number=errno.ENOSPC)
    sink = send(volume, write(0, b"a"))
    assert [(fault.kind, fault.plex) for fault in plane.faults] == [(FaultKind.LEG, "plex1")]
    volume.swap(fold([complete], SIZE))
    assert sink.wait(1) == [0]


def test_a_failed_flush_is_never_believed_and_told_to_every_volume_with_unflushed_writes(plane: DataPlane) -> None:
    shared = FaultyDevice(plane.memory[0])
    first = plane.volume(mirror(shared, plane.memory[1]), "vol1")
    second = plane.volume(mirror(shared, plane.memory[2], offset=SIZE), "vol2")
    clean = plane.volume(mirror(shared, offset=2 * SIZE), "vol3")
    for volume in (first, second):
        volume.write(0, b"x")
    shared.fail("flush")  # once: the next flush of the same device would succeed
    sink = send(first, Request(Op.FLUSH))
    wait_for_faults(plane, 2)
    assert {fault.volume for fault in plane.faults} == {"vol1", "vol2"}
    assert {fault.kind for fault in plane.faults} == {FaultKind.FLUSH}
    other = send(second, Request(Op.FLUSH))
    again = send(first, Request(Op.FLUSH))
    wait_for_parked(second, 1)
    wait_for_parked(first, 2)
    clean.write(0, b"z")
    clean.flush()
    first.swap(fold([plex("plex1", plane.memory[1])], SIZE))
    assert sink.wait(1) == again.wait(1) == [0]
    second.fence()
    assert other.wait(1) == [errno.EIO]
    assert send(second, write(0, b"y"), Request(Op.FLUSH)).wait(2) == [errno.EIO, errno.EIO]
    assert second.read(0, 1) == b"x"
    second.unfence()
    second.write(0, b"y")
    second.flush()


def test_a_flush_that_somebody_else_lost_is_not_believed(plane: DataPlane) -> None:
    """A failed durable write of a record uses up the kernel's report of failed write-back."""
    device = FaultyDevice(plane.memory[0])
    volume = plane.volume(mirror(device))
    volume.write(0, b"x")
    device.fail("write")
    with pytest.raises(DeviceError):
        device.write(SIZE, b"record", durable=True)
    sink = send(volume, Request(Op.FLUSH))
    wait_for_faults(plane, 1)
    assert plane.faults[0].kind is FaultKind.FLUSH
    volume.fail_parked(errno.EIO)
    assert sink.wait(1) == [errno.EIO]


class LateDevice(FaultyDevice):
    """Does `meanwhile`, once, when it has taken a write or zeros and nobody has heard of that yet."""

    meanwhile: Callable[[], None] | None = None

    def write(self, offset: int, data: Data, *, durable: bool = False) -> None:
        super().write(offset, data, durable=durable)
        self._meanwhile()

    def zero(self, offset: int, length: int, *, may_unmap: bool) -> None:
        super().zero(offset, length, may_unmap=may_unmap)
        self._meanwhile()

    def _meanwhile(self) -> None:
        then, self.meanwhile = self.meanwhile, None
        if then is not None:
            then()


@pytest.mark.parametrize("op", [Op.WRITE, Op.ZERO])
@pytest.mark.parametrize("layout", ["plain", "striped", "raid5"])
def test_a_flush_that_fails_while_a_write_returns_puts_that_write_in_doubt(
    plane: DataPlane, layout: str, op: Op
) -> None:
    """The device has its bytes already, and loses them: its next flush would succeed."""
    late = LateDevice(plane.memory[0])
    first = plane.volume(mirror(late), "vol1")
    columns = {"plain": 1, "striped": 2, "raid5": 3}[layout]
    devices: list[BlockDevice] = [late, *plane.memory[1:]]
    pieces = tuple(Piece(column, 0, SIZE, device, SIZE) for column, device in enumerate(devices[:columns]))
    second = plane.volume(fold([PlexLayout("plex", columns, 4 * KIB, pieces, raid5=layout == "raid5")], SIZE), "vol2")
    first.write(0, b"x")

    def lose() -> None:
        late.fail("flush")
        send(first, Request(Op.FLUSH))
        wait_for_parked(first, 1)  # the flusher is done with it

    late.meanwhile = lose
    if op is Op.WRITE:
        second.write(0, b"y" * 16 * KIB)
    else:
        second.zero(0, 16 * KIB)
    assert {fault.volume for fault in plane.faults} == {"vol1", "vol2"}
    sink = send(second, Request(Op.FLUSH))
    second.fence()
    assert sink.wait(1) == [errno.EIO]


def test_a_failed_durable_write_puts_the_other_volumes_of_the_device_in_doubt(plane: DataPlane) -> None:
    device = FaultyDevice(plane.memory[0])
    first = plane.volume(mirror(device), "vol1")
    second = plane.volume(mirror(device, offset=SIZE), "vol2")
    second.write(0, b"x")
    device.fail("write")
    sink = send(first, write(0, b"y", durable=True))
    assert {(fault.volume, fault.kind) for fault in plane.faults} == {
        ("vol1", FaultKind.LEG),
        ("vol2", FaultKind.FLUSH),
    }
    first.release()
    assert sink.wait(1) == [0]


def test_flush_reaches_devices_that_have_left_the_table(plane: DataPlane) -> None:
    gone, stays = FaultyDevice(plane.memory[0]), FaultyDevice(plane.memory[1])
    volume = plane.volume(mirror(gone, stays))
    volume.write(0, b"x")
    volume.swap(fold([plex("plex1", stays)], SIZE))
    flushes = gone.fail("flush", nth=1000)
    volume.flush()
    assert flushes.countdown == 999
    assert volume.written == set()
    volume.flush()
    assert flushes.countdown == 999  # nothing new to flush


def test_a_write_during_a_flush_is_left_to_the_next_flush(plane: DataPlane) -> None:
    device = FaultyDevice(plane.memory[0])
    volume = plane.volume(mirror(device))
    volume.write(0, b"x")
    honest = device.flush

    def flush_slowly() -> None:
        device.flush = honest  # type: ignore[method-assign]
        assert send(volume, write(1, b"y")).wait(1) == [0]
        honest()

    device.flush = flush_slowly  # type: ignore[method-assign]
    volume.flush()
    assert volume.written == {device}


def test_durable_requests_leave_nothing_unflushed(plane: DataPlane) -> None:
    volume = plane.volume(mirror(*plane.memory[:2]))
    sink = send(volume, write(0, b"x", durable=True), Request(Op.ZERO, 0, 4096, durable=True))
    assert sink.wait(2) == [0, 0]
    assert volume.written == set()


def test_close_ends_everything_with_eshutdown(plane: DataPlane) -> None:
    bad = FaultyDevice(plane.memory[0])
    volume = plane.volume(mirror(bad))
    bad.fail("write", persistent=True)
    sink = send(volume, write(0, b"x"))
    plane.volumes.remove(volume)
    volume.close()
    assert sink.wait(1) == [errno.ESHUTDOWN]
    assert send(volume, write(0, b"x"), Request(Op.FLUSH)).wait(2) == [errno.ESHUTDOWN] * 2
    with pytest.raises(DeviceError):
        volume.read(0, 1)


@pytest.mark.parametrize(
    "request_",
    [
        Request(Op.READ, SIZE, 1, memoryview(bytearray(1))),
        Request(Op.READ, -1, 1, memoryview(bytearray(1))),
        Request(Op.WRITE, SIZE - 1, 2, memoryview(b"ab")),
        Request(Op.ZERO, 0, SIZE + 1),
        Request(Op.DISCARD, SIZE, 1),
        Request(Op.WRITE, 0, 2, memoryview(b"abc")),
    ],
)
def test_a_range_outside_of_the_volume_is_einval(plane: DataPlane, request_: Request) -> None:
    volume = plane.volume(mirror(*plane.memory[:2]))
    assert send(volume, request_).wait(1) == [errno.EINVAL]


def test_empty_requests_succeed(plane: DataPlane) -> None:
    volume = plane.volume(mirror(plane.memory[0]))
    empty = memoryview(b"")
    requests = [Request(op, SIZE, 0, empty) for op in (Op.READ, Op.WRITE, Op.ZERO, Op.DISCARD)]
    assert send(volume, *requests).wait(4) == [0] * 4


def test_a_volume_without_a_complete_plex_fails_reads(plane: DataPlane) -> None:
    volume = plane.volume(fold([plex("new", plane.memory[0], readable=False)], SIZE))
    assert send(volume, Request(Op.READ, 0, 1, memoryview(bytearray(1)))).wait(1) == [errno.EIO]


def test_a_lun_that_shrank_is_a_failed_leg(plane: DataPlane) -> None:
    volume = plane.volume(mirror(*plane.memory[:2]))
    plane.memory[0].size = MIB
    sink = send(volume, write(2 * MIB, b"x"))
    assert plane.faults[0].plex == "plex0"
    volume.swap(fold([plex("plex1", plane.memory[1])], SIZE))
    assert sink.wait(1) == [0]


@pytest.mark.parametrize("module", ["execute", "volume_io"])
def test_a_defect_ends_the_request_and_is_told(
    module: str, plane: DataPlane, monkeypatch: pytest.MonkeyPatch, expect_log: Callable[[str], None]
) -> None:
    """On the connection's thread as on one of the pool."""
    expect_log("ERROR engine.dataplane.volume_io: A request of vol1 met a defect")
    volume = plane.volume(mirror(plane.memory[0]))
    monkeypatch.setattr(f"engine.dataplane.{module}.perform", lambda *_, **__: 1 // 0)
    if module == "execute":
        assert send(volume, write(0, b"x"), Request(Op.FLUSH)).wait(2) == [errno.EIO, errno.EIO]
    else:
        with pytest.raises(DeviceError):
            volume.read(0, 1)
    assert plane.faults[0].kind is FaultKind.DEFECT
    volume.swap(mirror(plane.memory[0]))  # nobody is left inside


# Fail the n-th operation of a leg, n = 1, 2, 3 ... until a run meets no failure.


def script() -> list[list[Request]]:
    """Batches that use every verb, across regions, small and large. In one batch no two touch the same bytes: no order
    is promised there."""
    return [
        [write(0, b"a" * 4096), write(MIB - 100, b"b" * 300)],
        [write(64 * KIB, b"c" * 64 * KIB, durable=True)],
        [Request(Op.READ, 0, 2 * MIB, memoryview(bytearray(2 * MIB)))],
        [Request(Op.ZERO, 2048, 4096), Request(Op.FLUSH)],
        [write(2 * MIB, b"d" * MIB), Request(Op.DISCARD, MIB + 10, 5000)],
        [Request(Op.ZERO, 3 * MIB, 100, durable=True), Request(Op.READ, MIB, 4096, memoryview(bytearray(4096)))],
        [Request(Op.FLUSH)],
    ]


def expected_after(batches: list[list[Request]]) -> bytes:
    flat = bytearray(SIZE)
    for request in (request for batch in batches for request in batch):
        end = request.offset + request.length
        if request.op is Op.WRITE and request.buffer is not None:
            flat[request.offset : end] = request.buffer
        elif request.op in (Op.ZERO, Op.DISCARD):
            flat[request.offset : end] = bytes(request.length)
    return bytes(flat)


@pytest.mark.parametrize("persistent", [False, True])
@pytest.mark.parametrize("bad_leg", [0, 1])
def test_any_one_operation_of_a_leg_may_fail(persistent: bool, bad_leg: int) -> None:
    survived = 0
    for nth in range(1, 1000):
        with data_plane(2) as plane:
            if not run_with_failure(plane, nth, bad_leg, persistent):
                break
            survived += 1
    assert survived >= 10
    assert nth < 999


def run_with_failure(plane: DataPlane, nth: int, bad_leg: int, persistent: bool) -> bool:
    """Run the script; whatever fault is told, the plex on the bad leg is dropped. Says whether a failure struck."""
    bad = FaultyDevice(plane.memory[bad_leg])
    legs: list[BlockDevice] = [bad if number == bad_leg else device for number, device in enumerate(plane.memory)]
    volume = plane.volume(mirror(*legs))
    good = plane.memory[1 - bad_leg]
    failure = bad.fail(nth=nth, persistent=persistent)
    batches = script()
    for batch in batches:
        sink = send(volume, *batch)
        wait_until_ended_or_parked(sink, volume, len(batch))
        if volume.parked:
            assert plane.faults
            assert plane.faults[-1].device is bad
            volume.swap(fold([plex("good", good)], SIZE))
        assert sink.wait(len(batch)) == [0] * len(batch)
    assert content(good, 0, SIZE) == expected_after(batches)
    if not failure.hits:
        bad.heal()
        assert content(bad, 0, SIZE) == expected_after(batches)
        assert plane.faults == []
    return failure.hits > 0


Verb = Literal["write", "zero"]


@pytest.mark.parametrize("number", [errno.EIO, errno.EREMOTEIO, errno.ENODEV, errno.ETIMEDOUT])
@pytest.mark.parametrize("verb", ["write", "zero"])
def test_a_single_plex_hands_its_error_to_the_client_when_control_gives_up(
    plane: DataPlane, verb: Verb, number: int
) -> None:
    bad = FaultyDevice(plane.memory[0])
    volume = plane.volume(mirror(bad))
    bad.fail(verb, number=number)
    sink = send(volume, write(0, b"x") if verb == "write" else Request(Op.ZERO, 0, 10))
    assert plane.faults[0].number == number
    volume.fail_parked()
    assert sink.wait(1) == [errno.EIO]


def test_faults_with_one_cause_compare_equal_in_cause() -> None:
    one = Fault("v", FaultKind.LEG, Op.ZERO, plex="p", number=5, offset=1, length=2)
    other = Fault("v", FaultKind.LEG, Op.WRITE, plex="p", number=6, offset=3, length=4)
    assert one.cause == other.cause
    assert one.cause != Fault("v", FaultKind.LEG, Op.WRITE, plex="q").cause
    assert one.cause != Fault("v", FaultKind.LEG, Op.READ, plex="p").cause


def test_giving_up_on_one_fault_ends_only_what_met_it(plane: DataPlane) -> None:
    one, other = (FaultyDevice(device) for device in plane.memory[:2])
    half = SIZE // 2
    pieces = (Piece(0, 0, half, one, 0), Piece(0, half, half, other, half))
    volume = plane.volume(fold([PlexLayout("plex0", 1, 0, pieces)], SIZE))
    for device in (one, other):
        device.fail("write", persistent=True)
    bad, waiting = send(volume, write(0, b"x")), send(volume, write(half, b"y"))
    first, second = plane.faults
    volume.fail_parked(errno.EIO, first)
    assert bad.wait(1) == [errno.EIO]
    assert waiting.outcomes == {}
    assert volume.parked == 1
    assert send(volume, write(0, b"z")).outcomes == {}
    assert len(plane.faults) == 3  # what was given up is told again
    other.heal()
    volume.release()
    assert waiting.wait(1) == [0]
    assert second.device is other


def test_giving_up_on_a_flush_ends_the_flushes_alone(plane: DataPlane) -> None:
    device = FaultyDevice(plane.memory[0])
    volume = plane.volume(mirror(device))
    volume.write(0, b"a")
    device.fail("flush")
    flushing = send(volume, Request(Op.FLUSH))
    wait_for_parked(volume, 1)
    device.fail("write", persistent=True)
    writing = send(volume, write(0, b"b"))
    assert volume.parked == 2
    flush_fault = next(fault for fault in plane.faults if fault.kind is FaultKind.FLUSH)
    volume.fail_parked(errno.EIO, flush_fault)
    assert flushing.wait(1) == [errno.EIO]
    assert writing.outcomes == {}
    volume.fail_parked()
    assert writing.wait(1) == [errno.EIO]


def wait_for_faults(plane: DataPlane, count: int) -> None:
    eventually(lambda: len(plane.faults) >= count, f"{count} faults")


def wait_for_parked(volume: VolumeIo, count: int) -> None:
    eventually(lambda: volume.parked >= count, f"{count} parked requests")


def wait_until_ended_or_parked(sink: CountingSink, volume: VolumeIo, count: int) -> None:
    eventually(lambda: len(sink.outcomes) + volume.parked >= count, "the end of each request, or its parking")
