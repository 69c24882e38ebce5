"""Whole rows: found among the parts of a batch, and laid out for the columns without looking at single units."""

from __future__ import annotations

from functools import cache, lru_cache
from itertools import pairwise
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from crc32c import crc32c

from engine.dataplane.raid5 import Geometry

if TYPE_CHECKING:
    from collections.abc import Sequence


class Source(NamedTuple):
    """New bytes for the volume from `offset` on; `part` is the number of the part which brings them."""

    part: int
    offset: int
    data: memoryview

    @property
    def end(self) -> int:
        """Where they end in the volume."""
        return self.offset + len(self.data)


def chains(sources: Sequence[Source]) -> list[list[Source]] | None:
    """The sources in runs that have no gap inside; None when any of them overlap, so that their order matters."""
    ordered = sorted(sources, key=lambda source: source.offset)
    found = [ordered[:1]]
    for before, source in pairwise(ordered):
        if source.offset < before.end:
            return None
        if source.offset == before.end:
            found[-1].append(source)
        else:
            found.append([source])
    return found


def clipped(chain: Sequence[Source], low: int, high: int) -> list[Source]:
    """What of a chain lies between two volume offsets."""
    found = []
    for part, offset, data in chain:
        begin, end = max(low - offset, 0), min(high - offset, len(data))
        if begin < end:
            found.append(Source(part, offset + begin, data[begin:end]))
    return found


def whole_rows(chain: Sequence[Source], row: int) -> list[memoryview]:
    """A chain that begins and ends with a row, in pieces that do, too: only rows of several sources are copied."""
    done: list[memoryview] = []
    begun: list[memoryview] = []
    missing = 0
    for _, _, data in chain:
        if missing:
            begun.append(data[:missing])
            data = data[missing:]
            missing -= len(begun[-1])
            if missing:
                continue
            done.append(memoryview(b"".join(begun)))
        whole = len(data) // row * row
        if whole:
            done.append(data[:whole])
        begun = [data[whole:]]
        missing = -len(begun[0]) % row
    return done


def columns_of(geometry: Geometry, first: int, pieces: Sequence[memoryview]) -> list[tuple[memoryview, ...]]:
    """The units of every column, parity included, for the rows from `first` on whose data are in `pieces`."""
    unit = geometry.unit
    units: list[memoryview] = []
    parities: list[memoryview] = []
    for piece in pieces:
        parity = _parities(geometry, piece)
        units += [piece[at : at + unit] for at in range(0, len(piece), unit)]
        parities += [parity[at : at + unit] for at in range(0, len(parity), unit)]
    picked = [pick(units + parities) for pick in _picks(geometry.columns, first % geometry.columns, len(parities))]
    return picked if len(parities) > 1 else [(one,) for one in picked]


@lru_cache(maxsize=64)
def _picks(columns: int, first: int, rows: int) -> tuple[itemgetter[Any], ...]:
    """For each column what takes its units out of all data units in order, and the parities behind them."""
    geometry, data = Geometry(columns, 1), columns - 1
    return tuple(
        itemgetter(
            *(
                turn * data + number if (number := geometry.number(first + turn, column)) >= 0 else rows * data + turn
                for turn in range(rows)
            )
        )
        for column in range(columns)
    )


def _parities(geometry: Geometry, piece: memoryview) -> memoryview:
    """The parity of all rows, one behind the other."""
    data = np.frombuffer(piece, np.uint8).reshape(-1, geometry.columns - 1, geometry.unit)
    parity = np.bitwise_xor(data[:, 0], data[:, 1])
    for number in range(2, geometry.columns - 1):
        np.bitwise_xor(parity, data[:, number], out=parity)
    return parity.reshape(-1).data


def row_sums(geometry: Geometry, first: int, columns: Sequence[Sequence[memoryview]]) -> list[int]:
    """The checksum of each unit, row by row, of rows as `columns_of` gives them: that of the parity follows from those
    of the data."""
    even = 0 if geometry.columns % 2 == 0 else _sum_of_zeros(geometry.unit)
    sums: list[int] = []
    for row, units in enumerate(zip(*columns, strict=True), first):
        own = geometry.parity(row)
        parity = even
        for column, unit in enumerate(units):
            value = 0 if column == own else crc32c(unit)
            sums.append(value)
            parity ^= value
        sums[own - geometry.columns] = parity
    return sums


@cache
def _sum_of_zeros(length: int) -> int:
    """What the checksum of an even number of equally long buffers' XOR has beside the XOR of their checksums: it is
    linear but for a constant."""
    return int(crc32c(bytes(length)))
