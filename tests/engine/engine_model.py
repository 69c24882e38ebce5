"""A whole engine beside flat byte arrays: what is done to one must show on the other, whatever tasks run meanwhile.

One seed makes one run: every choice comes from it, and tasks go on only by steps that the model grants. Where threads
race (crowds of clients, tasks that run by themselves) the outcome is the same in every order, or is checked against all
that are possible.
"""

from __future__ import annotations

import errno
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from engine import engine as engine_module
from engine.commands import CreateVolume
from engine.dataplane.call import Call
from engine.dataplane.request import Op, Request
from engine.records import Kind, PlexLayout, Ref, Subdisk, Task, TaskState
from engine.states import COMPLETE
from engine.units import KIB, MIB
from tests.engine.engine_lab import EngineLab
from tests.engine.model_ground import Ground
from tests.engine.model_stepper import DEADLINE_S, Stepper

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from random import Random

    import pytest

    from engine.commands import Command
    from engine.dataplane.table import Table
    from engine.records import Volume

LUN = 40 * MIB
UNTOUCHED_EVERY = 25
"""The whole of all LUNs is compared at every so many checks."""


class Layout(NamedTuple):
    """What a volume begins as. `cuts`: its subdisks are split so many times."""

    mirrors: int = 1
    columns: int = 1
    cuts: int = 0
    parity: bool = False  # RAID-5


class Client:
    """One thread's way to one volume."""

    def __init__(self, lab: EngineLab, volume: Ref, name: str = "model") -> None:
        self._io = lab.engine.committer.ios[volume]
        self._runtime = lab.engine.runtime
        self._slot = self._io.slot(name)

    @property
    def table(self) -> Table:
        return self._io.table

    def run(self, *requests: Request) -> list[int]:
        """Hand requests in as one batch; the errno of each."""
        sink = _Sinks({id(request): Call(self._runtime) for request in requests})
        self._io.execute(list(requests), self._slot, sink)
        return [sink.calls[id(request)].wait(DEADLINE_S) for request in requests]

    def close(self) -> None:
        self._io.retire(self._slot)


class _Sinks:
    def __init__(self, calls: dict[int, Call]) -> None:
        self.calls = calls

    def finish(self, request: Request, error: int) -> None:
        self.calls[id(request)].finish(request, error)


