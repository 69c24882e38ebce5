"""Whole rows: found among the parts of a batch, and laid out for the columns without looking at single units."""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from crc32c import crc32c

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.dataplane.raid5 import Geometry


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


def columns_of(geometry: Geometry, first: int, pieces: Sequence[memoryview]) -> list[memoryview]:
    """The bytes of every column, parity included, for the rows from `first` on whose data are in `pieces`."""
    columns, unit = geometry
    count = sum(map(len, pieces)) // geometry.row_bytes
    laid = np.empty((columns, count, unit), np.uint8)
    begin = 0
    for piece in pieces:
        data = np.frombuffer(piece, np.uint8).reshape(-1, columns - 1, unit)
        _lay(geometry, first + begin, data, laid[:, begin : begin + len(data)])
        begin += len(data)
    return [column.reshape(-1).data for column in laid]


def _lay(geometry: Geometry, first: int, data: np.ndarray, laid: np.ndarray) -> None:
    """`data` by row and number of the unit, `laid` by column and row."""
    count, numbers = data.shape[:2]
    parity = np.bitwise_xor(data[:, 0], data[:, 1])
    for number in range(2, numbers):
        np.bitwise_xor(parity, data[:, number], out=parity)
    for turn in range(min(count, geometry.columns)):  # rows that have their parity in the same column
        row, same = first + turn, slice(turn, None, geometry.columns)
        laid[geometry.parity(row), same] = parity[same]
        for number in range(numbers):
            laid[geometry.data(row, number), same] = data[same, number]


def row_sums(geometry: Geometry, first: int, pieces: Sequence[memoryview]) -> list[int]:
    """The checksum of each column's unit, row by row: that of the parity follows from those of the data."""
    numbers, unit = geometry.columns - 1, geometry.unit
    sums: list[int] = []
    data = [crc32c(piece[at : at + unit]) for piece in pieces for at in range(0, len(piece), unit)]
    even = 0 if numbers % 2 else _sum_of_zeros(unit)
    for row, start in enumerate(range(0, len(data), numbers), first):
        parity = even
        for value in data[start : start + numbers]:
            parity ^= value
        ring = [parity, *data[start : start + numbers]]
        turned = geometry.columns - geometry.parity(row)
        sums += ring[turned:]
        sums += ring[:turned]
    return sums


@cache
def _sum_of_zeros(length: int) -> int:
    """What the checksum of an even number of equally long buffers' XOR has beside the XOR of their checksums: it is
    linear but for a constant."""
    return int(crc32c(bytes(length)))
