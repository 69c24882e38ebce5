"""A small host for tasks: a real configuration, real data paths, devices in memory that can fail, hook and crash."""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from queue import SimpleQueue
from random import Random

import msgspec
from msgspec.structs import replace

from engine.config import Config, Edit
from engine.dataplane.fault import Fault, FaultKind
from engine.dataplane.flusher import Flusher
from engine.dataplane.fold import Piece, fold
from engine.dataplane.fold import PlexLayout as Layout
from engine.dataplane.pool import Pool
from engine.dataplane.pulse import Pulse
from engine.dataplane.table import Table
from engine.dataplane.volume_io import VolumeIo
from engine.devices.base import BaseDevice, BlockDevice, Data, check_range
from engine.devices.wrapper import Wrapper
from engine.errors import DeviceError, GroupFrozen
from engine.records import (
    HOST_FIELDS,
    AnyRecord,
    Disk,
    Group,
    Kind,
    Plex,
    PlexLayout,
    PlexState,
    Ref,
    Subdisk,
    Task,
    TaskParams,
    TaskState,
    TaskType,
    Volume,
)
from engine.runtime import ThreadRuntime
from engine.states import COMPLETE
from engine.tasks.runner import TaskRunner
from engine.units import KIB, MIB

HOST = "lab"
DISK_SIZE = 24 * MIB
GROUP = Ref(Kind.GROUP, "g", HOST)
DEADLINE_S = 60.0
POISON = 0xDB


class CacheDevice(BaseDevice):
    """Memory behind a volatile cache: a crash keeps any subset of what was written since the last flush."""

    def __init__(self, name: str, size: int) -> None:
        super().__init__(name, size)
        self.losses = 0
        self.bytes = bytearray(size)
        self._stable = bytearray(size)
        self._pending: list[tuple[int, bytes]] = []
        self._lock = threading.Lock()

    def read_into(self, offset: int, into: memoryview) -> None:
        check_range(self.name, self.size, offset, len(into))
        into[:] = self.bytes[offset : offset + len(into)]

    def try_read(self, offset: int, into: memoryview) -> bool:
        self.read_into(offset, into)
        return True

    def write(self, offset: int, data: Data, *, durable: bool = False) -> None:
        check_range(self.name, self.size, offset, len(data))
        with self._lock:
            self.bytes[offset : offset + len(data)] = data
            self._pending.append((offset, bytes(data)))

    def zero(self, offset: int, length: int, *, may_unmap: bool) -> None:
        self.write(offset, bytes(length))

    def discard(self, offset: int, length: int) -> None:
        self.write(offset, bytes(length))

    def flush(self) -> None:
        with self._lock:
            self._keep(self._pending)
            self._pending = []

    def after_crash(self, random: Random) -> bytearray:
        """What is there when the power goes now: unflushed writes survive by chance."""
        with self._lock:
            left = bytearray(self._stable)
            for offset, data in self._pending:
                if random.random() < 0.3:
                    left[offset : offset + len(data)] = data
            return left

    def _keep(self, writes: list[tuple[int, bytes]]) -> None:
        for offset, data in writes:
            self._stable[offset : offset + len(data)] = data


class HookedDevice(Wrapper):
    """Calls the lab ahead of each operation; the lab's hook may raise, wait, or just look."""

    def __init__(self, below: BlockDevice, lab: Lab) -> None:
        super().__init__(below)
        self._lab = lab

    @property
    def losses(self) -> int:  # type: ignore[override]
        return self.below.losses

    def _before(self, verb: str, offset: int, length: int) -> None:
        self._lab.hook(self.name, verb, offset, length)


