"""What a RAID-5 volume has beside its table: its log, what of its rows is not to be believed, and its own writers.

Writes are not done on the threads of connections, which would wait for the log one by one, nor on those of the pool,
which all volumes share. A writer takes everything that waits, and brings all of it to the log at once.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from engine.dataplane.fault import Fault, FaultKind
from engine.dataplane.perform import DONE, FLUSHES, Verdict
from engine.dataplane.raid5_log import Raid5Log, entry_size
from engine.dataplane.raid5_rows import RowTrust
from engine.dataplane.raid5_trim import Trimmer
from engine.dataplane.raid5_write import AGAIN, TOO_LARGE, Batch, Part
from engine.dataplane.request import Op
from engine.errors import DeviceError
from engine.units import MIB

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.dataplane.flusher import Flusher
    from engine.dataplane.gate import Slot
    from engine.dataplane.raid5_log_format import LogCopy, Superblock
    from engine.dataplane.request import Request, Sink
    from engine.dataplane.table import Table
    from engine.dataplane.volume_io import VolumeIo
    from engine.runtime import Runtime, Thread

WRITERS = 2
"""One waits for the log while another computes and writes legs; more only fight for the interpreter."""

LIMIT = 4 * MIB
"""Bytes of clients that a writer takes at most at once; fewer when the log is small."""

_ZERO_LIMIT = 16 * MIB
_GATHERED = 64
_LITTLE = 256 << 10
_SMALL_LIMIT = 16 << 10


class Job:
    """A request on its way. What lies before `taken` has been given to writers, which have `open` pieces of it."""

    __slots__ = ("open", "request", "sink", "taken", "verdict")

    def __init__(self, request: Request, sink: Sink) -> None:
        self.request = request
        self.sink = sink
        self.taken = self.open = 0
        self.verdict: Verdict = DONE

    @property
    def left(self) -> int:
        """Bytes that no writer has taken yet."""
        return self.request.length - self.taken

    def take(self, length: int) -> Part:
        """The next piece of it."""
        part = Part(self.request, self.request.offset + self.taken, length)
        self.taken += length
        self.open += 1
        return part


class Raid5Io:
    """The writers of one volume. They are started by its first write, and end with the volume.

    `trust` tells which rows' columns and parity are to be believed.
    """

    def __init__(
        self,
        volume: VolumeIo,
        flusher: Flusher,
        runtime: Runtime,
        log: Raid5Log | None = None,
    ) -> None:
        self.trust = RowTrust(runtime)
        self.log = log
        self._volume = volume
        self._flusher = flusher
        self._runtime = runtime
        self._changed = runtime.condition()
        self._waiting: list[Job] = []
        self._threads: list[Thread] = []
        self._closing = False
        self._broken_row: tuple[Job, Part] | None = None  # whose rest waits, and the piece before it
        self._small = 0  # writers that have little at hand
        self._under_way = 0  # bytes of writes that writers have at hand
        self._trimmer = Trimmer(volume.name, self._flush, runtime)
        self._careful = not _is_simple(volume.table)

    # What the control thread asks for.

    @property
    def parity_known_to(self) -> int:
        """The volume offset up to which the parity is right."""
        return self.trust.parity_known_to

    @parity_known_to.setter
    def parity_known_to(self, offset: int) -> None:
        self.trust.parity_known_to = offset

    @property
    def broken(self) -> tuple[int, ...]:
        """The rows in which more has failed than parity can stand for."""
        return self.trust.broken(self._volume.table)

    def prepare_log(self, copies: Sequence[LogCopy], volume: bytes, generation: bytes) -> Raid5Log | None:
        """A fresh log on these copies, for the transaction that names `generation`; None for no copies.

        The gate is held and everything is flushed. The log in use is left as it is, but cannot move its head until
        `use_log` is called: with the fresh one once the transaction is durable, with the old one when it was given up.
        LogFailed when a copy cannot be written.
        """
        former = self.log
        if former is not None:
            former.freeze()
        if not copies:
            return None
        previous = former.owner.generation if former is not None else None
        return Raid5Log(copies, volume, generation, self._runtime, previous=previous)

    def use_log(self, log: Raid5Log | None) -> None:
        """Write to this log from now on; None: to none. Nobody may be inside of the gate."""
        former, self.log = self.log, log
        if log is not None:
            log.thaw()
        if former is not None and former is not log:
            former.retire()

    def adopt(self, table: Table) -> None:
        """The volume has a new table."""
        self.trust.adopt(table)
        self._careful = not _is_simple(table)
        self.wake()

    def pin(self, cause: object = None) -> None:
        """What the log stands for is in doubt: it keeps every entry until another one takes over."""
        if self.log is not None:
            self.log.pin(cause)

    def unpin(self, cause: object) -> None:
        """Nothing depends on this cause any more."""
        if self.log is not None:
            self.log.unpin(cause)

    def wake(self) -> None:
        """Whoever waits for the log looks again whether he should."""
        if self.log is not None:
            self.log.wake()

    def stop(self) -> None:
        """Nothing waits for space any more; the gate is closed."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._trimmer.stop()
        self.wake()

    def join(self) -> None:
        """Wait for the writers' end."""
        for thread in self._threads:
            thread.join()
        self._trimmer.join()

    # What the flusher tells.

    def mark(self) -> tuple[Raid5Log, Superblock] | None:
        """Before a flush of what the volume has written: what of the log it will make stable."""
        log = self.log
        return None if log is None else (log, log.mark())

    def flushed(self, mark: tuple[Raid5Log, Superblock] | None) -> None:
        """That flush has gone well."""
        if mark is not None:
            mark[0].flushed(mark[1])

    # What clients ask for.

    def put(self, request: Request, sink: Sink) -> None:
        """Run a WRITE, ZERO or DISCARD soon; it is settled on another thread."""
        with self._changed:
            self._waiting.append(Job(request, sink))
            if len(self._threads) < WRITERS and not self._closing:
                name = f"vea-raid5-{self._volume.name}-{len(self._threads)}"
                self._threads.append(self._runtime.thread(name, self._work))
            if self._is_due():
                self._changed.notify()

    def _work(self) -> None:
        slot = self._volume.slot("raid5")
        try:
            while pieces := self._take():
                self._run(pieces, slot)
        finally:
            self._volume.retire(slot)

    def _take(self) -> list[tuple[Job, Part]]:
        """What waits: writes as far as they are not too much at once, or one piece that makes zeros."""
        geometry = self._volume.table.raid5
        row = geometry.row_bytes if geometry is not None else 1
        with self._changed:
            self._changed.wait_for(lambda: self._is_due() or self._closing)
            if self._waiting and self._waiting[0].request.op is not Op.WRITE:
                return [self._take_zeros(self._waiting[0], row)]
            pieces = self._take_writes()
            self._leave_broken_row(pieces, row)
            self._small += _is_little(pieces)
            self._under_way += _bytes_written(pieces)
            if self._is_due():
                self._changed.notify()
            return pieces

    def _is_due(self) -> bool:
        """Whether there is something to do. The beginning of a row alone waits until what lies before it is written:
        by then the rest of the row may have come. And a little waits for a little that is under way, and much until it
        is as much as is under way: brought to the log together, both are sooner done than one after the other."""
        waiting, broken = self._waiting, self._broken_row
        if len(waiting) <= (broken is not None and waiting[:1] == [broken[0]]):
            return False
        left = sum(job.left for job in waiting[:_GATHERED])
        if self._small:
            return left >= _LITTLE
        return waiting[0].left < _LITTLE or left >= min(self._under_way, self._limit(self._careful))

    def _take_writes(self) -> list[tuple[Job, Part]]:
        pieces: list[tuple[Job, Part]] = []
        left = self._limit(self._careful)
        most = _GATHERED if left >= _SMALL_LIMIT else _GATHERED // 8
        while self._waiting and len(pieces) < most and left > 0:
            job = self._waiting[0]
            if job.request.op is not Op.WRITE:
                break
            part = job.take(min(job.left, left))
            pieces.append((job, part))
            left -= part.length
            if not job.left:
                del self._waiting[0]
        return pieces

    def _leave_broken_row(self, pieces: list[tuple[Job, Part]], row: int) -> None:
        """The beginning of a row behind whole ones is left to whoever writes the rest of it: with it the row is whole,
        too, and nothing old must be read for it."""
        if not pieces:
            return
        job, part = pieces[-1]
        start, end = part.offset, part.offset + part.length
        for _, before in reversed(pieces[:-1]):
            if before.offset + before.length != start:
                break
            start = before.offset
        rest = end % row
        if not rest or rest >= part.length or end - rest - row < start:
            return
        if not job.left:
            self._waiting.insert(0, job)
        job.taken -= rest
        pieces[-1] = self._broken_row = job, part._replace(length=part.length - rest)

    def _take_zeros(self, job: Job, row: int) -> tuple[Job, Part]:
        """Whole rows, which need no payload in the log, or what lies before or behind them."""
        offset, left = job.request.offset + job.taken, job.left
        if not offset % row and left >= row:
            part = job.take(min(left, max(_ZERO_LIMIT, row)) // row * row)
        else:
            part = job.take(min(left, self._limit(), row - offset % row))
        if not job.left:
            del self._waiting[0]
        return job, part

    def _run(self, pieces: list[tuple[Job, Part]], slot: Slot) -> None:
        try:
            table, verdicts = self._try([part for _, part in pieces], slot, careful=self._careful)
            for (job, part), verdict in zip(pieces, verdicts, strict=True):
                if verdict == TOO_LARGE:
                    table, verdict = self._run_carefully(part, slot)
                self._end(job, verdict, table, slot)
        finally:
            with self._changed:
                if self._broken_row is pieces[-1]:
                    self._broken_row = None
                self._small -= _is_little(pieces)
                self._under_way -= _bytes_written(pieces)
                if self._is_due():
                    self._changed.notify()

    def _run_carefully(self, part: Part, slot: Slot) -> tuple[Table, Verdict]:
        """Alone, in steps of which all may be logged."""
        at, end = part.offset, part.offset + part.length
        while True:
            step = part._replace(offset=at, length=min(end - at, self._limit(careful=True)))
            table, (verdict,) = self._try([step], slot, careful=True)
            if verdict == TOO_LARGE:
                self._flush()  # rows that are only summed are stable by it, and need not be logged as a whole
                continue
            at += step.length
            if verdict != DONE or at >= end:
                return table, verdict

    def _try(self, parts: Sequence[Part], slot: Slot, *, careful: bool = False) -> tuple[Table, list[Verdict]]:
        try:
            while True:
                table, verdicts = self._batch(parts, slot, careful)
                if AGAIN not in verdicts:
                    return table, verdicts
        except DeviceError:
            return self._volume.table, [errno.ESHUTDOWN] * len(parts)
        except Exception:  # a defect in here must not take the writer along
            return self._volume.table, [self._volume.defect(parts[0].request.op)] * len(parts)

    def _end(self, job: Job, verdict: Verdict, table: Table, slot: Slot) -> None:
        """A piece is done with; with the last one the request ends, with the first that fails what is left of it."""
        with self._changed:
            job.open -= 1
            if verdict != DONE and job.verdict == DONE:
                job.verdict = verdict
                if job.left:
                    self._waiting.remove(job)
                    job.taken = job.request.length
            if job.open or job.left:
                return
        request, verdict = job.request, job.verdict
        if verdict == DONE:
            slot.count(request)
            slot.busy_s += self._volume.now() - request.started_s if request.started_s else 0.0
            if request.durable and request.op is not Op.WRITE:
                verdict = FLUSHES
        self._volume.end_late(request, job.sink, verdict, table)

    def _batch(self, parts: Sequence[Part], slot: Slot, careful: bool) -> tuple[Table, list[Verdict]]:
        log = self.log
        size = _log_bytes(parts, self._volume.table, careful)
        if log is not None and size > log.largest:
            return self._volume.table, [TOO_LARGE] * len(parts)
        reserved = log is not None and log.reserve(size, self._flush, self._gives_up)
        try:
            table = self._volume.gate.enter(slot)
            try:
                verdict = self._verdict(table, log, reserved)
                if verdict is None:
                    return table, Batch(self._volume, table, self.trust, log, parts, size).run()
            finally:
                self._volume.gate.leave(slot)
        finally:
            if log is not None and reserved:
                log.release(size)
                self._trimmer.look_at(log)
        return table, [verdict] * len(parts)

    def _verdict(self, table: Table, log: Raid5Log | None, reserved: bool) -> Verdict | None:
        """Why nothing is written now; None when nothing speaks against it."""
        volume = self._volume
        if volume.fenced:
            return errno.EIO
        if not table.writable:
            return Fault(volume.name, FaultKind.FIRST_WRITE, Op.WRITE)
        for device in sorted(volume.suspects, key=lambda device: device.name):
            return Fault(volume.name, FaultKind.FLUSH, device=device, number=errno.EIO)
        if self.log is not log:
            return AGAIN
        if log is None or reserved:
            return None
        failure = log.failed
        if failure is None:
            return AGAIN
        copy = failure.copy
        return Fault(volume.name, FaultKind.LOG, Op.WRITE, copy.device, None, copy.key, failure.number)

    def _limit(self, careful: bool = False) -> int:
        log = self.log
        if log is None:
            return LIMIT
        return min(LIMIT, log.largest // 4 if careful else max(log.room, log.largest // 4))

    def _flush(self) -> bool:
        return self._flusher.settle(self._volume) and not self._volume.fenced

    def _gives_up(self) -> bool:
        volume = self._volume
        return self._closing or volume.fenced or volume.in_doubt


def _is_simple(table: Table) -> bool:
    """Whether checksums are enough for every row that is written as a whole."""
    return all(segment.parity is not None and segment.parity.simple for segment in table.segments)


def _is_little(pieces: Sequence[tuple[Job, Part]]) -> bool:
    """Whether a batch has so few bytes that most of its time goes to the log's one durable write."""
    if not pieces or pieces[0][0].request.op is not Op.WRITE:
        return False
    return sum(part.length for _, part in pieces) < _LITTLE


def _bytes_written(pieces: Sequence[tuple[Job, Part]]) -> int:
    """What a batch writes; zeros are no bytes."""
    return sum(part.length for job, part in pieces if job.request.op is Op.WRITE)


def _log_bytes(parts: Sequence[Part], table: Table, careful: bool) -> int:
    """What a batch takes in the log: data and parity, and what tells where they go. Of rows that are written as a whole
    checksums are enough, as a rule; a `careful` estimate counts all of them. Of rows that become zero, no bytes."""
    geometry = table.raid5
    if geometry is None:
        return 0
    row, changed, extents, sums = geometry.row_bytes, 0, 0, 0
    for low, high in _spans([part for part in parts if part.request.op is Op.WRITE or part.length < row]):
        rows = max(high // row - -(-low // row), 0)
        partial = high - low if careful else high - low - rows * row
        changed += 2 * partial
        extents += 4 * (partial // geometry.unit + 3) + rows
        sums += rows * geometry.columns
    return entry_size(extents + 12 * len(parts), changed, sums)


def _spans(parts: Sequence[Part]) -> list[tuple[int, int]]:
    """The volume ranges of parts, put together where they touch."""
    spans: list[tuple[int, int]] = []
    for part in sorted(parts, key=lambda part: part.offset):
        low, high = part.offset, part.offset + part.length
        if spans and low <= spans[-1][1]:
            spans[-1] = (spans[-1][0], max(spans[-1][1], high))
        else:
            spans.append((low, high))
    return spans
