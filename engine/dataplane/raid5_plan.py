"""What a batch of writes means for each row: new parity, what goes to the log, and what goes to which leg."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from engine.dataplane.parity import xor_of
from engine.dataplane.raid5_log_format import ExtentKind, LogExtent
from engine.dataplane.raid5_rows import LegError, Lost, combine, read_unit, reconstruct
from engine.dataplane.raid5_whole import columns_of, row_sums

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
    parts: Sequence[memoryview]

    @property
    def data(self) -> bytes:
        """All of them, put together."""
        return b"".join(self.parts)


class RowPlan(NamedTuple):
    """What the write of one row, or of several whole ones, does: log extents with their payloads, and legs."""

    parity: Raid5Map
    rows: range
    whole: bool
    durable: bool
    extents: list[LogExtent]
    parts: list[memoryview]
    legs: list[LegWrite]

    def sums(self) -> list[int]:
        """Of whole rows, the checksum of each column's unit, row by row."""
        return row_sums(self.parity.geometry, self.rows.start, [leg.parts for leg in self.legs])

    def summed(self) -> list[LogExtent]:
        """Of whole rows, the extents that go to the log with these checksums."""
        return [LogExtent(ExtentKind.SUM, 0, 0, row, self.parity.geometry.unit) for row in self.rows]


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
    """Consecutive whole rows of one segment."""
    first, numbers = writes[0], range(writes[0].parity.geometry.columns - 1)
    data = memoryview(b"".join(write.runs[number][0].data for write in writes for number in numbers))
    return plan_whole(first.parity, range(first.row, first.row + len(writes)), [data], first.durable)


def plan_whole(parity: Raid5Map, rows: range, pieces: list[memoryview], durable: bool) -> RowPlan:
    """Whole rows of one segment, whose data are in `pieces`: nothing is read, each column is one piece, and parity
    isn't logged, as it follows from the data."""
    extents = [LogExtent(ExtentKind.ROW, 0, 0, row, parity.geometry.unit) for row in rows]
    at = rows.start * parity.geometry.unit
    columns = columns_of(parity.geometry, rows.start, pieces)
    legs = [LegWrite(column, at, units) for column, units in enumerate(columns)]
    return RowPlan(parity, rows, True, durable, extents, pieces, legs)


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
    plan.legs.append(LegWrite(column, at, (data,)))


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
