"""A started volume: its table behind its gate, and everything that happens to a request besides the quick
case."""

from __future__ import annotations

import errno
import logging
from typing import TYPE_CHECKING, NamedTuple

from engine.dataplane.call import Call
from engine.dataplane.execute import execute
from engine.dataplane.fault import Fault, FaultKind
from engine.dataplane.gate import Gate, Slot
from engine.dataplane.gathered_marks import GatheredMarks
from engine.dataplane.parking import Parking
from engine.dataplane.perform import CHUNK, DONE, FLUSHES, MARKS, WAITS, Verdict, perform
from engine.dataplane.pulse import Pulse
from engine.dataplane.raid5_io import Raid5Io
from engine.dataplane.regions import RegionLocks
from engine.dataplane.request import Op, Request, finish_all
from engine.errors import DeviceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from contextlib import AbstractContextManager

    from engine.dataplane.dirty_map import DirtyMap
    from engine.dataplane.flusher import Flusher
    from engine.dataplane.map_place import MapPlace
    from engine.dataplane.pool import Pool
    from engine.dataplane.raid5_log import Raid5Log
    from engine.dataplane.request import Sink
    from engine.dataplane.table import Table
    from engine.devices.base import BlockDevice
    from engine.runtime import Runtime

log = logging.getLogger(__name__)

READERS = 4
"""So many threads of the pool share the cold reads of one batch."""

DIRTY = ""
"""The key of the map that tells where mirrors may differ."""

_STEPPED = (Op.ZERO, Op.DISCARD)
_CHANGES = (Op.WRITE, Op.ZERO, Op.DISCARD)
_TORN = (FaultKind.LEG, FaultKind.BROKEN)


class Totals(NamedTuple):
    """What a volume has done since it was started. `busy_s` sums the seconds that each request took."""

    reads: int = 0
    writes: int = 0
    bytes_read: int = 0
    bytes_written: int = 0
    busy_s: float = 0.0


