"""Snapshots while clients write: what is ordered stays ordered, nothing hangs, and planted mistakes are caught."""

from __future__ import annotations

import errno
import struct
import threading
from collections.abc import Callable, Sequence
from functools import partial

import pytest

from engine import commands as c
from engine.dataplane.volume_io import VolumeIo
from engine.errors import DeviceError, EngineError
from engine.maps import map_change
from engine.maps.map_change import MapChange, Union
from engine.records import Kind, Task
from engine.units import MIB
from tests.engine.engine_lab import EngineLab, lab_fixture
from tests.engine.test_engine_prepare import prepare
from tests.engine.test_engine_snapshots import back, prepared, put, snap

lab = lab_fixture()

SETS = 8
WRITERS = 16


@pytest.fixture(autouse=True)
def _busy_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """A write may take long where many programs want the processor: no set is refused for that here."""
    monkeypatch.setattr(map_change, "HOLD_S", 60.0)


class Crowd:
    """Threads that do something until they are told to stop, or until their volume ends."""

    def __init__(self, works: Sequence[Callable[[], None]]) -> None:
        self._stop = threading.Event()
        self.failures: list[int] = []
        self._threads = [threading.Thread(target=self._run, args=(work,)) for work in works]
        for thread in self._threads:
            thread.start()

    def _run(self, work: Callable[[], None]) -> None:
        try:
            while not self._stop.is_set():
                work()
        except DeviceError as error:
            self.failures.append(error.errno)

    def end(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive(), "a writer hangs"


def io_of(lab: EngineLab, name: str) -> VolumeIo:
    return lab.engine.committer.ios[lab.volume(name).ref]


def test_in_no_set_is_the_second_volume_ahead_of_the_first(lab: EngineLab) -> None:
    for name in ("a", "b"):
        lab.make_volume(name, size=8 * MIB)
        prepare(lab, name)
    first, second = io_of(lab, "a"), io_of(lab, "b")
    count = 0

    def stamp() -> None:
        nonlocal count
        count += 1
        first.write(0, struct.pack("<Q", count))
        second.write(MIB, struct.pack("<Q", count))

    crowd = Crowd([stamp])
    seen = []
    try:
        for number in range(SETS):
            names = (f"a{number}", f"b{number}")
            chosen = [c.SnapChoice(lab.volume(one).ref, name=name) for one, name in zip("ab", names, strict=True)]
            lab.do(c.TakeSnapshots(choices=tuple(chosen)))
            one, other = (
                struct.unpack("<Q", lab.read(at, 8, name))[0] for at, name in zip((0, MIB), names, strict=True)
            )
            assert one - 1 <= other <= one
            seen.append(one)
            lab.do(c.SnapBack(snapshots=tuple(lab.volume(name).ref for name in names)))
            for task in lab.config.all(Kind.TASK, Task):
                assert lab.engine.wait(task.ref, 60)
    finally:
        crowd.end()
    assert crowd.failures == []
    assert seen == sorted(set(seen))
    assert lab.equal("a")
    assert lab.equal("b")


@pytest.mark.parametrize("master", c.Master)
def test_a_snap_back_under_many_writers_ends_and_leaves_all_plexes_equal(lab: EngineLab, master: c.Master) -> None:
    prepared(lab)
    snap(lab)
    works: list[Callable[[], None]] = []
    for number in range(WRITERS):
        for name in ("v", "SnapVolume01"):
            io, place, data = io_of(lab, name), (number % 23) * MIB + 8192, bytes([number + 1]) * 4096
            works.append(partial(io.write, place, data))
    crowd = Crowd(works)
    try:
        back(lab, "SnapVolume01", master=master)
    finally:
        crowd.end()
    assert set(crowd.failures) <= {errno.ESHUTDOWN}
    assert len(crowd.failures) == WRITERS
    assert lab.equal()


def test_the_pause_is_measured_and_short(lab: EngineLab) -> None:
    names = [f"v{number}" for number in range(4)]
    for name in names:
        lab.make_volume(name, size=4 * MIB)
        prepare(lab, name)
    works = [partial(io_of(lab, name).write, 8192, b"x" * 4096) for name in names]
    crowd = Crowd(works)
    try:
        task = snap(lab, *names)
    finally:
        crowd.end()
    made = lab.volume("SnapVolume01")
    assert 0 < made.held_s < 10
    assert f"{made.held_s * 1000:.1f} ms" in task.result
    assert crowd.failures == []


def no_marks(patch: pytest.MonkeyPatch) -> None:
    """Writers forget the maps of what they change."""
    real = VolumeIo.use_map

    def use_map(io: VolumeIo, *what: object) -> None:
        real(io, *what)  # type: ignore[arg-type]
        io.changes = ()

    patch.setattr(VolumeIo, "use_map", use_map)


def half_a_union(patch: pytest.MonkeyPatch) -> None:
    """Only what the snapshot has changed is copied."""
    real = MapChange._union

    def union(change: MapChange, edit: object, one: object) -> Union:
        found = real(change, edit, one)  # type: ignore[arg-type]
        live = change._live(found.of.snapshot, found.of.generation)
        return Union(found.of, live.runs() if live is not None else None)

    patch.setattr(MapChange, "_union", union)


def no_log(patch: pytest.MonkeyPatch) -> None:
    """What differs never reaches the log that the copy asks."""
    real = MapChange._union
    patch.setattr(MapChange, "_union", lambda *what: real(*what)._replace(runs=()))


def nobody_held(patch: pytest.MonkeyPatch) -> None:
    """A write that is under way may come in between."""
    patch.setattr(MapChange, "_shut_all", lambda change, refs: [(ref, change._ios[ref]) for ref in refs])
    real = MapChange._union

    def union(change: MapChange, edit: object, one: object) -> Union:
        found = real(change, edit, one)  # type: ignore[arg-type]
        io = change._ios[found.of.original]
        io.write(6 * MIB, b"\x66" * 4096)
        return found

    patch.setattr(MapChange, "_union", union)


@pytest.mark.parametrize("plant", [no_marks, half_a_union, no_log, nobody_held])
def test_planted_mistakes_are_caught(
    lab: EngineLab, monkeypatch: pytest.MonkeyPatch, plant: Callable[..., None]
) -> None:
    plant(monkeypatch)
    prepared(lab)
    snap(lab)
    put(lab, 1, 101)
    put(lab, 2, 102, "SnapVolume01")
    back(lab, "SnapVolume01")
    assert not lab.equal()


def test_a_request_that_does_not_end_refuses_the_set_and_lets_all_others_go_on(
    lab: EngineLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(map_change, "HOLD_S", 0.5)
    for name in ("a", "b"):
        lab.make_volume(name, size=8 * MIB)
        prepare(lab, name)
    stuck = io_of(lab, "b")
    slot = stuck.slot("stuck")
    stuck.gate.enter(slot)
    try:
        with pytest.raises(EngineError, match="A request to b is under way for too long"):
            snap(lab, "a", "b")
        put(lab, 1, 11, "a")
    finally:
        stuck.gate.leave(slot)
        stuck.retire(slot)
    monkeypatch.setattr(map_change, "HOLD_S", 60.0)
    assert lab.config.find(Kind.VOLUME, "SnapVolume01", lab.group().ref) is None
    put(lab, 2, 12, "b")
    snap(lab, "a", "b")
    assert lab.volume("SnapVolume02").serving
