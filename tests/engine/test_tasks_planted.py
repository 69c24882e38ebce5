"""The two rules that copies stand on, each shown to be needed: break it, and these very checks find lost bytes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from random import Random

import pytest

from engine.config import Config
from engine.dataplane.volume_io import VolumeIo
from engine.records import Task, TaskState
from engine.tasks import kinds
from engine.tasks.kinds import KINDS, TaskKind
from engine.tasks.steps import Differences, Flush, Steps
from engine.tasks.worker import Worker
from engine.units import MIB
from tests.engine.task_cases import COPIES, Case
from tests.engine.task_lab import (
    DEADLINE_S,
    DISK_SIZE,
    SHAPES,
    VOLUME,
    CacheDevice,
    Lab,
    Shape,
    fill,
    persisted,
)

OVERTAKING_S = 0.2
_ZEROS = bytes(MIB)


def overtaken_copy_is_right(kind: str, seed: int, overtaking_s: float = OVERTAKING_S) -> bool:
    """A client writes between a copy's read and its write of the same bytes. Whether the plexes are right after it."""
    lab = Lab()
    shape = SHAPES[3]
    case = COPIES[kind](shape)
    try:
        lab.load(case.records)
        model = fill(lab, shape.size, seed)
        lab.load(case.edit)
        data = Random(seed + 1).randbytes(shape.size)
        written = threading.Event()
        first = threading.Lock()

        def write() -> None:
            lab.volume(VOLUME).write(0, data)
            written.set()

        at_work = threading.Thread(target=write)

        def hook(name: str, verb: str, offset: int, length: int) -> None:
            if verb == "write" and threading.current_thread().name.startswith("task") and first.acquire(blocking=False):
                at_work.start()
                written.wait(overtaking_s)  # a lock keeps the client out for just so long

        lab.hook = hook
        assert lab.run(case.task.ref).state is TaskState.COMPLETED
        at_work.join(DEADLINE_S)
        model[:] = data
        try:
            lab.check(VOLUME, bytes(model))
        except AssertionError:
            return False
        return True
    finally:
        lab.close()


def _without_lock(self: Worker, volume: VolumeIo, offset: int, length: int) -> AbstractContextManager[object]:
    return nullcontext()


@pytest.mark.parametrize("kind", ["mirror", "resync-stale", "resync-doubt", "move", "evacuate"])
def test_a_client_never_loses_a_write_to_a_copy(kind: str, seed: int) -> None:
    assert overtaken_copy_is_right(kind, seed)


@pytest.mark.parametrize("kind", ["mirror", "move"])
def test_without_region_locks_that_is_found(kind: str, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Worker, "_regions", _without_lock)
    assert not overtaken_copy_is_right(kind, seed, DEADLINE_S)


Image = dict[str, dict[int, bytes]]
"""Of each LUN the MiBs that are not zero."""


def image_of(device: CacheDevice, random: Random) -> dict[int, bytes]:
    """What of a LUN is there after the power has gone now."""
    stable = device.after_crash(random)
    cut = {at: bytes(stable[at : at + MIB]) for at in range(0, device.size, MIB)}
    return {at: data for at, data in cut.items() if data != _ZEROS}


def device_of(name: str, image: dict[int, bytes]) -> CacheDevice:
    device = CacheDevice(name, DISK_SIZE)
    for at, data in image.items():
        device.write(at, data)
    device.flush()
    return device


def crashes(case: Case, shape: Shape, seed: int) -> tuple[list[tuple[Config, Image]], bytes]:
    """Run the case. At some 20 operations and at every commit: what a crash then leaves of records and LUNs."""
    lab = Lab()
    random = Random(seed)
    images: list[tuple[Config, Image]] = []
    share = 0.06 if shape.columns > 1 and case.task.params.plexes else 0.5
    try:
        lab.load(case.records)
        model = bytes(fill(lab, shape.size, seed))
        lab.load(case.edit)

        def snapshot(config: Config) -> None:
            images.append((config, {name: image_of(device, random) for name, device in lab.raw.items()}))

        lab.hook = lambda *_: snapshot(lab.config()) if random.random() < share else None
        lab.on_commit = lambda config: [snapshot(config) for _ in range(3)] and None
        assert lab.run(case.task.ref).state is TaskState.COMPLETED
    finally:
        lab.close()
    return images, model


def every_crash_is_survived(kind: str, shape_number: int, seed: int) -> tuple[bool, int]:
    """After each crash the volume reads right at once, and the task, begun anew, ends with every plex right."""
    shape = SHAPES[shape_number]
    case = COPIES[kind](shape)
    images, model = crashes(case, shape, seed)
    for config, image in images:
        lab = Lab(devices={name: device_of(name, blocks) for name, blocks in image.items()})
        try:
            lab.load(persisted(config))
            if bytes(lab.volume(VOLUME).read(0, shape.size)) != model:
                return False, len(images)
            if case.task.ref in lab.config():
                assert lab.run(case.task.ref).state is TaskState.COMPLETED
            case.done(lab.config())
            lab.check(VOLUME, model)
        except AssertionError:
            return False, len(images)
        finally:
            lab.close()
    return True, len(images)


@pytest.mark.parametrize("shape", [0, 4])
@pytest.mark.parametrize("kind", ["mirror", "resync-stale", "resync-doubt", "move", "evacuate"])
def test_every_crash_is_survived(kind: str, shape: int, seed: int) -> None:
    survived, count = every_crash_is_survived(kind, shape, seed)
    assert survived
    assert count >= 4


def _flushless(steps: Callable[[Config, Task], Steps]) -> Callable[[Config, Task], Steps]:
    def without(config: Config, task: Task) -> Steps:
        inner = steps(config, task)
        step = next(inner)
        while True:
            answer = Differences() if isinstance(step, Flush) else (yield step)
            try:
                step = inner.send(answer)
            except StopIteration:
                return

    return without


@pytest.mark.parametrize("kind", ["mirror", "resync-stale", "move", "evacuate"])
def test_without_a_flush_first_that_is_found(kind: str, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    planted = {type: TaskKind(_flushless(kind.steps), kind.undo, kind.copies) for type, kind in KINDS.items()}
    for module in (kinds, __import__("engine.tasks.job", fromlist=["KINDS"])):
        monkeypatch.setattr(module, "KINDS", planted)
    survived, _ = every_crash_is_survived(kind, 0, seed)
    assert not survived
