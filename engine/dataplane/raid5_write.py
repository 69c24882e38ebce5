"""A batch of writes, zeros and discards on a RAID-5 volume: read, compute, log, legs. Inside of the gate.

Every row that is touched is locked for the length of the batch. The log has the new data and parity on stable storage
before any leg is written; when a leg fails all others of its row are still written, so that the row is whole without
it.
"""

from __future__ import annotations

import errno
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from engine.dataplane import raid5_marks
from engine.dataplane.fault import LEG_ERRORS, Fault, FaultKind, errno_of
from engine.dataplane.raid5_log import LogFailed, entry_size
from engine.dataplane.raid5_log_format import ExtentKind, LogExtent
from engine.dataplane.raid5_plan import RowWrite, complete, plan_part, plan_rows, plan_whole
from engine.dataplane.raid5_read import raid5_fault
from engine.dataplane.raid5_rows import LegError, Lost, map_of
from engine.dataplane.raid5_whole import Source, chains, clipped, whole_rows
from engine.dataplane.request import Op
from engine.devices.gathered import write_parts
from engine.units import align_up

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.dataplane.raid5_log import Raid5Log
    from engine.dataplane.raid5_map import Raid5Map, Target
    from engine.dataplane.raid5_marks import Mark
    from engine.dataplane.raid5_plan import RowPlan
    from engine.dataplane.raid5_rows import RowTrust
    from engine.dataplane.request import Request
    from engine.dataplane.table import Table
    from engine.dataplane.volume_io import VolumeIo

AGAIN = -4
"""The log has been replaced in the meantime: the part runs again from its beginning."""

TOO_LARGE = -5
"""More would go to the log than was set aside: the parts run again, one after the other and in smaller steps."""


_STEP = 256 << 10
"""Bytes of a column that go in one system call. Longer ones make the small writes that follow dearer, by some
microseconds each, which those of other layouts would feel."""


class Part(NamedTuple):
    """A piece of one request: `offset` and `length` are the volume's."""

    request: Request
    offset: int
    length: int


class _WholeRows(NamedTuple):
    """Whole rows of one segment that are written by sources one behind the other."""

    parity: Raid5Map
    rows: range
    sources: list[Source]


class _Told(NamedTuple):
    """What the log knows of a batch: the marks that some of it is written under, and the entry of the rest."""

    marks: list[Mark]
    sequence: int | None


class _ZeroRows(NamedTuple):
    """Whole rows of one segment that become zero for one part."""

    part: Part
    parity: Raid5Map
    rows: range


