"""The arithmetic of left-symmetric rotating parity: where each byte of a RAID-5 volume lies.

Row `r` is one unit of every column. Its parity is in column `n - 1 - r % n`; its data units follow in the columns
behind that one, around the end, so that consecutive units of the volume lie on consecutive columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

MIN_COLUMNS = 3
MAX_COLUMNS = 32


class Extent(NamedTuple):
    """Bytes that lie in one unit of one column; `start` is their place in the caller's buffer."""

    column: int
    column_offset: int
    start: int
    length: int


class Geometry(NamedTuple):
    """`columns` columns, the parity's share included, that take turns every `unit` bytes."""

    columns: int
    unit: int

    @property
    def row_bytes(self) -> int:
        """Bytes of the volume in one row."""
        return (self.columns - 1) * self.unit

    def parity(self, row: int) -> int:
        """The column that holds the parity of `row`."""
        return self.columns - 1 - row % self.columns

    def data(self, row: int, number: int) -> int:
        """The column that holds data unit `number` (from 0) of `row`."""
        return (self.parity(row) + 1 + number) % self.columns

    def number(self, row: int, column: int) -> int:
        """Which data unit of `row` lies in `column`; -1 for the parity."""
        return (column - self.parity(row) - 1) % self.columns if column != self.parity(row) else -1

    def place(self, offset: int) -> tuple[int, int]:
        """Column, and offset in it, of the volume's byte `offset`."""
        turn, inside = divmod(offset, self.unit)
        row, number = divmod(turn, self.columns - 1)
        return (self.columns - row % self.columns + number) % self.columns, row * self.unit + inside

    def rows_of(self, offset: int, length: int) -> range:
        """The rows that a volume range touches."""
        row = self.row_bytes
        return range(offset // row, -(-(offset + length) // row)) if length else range(0)

    def volume_range_of(self, rows: range) -> tuple[int, int]:
        """Offset and length of these consecutive rows in the volume: what to lock."""
        return rows.start * self.row_bytes, len(rows) * self.row_bytes

    def rows_of_column(self, column_offset: int, length: int) -> range:
        """The rows that a range of any column touches."""
        return range(column_offset // self.unit, -(-(column_offset + length) // self.unit)) if length else range(0)

    def rows_for(self, size: int) -> int:
        """How many whole rows a volume of `size` bytes needs."""
        return -(-size // self.row_bytes)

    def runs(self, offset: int, length: int) -> Iterator[Extent]:
        """The volume range in pieces that each lie in one unit, in order."""
        at, stop = offset, offset + length
        while at < stop:
            column, inside = self.place(at)
            size = min(self.unit - at % self.unit, stop - at)
            yield Extent(column, inside, at - offset, size)
            at += size
