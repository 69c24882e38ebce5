"""The two rules that copies stand on, each shown to be needed: break it, and these very checks find lost bytes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from random import Random

import pytest

from engine.config import Config
from engine.dataplane.volume_io import VolumeIo
from engine.records import Task, TaskState
from engine.tasks import kinds
from engine.tasks.kinds import KINDS, TaskKind
from engine.tasks.steps import Flush, Steps
from engine.tasks.worker import Worker
from tests.engine.task_cases import COPIES, Case
from tests.engine.task_lab import DEADLINE_S, SHAPES, VOLUME, CacheDevice, Lab, fill, persisted

OVERTAKING_S = 0.2


def overtaken_copy_is_right(kind: str, seed: int) -> bool:
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
        clients: list[threading.Thread] = []

        def write() -> None:
            lab.volume(VOLUME).write(0, data)
            written.set()

        def hook(name: str, verb: str, offset: int, length: int) -> None:
            if verb == "write" and not clients and threading.current_thread().name.startswith("task"):
                clients.append(threading.Thread(target=write))
                clients[0].start()
                written.wait(OVERTAKING_S)  # a lock keeps the client out for just so long

        lab.hook = hook
        assert lab.run(case.task.ref).state is TaskState.COMPLETED
        clients[0].join(DEADLINE_S)
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
    assert not overtaken_copy_is_right(kind, seed)


def crashes(case: Case, shape_size: int, seed: int) -> Iterator[tuple[int, Config, dict[str, CacheDevice], bytes]]:
    """Run the case; at every operation and commit of the task, what a crash then leaves: records and LUNs."""
    lab = Lab()
    random = Random(seed)
    images: list[tuple[Config, dict[str, CacheDevice]]] = []
    try:
        lab.load(case.records)
        model = bytes(fill(lab, shape_size, seed))
        lab.load(case.edit)

        def snapshot(config: Config) -> None:
            images.append((config, {name: copy_of(device) for name, device in lab.raw.items()}))

        lab.hook = lambda *_: snapshot(lab.config()) if random.random() < 0.5 else None
        lab.on_commit = snapshot
        assert lab.run(case.task.ref).state is TaskState.COMPLETED
    finally:
        lab.close()
    for number, (config, devices) in enumerate(images):
        for device in devices.values():
            device.crash(random)
        yield number, Config.of(persisted(config)), devices, model


def copy_of(device: CacheDevice) -> CacheDevice:
    other = CacheDevice(device.name, 0)
    with device._lock:
        other.size, other.bytes = device.size, bytearray(device.bytes)
        other._stable, other._pending = bytearray(device._stable), list(device._pending)
    return other


def every_crash_is_survived(kind: str, shape_number: int, seed: int) -> tuple[bool, int]:
    """After each crash the volume reads right at once, and the task, begun anew, ends with every plex right."""
    shape = SHAPES[shape_number]
    case = COPIES[kind](shape)
    count = 0
    for number, config, devices, model in crashes(case, shape.size, seed):
        count = number + 1
        lab = Lab(devices=devices)
        try:
            lab.load(list(config))
            if bytes(lab.volume(VOLUME).read(0, shape.size)) != model:
                return False, count
            if case.task.ref in config:
                assert lab.run(case.task.ref).state is TaskState.COMPLETED
            case.done(lab.config())
            lab.check(VOLUME, model)
        except AssertionError:
            return False, count
        finally:
            lab.close()
    return True, count


@pytest.mark.parametrize("shape", [0, 4])
@pytest.mark.parametrize("kind", ["mirror", "resync-stale", "resync-doubt", "move", "evacuate"])
def test_every_crash_is_survived(kind: str, shape: int, seed: int) -> None:
    survived, count = every_crash_is_survived(kind, shape, seed)
    assert survived
    assert count > 5


def _flushless(steps: Callable[[Config, Task], Steps]) -> Callable[[Config, Task], Steps]:
    def without(config: Config, task: Task) -> Steps:
        yield from (step for step in steps(config, task) if not isinstance(step, Flush))

    return without


@pytest.mark.parametrize("kind", ["mirror", "resync-stale", "move", "evacuate"])
def test_without_a_flush_first_that_is_found(kind: str, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    planted = {type: TaskKind(_flushless(kind.steps), kind.undo, kind.copies) for type, kind in KINDS.items()}
    for module in (kinds, __import__("engine.tasks.job", fromlist=["KINDS"])):
        monkeypatch.setattr(module, "KINDS", planted)
    survived, _ = every_crash_is_survived(kind, 0, seed)
    assert not survived
