"""What a batch of writes means for each row: new parity, what goes to the log, and what goes to which leg."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from engine.dataplane.parity import xor_of
from engine.dataplane.raid5_log_format import ExtentKind, LogExtent, payload_checksum
from engine.dataplane.raid5_rows import LegError, Lost, combine, read_unit, reconstruct

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from engine.dataplane.raid5_map import Raid5Map
    from engine.dataplane.raid5_rows import RowTrust


class Run(NamedTuple):
    """New bytes of one data unit, from `low` on."""

    low: int
    data: memoryview

    @property
    def high(self) -> int:
        """Where they end in the unit."""
        return self.low + len(self.data)


class RowWrite:
    """The new bytes of one row: by the number of the data unit, runs in the order in which they came."""

    __slots__ = ("durable", "parity", "row", "runs")

    def __init__(self, parity: Raid5Map, row: int) -> None:
        self.parity = parity
        self.row = row
        self.runs: dict[int, list[Run]] = {}
        self.durable = False

    def add(self, number: int, low: int, data: memoryview) -> None:
        """New bytes, which hide earlier ones of the same place."""
        self.runs.setdefault(number, []).append(Run(low, data))

    @property
    def is_full(self) -> bool:
        """Whether every byte of the row is new; only once the runs are merged."""
        geometry = self.parity.geometry
        return len(self.runs) == geometry.columns - 1 and all(
            len(runs) == 1 and len(runs[0].data) == geometry.unit for runs in self.runs.values()
        )

    def merge(self) -> None:
        """Make the runs of each unit ascending, apart from each other."""
        for number, runs in self.runs.items():
            if len(runs) > 1:
                self.runs[number] = merged(runs)


class LegWrite(NamedTuple):
    """New bytes for all places of one column."""

    column: int
    column_offset: int
    data: memoryview


class RowPlan(NamedTuple):
    """What the write of one row, or of several whole ones, does: log extents with their payloads, and legs."""

    parity: Raid5Map
    rows: range
    whole: bool
    durable: bool
    extents: list[LogExtent]
    parts: list[memoryview]
    legs: list[LegWrite]

    @property
    def sums(self) -> list[int]:
        """Of whole rows, the checksum of each column's unit, row by row."""
        unit, legs = self.parity.geometry.unit, sorted(self.legs)
        starts = range(0, len(self.rows) * unit, unit)
        return [payload_checksum((leg.data[start : start + unit],)) for start in starts for leg in legs]


def merged(runs: list[Run]) -> list[Run]:
    """Runs without overlaps and seams; later ones hide earlier ones."""
    spans: list[list[int]] = []
    for low, high in sorted((run.low, run.high) for run in runs):
        if spans and low <= spans[-1][1]:
            spans[-1][1] = max(spans[-1][1], high)
        else:
            spans.append([low, high])
    found = []
    for low, high in spans:
        buffer = memoryview(bytearray(high - low))
        for run in runs:
            if low <= run.low < high:
                buffer[run.low - low : run.high - low] = run.data
        found.append(Run(low, buffer))
    return found


def complete(trust: RowTrust, write: RowWrite) -> None:
    """Make a part of a row all of it: the new bytes among the old ones. LegError or Lost when those can't be read."""
    geometry = write.parity.geometry
    for number in range(geometry.columns - 1):
        unit = memoryview(bytearray(geometry.unit))
        column = geometry.data(write.row, number)
        try:
            if column in trust.out(write.parity, write.row):
                raise Lost
            read_unit(write.parity, write.row, column, 0, unit)
        except (LegError, Lost):
            reconstruct(trust, write.parity, write.row, column, 0, unit)
        for run in write.runs.get(number, ()):
            unit[run.low : run.high] = run.data
        write.runs[number] = [Run(0, unit)]


