"""A random volume of real layers beside a flat byte array: whatever is done to one must show on the other."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import TYPE_CHECKING

from engine.dataplane.call import Call
from engine.dataplane.flusher import Flusher
from engine.dataplane.fold import Piece, PlexLayout, fold
from engine.dataplane.pool import Pool
from engine.dataplane.request import Op, Request
from engine.dataplane.stripes import column_offset, volume_offset
from engine.dataplane.volume_io import VolumeIo
from engine.devices.concat import Concat
from engine.devices.memory import MemoryDevice
from engine.devices.mirror import Mirror
from engine.devices.slice import Slice
from engine.devices.stripe import Stripe
from engine.devices.wrapper import Wrapper
from engine.runtime import ThreadRuntime
from engine.tasks.copying import Copier
from engine.units import KIB, MIB

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

    from engine.dataplane.fault import Fault
    from engine.dataplane.table import Table
    from engine.devices.base import BlockDevice

DEVICE_SIZE = 256 * MIB  # sparse memory: what is not written costs nothing


class ColdDevice(Wrapper):
    """Refuses every third read that may not wait, as a cold page cache does."""

    _tries = 0

    def try_read(self, offset: int, into: memoryview) -> bool:
        self._tries += 1
        return self._tries % 3 != 0 and super().try_read(offset, into)


class DataPlane:
    """Threads and devices of one test; `faults` has every fault that was told."""

    def __init__(self, devices: int = 4, workers: int = 3) -> None:
        self.runtime = ThreadRuntime()
        self.pool = Pool(self.runtime, workers)
        self.flusher = Flusher(self.runtime)
        self.faults: list[Fault] = []
        self.memory = [MemoryDevice(f"lun{number}", DEVICE_SIZE) for number in range(devices)]
        self.volumes: list[VolumeIo] = []

    def volume(self, table: Table, name: str = "vol1") -> VolumeIo:
        volume = VolumeIo(name, table, self.faults.append, self.pool, self.flusher, self.runtime)
        self.volumes.append(volume)
        return volume

    def close(self) -> None:
        for volume in self.volumes:
            volume.close()
        self.pool.close()
        self.flusher.close()
        for device in self.memory:
            device.close()


@contextmanager
def data_plane(devices: int = 4) -> Iterator[DataPlane]:
    plane = DataPlane(devices)
    try:
        yield plane
    finally:
        plane.close()


def _refuse(failure: Exception) -> None:
    raise AssertionError("no source fails here") from failure


class Space:
    """Hands out ranges of devices, each once, with junk in them: nothing may rely on zeros."""

    def __init__(self, devices: list[BlockDevice], random: Random) -> None:
        self._next = {device: random.randrange(0, 64) * KIB for device in devices}
        self._random = random

    def take(self, length: int) -> tuple[BlockDevice, int]:
        device = self._random.choice(list(self._next))
        offset = self._next[device]
        self._next[device] = offset + length + self._random.randrange(0, 3) * 4 * KIB
        device.write(offset, self._random.randbytes(length))
        return device, offset


@dataclass
class Filling:
    """A plex or a piece that takes writes and is copied bit by bit. `at` to `end` is left: of the volume when a plex is
    filled, of the column when it is a piece, which then takes the place of `old`."""

    key: object
    at: int
    end: int
    old: Piece | None = None


def random_pieces(random: Random, space: Space, columns: int, column_size: int) -> tuple[Piece, ...]:
    """Each column in one to four subdisks, cut anywhere."""
    pieces = []
    for column in range(columns):
        cuts = sorted({random.randrange(1, column_size) for _ in range(random.randrange(0, 4))})
        for start, end in zip([0, *cuts], [*cuts, column_size], strict=True):
            device, offset = space.take(end - start)
            pieces.append(Piece(column, start, end - start, device, offset, key=object()))
    return tuple(pieces)


def random_plex(random: Random, space: Space, size: int, columns: int, key: object) -> PlexLayout:
    unit = random.choice((4 * KIB, 64 * KIB, 5000))
    rows = -(-size // (unit * columns))
    column_size = size if columns == 1 else rows * unit
    return PlexLayout(key, columns, unit, random_pieces(random, space, columns, column_size))


def reference_stack(plexes: list[PlexLayout]) -> BlockDevice:
    """The same plexes built from the blocking layers."""
    stacks = []
    for plex in plexes:
        columns = []
        for column in range(plex.columns):
            own = sorted((piece for piece in plex.pieces if piece.column == column), key=lambda p: p.column_offset)
            columns.append(Concat([Slice(piece.device, piece.device_offset, piece.length) for piece in own]))
        stacks.append(columns[0] if plex.columns == 1 else Stripe(columns, plex.unit))
    return Mirror(stacks)


class VolumeModel:
    """One volume, the byte array that it must equal, and the random things that can be done to it."""

    def __init__(self, plane: DataPlane, random: Random, columns: tuple[int, ...]) -> None:
        self.random = random
        self.columns = columns
        self.size = random.randrange(2 * MIB, 4 * MIB)
        self.devices = [ColdDevice(device) for device in plane.memory]
        self.space = Space(list(self.devices), random)
        self.plexes = [
            random_plex(random, self.space, self.size, count, f"plex{number}") for number, count in enumerate(columns)
        ]
        self.expected = bytearray(self.size)
        self.fillings: list[Filling] = []
        self.prefer: object = None
        self.number = len(columns)
        self.buffers = (memoryview(bytearray(9 * MIB)), memoryview(bytearray(9 * MIB)))
        self.copier = Copier(lambda device: None, _refuse, lambda *_: None)
        self.runtime = plane.runtime
        self.volume = plane.volume(self._table())
        self.slot = self.volume.slot("model")
        self.worker = self.volume.slot("worker")
        self._one(Op.ZERO, 0, self.size)

    # Steps. Each is a method whose name begins with `do_`.

    def do_read(self) -> None:
        offset, length = self._range()
        buffer = memoryview(bytearray(self.random.randbytes(length)))
        self._one(Op.READ, offset, length, buffer)
        assert buffer == self.expected[offset : offset + length], f"read at {offset}+{length}"

    def do_write(self) -> None:
        offset, length = self._range()
        data = self.random.randbytes(length)
        self._one(Op.WRITE, offset, length, memoryview(data), durable=self.random.random() < 0.1)
        self.expected[offset : offset + length] = data

    def do_zero(self) -> None:
        offset, length = self._range()
        self._one(self.random.choice((Op.ZERO, Op.DISCARD)), offset, length, durable=self.random.random() < 0.1)
        self.expected[offset : offset + length] = bytes(length)

    def do_flush(self) -> None:
        self._one(Op.FLUSH, 0, 0)
        assert not self.volume.written, "a FLUSH left a device behind"

    def do_copy_some(self) -> None:
        """A worker's step of whatever is being filled; when that is complete it becomes readable."""
        if not self.fillings:
            return
        filling = self.random.choice(self.fillings)
        length = min(filling.end - filling.at, self.random.randrange(1, len(self.buffers[0])))
        if filling.old is None:
            self._copy_plex(filling.key, filling.at, length)
        else:
            self._copy_piece(filling, length)
        filling.at += length
        if filling.at == filling.end:
            self.fillings.remove(filling)
            self._complete(filling)

    def do_add_plex(self) -> None:
        if len(self.plexes) < 4:
            self.number += 1
            plex = random_plex(
                self.random, self.space, self.size, self.random.choice(self.columns), f"plex{self.number}"
            )
            self.plexes.append(replace(plex, readable=False))
            self.fillings.append(Filling(plex.key, 0, self.size))
            self._swap()

    def do_move_piece(self) -> None:
        """Begin to move a subdisk of a complete plex, or a part of one, to a new place."""
        index = self.random.randrange(len(self.plexes))
        plex = self.plexes[index]
        if not plex.readable or any(piece.key == f.key for f in self.fillings for piece in plex.pieces):
            return
        old = self.random.choice(plex.pieces)
        device, offset = self.space.take(old.length)
        new = replace(old, device=device, device_offset=offset, readable=False, key=object())
        self.plexes[index] = replace(plex, pieces=(*plex.pieces, new))
        self.fillings.append(Filling(new.key, old.column_offset, old.column_offset + old.length, old))
        self._swap()

    def do_drop_plex(self) -> None:
        """Drop any plex but the last complete one, whatever is being done to it."""
        plex = self.random.choice(self.plexes)
        complete = [other for other in self.plexes if other.readable and other is not plex]
        if complete:
            self.plexes.remove(plex)
            gone = {plex.key, *(piece.key for piece in plex.pieces)}
            self.fillings = [filling for filling in self.fillings if filling.key not in gone]
            self._swap()

    def do_prefer(self) -> None:
        self.prefer = self.random.choice([None, *(plex.key for plex in self.plexes)])
        self._swap()

    def do_grow(self) -> None:
        """Longer by new subdisks at the end of every column, zeroed before the size is published."""
        if self.size > 8 * MIB or self.fillings:
            return
        more = self.random.randrange(1, 512 * KIB)
        grown = [self._longer(plex, self.size + more) for plex in self.plexes]
        stack = reference_stack([replace(plex, pieces=plex.pieces) for plex in grown])
        stack.zero(self.size, more, may_unmap=True)
        self.plexes, self.size = grown, self.size + more
        self.expected.extend(bytes(more))
        self._swap()

    def do_hold(self) -> None:
        with self.volume.hold():
            assert all(slot.table is None for slot in self.volume.gate.slots)

    def check(self) -> None:
        """Every complete plex, read past the table through the blocking layers, equals the byte array."""
        for plex in self.plexes:
            if plex.readable:
                pieces = tuple(piece for piece in plex.pieces if piece.readable)
                stack = reference_stack([replace(plex, pieces=pieces)])
                found = memoryview(bytearray(self.size))
                stack.read_into(0, found)
                assert found == self.expected, f"{plex.key} differs"
        if not self.fillings:
            with self._inside(0, self.size) as table:
                step = SimpleNamespace(offset=0, length=self.size, source=None)
                assert self.copier.compare(table, step, *self.buffers) == (0, ())

    def run(self, steps: int) -> None:
        """So many random steps, mostly I/O."""
        io = [self.do_read, self.do_write, self.do_zero, self.do_copy_some, self.do_flush]
        weights = [5, 6, 1, 3, 1]
        changes = [getattr(self, name) for name in dir(self) if name.startswith("do_")]
        for number in range(steps):
            step = self.random.choices(io, weights)[0] if self.random.random() < 0.93 else self.random.choice(changes)
            step()
            if number % 100 == 99:
                self.check()
        self.check()

    def close(self) -> None:
        self.volume.retire(self.slot)
        self.volume.retire(self.worker)

    @contextmanager
    def _inside(self, offset: int, length: int) -> Iterator[Table]:
        """Gate first, region locks second: the order of every client."""
        table = self.volume.gate.enter(self.worker)
        try:
            with self.volume.regions.hold(offset, length):
                yield table
        finally:
            self.volume.gate.leave(self.worker)

    def _copy_plex(self, key: object, at: int, length: int) -> None:
        step = SimpleNamespace(source=None, targets=(key,), offset=at, length=length)
        with self._inside(at, length) as table:
            self.copier.copy_plex(table, step, self.buffers[0])

    def _copy_piece(self, filling: Filling, length: int) -> None:
        plex = next(plex for plex in self.plexes if filling.old in plex.pieces)
        column = filling.old.column
        shape = SimpleNamespace(ref=plex.key, columns=plex.columns, stripe_unit=plex.unit)
        target = SimpleNamespace(ref=filling.key, column=column, disk=None)
        low, high = (volume_offset(plex.unit, plex.columns, column, edge) for edge in (filling.at, filling.at + length))
        with self._inside(low, high - low) as table:
            self.copier.copy_subdisk(table, shape, target, filling.at, self.buffers[0][:length])

    def _one(
        self, op: Op, offset: int, length: int, buffer: memoryview | None = None, *, durable: bool = False
    ) -> None:
        call = Call(self.runtime)
        request = Request(op, offset, length, buffer, durable=durable, may_unmap=self.random.random() < 0.5)
        self.volume.execute([request], self.slot, call)
        assert call.wait(60.0) == 0

    def _range(self) -> tuple[int, int]:
        """Sizes of all magnitudes, aligned and not, often across the edge of a region or of a subdisk."""
        length = min(self.random.choice((1, 512, 4096, 4096, 65536, 300_000, MIB + 5)), self.size)
        length = self.random.randrange(1, length + 1) if self.random.random() < 0.5 else length
        edges = [*self.volume.table.starts, MIB, 2 * MIB]
        offset = self.random.choice(edges) - self.random.randrange(0, length + 1)
        if self.random.random() < 0.5:
            offset = self.random.randrange(0, self.size)
        return max(0, min(offset, self.size - length)), length

    def _table(self) -> Table:
        return fold(self.plexes, self.size, prefer=self.prefer)

    def _swap(self) -> None:
        self.volume.swap(self._table())

    def _complete(self, filling: Filling) -> None:
        for index, plex in enumerate(self.plexes):
            if plex.key == filling.key:
                self.plexes[index] = replace(plex, readable=True)
            elif filling.old in plex.pieces:
                kept = tuple(piece for piece in plex.pieces if piece != filling.old)
                ready = tuple(replace(piece, readable=piece.readable or piece.key == filling.key) for piece in kept)
                self.plexes[index] = replace(plex, pieces=ready)
                self._swap()
                # What the old place held is of no interest any more: scribble on it.
                assert filling.old is not None
                filling.old.device.write(filling.old.device_offset, self.random.randbytes(filling.old.length))
        self._swap()

    def _longer(self, plex: PlexLayout, size: int) -> PlexLayout:
        pieces = list(plex.pieces)
        rows = -(-size // (plex.unit * plex.columns))
        target = size if plex.columns == 1 else rows * plex.unit
        for column in range(plex.columns):
            have = max(piece.column_offset + piece.length for piece in pieces if piece.column == column)
            if have < target:
                device, offset = self.space.take(target - have)
                pieces.append(Piece(column, have, target - have, device, offset, key=object()))
        assert column_offset(plex.unit, plex.columns, 0, size) <= target
        return replace(plex, pieces=tuple(pieces))
