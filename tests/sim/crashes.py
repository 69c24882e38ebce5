"""Cuts the power at every write and flush of an operation, and looks at what each cut leaves."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING

from tests.sim import cases
from tests.sim.acts import write_some
from tests.sim.folder import FolderImage
from tests.sim.journal import Silence
from tests.sim.machine import Machine, Snapshot
from tests.sim.parting import Parting
from tests.sim.site import Site
from tests.sim.volume import SimVolume

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from engine.records import Ref
    from tests.sim.oracle import VolumeOracle

_MAY_COME_LATE = ("PauseTask", "ResumeTask", "AbortTask")
LUNS, LUN_SIZE = 8, 24 << 20
KEEPS = (0.0, 1.0, 0.5)
"""What the caches keep at a cut: nothing that is whole, everything, half; some of all is torn."""


@dataclass(frozen=True)
class Moment:
    """One instant at which the power may go: all disks, and what ought to be on them."""

    what: str
    disks: Snapshot
    volumes: dict[Ref, tuple[VolumeOracle, set[int]]]
    coming: dict[str, VolumeOracle]
    going: frozenset[Ref]
    sizes: dict[str, set[int]]
    number: int = 0
    host: str = ""
    restored: dict[Ref, Ref] = field(default_factory=dict)
    parting: Parting = field(default_factory=Parting)


@dataclass
class Recorder:
    """Takes a `Moment` at each change of any disk while it is `on`."""

    site: Site
    on: bool = False
    only: tuple[str, ...] = ("",)  # ends of what is taken
    moments: list[Moment] = field(default_factory=list)

    def take(self, lun: str, what: str) -> None:
        if self.on and what.endswith(self.only):
            self.moments.append(moment(self.site, f"{lun} {what}"))


def moment(site: Site, what: str) -> Moment:
    volumes = {ref: (known.oracle.copy(), set(known.sizes)) for ref, known in site.volumes.items()}
    coming = {name: oracle.copy() for name, oracle in site.coming.items()}
    sizes = {name: set(known) for name, known in site.sizes.items()}
    known = site.number, site.machine.host, dict(site.restored), site.parting.copy()
    return Moment(what, site.machine.snapshot(), volumes, coming, frozenset(site.going), sizes, *known)


def site_after(found: Moment, seed: int, keep: float) -> Site:
    """The host as it is when the power comes back."""
    site = Site(Machine.after(found.disks, seed, keep, Silence()), Random(seed))
    for ref, (oracle, sizes) in found.volumes.items():
        known = site.volumes[ref] = SimVolume(ref)
        known.oracle, known.sizes = oracle.copy(), set(sizes)
    site.coming = {name: oracle.copy() for name, oracle in found.coming.items()}
    site.number, site.machine.host = found.number, found.host
    site.going, site.sizes = set(found.going), copy.deepcopy(found.sizes)
    site.restored = dict(found.restored)
    site.parting = found.parting.copy()
    return site


def begun(layout: str, ready: Callable[[Site], None], seed: int) -> Moment:
    """A site on which an operation can begin, everything stable."""
    site = Site(Machine(seed, Silence()), Random(seed))
    site.machine.add_luns(LUNS, LUN_SIZE)

    def main() -> None:
        site.check_host()
        cases.set_up(site, layout)
        ready(site)
        for known in site.volumes.values():
            known.held = False

    site.machine.live(main)
    site.ended_in_order()
    for known in site.volumes.values():
        known.held = False
    return _after_life(site)


def _after_life(site: Site) -> Moment:
    machine = site.machine
    luns = {path: media.image() for path, media in machine.media.items()}
    volumes = {ref: (known.oracle.copy(), set(known.sizes)) for ref, known in site.volumes.items()}
    disks = Snapshot(luns, FolderImage.of(machine.files), machine.clock)
    return Moment("begun", disks, volumes, {}, frozenset(), {}, site.number, machine.host, {}, site.parting.copy())


def record(case: cases.Case, start: Moment, seed: int) -> list[Moment]:
    """Run an operation once and take every moment of it."""
    site = site_after(start, seed, 1.0)
    recorder = Recorder(site)
    site.machine.moment = recorder.take
    site.machine.live(lambda: perform(case, site, recorder))
    refused = [text for text in site.refused if not text.startswith(_MAY_COME_LATE)]
    assert not refused, f"nothing is to be seen of an operation that is refused: {refused}"
    assert not site.failed, f"nothing is to be seen of an operation that fails: {site.failed}"
    return recorder.moments


def perform(case: cases.Case, site: Site, recorder: Recorder | None = None) -> None:
    """The operation, with a client beside it."""
    site.greet()
    runtime = site.machine.runtime
    if recorder is not None:
        recorder.on = True
    client = runtime.thread("client", lambda: write_some(site, 14, seed=3)) if case.busy else None
    case.act(site)
    if client is not None:
        client.join()
    if recorder is not None:
        recorder.take("", "the end")
        recorder.on = False


def look(found: Moment, seed: int, keep: float, then: Callable[[Site], None] | None = None) -> None:
    """Switch on again, and hold everything against what may be; raises what is wrong. `then` asks for more."""
    site = site_after(found, seed, keep)
    site.power_failed()
    site.machine.live(lambda: rest_and(site, then))


def rest_and(site: Site, then: Callable[[Site], None] | None) -> None:
    """The last life of a site."""
    site.settle()
    if then is not None:
        then(site)
        site.settle()


def states(moments: list[Moment], keeps: tuple[float, ...] = KEEPS) -> Iterator[tuple[int, Moment, float]]:
    """Every moment with every fate of the caches; where nothing is in a cache there is one fate."""
    for number, found in enumerate(moments):
        volatile = any(not part.durable for image in found.disks.luns.values() for part in image.extents)
        for keep in keeps if volatile else keeps[:1]:
            yield number, found, keep


def enumerate_case(name: str, layout: str, seed: int, every: int = 1) -> Result:
    """Cut an operation at each moment (each `every`-th from one that the seed chooses)."""
    result = Result(name, layout)
    case = cases.CASES[name]
    start = begun(layout, case.ready, seed)
    moments = record(case, start, seed)
    result.points = len(moments)
    every = min(every, len(moments))  # some moment is in every share
    for number, found, keep in states(moments):
        if every > 1 and (number + int(keep * 2) + seed) % every:
            continue
        result.states += 1
        try:
            look(found, seed * 1_000_003 + number, keep, case.then)
        except Exception as error:
            where = f"moment {number} ({found.what}), keep {keep}"
            result.failures.append(f"{name} on {layout}, seed {seed}, {where}: {type(error).__name__}: {error}")
    return result


@dataclass
class Result:
    """Of one operation on one layout."""

    name: str
    layout: str
    points: int = 0
    states: int = 0
    failures: list[str] = field(default_factory=list)