class Batch:
    """One pass over the rows that some parts touch. `run` answers a verdict for each part."""

    def __init__(
        self,
        volume: VolumeIo,
        table: Table,
        trust: RowTrust,
        log: Raid5Log | None,
        parts: Sequence[Part],
        reserved: int = sys.maxsize,
    ) -> None:
        self._volume = volume
        self._table = table
        self._trust = trust
        self._log = log
        self._parts = parts
        self._verdicts: list[int | Fault] = [0] * len(parts)
        self._rows: dict[int, RowWrite] = {}
        self._wholes: list[_WholeRows] = []
        self._zeros: list[_ZeroRows] = []
        self._reserved = reserved
        self._failed = False

    def run(self) -> list[int | Fault]:
        """Do all of it; 0, an errno or a fault for each part, in order."""
        self._gather()
        rows = [range(row, row + 1) for row in self._rows]
        rows += [whole.rows for whole in self._wholes] + [zero.rows for zero in self._zeros]
        geometry = self._table.raid5
        if geometry is None or not rows:
            return self._verdicts
        with self._volume.regions.hold_all(geometry.volume_range_of(each) for each in rows):
            self._change()
        return self._verdicts

    # What is asked for, by rows.

    def _gather(self) -> None:
        sources: list[Source] = []
        for index, part in enumerate(self._parts):
            request = part.request
            if request.op is not Op.WRITE:
                self._gather_zeros(index, part)
            elif request.buffer is None or len(request.buffer) != request.length:
                self._verdicts[index] = errno.EINVAL
            elif part.length:
                begin = part.offset - request.offset
                sources.append(Source(index, part.offset, request.buffer[begin : begin + part.length]))
        if not sources:
            return
        found = chains(sources)
        if found is None:
            self._scatter(sources)
        for chain in found or ():
            self._gather_chain(chain)

    def _gather_chain(self, chain: list[Source]) -> None:
        """Whole rows are not looked at one by one."""
        geometry = self._table.raid5
        if geometry is None:
            return
        start, end, row = chain[0].offset, chain[-1].end, geometry.row_bytes
        low, high = align_up(start, row), end // row * row
        segment = self._table.find(low) if low < high else None
        if segment is None or segment.parity is None or high > segment.end:
            self._scatter(chain)
            return
        self._scatter(clipped(chain, start, low) + clipped(chain, high, end))
        rows = range(low // row, high // row)
        self._wholes.append(_WholeRows(segment.parity, rows, clipped(chain, low, high)))

    def _scatter(self, sources: Sequence[Source]) -> None:
        for source in sources:
            self._add(*source)

    def _gather_zeros(self, index: int, part: Part) -> None:
        geometry = self._table.raid5
        if geometry is None or not part.length:
            return
        stop, row = part.offset + part.length, geometry.row_bytes
        first, last = -(-part.offset // row), stop // row
        discard = part.request.op is Op.DISCARD
        for segment, at, size in self._table.parts(first * row, max(last - first, 0) * row):
            if segment.parity is not None and (segment.discards or not discard):
                self._zeros.append(_ZeroRows(part, segment.parity, geometry.rows_of(at, size)))
        if discard:  # only where space becomes free by it
            return
        ends = [(part.offset, min(stop, first * row)), (max(last * row, part.offset), stop)]
        for low, high in ends if first <= last else [(part.offset, stop)]:
            if low < high:
                self._add(index, low, memoryview(bytes(high - low)))

    def _add(self, index: int, offset: int, data: memoryview) -> None:
        geometry = self._table.raid5
        if geometry is None:
            return
        durable = self._parts[index].request.durable
        for extent in geometry.runs(offset, len(data)):
            row, low = divmod(extent.column_offset, geometry.unit)
            write = self._rows.get(row)
            if write is None:
                write = self._rows[row] = RowWrite(map_of(self._table, row), row)
            write.add(geometry.number(row, extent.column), low, data[extent.start : extent.start + extent.length])
            write.durable = write.durable or durable

    # With the rows locked.

    def _change(self) -> None:
        plans = self._plan()
        zeros = [zero for zero in self._zeros if not self._refuse_zero(zero)]
        if not plans and not zeros:
            return
        try:
            told = self._tell(plans, zeros)
        except LogFailed as failure:
            self._log_failed(failure)
            return
        if told is None:
            self._verdicts = [TOO_LARGE] * len(self._parts)
            return
        for plan in plans:
            self._write_legs(plan)
        for zero in zeros:
            self._zero_legs(zero)
        if self._log is not None and not self._failed:
            self._log.drop_marks(told.marks)
            if told.sequence is not None:
                self._log.done(told.sequence)

    def _plan(self) -> list[RowPlan]:
        plans = [plan for whole in self._wholes if (plan := self._plan_whole(whole))]
        whole: list[RowWrite] = []  # consecutive, and not planned yet
        for row in sorted(self._rows):
            write = self._rows[row]
            try:
                if self._make_whole(write):
                    if whole and not _follows(whole[-1], write):
                        plans.append(plan_rows(whole))
                        whole = []
                    whole.append(write)
                else:
                    plans.append(plan_part(self._trust, write))
            except (LegError, Lost):
                for index in self._indexes(range(row, row + 1)):
                    self._verdicts[index] = self._verdicts[index] or errno.EIO
        return [*plans, plan_rows(whole)] if whole else plans

    def _plan_whole(self, whole: _WholeRows) -> RowPlan | None:
        """None when not all of the rows may fare alike: then they are to be looked at one by one."""
        parity, rows, sources = whole
        if self._trust.doubtful or len(parity.out) > 1:
            self._scatter(sources)
            return None
        durable = any(self._parts[source.part].request.durable for source in sources)
        return plan_whole(parity, rows, whole_rows(sources, parity.geometry.row_bytes), durable)

    def _indexes(self, rows: range) -> list[int]:
        """The parts that have to do with these rows."""
        geometry = self._table.raid5
        if geometry is None:
            return []
        low, length = geometry.volume_range_of(rows)
        return [
            index
            for index, part in enumerate(self._parts)
            if part.offset < low + length and part.offset + part.length > low
        ]

    def _make_whole(self, write: RowWrite) -> bool:
        """Whether all of the row is to be written, as all of it is new or the log does not know it well enough."""
        if len(self._trust.out(write.parity, write.row)) > 1:
            raise Lost
        write.merge()
        if not write.is_full and self._log is not None and self._log.is_summed(write.row):
            complete(self._trust, write)
        return write.is_full

    def _refuse_zero(self, zero: _ZeroRows) -> bool:
        if len(zero.parity.out) < 2:
            return False
        self._verdicts[self._parts.index(zero.part)] = errno.EIO
        return True

    def _tell(self, plans: Sequence[RowPlan], zeros: Sequence[_ZeroRows]) -> _Told | None:
        """Bring to the log what has to be there before the legs; None when that is more than was set aside."""
        log = self._log
        if log is None:
            return _Told([], None)
        unlogged = self._unlogged(log, plans)
        logged = [plan for plan in plans if plan not in unlogged]
        marks = self._hold_marks(log, unlogged, self._reserved - _entry_bytes(logged, zeros)) if unlogged else []
        logged = logged if marks else [*plans]
        if not logged and not zeros:
            return _Told(marks, None)
        try:
            sequence = self._append(log, logged, zeros)
        except LogFailed:
            log.drop_marks(marks)
            raise
        if sequence == TOO_LARGE:
            log.drop_marks(marks)
            return None
        return _Told(marks, sequence)

    def _unlogged(self, log: Raid5Log, plans: Sequence[RowPlan]) -> list[RowPlan]:
        """The whole rows of a stream, which need no entry: those of which nothing has been promised before a flush."""
        geometry = self._table.raid5
        if geometry is None or log.summed_rows * geometry.row_bytes < raid5_marks.STREAM:
            return []
        return [plan for plan in plans if not plan.durable and self._needs_no_bytes(plan)]

    def _hold_marks(self, log: Raid5Log, plans: Sequence[RowPlan], size: int) -> list[Mark]:
        """What these are written under; none when they are to have an entry all the same. No mark goes beyond the
        segment: where a column is out, nobody could make anything of it."""
        geometry = plans[0].parity.geometry
        ranges: dict[range, None] = {}
        for plan in plans:
            segment = self._table.find(plan.rows.start * geometry.row_bytes)
            within = geometry.rows_of(segment.start, segment.end - segment.start)
            ranges.update(dict.fromkeys(raid5_marks.ranges_of(plan.rows, geometry.row_bytes, within)))
        return log.hold_marks([plan.rows for plan in plans], [*ranges], size)

    def _append(self, log: Raid5Log, plans: Sequence[RowPlan], zeros: Sequence[_ZeroRows]) -> int:
        """The sequence of the entry; TOO_LARGE, and nothing logged, when it takes more than was set aside."""
        summed = self._only_summed(log, plans)
        size = sum(len(part) for plan in summed for part in plan.parts)
        room = log.take_room(size) if summed else 0
        rest = [plan for plan in plans if not room or plan not in summed]
        extents = [extent for plan in rest for extent in plan.extents]
        extents += [LogExtent(ExtentKind.ZERO, 0, 0, zero.rows.start, len(zero.rows)) for zero in zeros]
        parts = [part for plan in rest for part in plan.parts]
        sums: list[int] = []
        rows: list[memoryview] = []
        for plan in summed if room else ():
            extents += plan.summed()
            sums += plan.sums()
            rows += plan.parts
        if entry_size(len(extents), sum(map(len, parts)), len(sums)) > self._reserved:
            log.give_back(room)
            return TOO_LARGE
        tells = [plan.rows for plan in plans] + [zero.rows for zero in zeros]
        return log.append(extents, parts, sums, rows, room, tells)

    def _only_summed(self, log: Raid5Log, plans: Sequence[RowPlan]) -> list[RowPlan]:
        """The whole rows of which checksums suffice, as all columns are there: as many as there is room for."""
        found, left = [], log.room
        for plan in plans:
            if self._needs_no_bytes(plan):
                left -= len(plan.rows) * plan.parity.geometry.row_bytes
                if left < 0:
                    break
                found.append(plan)
        return found

    def _needs_no_bytes(self, plan: RowPlan) -> bool:
        """Whether it has whole rows only, and all columns are there, none of them in doubt."""
        if not plan.whole or not plan.parity.simple:
            return False
        return not self._trust.doubtful or not any(self._trust.out(plan.parity, row) for row in plan.rows)

    def _log_failed(self, failure: LogFailed) -> None:
        """Nothing has gone to any leg: everything waits for what becomes of the log."""
        copy = failure.copy
        for index, part in enumerate(self._parts):
            if not self._verdicts[index]:
                request = part.request
                self._verdicts[index] = Fault(
                    self._volume.name,
                    FaultKind.LOG,
                    request.op,
                    copy.device,
                    None,
                    copy.key,
                    failure.number,
                    request.offset,
                    request.length,
                )

    def _write_legs(self, plan: RowPlan) -> None:
        failures = []
        for leg in plan.legs:
            for target in plan.parity.columns[leg.column].writers:
                if not plan.durable:  # a flush that fails from here on may lose it
                    self._volume.written.add(target.device)
                try:
                    at = leg.column_offset + target.delta
                    write_parts(target.device, at, leg.parts, durable=plan.durable, step=_STEP)
                except LEG_ERRORS as error:
                    failures.append((leg.column, target, errno_of(error)))
                if not plan.durable:
                    self._volume.written.add(target.device)
        if not failures and plan.whole:
            self._trust.trust(plan.rows)
        if failures:
            self._judge(plan.parity, plan.rows, failures, self._indexes(plan.rows))

    def _zero_legs(self, zero: _ZeroRows) -> None:
        rows, parity, request = zero.rows, zero.parity, zero.part.request
        unit, may_unmap = parity.geometry.unit, request.may_unmap or request.op is Op.DISCARD
        failures = []
        for number, column in enumerate(parity.columns):
            for target in column.writers:
                self._volume.written.add(target.device)
                try:
                    target.device.zero(rows.start * unit + target.delta, len(rows) * unit, may_unmap=may_unmap)
                except LEG_ERRORS as error:
                    failures.append((number, target, errno_of(error)))
                self._volume.written.add(target.device)
        if not failures:
            self._trust.trust(rows)
        self._judge(parity, rows, failures, [self._parts.index(zero.part)])

    def _judge(
        self, parity: Raid5Map, rows: range, failures: Sequence[tuple[int, Target, int]], parts: Sequence[int]
    ) -> None:
        """Some legs have failed. Their columns do not count in these rows any more; with two of them out nothing
        stands for the bytes, and nobody may be told that one of them can be left out."""
        if not failures:
            return
        self._failed = True
        for column, target, _ in failures:
            if target.readable:
                self._trust.doubt(rows, column)
            else:
                self._trust.miss(target.key)
        broken = any(len(self._trust.out(parity, row)) > 1 for row in rows)
        if broken and self._log is not None:
            self._log.pin()
        _, target, number = next((failure for failure in failures if failure[1].readable), failures[0])
        for index in parts:
            if not self._verdicts[index]:
                self._verdicts[index] = self._fault(parity, target, number, index, broken)

    def _fault(self, parity: Raid5Map, target: Target, number: int, index: int, broken: bool) -> Fault:
        fault = raid5_fault(self._volume, self._parts[index].request, parity, target, number)
        return fault if not broken else replace(fault, kind=FaultKind.BROKEN)


def _entry_bytes(plans: Sequence[RowPlan], zeros: Sequence[_ZeroRows]) -> int:
    """What an entry of these takes in the log."""
    if not plans and not zeros:
        return 0
    extents = sum(len(plan.extents) for plan in plans) + len(zeros)
    return entry_size(extents, sum(len(part) for plan in plans for part in plan.parts))


def _follows(before: RowWrite, write: RowWrite) -> bool:
    """Whether two whole rows can be written together."""
    return (before.row + 1, before.parity, before.durable) == (write.row, write.parity, write.durable)
