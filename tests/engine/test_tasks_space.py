"""Create, expand and verify: what a volume gets is zero on every plex before anybody can see it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from itertools import count
from random import Random

import pytest
from msgspec.structs import replace

from engine.records import AnyRecord, Kind, Plex, PlexState, Ref, Subdisk, Task, TaskState, TaskType
from engine.tasks import steps, zeroing
from engine.units import MIB
from tests.engine.task_lab import (
    DEADLINE_S,
    DISK_SIZE,
    GROUP,
    HOST,
    SHAPES,
    VOLUME,
    Lab,
    Shape,
    await_state,
    client,
    disk_ref,
    fill,
    make_plex,
    make_task,
    make_volume,
    persisted,
)


@pytest.fixture
def lab() -> Iterator[Lab]:
    lab = Lab()
    for device in lab.raw.values():
        device.write(0, b"\xaa" * DISK_SIZE)
        device.flush()
    yield lab
    lab.close()


def creation(shape: Shape) -> tuple[list[AnyRecord], Task]:
    plexes = make_plex(VOLUME, "v-01", shape, 0, PlexState.EMPTY) + make_plex(VOLUME, "v-02", shape, 3, PlexState.EMPTY)
    task = make_task(
        TaskType.CREATE_VOLUME,
        volume=VOLUME,
        plexes=tuple(record.ref for record in plexes if isinstance(record, Plex)),
        subdisks=tuple(record.ref for record in plexes if isinstance(record, Subdisk)),
        size=shape.size,
    )
    return [make_volume(0), *plexes, task], task


def zeroed(lab: Lab) -> bool:
    """Whether every subdisk is zero from its first to its last byte."""
    config = lab.config()
    for disk in config.disks_of(GROUP):
        raw = lab.raw[disk.name].bytes  # type: ignore[attr-defined]
        for sd in config.subdisks_on(disk.ref):
            if any(raw[sd.disk_offset : sd.disk_offset + sd.length]):
                return False
    return True


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_create(lab: Lab, shape: Shape) -> None:
    records, task = creation(shape)
    total = sum(record.length for record in records if isinstance(record, Subdisk))
    sizes = []
    lab.load(records)
    lab.on_commit = lambda config: sizes.append((config.volume(VOLUME).size, zeroed(lab)))
    ended = lab.run(task.ref)
    assert (ended.state, ended.result) == (TaskState.COMPLETED, "")
    assert (ended.bytes_done, ended.bytes_total, ended.bytes_copied) == (total, total, 0)
    assert [plex.state for plex in lab.config().plexes_of(VOLUME)] == [PlexState.CLEAN] * 2
    assert all(clean for size, clean in sizes if size)
    lab.check(VOLUME, bytes(shape.size))


@pytest.mark.parametrize("verb", ["zero", "flush"])
@pytest.mark.parametrize("nth", [1, 2])
def test_create_ends_early(lab: Lab, verb: str, nth: int) -> None:
    """An abort at any operation leaves no volume behind, and the free space is whole again."""
    records, task = creation(SHAPES[1])
    free = [lab.config().disk(disk_ref(name)).free for name in lab.raw]
    lab.load(records)
    left = [nth]

    def hook(name: str, seen: str, offset: int, length: int) -> None:
        left[0] -= seen == verb
        if left[0] == 0:
            lab.runner.abort(task.ref)

    lab.hook = hook
    ended = lab.run(task.ref)
    if ended.state is TaskState.ABORTED:
        assert ended.result == "Aborted. The volume was removed again."
        assert VOLUME not in lab.config()
        assert [lab.config().disk(disk_ref(name)).free for name in lab.raw] == free
    else:
        lab.check(VOLUME, bytes(SHAPES[1].size))


def test_nothing_is_zeroed_twice(lab: Lab, seed: int) -> None:
    """A record of a task that was done already, found again, never touches the bytes of a volume in use."""
    records, task = creation(SHAPES[0])
    lab.load(records)
    lab.run(task.ref)
    model = bytearray(Random(seed).randbytes(SHAPES[0].size))
    lab.volume(VOLUME).write(0, bytes(model))
    lab.load([replace(lab.config().task(task.ref), state=TaskState.QUEUED, checkpoint=0)])
    assert lab.run(task.ref).state is TaskState.COMPLETED
    lab.check(VOLUME, bytes(model))


def test_create_goes_on_after_a_close(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zeroing, "ZERO_BYTES", MIB)
    assert steps.ZERO_BYTES > MIB
    shape = Shape("long", 12 * MIB, pieces=(12,))
    records, task = creation(shape)
    first = Lab()
    for device in first.raw.values():
        device.write(0, b"\xaa" * DISK_SIZE)
    first.load(records)
    asked = threading.Event()
    zeros = count(1)  # its steps are atomic, as two workers ask for them

    def hook(name: str, verb: str, offset: int, length: int) -> None:
        number = next(zeros) if verb == "zero" else 0
        if number == 5:
            first.runner.pause(task.ref)
            asked.set()
        elif number > 5:
            assert asked.wait(DEADLINE_S)

    first.hook = hook
    first.runner.start(task.ref)
    await_state(first, task.ref, TaskState.PAUSED)
    first.close()
    paused = first.config().task(task.ref)
    assert paused.state is TaskState.PAUSED
    assert 4 * MIB <= paused.checkpoint <= 7 * MIB
    second = Lab(devices=first.raw)
    try:
        second.load(
            [replace(r, checkpoint=paused.checkpoint) if isinstance(r, Task) else r for r in persisted(first.config())]
        )
        assert second.run(task.ref).state is TaskState.COMPLETED
        second.check(VOLUME, bytes(shape.size))
    finally:
        second.close()


def growth(lab: Lab, shape: Shape, size: int, extra: int, seed: int, *, near: bool) -> tuple[bytearray, Task]:
    """A filled volume of this shape, and the task that appends `extra` bytes to each column of its two plexes."""
    lab.load([
        make_volume(shape.size),
        *make_plex(VOLUME, "v-01", shape, 0, PlexState.ACTIVE),
        *make_plex(VOLUME, "v-02", shape, 3, PlexState.ACTIVE),
    ])  # fmt: skip
    model = fill(lab, shape.size, seed)
    new: list[Subdisk] = []
    for plex in lab.config().plexes_of(VOLUME):
        for column in range(plex.columns):
            last = [sd for sd in lab.config().subdisks_of(plex.ref) if sd.column == column][-1]
            end = last.disk_offset + last.length
            name = f"{plex.name}-new-{column}"
            new.append(
                replace(last, ref=Ref(Kind.SUBDISK, name, HOST), name=name, length=extra,
                        plex_offset=last.plex_offset + last.length, disk_offset=end if near else end + 2 * MIB)
            )  # fmt: skip
    task = make_task(TaskType.GROW_VOLUME, volume=VOLUME, subdisks=tuple(sd.ref for sd in new), size=size)
    lab.load([*new, task])
    return model, task


@pytest.mark.parametrize("near", [True, False])
@pytest.mark.parametrize("shape", [SHAPES[1], SHAPES[2], SHAPES[3], SHAPES[5]], ids=lambda shape: shape.name)
def test_grow_beside_a_client(lab: Lab, shape: Shape, near: bool, seed: int) -> None:
    if shape.size % (MIB * shape.columns):
        shape = Shape(shape.name, sum(shape.pieces) * shape.columns * MIB, shape.columns, shape.unit, shape.pieces)
    size = shape.size + 2 * MIB * shape.columns
    model, task = growth(lab, shape, size, 2 * MIB, seed, near=near)
    before = len(lab.config().all(Kind.SUBDISK, Subdisk))
    with client(lab, model, seed):
        ended = lab.run(task.ref)
    assert ended.state is TaskState.COMPLETED
    assert ended.bytes_done == 4 * MIB * shape.columns
    assert before - len(lab.config().all(Kind.SUBDISK, Subdisk)) == (2 * shape.columns if near else 0)
    lab.check(VOLUME, bytes(model) + bytes(size - len(model)))


def test_grow_ends_early(lab: Lab, seed: int) -> None:
    shape = SHAPES[1]
    model, task = growth(lab, shape, shape.size + 2 * MIB, 2 * MIB, seed, near=True)
    lab.hook = lambda name, verb, offset, length: lab.runner.abort(task.ref) if verb == "zero" else None
    ended = lab.run(task.ref)
    assert (ended.state, ended.result) == (TaskState.ABORTED, "Aborted. The volume kept its size.")
    assert all(ref not in lab.config() for ref in task.params.subdisks)
    lab.check(VOLUME, bytes(model))


def test_grow_in_a_chain_of_neighbours(lab: Lab, seed: int) -> None:
    """Several new subdisks behind each other become one with the old one."""
    shape = Shape("c", 2 * MIB, pieces=(2,))
    lab.load([make_volume(shape.size), *make_plex(VOLUME, "v-01", shape, 0, PlexState.ACTIVE)])
    model = fill(lab, shape.size, seed)
    old = lab.config().all(Kind.SUBDISK, Subdisk)[0]
    new = [
        replace(old, ref=Ref(Kind.SUBDISK, f"n{at}", HOST), name=f"n{at}", length=MIB, plex_offset=at * MIB,
                disk_offset=at * MIB)
        for at in (3, 2)
    ]  # fmt: skip
    task = make_task(TaskType.GROW_VOLUME, volume=VOLUME, subdisks=tuple(sd.ref for sd in new), size=4 * MIB)
    lab.load([*new, task])
    assert lab.run(task.ref).state is TaskState.COMPLETED
    assert [sd.length for sd in lab.config().all(Kind.SUBDISK, Subdisk)] == [4 * MIB]
    lab.check(VOLUME, bytes(model) + bytes(2 * MIB))


def verifiable(lab: Lab, seed: int) -> tuple[bytearray, Task]:
    shape = SHAPES[3]
    lab.load([
        make_volume(shape.size),
        *make_plex(VOLUME, "v-01", shape, 0, PlexState.ACTIVE),
        *make_plex(VOLUME, "v-02", Shape("c", shape.size, pieces=(6,)), 3, PlexState.ACTIVE),
    ])  # fmt: skip
    model = fill(lab, shape.size, seed)
    task = make_task(TaskType.VERIFY, volume=VOLUME)
    lab.load([task])
    return model, task


def test_verify_equal_plexes_in_use(lab: Lab, seed: int) -> None:
    model, task = verifiable(lab, seed)
    with client(lab, model, seed):
        ended = lab.run(task.ref)
    assert (ended.state, ended.result) == (TaskState.COMPLETED, "All 2 mirrors of v are equal.")
    assert (ended.bytes_done, ended.bytes_copied) == (ended.bytes_total, 0)
    lab.check(VOLUME, bytes(model))


def test_verify_finds_a_flipped_bit(lab: Lab, seed: int) -> None:
    _, task = verifiable(lab, seed)
    random = Random(seed)
    places = sorted(random.sample(range(6 * MIB), 2))
    for place in places:
        lab.raw["d3"].bytes[place] ^= 1 << random.randrange(8)  # type: ignore[attr-defined]
    ended = lab.run(task.ref)
    assert ended.state is TaskState.FAILED
    assert f"({places[0] // 4096 * 4096} bytes)" in ended.result
    assert f"{len({place // 4096 for place in places})} places" in ended.result