def plan_rows(writes: Sequence[RowWrite]) -> RowPlan:
    """Consecutive whole rows of one segment: nothing is read, each column is one piece, and parity isn't logged, as it
    follows from the data."""
    first = writes[0]
    parity, geometry, count = first.parity, first.parity.geometry, len(writes)
    whole = b"".join(write.runs[number][0].data for write in writes for number in range(geometry.columns - 1))
    data = np.frombuffer(whole, np.uint8).reshape(count, geometry.columns - 1, geometry.unit)
    columns = np.empty((geometry.columns, count, geometry.unit), np.uint8)
    for turn in range(min(count, geometry.columns)):  # rows that have their parity in the same column
        row, same = first.row + turn, slice(turn, None, geometry.columns)
        own = columns[geometry.parity(row), same]
        np.bitwise_xor(data[same, 0], data[same, 1], out=own)
        for number in range(geometry.columns - 1):
            columns[geometry.data(row, number), same] = data[same, number]
            if number > 1:
                np.bitwise_xor(own, data[same, number], out=own)
    rows = range(first.row, first.row + count)
    extents = [LogExtent(ExtentKind.ROW, 0, 0, row, geometry.unit) for row in rows]
    at = first.row * geometry.unit
    legs = [LegWrite(column, at, units.reshape(-1).data) for column, units in enumerate(columns)]
    return RowPlan(parity, rows, True, first.durable, extents, [memoryview(whole)], legs)


def plan_part(trust: RowTrust, write: RowWrite) -> RowPlan:
    """A part of a row: read what is needed and compute the parity. LegError or Lost when too little can be read."""
    parity, row, geometry = write.parity, write.row, write.parity.geometry
    plan = RowPlan(parity, range(row, row + 1), False, write.durable, [], [], [])
    for number in sorted(write.runs):
        for run in write.runs[number]:
            _change(plan, geometry.data(row, number), run.low, run.data)
    for low, touched in _bands(write):
        new = _new_parity(trust, parity, row, low, touched)
        if new is not None:
            _change(plan, geometry.parity(row), low, new)
    return plan


def _change(plan: RowPlan, column: int, low: int, data: memoryview) -> None:
    at = plan.rows.start * plan.parity.geometry.unit + low
    plan.extents.append(LogExtent(ExtentKind.COLUMN, column, 0, at, len(data)))
    plan.parts.append(data)
    plan.legs.append(LegWrite(column, at, data))


def _bands(write: RowWrite) -> Iterator[tuple[int, dict[int, memoryview]]]:
    """The unit cut so that in each part the same data units are written throughout: (low, data by unit)."""
    edges = sorted({edge for runs in write.runs.values() for run in runs for edge in (run.low, run.high)})
    for low, high in pairwise(edges):
        touched = {
            number: run.data[low - run.low : high - run.low]
            for number, runs in write.runs.items()
            for run in runs
            if run.low <= low < run.high
        }
        if touched:
            yield low, touched


def _new_parity(
    trust: RowTrust, parity: Raid5Map, row: int, low: int, touched: dict[int, memoryview]
) -> memoryview | None:
    """The parity of a band once `touched` is written; None when it has no place."""
    geometry, out = parity.geometry, trust.out(parity, row)
    own = geometry.parity(row)
    written = {geometry.data(row, number): data for number, data in touched.items()}
    others = [column for column in range(geometry.columns) if column != own and column not in written]
    if len(out) > 1 or (out - {own} and not trust.knows(parity, row)):
        raise Lost
    if not parity.columns[own].writers:
        return None
    from_others = not out.intersection(others)
    from_old = trust.knows(parity, row) and own not in out and not out.intersection(written)
    ways = [_from_old, _from_others] if len(written) + 1 < len(others) else [_from_others, _from_old]
    possible = [way for way in ways if (from_old if way is _from_old else from_others)]
    failure: LegError | None = None
    for way in possible:
        try:
            return way(parity, row, low, written, others)
        except LegError as error:
            failure = error
    raise failure or Lost


def _from_others(parity: Raid5Map, row: int, low: int, written: dict[int, memoryview], others: list[int]) -> memoryview:
    """The new data, and that of the columns that are not written."""
    new = xor_of(list(written.values()))
    combine(parity, row, others, low, new)
    return new


def _from_old(parity: Raid5Map, row: int, low: int, written: dict[int, memoryview], _others: list[int]) -> memoryview:
    """The old parity without the old data, with the new."""
    new = xor_of(list(written.values()))
    combine(parity, row, [*written, parity.geometry.parity(row)], low, new)
    return new
