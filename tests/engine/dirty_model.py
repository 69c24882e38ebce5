"""A mirror of two legs behind a dirty map, run step by step on one thread: every order of events, every instant seen.

Each leg is a cache over a disk: until it is flushed, a region may have any version since the last flush. After any step
the power may go: then every place of the log by itself must name each region in which the legs may differ.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from random import Random

from engine.dataplane.dirty_map import DirtyMap, unpacked
from engine.dataplane.map_place import MapPlace
from engine.dataplane.request import Op, Request, Sink
from engine.devices.base import BlockDevice
from engine.errors import DeviceError
from engine.runtime import ThreadRuntime

REGION = 4096
REGIONS = 40
PAGE = 16
"""Regions on a page: the map has three of them."""


class Leg:
    """What each region may hold: the stable version first, then those that only the cache has."""

    def __init__(self) -> None:
        self.versions: list[list[int]] = [[0] for _ in range(REGIONS)]

    def write(self, region: int, version: int) -> None:
        self.versions[region].append(version)

    def newest(self, region: int) -> int:
        return self.versions[region][-1]

    def mark(self) -> list[int]:
        """A flush begins: what it promises."""
        return [len(found) for found in self.versions]

    def settle(self, mark: list[int]) -> None:
        """That flush has ended."""
        for found, upto in zip(self.versions, mark, strict=True):
            del found[: max(min(upto, len(found)) - 1, 0)]


class Place:
    """A place of the log in memory. `fail` makes its next write fail, half done."""

    def __init__(self, name: str) -> None:
        self.generation = name
        self.failed = 0
        self.fail = False
        self.pages = -(-REGIONS // PAGE)
        self.device: BlockDevice = None  # type: ignore[assignment]
        self.content = [bytes(PAGE)] * self.pages

    def write(self, page: int, bits: bytes) -> None:
        if self.fail:
            raise DeviceError(errno.EIO, self.generation, "Writing")
        self.content[page] = unpacked(bits, PAGE)

    @property
    def regions(self) -> bytes:
        return b"".join(self.content)[:REGIONS]


class Writers:
    """Page writes wait until the model wants them."""

    def __init__(self) -> None:
        self.waiting: list[Callable[[], None]] = []

    def put(self, work: Callable[[], None]) -> None:
        self.waiting.append(work)


class Steps:
    """A client's write, cut at every point where another thread may come in between."""

    def __init__(self, model: Model, region: int, count: int) -> None:
        self.region, self.count = region, count
        self.pins: list[int] = []  # of earlier runs that failed on one leg
        self.inside = False  # of the gate
        self.locked = False  # its regions
        self.run = model.client(self)


