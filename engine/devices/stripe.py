"""Columns that take turns, one stripe unit each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.devices.spread import Part, SpreadDevice
from engine.errors import RangeError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from engine.devices.base import BlockDevice


class Stripe(SpreadDevice):
    """`unit` bytes of the first column, then of the second, and so on; as many whole rows as the shortest
    column has."""

    def __init__(self, columns: Sequence[BlockDevice], unit: int, name: str = "stripe") -> None:
        if unit <= 0:
            raise RangeError(f"A stripe unit of {unit} bytes is not possible.")
        rows = min(column.size for column in columns) // unit
        super().__init__(name, rows * unit * len(columns), columns)
        self._unit = unit

    def _parts(self, offset: int, length: int) -> Iterator[Part]:
        stop, at = offset + length, offset
        while at < stop:
            turn, inside = divmod(at, self._unit)
            row, column = divmod(turn, len(self._below))
            size = min(self._unit - inside, stop - at)
            yield Part(self._below[column], row * self._unit + inside, at - offset, size)
            at += size
