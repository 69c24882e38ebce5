"""Scenes on the data plane, each about one rule: an AssertionError when the rule doesn't hold. Each ends either way."""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from engine.dataplane.fold import Piece, PlexLayout, fold
from engine.dataplane.request import Op, Request
from engine.dataplane.table import REGION, Table
from engine.dataplane.volume_io import VolumeIo
from engine.devices.base import BlockDevice, Data
from engine.devices.wrapper import Wrapper
from engine.errors import DeviceError
from tests.engine.model_volume import DataPlane, data_plane

if TYPE_CHECKING:
    from engine.devices.wrapper import Verb

SIZE = 4 * REGION
PATIENCE_S = 60.0


class Looks:
    """Seconds that a scene looks. Where its rule is taken out, what must not happen is waited for, and what must happen
    hangs: then they are set the other way round."""

    for_what_must_not_s = 0.3
    for_what_must_s = PATIENCE_S


A, B = b"A" * 4096, b"B" * 4096


class Scripted(Wrapper):
    """A device that holds up what `stalls` picks until `go`, fails what `fails` picks, and notes what it was asked."""

    def __init__(self, below: BlockDevice) -> None:
        super().__init__(below)
        self.stalls: Callable[[Verb, bytes], bool] = lambda verb, data: False
        self.fails: set[Verb] = set()
        self.reached, self.go = threading.Event(), threading.Event()
        self.asked: list[Verb] = []
        self.durable: list[bool] = []

    def write(self, offset: int, data: Data, *, durable: bool = False) -> None:
        self.durable.append(durable)
        if self.stalls("write", bytes(data)):
            self.reached.set()
            assert self.go.wait(PATIENCE_S)
        super().write(offset, data, durable=durable)

    def _before(self, verb: Verb, offset: int, length: int) -> None:
        self.asked.append(verb)
        if verb in self.fails:
            self.losses += verb == "flush"
            raise DeviceError(errno.EIO, self.name, verb)


class Stage:
    """A volume on scripted devices, one a leg, and threads that are joined whatever happens."""

    def __init__(self, plane: DataPlane, legs: int) -> None:
        self.plane = plane
        self.legs = [Scripted(device) for device in plane.memory[:legs]]
        self.volume = plane.volume(self.table(self.legs))
        self._threads: list[threading.Thread] = []

    def table(self, legs: list[Scripted]) -> Table:
        return fold([PlexLayout(leg.name, 1, 0, (Piece(0, 0, SIZE, leg, 0),)) for leg in legs], SIZE)

    def begin(self, work: Callable[[], object]) -> threading.Event:
        """Do it on a thread; the event says that it is done."""
        done = threading.Event()

        def run() -> None:
            try:
                work()
            except DeviceError:
                pass  # a scene that went wrong ends its requests
            finally:
                done.set()

        self._threads.append(threading.Thread(target=run))
        self._threads[-1].start()
        return done

    def end(self) -> None:
        for leg in self.legs:
            leg.go.set()
        for volume in self.plane.volumes:
            for slot in volume.gate.slots:
                slot.table = None
            volume.fail_parked()
            with volume.gate._changed:
                volume.gate._changed.notify_all()
        for thread in self._threads:
            thread.join(PATIENCE_S)
            assert not thread.is_alive()

    def holds(self, leg: int) -> bytes:
        """What a leg has at the volume's beginning."""
        found = bytearray(4096)
        self.legs[leg].below.read_into(0, memoryview(found))
        return bytes(found)


@contextmanager
def stage(legs: int) -> Iterator[Stage]:
    with data_plane(legs) as plane:
        made = Stage(plane, legs)
        try:
            yield made
        finally:
            made.end()


def write(volume: VolumeIo, data: bytes, offset: int = 0) -> None:
    """As a connection does: on the calling thread, at a slot of its own."""
    slot = volume.slot("scene")
    ended = threading.Event()
    volume.execute([Request(Op.WRITE, offset, len(data), memoryview(bytearray(data)))], slot, Ends(ended))
    assert ended.wait(PATIENCE_S)


class Ends:
    """A sink that remembers."""

    def __init__(self, ended: threading.Event) -> None:
        self.ended = ended
        self.error = -1

    def finish(self, request: Request, error: int) -> None:
        self.error = error
        self.ended.set()


# The gate


def a_swap_waits_for_the_last_on_the_old_table(_: Path) -> None:
    with stage(1) as scene:
        leg = scene.legs[0]
        leg.stalls = lambda verb, data: data == A
        scene.begin(lambda: write(scene.volume, A))
        assert leg.reached.wait(PATIENCE_S)
        swapped = scene.begin(lambda: scene.volume.swap(scene.table(scene.legs)))
        assert not swapped.wait(Looks.for_what_must_not_s), (
            "what a commit freed would be free while somebody writes there"
        )
        leg.go.set()
        assert swapped.wait(PATIENCE_S)