class Model:
    """The volume. `faults` names what is done wrong on purpose: each must be found."""

    def __init__(self, seed: int, faults: frozenset[str] = frozenset()) -> None:
        self.random = Random(seed)
        self.faults = faults
        self.legs = [Leg(), Leg()]
        self.writers = Writers()
        self.runtime = ThreadRuntime()
        self.map = DirtyMap(REGION * REGIONS, REGION, PAGE, self.writers, self.runtime)  # type: ignore[arg-type]
        self.map.bind(self)
        self.places: list[Place] = []
        self.version = 0
        self.serial = 0
        self.ready: list[Steps] = []
        self.parked: dict[int, Steps] = {}
        self.broken: list[Steps] = []
        self.out = False  # the second leg gets no writes
        self.filling: Iterator[None] | None = None
        self.closing: Iterator[None] | None = None
        self.failed: list[MapPlace] = []
        self.unequal = False  # a write has failed on one leg, and no source has been named yet
        self.closed = 0
        for _ in range(2):
            self.add_place()

    # what a map asks of its volume
    def hand_to_pool(self, request: Request, sink: Sink) -> None:
        steps = self.parked.pop(id(request))
        steps.run = self.client(steps)
        self.ready.append(steps)

    def map_failed(self, place: MapPlace) -> None:
        self.failed.append(place)

    # clients
    def client(self, steps: Steps) -> Iterator[bool]:
        """One run of a write: yields whether it goes on; ends inside of nothing."""
        region, count = steps.region, steps.count
        offset, length = region * REGION + 100, (count - 1) * REGION + 50
        steps.inside = True
        if "look-never" not in self.faults and not self.map.note(offset, length):
            steps.inside = False
            request = Request(Op.WRITE, offset, length)
            self.parked[id(request)] = steps
            self.keep = request
            self.map.put(request, self)  # type: ignore[arg-type]
            return
        yield True
        steps.locked = True
        self.version += 1
        version = self.version
        legs = self.legs[:1] if self.out else self.legs
        broken = self.random.random() < 0.004 and len(legs) == 2
        for number, leg in enumerate(legs):
            if number and broken:
                if "no-pin" not in self.faults:
                    steps.pins.append(self.map.pin(offset, length))
                self.unequal = True
                self.broken.append(steps)
                if "unpin-early" in self.faults:
                    self.unpin(steps)
                break
            for one in range(region, region + count):
                leg.write(one, version)
            yield True
        steps.inside = steps.locked = False
        if steps not in self.broken:
            self.unpin(steps)

    def unpin(self, steps: Steps) -> None:
        for pin in steps.pins:
            self.map.unpin(steps.region * REGION + 100, (steps.count - 1) * REGION + 50, pin)

    def try_again(self) -> None:
        """A write that has failed on one leg, which is well again."""
        steps = self.broken.pop()
        steps.run = self.client(steps)
        self.ready.append(steps)

    def finish(self, request: Request, error: int) -> None:
        raise AssertionError("nothing ends by the map")

    # the control thread
    def add_place(self) -> None:
        self.serial += 1
        place = Place(f"place{self.serial}")
        if self.map.join(place):
            self.places.append(place)
            self.map.adopt(self.places)

    def drop_failed(self) -> None:
        self.failed.clear()
        self.places = [place for place in self.places if not place.failed]
        self.map.adopt(self.places)
        self.map.retry()

    def leave(self) -> None:
        if self.stopped():
            if "not-sticky" not in self.faults:
                self.map.set_sticky(True)
            self.out = True

    def stopped(self) -> bool:
        """A swap: everybody inside has left."""
        return not any(steps.inside for steps in self.ready)

    def resync(self) -> Iterator[None]:
        """The second leg gets every write again; what may differ is copied to it, flushed, and only then believed."""
        self.map.set_sticky("not-sticky" not in self.faults)
        self.out = self.unequal = False
        runs = self.map.runs()
        yield
        for offset, length in runs:
            for region in range(offset // REGION, (offset + length) // REGION):
                while any(steps.locked and steps.region <= region < steps.region + steps.count for steps in self.ready):
                    yield
                self.legs[1].write(region, self.legs[0].newest(region))
                yield
        mark = self.legs[1].mark()
        yield
        self.legs[1].settle(mark)
        if not self.unequal:
            self.map.set_sticky(False)

    # the sweeper and the flusher
    def close_regions(self) -> Iterator[None]:
        turn = self.map.begin_closing()
        if not turn:
            return
        yield
        inside = [steps for steps in self.ready if steps.inside]
        while "no-grace" not in self.faults and any(steps.inside and steps in self.ready for steps in inside):
            yield
        self.map.written_out(turn)
        yield
        marks = [leg.mark() for leg in self.legs]
        yield
        if "no-flush" not in self.faults:
            for leg, mark in zip(self.legs, marks, strict=True):
                if not (self.out and leg is self.legs[1]):
                    leg.settle(mark)
        self.map.end_closing(turn, good=self.random.random() > 0.1)
        self.closed += 1

    # steps
    def step(self) -> None:
        self.random.choice(self.choices())()
        self.check()

    def choices(self) -> list[Callable[[], object]]:
        found: list[Callable[[], object]] = [self.advance] * (3 * bool(self.ready))
        found += [self.arrive] * (len(self.ready) + len(self.parked) < 5) * 2
        found += [self.write_page] * (2 * bool(self.writers.waiting))
        found += [self.go_on_closing, self.flush]
        if self.broken and self.random.random() < 0.03:
            found += [self.try_again] * 3
        if self.failed:
            found.append(self.drop_failed)
        if self.filling is not None:
            found += [self.go_on_filling] * 3
        elif self.out or self.unequal:
            found += [self.begin_filling]
        if self.random.random() < 0.01 and not self.unequal and self.filling is None:
            found.append(self.leave)
        if self.random.random() < 0.02 and self.writers.waiting and len(self.places) == 2:
            found.append(self.break_place)
        if len(self.places) < 2 and not self.failed and not self.writers.waiting:
            found.append(self.add_place)
        return found

    def arrive(self) -> None:
        region = min(int(self.random.expovariate(0.15)), REGIONS - 3)
        self.ready.append(Steps(self, region, self.random.choice((1, 1, 1, 2, 3))))

    def advance(self) -> None:
        steps = self.random.choice(self.ready)
        locked = [other for other in self.ready if other is not steps and other.locked]
        if not steps.inside or steps.locked or not any(_meet(steps, other) for other in locked):
            try:
                next(steps.run)
            except StopIteration:
                self.ready.remove(steps)

    def write_page(self) -> None:
        self.writers.waiting.pop(self.random.randrange(len(self.writers.waiting)))()

    def break_place(self) -> None:
        self.random.choice(self.places).fail = True

    def flush(self) -> None:
        for number, leg in enumerate(self.legs):
            if not (self.out and number):
                leg.settle(leg.mark())

    def begin_filling(self) -> None:
        if self.stopped():
            self.filling = self.resync()
            next(self.filling)

    def go_on_filling(self) -> None:
        assert self.filling is not None
        if next(self.filling, self) is self:
            self.filling = None

    def go_on_closing(self) -> None:
        if self.closing is None:
            self.closing = self.close_regions()
        if next(self.closing, self) is self:
            self.closing = None

    # the oracle
    def check(self) -> None:
        one, other = self.legs
        for region in range(REGIONS):
            equal = one.versions[region] == other.versions[region] and len(one.versions[region]) == 1
            if equal or set(one.versions[region]) == set(other.versions[region]) == {one.newest(region)}:
                continue
            for place in self.places:
                assert place.failed or place.regions[region], f"region {region} may differ, and no place tells it"


def _meet(one: Steps, other: Steps) -> bool:
    return one.region < other.region + other.count and other.region < one.region + one.count
