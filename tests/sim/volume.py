"""A volume as its clients and its oracle know it."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from engine.dataplane.request import Op, Request
from engine.records import Volume
from tests.sim.oracle import SECTOR, VolumeOracle

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.dataplane.gate import Slot
    from engine.dataplane.volume_io import VolumeIo
    from engine.records import Ref
    from tests.sim.machine import Machine

GONE = (errno.ESHUTDOWN,)
STEP = 1 << 20


class Batch:
    """A sink for requests that were handed in together."""

    def __init__(self, machine: Machine, count: int) -> None:
        self._runtime = machine.runtime
        self._changed = machine.runtime.condition()
        self._left = count
        self.errors: dict[int, int] = {}

    def finish(self, request: Request, error: int) -> None:
        with self._changed:
            assert id(request) not in self.errors, "a request has ended twice"
            self.errors[id(request)] = error
            self._left -= 1
            self._changed.notify_all()

    def wait(self) -> None:
        with self._changed:
            ended = self._changed.wait_for(lambda: not self._left, 600)
            assert ended, f"a request never ended; the threads are at\n{self._runtime.stacks()}"


class Connection:
    """One client's place at a volume; a volume that has come back has another one."""

    def __init__(self, machine: Machine, volume: Ref) -> None:
        self._machine = machine
        self._volume = volume
        self._io: VolumeIo | None = None
        self._slot: Slot | None = None

    def run(self, requests: Sequence[Request]) -> list[int]:
        """Hand requests in together and wait for their ends; ESHUTDOWN when nobody serves them."""
        io = self._machine.engine.committer.ios.get(self._volume)
        if io is None:
            return [errno.ESHUTDOWN for _ in requests]
        if io is not self._io:
            self._io, self._slot = io, io.slot("client")
        assert self._slot is not None
        batch = Batch(self._machine, len(requests))
        io.execute(requests, self._slot, batch)
        batch.wait()
        errors = [batch.errors[id(request)] for request in requests]
        for request, error in zip(requests, errors, strict=True):
            self._note(request, error)
        return errors

    def _note(self, request: Request, error: int) -> None:
        machine = self._machine
        words = (self._volume.id[:4], request.op.name, request.offset, request.length, errno.errorcode.get(error, "ok"))
        machine.journal.note(f"{machine.runtime.clock:.6f}", "client", *words)

    def close(self) -> None:
        if self._io is not None and self._slot is not None:
            self._io.retire(self._slot)
        self._io = self._slot = None


class SimVolume:
    """`ref` is the record; `oracle` knows what its bytes may be."""

    def __init__(self, ref: Ref, size: int = 0) -> None:
        self.ref = ref
        self.oracle = VolumeOracle(size)
        self.sizes = {size}  # that it may have: the one that was published, and those that tasks work for
        self.in_flight = 0
        self.held = False  # an operator wants no client in it

    def record(self, machine: Machine) -> Volume | None:
        found = machine.engine.committer.config.get(self.ref)
        return found if isinstance(found, Volume) else None

    def take_size(self, machine: Machine) -> int:
        """The size that the configuration shows is the size that clients see."""
        record = self.record(machine)
        size = record.size if record is not None else 0
        assert size in self.sizes, f"{self.ref} has {size} bytes, which nobody has asked for"
        if size != self.oracle.size:
            self.oracle.resize(size)
        return size

    # --- one request each; what comes back is checked at once ---
    def write(self, connection: Connection, spans: Sequence[tuple[int, int]], *, durable: bool = False) -> list[int]:
        """Write fresh bytes to ranges, all handed in together."""
        writes = [self.oracle.begin(offset, length) for offset, length in spans]
        requests = []
        for write, (offset, length) in zip(writes, spans, strict=True):
            payload = memoryview(bytearray(self.oracle.payload(write, offset, length)))
            requests.append(Request(Op.WRITE, offset, length, payload, durable=durable))
        errors = connection.run(requests)
        for write, error in zip(writes, errors, strict=True):
            self.oracle.end(write, error, durable=durable)
        return errors

    def zero(self, connection: Connection, offset: int, length: int, *, discard: bool, durable: bool = False) -> int:
        write = self.oracle.begin(offset, length, zero=True, sure=not discard)
        op = Op.DISCARD if discard else Op.ZERO
        (error,) = connection.run([Request(op, offset, length, durable=durable)])
        self.oracle.end(write, error, durable=durable)
        return error

    def flush(self, connection: Connection) -> int:
        before = self.oracle.flush_begins()
        (error,) = connection.run([Request(Op.FLUSH)])
        if not error:
            self.oracle.flushed(before)
        return error

    def read(self, connection: Connection, offset: int, length: int) -> int:
        buffer = bytearray(length)
        begun = self.oracle.read_begins()
        (error,) = connection.run([Request(Op.READ, offset, length, memoryview(buffer))])
        if not error:
            self.oracle.check(offset, buffer, begun)
        self.oracle.read_ends(begun)
        return error

    def all_bytes(self, connection: Connection) -> bytearray:
        """Everything that is in it. OSError as a client would get it."""
        size = self.oracle.size
        found = bytearray(size)
        for offset in range(0, size, STEP):
            part = memoryview(found)[offset : min(offset + STEP, size)]
            (error,) = connection.run([Request(Op.READ, offset, len(part), part)])
            if error:
                raise OSError(error, f"reading {offset}")
        return found


def aligned(offset: int) -> int:
    return offset // SECTOR * SECTOR
