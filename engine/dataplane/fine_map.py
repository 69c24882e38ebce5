"""Which cells of a volume have been written: in memory only, beside a map of regions that is durable.

A cell is set before it is written, at no durable cost. So a fine map only narrows what the regions tell: of a region
that differs the cells that are not set do not. After a crash, or wherever else nobody has kept the cells, all those of
a region that differs are set.
"""

from __future__ import annotations

import mmap
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

from engine.units import KIB

if TYPE_CHECKING:
    from numpy.typing import NDArray

CELL_MIN = 4 * KIB
CELLS_MAX = 4 << 20
"""A map takes a byte of memory for each cell, once a cell near it has been set."""

GAP = 16 * KIB
"""Shorter gaps between cells are copied along: one long request costs less than two short ones."""
RUNS_MAX = 1 << 17
"""Where there would be more runs, longer gaps are copied along."""


Runs: TypeAlias = "tuple[tuple[int, int], ...]"


class Needed(NamedTuple):
    """What is to be copied, as (offset, length), ascending and apart, and which gaps lie in it. With the same `gap`
    it only grows while cells are set."""

    runs: Runs
    gap: int

    @property
    def length(self) -> int:
        return sum(length for _, length in self.runs)


def cell_size(size: int) -> int:
    """The bytes that one cell stands for in a volume of `size` bytes: a power of two."""
    found = CELL_MIN
    while -(-size // found) > CELLS_MAX:
        found *= 2
    return found


class FineMap:
    """The cells of one volume. `cells` has a byte for each and is set without a lock; its length never changes."""

    def __init__(self, size: int) -> None:
        """No cell of a volume of `size` bytes is set."""
        self.size = size
        self.cell_size = cell_size(size)
        self.shift = self.cell_size.bit_length() - 1
        self.count = -(-size // self.cell_size)
        self.cells = mmap.mmap(-1, max(self.count, 1))  # what nobody has touched takes no memory

    def add(self, offset: int, length: int) -> None:
        """Set all cells of a range."""
        if length:
            first, stop = offset >> self.shift, min(((offset + length - 1) >> self.shift) + 1, self.count)
            self.cells[first:stop] = b"\1" * (stop - first)

    def add_regions(self, regions: bytes, region_size: int) -> None:
        """Set all cells of regions; `regions` has a byte for each, 1: it differs."""
        at = regions.find(1)
        while at >= 0:
            stop = regions.find(0, at)
            stop = len(regions) if stop < 0 else stop
            self.add(at * region_size, min(stop * region_size, self.size) - at * region_size)
            at = regions.find(1, stop)

    def plus(self, *others: FineMap) -> FineMap:
        """A map of its own with the cells of all, which are of equal size."""
        made = FineMap(self.size)
        cells = self._now()
        for other in others:
            cells = cells | other._now()
        made.cells[:] = cells.tobytes()
        return made

    def needed(self, regions: bytes, region_size: int, gap: int = GAP) -> Needed:
        """The cells that are set in `regions`, short gaps between them included."""
        marked = np.repeat(np.frombuffer(regions, np.uint8), region_size // self.cell_size)
        found = np.zeros(self.count + 2, np.uint8)
        np.bitwise_and(self._now()[: self.count], marked[: self.count], out=found[1:-1])
        edges = np.flatnonzero(found[1:] != found[:-1]) * self.cell_size
        starts, ends = edges[0::2], edges[1::2]
        while True:
            apart = starts[1:] - ends[:-1] >= gap
            if int(apart.sum()) < RUNS_MAX:
                break
            gap *= 2
        firsts = starts[np.concatenate(([True], apart))] if len(starts) else starts
        lasts = np.minimum(ends[np.concatenate((apart, [True]))] if len(ends) else ends, self.size)
        return Needed(tuple(zip(firsts.tolist(), (lasts - firsts).tolist(), strict=True)), gap)

    def _now(self) -> NDArray[np.uint8]:
        """A copy: others go on setting cells meanwhile."""
        return np.frombuffer(self.cells[:], np.uint8)


def of_regions(size: int, region_size: int, regions: bytes) -> FineMap:
    """All that is known are regions: each of their cells may differ."""
    made = FineMap(size)
    made.add_regions(regions, region_size)
    return made