class EngineModel:
    """An engine on its lab, and for each volume the bytes that it must hold."""

    def __init__(self, folder: Path, random: Random, layout: Layout, stepper: Stepper) -> None:
        self.random = random
        self.layout = layout
        self.stepper = stepper
        self.log: deque[str] = deque(maxlen=400)
        self.done: dict[str, int] = {}
        self.bytes: dict[str, bytearray] = {}
        self.tasks: dict[Ref, frozenset[str]] = {}  # live ones, and the volumes that each works on
        self.undo = ""
        self._clients: dict[str, Client] = {}
        self._checks = 0
        self.lab = EngineLab(folder, lun_size=LUN).start()
        self.lab.make_group(6)
        self.ground = Ground(self.lab.config, self.lab.group().ref, random)
        self.lab.engine.attach(self.ground.hear)
        self._make_first_volume()
        stepper.hold = True

    def _make_first_volume(self) -> None:
        unit = self.random.choice((4 * KIB, 64 * KIB, 256 * KIB))
        kind = "raid5" if self.layout.parity else "striped"
        striped = {kind: True, "columns": self.layout.columns, "stripe_unit": unit}
        command = CreateVolume(
            group=self.lab.group().ref,
            name="v",
            size=self.random.randrange(3, 6) * MIB,
            mirrors=self.layout.mirrors,
            **(striped if self.layout.columns > 1 else {}),  # type: ignore[arg-type]
        )
        self.lab.do(command)
        self.bytes["v"] = bytearray(self.volume("v").size)

    # --- looking ---
    def volume(self, name: str) -> Volume:
        return self.lab.volume(name)

    def busy(self, name: str) -> Ref | None:
        """The live task of a volume."""
        return next((task for task, names in self.tasks.items() if name in names), None)

    def count(self, what: str) -> None:
        self.done[what] = self.done.get(what, 0) + 1

    # --- requests ---
    def client(self, name: str) -> Client:
        if name not in self._clients:
            self._clients[name] = Client(self.lab, self.volume(name).ref)
        return self._clients[name]

    def forget_clients(self) -> None:
        for client in self._clients.values():
            client.close()
        self._clients.clear()

    def forget_client(self, name: str) -> None:
        if name in self._clients:
            self._clients.pop(name).close()

    def random_range(self, name: str) -> tuple[int, int]:
        """Sizes of all magnitudes, aligned and not, often across the edge of a subdisk or of a region."""
        random, size = self.random, len(self.bytes[name])
        length = random.choice((1, 512, 4096, 4096, 65536, 200_000, MIB + 5))
        length = random.randrange(1, length + 1) if random.random() < 0.6 else length
        edge = random.choice([*self.client(name).table.starts, MIB, 2 * MIB, size])
        offset = edge - random.randrange(length + 1) if random.random() < 0.4 else random.randrange(size)
        return max(0, min(offset, size - length)), length

    def random_request(self, name: str) -> Request:
        """Mostly writes; a write's or zero's effect is noted in the model at once."""
        offset, length = self.random_range(name)
        kind = self.random.choices((Op.WRITE, Op.ZERO, Op.DISCARD), (8, 1, 1))[0]
        durable = self.random.random() < 0.03
        if kind is Op.WRITE:
            data = self.random.randbytes(length)
            self.bytes[name][offset : offset + length] = data
            return Request(kind, offset, length, memoryview(data), durable=durable)
        self.zeroed(name, kind, offset, length)
        return Request(kind, offset, length, durable=durable, may_unmap=self.random.random() < 0.5)

    def zeroed(self, name: str, kind: Op, offset: int, length: int) -> None:
        """What a ZERO or DISCARD makes of the bytes. RAID-5 gives whole rows back, and leaves all else as it is."""
        (plex, *_) = self.lab.config.plexes_of(self.volume(name).ref)
        end = offset + length
        if kind is Op.DISCARD and plex.layout is PlexLayout.RAID5:
            row = (plex.columns - 1) * plex.stripe_unit
            offset, end = -(-offset // row) * row, end // row * row
        if offset < end:
            self.bytes[name][offset:end] = bytes(end - offset)

    def do_read(self, name: str) -> None:
        offset, length = self.random_range(name)
        buffer = bytearray(length)
        assert self.client(name).run(Request(Op.READ, offset, length, memoryview(buffer))) == [0]
        assert buffer == self.bytes[name][offset : offset + length], f"{name} read wrong at {offset}+{length}"

    def do_change(self, name: str) -> None:
        request = self.random_request(name)
        self.log.append(f"{request.op.name.lower()} {name} {request.offset}+{request.length}")
        assert self.client(name).run(request) == [0]

    def do_batch(self, name: str) -> None:
        """Changes one after the other, then reads that are handed in at once."""
        client = self.client(name)
        for _ in range(self.random.randrange(2, 6)):
            self.do_change(name)
        ranges = [self.random_range(name) for _ in range(self.random.randrange(2, 8))]
        reads = [Request(Op.READ, at, length, memoryview(bytearray(length))) for at, length in ranges]
        assert not any(client.run(*reads, *([Request(Op.FLUSH)] if self.random.random() < 0.2 else [])))
        for read in reads:
            assert read.buffer is not None
            assert bytes(read.buffer) == self.bytes[name][read.offset : read.offset + read.length], f"{name}: a batch"

    def do_flush(self, name: str) -> None:
        assert self.client(name).run(Request(Op.FLUSH)) == [0]

    def do_beyond(self, name: str) -> None:
        """A request that reaches over the end is refused as a whole."""
        offset = len(self.bytes[name]) - self.random.randrange(0, 4096)
        length = len(self.bytes[name]) - offset + self.random.randrange(1, 4096)
        data = memoryview(bytearray(self.random.randbytes(length)))
        request = self.random.choice((Request(Op.WRITE, offset, length, data), Request(Op.DISCARD, offset, length)))
        assert self.client(name).run(request) == [errno.EINVAL]

    # --- commands ---
    def command(self, command: Command, names: frozenset[str]) -> Ref | None:
        """Carry a command out when its plan allows it; the task that it has started, at rest, or None."""
        plan = self.lab.engine.plan(command)
        self.log.append(f"{type(command).__name__} on {','.join(sorted(names))}: {plan.title}")
        if plan.problems:
            self.log.append(f"  refused: {plan.problems[0].text}")
            self.count(f"{type(command).__name__} refused")
            return None
        self.count(type(command).__name__)
        task = self.lab.engine.submit(command)
        if plan.task is None:
            return None
        self.tasks[task] = names
        self.stepper.rest(task)
        return task

    def done_at_once(self, command: Command, names: frozenset[str]) -> bool:
        """The same for a command that needs no task. Whether it was carried out."""
        before = self.done.get(type(command).__name__, 0)
        assert self.command(command, names) is None
        return self.done.get(type(command).__name__, 0) > before

    def ended(self, task: Ref, state: TaskState) -> None:
        """Wait for a task's end, believe what it has promised, and hold everything against the LUNs."""
        assert self.lab.engine.wait(task, DEADLINE_S), f"task {task.id} never ended"
        self.stepper.rest(task)
        record = self.lab.config.task(task)
        names = self.tasks.pop(task)
        self.log.append(f"  task {record.name}: {record.state} {record.result}")
        self.count(f"{record.type}, {record.state}")
        assert record.state is state, f"{record.name} is {record.state}: {record.result}"
        if state is TaskState.COMPLETED:
            self._believe(record, names)
        self.check(names)

    def _believe(self, task: Task, names: frozenset[str]) -> None:
        self.undo = task.undo or self.undo
        if task.params.size:
            (name,) = names
            expected = self.bytes[name]
            expected.extend(bytes(task.params.size - len(expected)))

    def restart(self) -> None:
        """An orderly stop and start: configuration, tasks and bytes are there again."""
        self.count("restart")
        self.log.append("restart")
        self.forget_clients()
        before = self._layout_of_subdisks()
        self.lab.restart()
        self.lab.engine.attach(self.ground.hear)
        assert self._layout_of_subdisks() == before, "a restart changed the subdisks"
        for task in self.tasks:
            record = self.lab.config.task(task)
            assert not record.ended, f"{record.name} ended by a restart: {record.result}"
            if not record.paused:
                self.stepper.rest(task)

    def _layout_of_subdisks(self) -> list[tuple[Ref, Ref, int, int]]:
        subdisks = self.lab.config.all(Kind.SUBDISK, Subdisk)
        return sorted((sd.ref, sd.disk, sd.disk_offset, sd.length) for sd in subdisks)

    # --- checks ---
    def check(self, names: frozenset[str] | None = None) -> None:
        """Volumes, their complete plexes on the LUN files, and the accounts of space."""
        config = self.lab.config
        assert self.stepper.violations == []
        assert {volume.name for volume in config.volumes_of(self.lab.group().ref)} == set(self.bytes)
        for name in sorted(self.bytes if names is None else names):
            self._check_volume(name)
        self.ground.check_space(config)
        self._checks += 1
        if self._checks % UNTOUCHED_EVERY == 0:
            self.check_untouched()

    def check_untouched(self) -> None:
        """Once what was freed has been given back to the host."""
        assert self.lab.engine.committer.freed.settle(DEADLINE_S)
        self.ground.check_untouched(self.lab.config)

    def _check_volume(self, name: str) -> None:
        config, volume, expected = self.lab.config, self.volume(name), self.bytes[name]
        assert volume.size == len(expected), f"{name} has {volume.size} bytes, not {len(expected)}"
        buffer = bytearray(volume.size)
        assert self.client(name).run(Request(Op.READ, 0, volume.size, memoryview(buffer))) == [0]
        assert buffer == expected, f"{name} differs from the model{_where(buffer, expected)}"
        for plex in config.plexes_of(volume.ref):
            if plex.state in COMPLETE and volume.source in (None, plex.ref):
                found = self.ground.plex_bytes(config, plex, volume.size)
                assert found == expected, f"{plex.name} differs on its LUNs{_where(found, expected)}"
        task = self.busy(name)
        type_ = config.task(task).type if task else None
        moving = type_ in ("Move Subdisk", "Evacuate Disk")
        self.ground.check_shape(config, volume.ref, moving=moving, growing=type_ == "Expand Volume")

    def close(self) -> None:
        self.forget_clients()
        if self.lab.opened is not None:
            self.lab.stop()


def _where(found: bytes | bytearray, expected: bytearray) -> str:
    """For a message: the first byte that differs, and how many do."""
    differ = [at for at, (one, other) in enumerate(zip(found, expected, strict=True)) if one != other]
    return f" in {len(differ)} bytes from {differ[0]} to {differ[-1]}"


@contextmanager
def engine_model(
    folder: Path, random: Random, layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> Iterator[EngineModel]:
    """A model in an empty folder. New objects get their ids from the seed, so that the order of ties is the seed's."""

    def seeded(kind: Kind, host: str, token: object) -> Ref:
        return Ref(kind, f"{ids.getrandbits(128):032x}", host)

    ids = type(random)(random.getrandbits(64))
    monkeypatch.setattr(engine_module, "new_ref", seeded)
    stepper = Stepper()
    stepper.install(monkeypatch)
    model = EngineModel(folder, random, layout, stepper)
    try:
        yield model
    finally:
        model.close()