class VolumeIo:
    """The data path of one volume.

    `faults` hears of everything that needs a decision; it is called on data threads outside of the gate and
    must return at once. The control thread answers with `swap` (parked requests run again from their
    beginning on the new table), `release` (they run again on this one), `fail_parked` or `fence`. `written`
    has the devices written since the last good FLUSH, those that have left the table meanwhile included.
    `pulse` is that of its engine: set by every batch of a client.
    """

    def __init__(
        self,
        name: str,
        table: Table,
        faults: Callable[[Fault], None],
        pool: Pool,
        flusher: Flusher,
        runtime: Runtime,
        pulse: Pulse | None = None,
        raid5_log: Raid5Log | None = None,
    ) -> None:
        self.name = name
        self.gate = Gate(name, table, runtime)
        self.regions = RegionLocks(runtime)
        self.written: set[BlockDevice] = set()
        self.fenced = False
        self.maps: dict[str, DirtyMap] = {}  # by key; never changed but as a whole
        self.dirty: DirtyMap | None = None  # the one that tells where mirrors may differ
        self.changes: tuple[DirtyMap, ...] = ()  # the others, which tell of all that has been written
        self.now = runtime.now
        self.pulse = pulse or Pulse()
        self._pool = pool
        self._flusher = flusher
        self._runtime = runtime
        self._parking = Parking(name, faults, runtime)
        self._changed = runtime.condition()
        self._late = 0
        self._spare: list[Slot] = []
        self._retired = Totals()
        self.raid5 = Raid5Io(self, flusher, runtime, raid5_log) if table.raid5 is not None else None
        flusher.register(self, table.devices())

    @property
    def table(self) -> Table:
        """The newest table."""
        return self.gate.latest

    @property
    def size(self) -> int:
        """The volume's size, in bytes."""
        return self.gate.latest.size

    @property
    def parked(self) -> int:
        """How many requests wait for a decision."""
        return len(self._parking)

    @property
    def in_doubt(self) -> bool:
        """Whether a flush of something that it uses has failed, and nobody has decided about it yet."""
        return self._parking.in_doubt

    @property
    def suspects(self) -> frozenset[BlockDevice]:
        """The devices that are used and whose last flush has failed."""
        return self._parking.suspects

    def settle_writes(self) -> bool:
        """While the gate is held: bring everything written to stable storage. False when that is in doubt."""
        return self._flusher.settle(self)

    def checkpoint(self) -> bool:
        """Bring everything written to stable storage while nobody is inside: nothing in a log is needed any more. False
        when that is in doubt."""
        with self.hold():
            return self.settle_writes()

    # What a connection does.

    def slot(self, name: str) -> Slot:
        """A place at the gate for one thread, which alone uses it; `retire` it in the end."""
        return self.gate.slot(name)

    def retire(self, slot: Slot) -> None:
        """Give a slot back; what it counted stays counted."""
        with self._changed:
            self.gate.retire(slot)
            self._retired = _sum((self._retired, _totals(slot)))

    def execute(self, batch: Sequence[Request], slot: Slot, sink: Sink) -> None:
        """Run a batch on the calling thread; each request ends in `sink`, now or later."""
        execute(self, batch, slot, sink)

    def statistics(self) -> Totals:
        """The counters of all slots, summed."""
        with self._changed:
            return _sum((self._retired, *map(_totals, self.gate.slots)))

    # What the engine itself reads and writes. DeviceError with the errno that a client would get.

    def read(self, offset: int, length: int) -> bytearray:
        """Read as a client does; waits."""
        buffer = bytearray(length)
        self._call(Request(Op.READ, offset, length, memoryview(buffer)))
        return buffer

    def write(self, offset: int, data: bytes | bytearray | memoryview, *, durable: bool = False) -> None:
        """Write as a client does; waits."""
        self._call(Request(Op.WRITE, offset, len(data), memoryview(data), durable=durable))

    def zero(self, offset: int, length: int, *, may_unmap: bool = True) -> None:
        """Zero as a client does; waits."""
        self._call(Request(Op.ZERO, offset, length, may_unmap=may_unmap))

    def discard(self, offset: int, length: int) -> None:
        """Discard as a client does; waits."""
        self._call(Request(Op.DISCARD, offset, length))

    def flush(self) -> None:
        """Flush as a client does; waits."""
        self._call(Request(Op.FLUSH))

    def mark_changed(self, offset: int, length: int) -> None:
        """What clients read there is about to change beside their own writes: every map that tells of changes says so.
        Waits; DeviceError when that can't be marked."""
        for known in self.changes:
            while known in self.changes and not known.note(offset, length):
                call = Call(self._runtime)
                known.put(Request(Op.READ, offset, length), call)  # without a buffer: it ends once it is marked
                number = call.wait()
                if number != errno.EINVAL:
                    raise DeviceError(number, self.name, "Marking")

    def _call(self, request: Request) -> None:
        call = Call(self._runtime)
        self.hand_to_pool(request, call)
        number = call.wait()
        if number:
            raise DeviceError(number, self.name, request.op.name.capitalize())

    # What the control thread does.

    def swap(self, table: Table) -> None:
        """Make `table` the volume's, wait until nobody runs on an older one, run parked requests again."""
        devices = table.devices()
        self._flusher.register(self, devices)
        self.gate.swap(table)
        if self.raid5 is not None:
            self.raid5.adopt(table)
        if table.served:  # else what left with unflushed writes may have been the only place of them
            self._parking.acquit(devices)
        self.release()

    def use_map(self, dirty: DirtyMap | None, key: str = DIRTY) -> None:
        """Mark regions in this map, too, from now on, in place of the one under the same key; None: in none. Nobody may
        be inside, unless it is None."""
        former = self.maps.get(key)
        others = {other: known for other, known in self.maps.items() if other != key}
        self.maps = others if dirty is None else {**others, key: dirty}
        self.dirty = self.maps.get(DIRTY)
        self.changes = tuple(known for other, known in self.maps.items() if other != DIRTY)
        if dirty is not None:
            dirty.bind(self)
        if former is not None and former is not dirty:
            former.retire()

    def flush_soon(self, sink: Sink) -> None:
        """As a client's FLUSH, which ends in `sink`."""
        self._hand_to_flusher(Request(Op.FLUSH), sink)

    def map_failed(self, place: MapPlace) -> None:
        """A place of the dirty map's log has not taken a page. A durable write that failed may have used up the
        device's report of lost writes: all volumes must hear."""
        self._flusher.check(place.device, place.failed)
        self._parking.tell(
            Fault(self.name, FaultKind.MAP, device=place.device, piece=place.generation, number=place.failed)
        )

    def hold(self) -> AbstractContextManager[None]:
        """Nobody is inside while this lasts, new batches wait."""
        return self.gate.hold()

    def release(self) -> None:
        """Run parked requests again, and tell the next fault of any cause anew."""
        for request, sink in self._parking.take():
            self.hand_to_pool(request, sink)
        for known in self.maps.values():
            known.retry()

    def fail_parked(self, number: int = errno.EIO, fault: Fault | None = None) -> None:
        """End with this errno the parked requests that met `fault`; None: every one."""
        for request, sink in self._parking.take() if fault is None else self._parking.take_of(fault):
            sink.finish(request, number)

    def fence(self) -> None:
        """No complete plex can be trusted: writes and FLUSHes fail with EIO until `unfence`, reads go on."""
        self.fenced = True
        if self.raid5 is not None:
            self.raid5.pin()
        self._parking.acquit(())
        self.release()

    def unfence(self) -> None:
        """The operator has verified or restored the volume."""
        self.fenced = False
        self.release()

    def close(self) -> None:
        """Let nobody in any more, end parked requests with ESHUTDOWN and wait for what is under way."""
        for request, sink in self._parking.close():
            sink.finish(request, errno.ESHUTDOWN)
        for known in self.maps.values():
            known.close()
        self.gate.close()
        if self.raid5 is not None:
            self.raid5.stop()
        with self._changed:
            self._changed.wait_for(lambda: not self._late)
        if self.raid5 is not None:
            self.raid5.join()
        self._flusher.forget(self)

    # What the executor, the pool and the flusher hand back.

    def settle(self, request: Request, sink: Sink, verdict: Verdict, table: Table) -> None:
        """What comes after the gate for a request that `table` gave this verdict."""
        if isinstance(verdict, Fault):
            self._meet(request, sink, verdict, table)
        elif verdict == WAITS:
            self.hand_to_pool(request, sink)
        elif verdict == FLUSHES:
            self._hand_to_flusher(request, sink)
        elif verdict == MARKS:
            self._hand_to_map(request, sink)
        else:
            sink.finish(request, verdict)

    def hand_to_pool(self, request: Request, sink: Sink) -> None:
        """Run the request soon, from its beginning, on a thread that may wait."""
        if isinstance(sink, GatheredMarks):
            sink.marked(request)
            return
        self._count_late(1)
        if self.raid5 is not None and request.op in _CHANGES:
            self.raid5.put(request, sink)
        else:
            self._pool.put(self, (request,), sink)

    def hand_reads_to_pool(self, requests: Sequence[Request], sink: Sink) -> None:
        """Reads that are on their way into memory: a few threads wait for them, as waking one costs more than
        a read."""
        self._count_late(len(requests))
        for first in range(min(READERS, len(requests))):
            self._pool.put(self, requests[first::READERS], sink)

    def run_late(self, request: Request, sink: Sink) -> None:
        """Run one request on a thread of the pool, which may wait."""
        slot = self._borrow()
        table = self.gate.latest
        try:
            verdict, table = self._run_steps(request, slot)
            if verdict == DONE:
                slot.count(request)
                slot.busy_s += self.now() - request.started_s if request.started_s else 0.0
                _unpin(request)
        except DeviceError:
            verdict = errno.ESHUTDOWN
        except Exception:
            verdict = self.defect(request.op)
        finally:
            self._spare.append(slot)
        self.settle(request, sink, verdict, table)
        self._count_late(-1)

    def defect(self, op: Op | None) -> int:
        """Called while an exception that nobody expected is handled; answers the errno for its requests."""
        log.exception("A request of %s met a defect", self.name)
        if self.dirty is not None:
            self.dirty.pin(0, self.size)  # nobody knows where it had been written
        self._parking.tell(Fault(self.name, FaultKind.DEFECT, op, number=errno.EIO))
        return errno.EIO

    def end_late(self, request: Request, sink: Sink, verdict: Verdict, table: Table) -> None:
        """A writer of its own is done with a request."""
        self.settle(request, sink, verdict, table)
        self._count_late(-1)

    def suspect(self, device: BlockDevice, number: int) -> None:
        """The flusher says that what this volume had written to `device` is in doubt."""
        if self.raid5 is not None:
            self.raid5.pin(device)

        def used() -> bool:
            latest = self.gate.latest
            return device in latest.devices() or not latest.served

        self._parking.suspect(device, number, used)
        if self.raid5 is not None:
            self.raid5.wake()

    def lost(self, device: BlockDevice, number: int) -> None:
        """A durable write to `device` that was no client's has failed: if that used up the device's report of lost
        writes, all volumes must hear."""
        self._flusher.check(device, number)

    def flushed(self, requests: Sequence[Request], sink: Sink) -> None:
        """The flusher has done what `requests` asked for; a device may have become suspect by it."""
        ended = [request for request in requests if not self._parking.park_flush(request, sink)]
        finish_all(sink, ended, self._flush_outcome())
        self._count_late(-len(requests))

    def _flush_outcome(self) -> int:
        return errno.EIO if self.fenced else DONE

    def _hand_to_flusher(self, request: Request, sink: Sink) -> None:
        if not self._parking.park_flush(request, sink):
            self._count_late(1)
            self._flusher.put(self, request, sink)

    def _hand_to_map(self, request: Request, sink: Sink) -> None:
        """To all maps that lack a mark, so that one wait does for all. Outside of the gate: the volume may have become
        smaller meanwhile, so nothing is touched."""
        lacking = [known for known in self.maps.values() if _lacks(known, request)]
        if not lacking:
            self.hand_to_pool(request, sink)
            return
        if len(lacking) > 1:
            sink = GatheredMarks(len(lacking), sink, self.hand_to_pool, self._runtime)
        for known in lacking:
            known.put(request, sink)

    def _meet(self, request: Request, sink: Sink, fault: Fault, table: Table) -> None:
        """A durable write that failed may have used up the device's report of lost writes: all volumes must
        hear."""
        durable = fault.kind is FaultKind.LOG or (request.durable and request.op is Op.WRITE)
        if durable and fault.device is not None:
            self._flusher.check(fault.device, fault.number)
        if fault.kind is FaultKind.NO_SPACE:
            self._parking.tell(fault)
            sink.finish(request, errno.ENOSPC)
        elif not self._parking.park(request, sink, fault, lambda: self.gate.latest is table):
            if self._parking.closed:
                sink.finish(request, errno.ESHUTDOWN)
                return
            if fault.kind in _TORN and fault.op is not Op.READ and table.raid5 is not None:
                self._parking.tell(fault)  # also when it goes well now: the log keeps its entry until it is decided
            self.hand_to_pool(request, sink)

    def _run_steps(self, request: Request, slot: Slot) -> tuple[Verdict, Table]:
        """Run a request with waiting, a long ZERO or DISCARD step by step so that a swap comes in between."""
        done = 0
        while True:
            step = min(CHUNK, request.length - done) if request.op in _STEPPED else request.length
            table = self.gate.enter(slot)
            try:
                verdict = perform(self, table, request, may_wait=True, start=done, length=step)
            finally:
                self.gate.leave(slot)
            done += step
            if done >= request.length or verdict not in (DONE, FLUSHES):
                return verdict, table

    def _borrow(self) -> Slot:
        try:
            return self._spare.pop()
        except IndexError:
            return self.gate.slot("pool")

    def _count_late(self, change: int) -> None:
        with self._changed:
            self._late += change
            if not self._late:
                self._changed.notify_all()


def _lacks(known: DirtyMap, request: Request) -> bool:
    first, last = request.offset >> known.shift, (request.offset + request.length - 1) >> known.shift
    return known.open.find(0, first, last + 1) >= 0


def _unpin(request: Request) -> None:
    """It has failed on some mirror, and is on all of them now. Not so a DISCARD, which may do nothing at all."""
    for known, number in request.pins if request.op is not Op.DISCARD else ():
        known.unpin(request.offset, request.length, number)


def _totals(slot: Slot) -> Totals:
    return Totals(slot.reads, slot.writes, slot.bytes_read, slot.bytes_written, slot.busy_s)


def _sum(totals: Iterable[Totals]) -> Totals:
    return Totals(*map(sum, zip(*totals, strict=True)))