def nobody_is_inside_while_the_gate_is_held(_: Path) -> None:
    with stage(1) as scene:
        with scene.volume.hold():
            written = scene.begin(lambda: write(scene.volume, A))
            assert not written.wait(Looks.for_what_must_not_s), "a snapshot set would not be of one moment"
            assert "write" not in scene.legs[0].asked
        assert written.wait(PATIENCE_S)


def a_swap_never_waits_for_a_parked_request(_: Path) -> None:
    with stage(1) as scene:
        scene.legs[0].fails = {"write"}
        scene.begin(lambda: write(scene.volume, A))
        told = threading.Event()
        scene.begin(lambda: _until(told, lambda: bool(scene.plane.faults)))
        assert told.wait(PATIENCE_S)
        scene.legs[0].fails = set()
        swapped = scene.begin(lambda: scene.volume.swap(scene.table(scene.legs)))
        assert swapped.wait(Looks.for_what_must_s), "the decision that the request waits for waits for the request"


def _until(told: threading.Event, happened: Callable[[], bool]) -> None:
    while not happened() and not told.wait(0.01):
        pass
    told.set()


# Legs


def overlapping_writes_leave_the_legs_equal(_: Path) -> None:
    """One write is between its legs while another one to the same bytes comes."""
    with stage(2) as scene:
        second = scene.legs[1]
        second.stalls = lambda verb, data: data == A
        one = scene.begin(lambda: write(scene.volume, A))
        assert second.reached.wait(PATIENCE_S)
        other = scene.begin(lambda: write(scene.volume, B))
        other.wait(Looks.for_what_must_not_s)
        second.go.set()
        assert one.wait(PATIENCE_S)
        assert other.wait(PATIENCE_S)
        assert scene.holds(0) == scene.holds(1)


def a_block_is_always_read_from_one_leg(_: Path) -> None:
    """Where a crash has left the legs different, a block that changes by itself would be garbage to a file system."""
    with stage(2) as scene:
        for leg, data in zip(scene.legs, (A, B), strict=True):
            leg.below.write(0, data)
        assert len({bytes(scene.volume.read(0, 4096)) for _ in range(40)}) == 1


def both_legs_are_read(_: Path) -> None:
    """Balanced by region: else a mirror were no faster than a disk."""
    with stage(2) as scene:
        for region in range(4):
            scene.volume.read(region * REGION, 4096)
        assert all("read" in leg.asked for leg in scene.legs)


def a_discard_reaches_every_leg_or_none(_: Path) -> None:
    with stage(2) as scene:
        scene.legs[1].discard_zeroes = False
        scene.volume.swap(scene.table(scene.legs))
        scene.volume.write(0, A)
        scene.volume.discard(0, 4096)
        assert scene.holds(0) == scene.holds(1)


# Flushes


def a_flush_covers_legs_that_have_left_the_table(_: Path) -> None:
    with stage(2) as scene:
        scene.volume.write(0, A)
        scene.volume.swap(scene.table(scene.legs[:1]))
        scene.volume.flush()
        assert "flush" in scene.legs[1].asked


def a_durable_write_is_durable_on_every_leg(_: Path) -> None:
    with stage(2) as scene:
        scene.volume.write(0, A, durable=True)
        assert all(leg.durable == [True] for leg in scene.legs)


def a_failed_flush_is_told_to_every_volume_that_had_written_there(_: Path) -> None:
    with stage(1) as scene:
        leg = scene.legs[0]
        other = scene.plane.volume(scene.table([leg]), "vol2")
        scene.volume.write(0, A)
        other.write(REGION, B)
        leg.fails = {"flush"}
        scene.begin(scene.volume.flush)
        told = threading.Event()
        scene.begin(lambda: _until(told, lambda: bool(scene.plane.faults)))
        assert told.wait(PATIENCE_S)
        leg.fails = set()  # the kernel has told once, and says nothing of it any more
        answer = Ends(threading.Event())
        other.flush_soon(answer)
        answer.ended.wait(Looks.for_what_must_not_s)
        assert answer.error != 0, "a flush is believed that cannot know"
        assert {fault.volume for fault in scene.plane.faults} == {"vol1", "vol2"}


def a_failed_flush_is_not_tried_again_and_believed(_: Path) -> None:
    with stage(1) as scene:
        scene.volume.write(0, A)
        scene.legs[0].fails = {"flush"}
        first = Ends(threading.Event())
        scene.volume.flush_soon(first)
        told = threading.Event()
        scene.begin(lambda: _until(told, lambda: bool(scene.plane.faults)))
        assert told.wait(PATIENCE_S)
        scene.legs[0].fails = set()
        second = Ends(threading.Event())
        scene.volume.flush_soon(second)
        second.ended.wait(Looks.for_what_must_not_s)
        assert second.error != 0
        assert first.error != 0