class Lab:
    """The `TaskHost` of the tests. Freed space is poisoned at once: whoever still uses it is found."""

    def __init__(self, disks: int = 6, devices: dict[str, BlockDevice] | None = None) -> None:
        self.runtime = ThreadRuntime(1)
        self.pulse = Pulse()
        self.raw = devices or {f"d{n}": CacheDevice(f"d{n}", DISK_SIZE) for n in range(disks)}
        self.devices = {name: HookedDevice(device, self) for name, device in self.raw.items()}
        self.hook: Callable[[str, str, int, int], None] = lambda *_: None
        self.on_commit: Callable[[Config], None] = lambda _: None
        self.frozen = False
        self.faults: list[tuple[Ref | None, bool]] = []
        self.reports: list[tuple[int, int, float, float]] = []
        self._config = Config.of(
            [Group(ref=GROUP, name="dg")]
            + [
                Disk(ref=disk_ref(name), name=name, size=DISK_SIZE, group=GROUP, present=True, lun=f"/luns/{name}",
                     public_offset=0, public_length=DISK_SIZE)
                for name in self.raw
            ]
        )  # fmt: skip
        self._control = threading.RLock()
        self._volumes: dict[Ref, VolumeIo] = {}
        self._questions: SimpleQueue[Fault | None] = SimpleQueue()
        self._pool = Pool(self.runtime, 2)
        self._flusher = Flusher(self.runtime)
        self._thread = threading.Thread(target=self._decide, name="lab control")
        self._thread.start()
        self.runner = TaskRunner(self)

    # TaskHost

    def config(self) -> Config:
        return self._config

    def commit(self, change: Callable[[Edit], None]) -> None:
        with self._control:
            edit = Edit(self._config)
            change(edit)
            if self.frozen:
                raise GroupFrozen("No configuration copy can be written.")
            before, (self._config, touched) = self._config, edit.result()
            self._swap()
            self._poison(before, touched)
            self.on_commit(self._config)

    def volume(self, ref: Ref) -> VolumeIo:
        return self._volumes[ref]

    def device(self, disk: Ref) -> BlockDevice:
        record = self._config.disk(disk)
        if not record.present:
            raise DeviceError(errno.ENODEV, record.name, "Opening")
        return self.devices[record.name]

    def mend(self, volume: Ref, disk: Ref, offset: int, length: int, number: int) -> bool:
        return False

    def fault(self, disk: Ref | None, error: DeviceError, *, writing: bool) -> None:
        """Remembers it, and commits as an engine does: which waits until nobody is inside of the gate."""
        self.faults.append((disk, writing))
        if disk is not None:
            self.commit(lambda edit: edit.put(replace(edit.config.disk(disk), failing=True)))

    def progress(self, task: Ref, done: int, copied: int, eta_low_s: float, eta_high_s: float) -> None:
        self.reports.append((done, copied, eta_low_s, eta_high_s))

    def asked_at(self) -> float:
        return self.pulse.asked_at

    def wall(self) -> float:
        return 1_800_000_000.0

    # What tests do

    def load(self, records: list[AnyRecord]) -> None:
        self.commit(lambda edit: [edit.put(record) for record in records] and None)

    def run(self, ref: Ref) -> Task:
        """Start a task, await its end, answer its record."""
        self.runner.start(ref)
        assert self.runner.wait(ref, DEADLINE_S)
        return self._config.task(ref)

    def close(self) -> None:
        self.hook = lambda *_: None
        self.frozen = False
        self.runner.close()
        for volume in self._volumes.values():
            volume.close()
        self._questions.put(None)
        self._thread.join()
        self._pool.close()
        self._flusher.close()

    def plex_bytes(self, plex: Ref, size: int) -> bytes:
        """What a plex holds, gathered from the LUNs one stripe unit at a time, by nothing of the product's code."""
        record = self._config.plex(plex)
        columns = [bytearray() for _ in range(record.columns)]
        for sd in self._config.subdisks_of(plex):
            if sd.replaces is None:
                assert len(columns[sd.column]) == sd.plex_offset
                raw = self.raw[self._config.disk(sd.disk).name].bytes  # type: ignore[attr-defined]
                columns[sd.column] += raw[sd.disk_offset : sd.disk_offset + sd.length]
        if record.columns == 1:
            return bytes(columns[0][:size])
        unit, out = record.stripe_unit, bytearray()
        for row in range(-(-size // (unit * record.columns))):
            for column in columns:
                out += column[row * unit : (row + 1) * unit]
        return bytes(out[:size])

    def check(self, volume: Ref, model: bytes) -> None:
        """The volume reads as `model`, and so does each complete plex on its LUNs."""
        record = self._config.volume(volume)
        assert record.size == len(model)
        assert bytes(self._volumes[volume].read(0, record.size)) == model
        for plex in self._config.plexes_of(volume):
            if plex.state in COMPLETE and record.source in (None, plex.ref):
                assert self.plex_bytes(plex.ref, record.size) == model, plex.name
        for disk in self._config.all(Kind.DISK, Disk):
            taken = self._config.subdisks_on(disk.ref)
            for one, other in pairwise(taken):
                assert one.disk_offset + one.length <= other.disk_offset

    def _swap(self) -> None:
        for ref in [ref for ref in self._volumes if ref not in self._config]:
            self._volumes.pop(ref).close()
        for volume in self._config.all(Kind.VOLUME, Volume):
            table = self._table(volume)
            if volume.ref in self._volumes:
                self._volumes[volume.ref].swap(table)
            else:
                self._volumes[volume.ref] = VolumeIo(
                    volume.name, table, self._questions.put, self._pool, self._flusher, self.runtime, self.pulse
                )

    def _table(self, volume: Volume) -> Table:
        layouts = []
        for plex in self._config.plexes_of(volume.ref):
            if plex.state in COMPLETE | {PlexState.FILLING}:
                pieces = tuple(
                    Piece(sd.column, sd.plex_offset, sd.length, self.device(sd.disk), sd.disk_offset,
                          readable=sd.replaces is None, key=sd.ref)
                    for sd in self._config.subdisks_of(plex.ref)
                )  # fmt: skip
                readable = plex.state in COMPLETE and volume.source in (None, plex.ref)
                layouts.append(Layout(plex.ref, plex.columns, plex.stripe_unit, pieces, readable))
        return fold(layouts, volume.size)

    def _poison(self, before: Config, touched: frozenset[Ref]) -> None:
        for ref in sorted(touched):
            old = before.get(ref)
            if isinstance(old, Subdisk):
                for gap in self._config.free(old.disk):
                    start, end = max(gap.start, old.disk_offset), min(gap.end, old.disk_offset + old.length)
                    if start < end:
                        self.raw[self._config.disk(old.disk).name].write(start, bytes([POISON]) * (end - start))

    def _decide(self) -> None:
        """The control thread: a leg that failed a client's write leaves the volume before that write is answered."""
        while (fault := self._questions.get()) is not None:
            if fault.kind is FaultKind.NO_SPACE:
                continue
            self.commit(lambda edit, fault=fault: self._detach(edit, fault))  # type: ignore[misc]

    def _detach(self, edit: Edit, fault: Fault) -> None:
        """The copy that fills a plex may have met the same failure, and have ended, before this word of it came."""
        if fault.piece is not None and fault.piece in edit.config:
            edit.drop(fault.piece)
        elif fault.piece is None and fault.plex in edit.config:
            plex = edit.config.plex(fault.plex)
            if plex.state in COMPLETE | {PlexState.FILLING}:
                edit.put(replace(plex, state=PlexState.IOFAIL))


def await_state(lab: Lab, ref: Ref, state: TaskState) -> Task:
    """Wait for commits until the task is in this state and its run is over."""
    seen = threading.Event()

    def look(config: Config) -> None:
        if config.task(ref).state is state:
            seen.set()

    lab.on_commit = look
    look(lab.config())
    assert seen.wait(DEADLINE_S), lab.config().task(ref)
    return lab.config().task(ref)


def disk_ref(name: str) -> Ref:
    return Ref(Kind.DISK, name, HOST)


def persisted(config: Config) -> list[AnyRecord]:
    """What a private region would keep: host fields at their defaults, checkpoints reset as after an unclean stop."""
    kept: list[AnyRecord] = []
    for record in config:
        if isinstance(record, Task):
            if record.state in (TaskState.COMPLETED, TaskState.FAILED, TaskState.ABORTED):
                continue
            defaults = {f.name: f.default for f in msgspec.structs.fields(Task) if f.name in HOST_FIELDS[Kind.TASK]}
            record = replace(record, **defaults)
        kept.append(record)
    return kept


class Shape(msgspec.Struct, frozen=True):
    """A layout of the matrix: `columns` columns of `pieces` subdisks each; `size` need not fill them."""

    name: str
    size: int
    columns: int = 1
    unit: int = 0
    pieces: tuple[int, ...] = ()  # lengths, MiB; one column's worth


SHAPES = (
    Shape("concat", 3 * MIB + 512, pieces=(4,)),
    Shape("concat-many", 5 * MIB, pieces=(1, 3, 1)),
    Shape("stripe", 4 * MIB, 2, 64 * KIB, (2,)),
    Shape("stripe-many", 6 * MIB, 2, 4 * KIB * 16, (1, 2)),
    Shape("stripe3-slack", 4 * MIB, 3, 64 * KIB, (1, 1)),
    Shape("stripe-wide", 5 * MIB, 2, MIB, (2, 1)),
)


def make_plex(
    volume: Ref, name: str, shape: Shape, first_disk: int, state: PlexState, shift: int = 0
) -> list[AnyRecord]:
    """A plex and its subdisks, each column on a disk of its own, with a free MiB between subdisks."""
    layout = PlexLayout.STRIPE if shape.columns > 1 else PlexLayout.CONCAT
    ref = Ref(Kind.PLEX, name, HOST)
    records: list[AnyRecord] = [
        Plex(ref=ref, name=name, volume=volume, layout=layout, columns=shape.columns, stripe_unit=shape.unit,
             state=state)
    ]  # fmt: skip
    for column in range(shape.columns):
        disk, at, plex_offset = f"d{first_disk + column}", shift * MIB, 0
        for number, length in enumerate(shape.pieces):
            sd = f"{name}-{column}-{number}"
            records.append(
                Subdisk(ref=Ref(Kind.SUBDISK, sd, HOST), name=sd, plex=ref, disk=disk_ref(disk), disk_offset=at,
                        plex_offset=plex_offset, length=length * MIB, column=column)
            )  # fmt: skip
            at += (length + 1) * MIB
            plex_offset += length * MIB
    return records


def make_task(kind: TaskType, number: int = 7, **params: object) -> Task:
    return Task(
        ref=Ref(Kind.TASK, str(number), HOST), name=f"{kind} v", type=kind, group=GROUP,
        params=TaskParams(**params),  # type: ignore[arg-type]
    )  # fmt: skip


VOLUME = Ref(Kind.VOLUME, "v", HOST)


def make_volume(size: int, **fields: object) -> Volume:
    return Volume(ref=VOLUME, name="v", group=GROUP, size=size, **fields)  # type: ignore[arg-type]


class Client(threading.Thread):
    """Writes, zeroes and flushes at random, remembering in `model` what the volume must hold."""

    def __init__(self, io: VolumeIo, model: bytearray, seed: int) -> None:
        super().__init__(name="client")
        self.io, self.model, self.random = io, model, Random(seed)
        self.writes = 0
        self.failure: Exception | None = None
        self.may_fail = False
        self._stop_it = threading.Event()
        self._some = threading.Event()

    def run(self) -> None:
        try:
            while not self._stop_it.is_set():
                self._act()
                self.writes += 1
                self._some.set()
        except Exception as error:
            self.failure = error
            self._some.set()

    def await_writes(self) -> None:
        assert self._some.wait(DEADLINE_S)

    def stop(self) -> None:
        self._stop_it.set()
        self.join()
        assert self.may_fail or self.failure is None, self.failure

    def _act(self) -> None:
        length = self.random.choice((512, 4096, 100_000, 300_000))
        offset = self.random.randrange(max((len(self.model) - length) // 512, 1)) * 512
        length = min(length, len(self.model) - offset)
        if self.random.random() < 0.15:
            self.io.zero(offset, length)
            self.model[offset : offset + length] = bytes(length)
        else:
            data = self.random.randbytes(length)
            self.io.write(offset, data)
            self.model[offset : offset + length] = data
        if self.random.random() < 0.02:
            self.io.flush()


@contextmanager
def client(lab: Lab, model: bytearray, seed: int) -> Iterator[Client]:
    """A client at work; its first write has been done when this begins."""
    worker = Client(lab.volume(VOLUME), model, seed)
    worker.start()
    worker.await_writes()
    try:
        yield worker
    finally:
        worker.stop()


def fill(lab: Lab, size: int, seed: int) -> bytearray:
    """Write the whole volume and flush it; answers what it holds."""
    data = Random(seed).randbytes(size)
    lab.volume(VOLUME).write(0, data)
    lab.volume(VOLUME).flush()
    for device in lab.raw.values():
        device.flush()
    return bytearray(data)
