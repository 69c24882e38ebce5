"""What is known and read of single rows: the columns that count as out, old bytes, and what parity stands for.

All offsets called `low` and `high` are inside of the unit. The caller holds the locks of the rows.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from engine.dataplane.fault import LEG_ERRORS, errno_of
from engine.dataplane.parity import xor_into

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

    from engine.dataplane.raid5_map import Raid5Map, Target
    from engine.dataplane.table import Table
    from engine.runtime import Runtime


class LegError(Exception):
    """Reading one leg failed."""

    def __init__(self, column: int, target: Target, number: int) -> None:
        super().__init__(f"Reading column {column} on {target.device.name} failed.")
        self.column = column
        self.target = target
        self.number = number


class Lost(Exception):
    """Too many columns of a row are out: nothing stands for the bytes."""


class RowTrust:
    """What must not be believed beside what the table says. Changed under the row's locks, or while the gate is held.

    `parity_known_to` is the volume offset up to which the parity is right. `missed` has the keys of places that are
    being filled and have missed a write.
    """

    def __init__(self, runtime: Runtime) -> None:
        self.parity_known_to = sys.maxsize
        self.missed: frozenset[Hashable] = frozenset()
        self._lock = runtime.lock()
        self._doubts: dict[int, frozenset[int]] = {}

    @property
    def doubtful(self) -> bool:
        """Whether any row has a column that must not be believed for a reason that the table does not tell."""
        return bool(self._doubts)

    def doubts(self) -> list[tuple[int, int]]:
        """The rows that have such a column, and which: (row, column)."""
        with self._lock:
            return sorted((row, column) for row, columns in self._doubts.items() for column in columns)

    def doubt(self, rows: range, column: int) -> None:
        """A write to `column` has failed in `rows`, while the others have it."""
        with self._lock:
            for row in rows:
                self._doubts[row] = self._doubts.get(row, frozenset()) | {column}

    def miss(self, key: Hashable) -> None:
        """A write to a place that is being filled has failed."""
        with self._lock:
            self.missed |= {key}

    def trust(self, rows: range) -> None:
        """All columns of `rows` have been written anew."""
        if self._doubts:
            with self._lock:
                for row in rows:
                    self._doubts.pop(row, None)

    def forget(self) -> None:
        """A replay has made every row whole."""
        with self._lock:
            self._doubts.clear()

    def out(self, parity: Raid5Map, row: int) -> frozenset[int]:
        """The columns of `row` that must not be read."""
        found = frozenset(parity.out)
        doubted = self._doubts.get(row) if self._doubts else None
        return found | doubted if doubted else found

    def knows(self, parity: Raid5Map, row: int) -> bool:
        """Whether the parity of `row` is right."""
        return (row + 1) * parity.geometry.row_bytes <= self.parity_known_to

    def stands_for(self, parity: Raid5Map, rows: range, column: int) -> bool:
        """Whether all of `rows`, of one segment, can do without `column`: nothing else is out of them, and their parity
        is right."""
        if not self._doubts:
            return not set(parity.out) - {column} and all(self.knows(parity, row) for row in rows[-1:])
        return all(self.knows(parity, row) and not self.out(parity, row) - {column} for row in rows)

    def broken(self, table: Table) -> tuple[int, ...]:
        """The rows that have lost more than parity can stand for, for a reason that the table does not tell."""
        geometry = table.raid5
        if geometry is None or not self._doubts:
            return ()
        with self._lock:
            rows = sorted(self._doubts)
        return tuple(row for row in rows if len(self.out(map_of(table, row), row)) > 1)

    def adopt(self, table: Table) -> None:
        """A new table: a doubted column that is out in it is known to be so, and will be rebuilt before it is read."""
        geometry = table.raid5
        if self.missed:
            maps = [segment.parity for segment in table.segments if segment.parity is not None]
            with self._lock:
                self.missed &= {target.key for found in maps for target in found.targets() if not target.readable}
        if geometry is None or not self._doubts:
            return
        with self._lock:
            self._doubts = {
                row: left
                for row, columns in self._doubts.items()
                if row < geometry.rows_for(table.size) and (left := columns.difference(map_of(table, row).out))
            }


def map_of(table: Table, row: int) -> Raid5Map:
    """The map of a row of a RAID-5 volume."""
    geometry = table.raid5
    parity = table.find(row * geometry.row_bytes).parity if geometry is not None else None
    if parity is None:
        raise ValueError("Only a RAID-5 volume has rows.")
    return parity


def read_unit(parity: Raid5Map, row: int, column: int, low: int, into: memoryview) -> None:
    """Read a part of one unit from its own column. LegError when that fails, Lost when the column is out."""
    target = parity.columns[column].reader
    if target is None:
        raise Lost
    try:
        target.device.read_into(row * parity.geometry.unit + low + target.delta, into)
    except LEG_ERRORS as error:
        raise LegError(column, target, errno_of(error)) from error


def load(parity: Raid5Map, row: int, column: int, low: int, high: int) -> memoryview:
    """As `read_unit`, into a new buffer."""
    into = memoryview(bytearray(high - low))
    read_unit(parity, row, column, low, into)
    return into


def combine(parity: Raid5Map, row: int, columns: Iterable[int], low: int, into: memoryview) -> None:
    """Combine these columns into `into`, which keeps what it has by XOR. LegError and Lost as in `read_unit`."""
    for column in columns:
        xor_into(into, load(parity, row, column, low, low + len(into)))


def reconstruct(trust: RowTrust, parity: Raid5Map, row: int, column: int, low: int, into: memoryview) -> None:
    """What `column` should have there, from all other columns. LegError, or Lost when one of them is out, too."""
    if trust.out(parity, row) - {column} or not trust.knows(parity, row):
        raise Lost
    into[:] = bytes(len(into))
    combine(parity, row, (other for other in range(parity.geometry.columns) if other != column), low, into)
