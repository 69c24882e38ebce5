"""Cells beside regions, against plain sets: what is set, what is to be copied, and how far it is cut."""

from __future__ import annotations

import random

import pytest

from engine.dataplane import fine_map
from engine.dataplane.fine_map import CELLS_MAX, GAP, FineMap, cell_size, of_regions
from engine.units import GIB, KIB, MIB, TIB

CELL = 4 * KIB
REGION = 64 * KIB


def naive(size: int, cells: set[int], regions: set[int], gap: int = GAP) -> tuple[tuple[int, int], ...]:
    """Runs of the cells that lie in the regions, with gaps that are shorter than `gap`."""
    runs: list[list[int]] = []
    for cell in sorted(cell for cell in cells if cell * CELL // REGION in regions):
        start = cell * CELL
        if runs and start - runs[-1][1] < gap:
            runs[-1][1] = start + CELL
        else:
            runs.append([start, start + CELL])
    return tuple((start, min(end, size) - start) for start, end in runs)


@pytest.mark.parametrize("size", [CELL, 3 * REGION, 40 * REGION + CELL // 2, 64 * REGION])
def test_what_is_needed_are_the_cells_of_the_regions_that_differ(size: int) -> None:
    draw = random.Random(size)
    for _ in range(20):
        made, cells = FineMap(size), set()
        for _ in range(draw.randrange(12)):
            offset = draw.randrange(size)
            length = draw.randrange(min(size - offset, 3 * REGION) + 1)
            made.add(offset, length)
            cells |= set(range(offset // CELL, -(-(offset + length) // CELL))) if length else set()
        count = -(-size // REGION)
        regions = {region for region in range(count) if draw.randrange(3)}
        marks = bytes(region in regions for region in range(count))
        found = made.needed(marks, REGION)
        assert found.runs == naive(size, cells, regions)
        assert found.length == sum(length for _, length in found.runs)


def test_regions_of_which_nothing_else_is_known_have_all_their_cells() -> None:
    size = 5 * REGION + 100
    made = of_regions(size, REGION, b"\0\1\0\0\1\1")
    assert made.needed(b"\1" * 6, REGION).runs == ((REGION, REGION), (4 * REGION, REGION + 100))
    both = FineMap(size).plus(made)
    both.add(3 * REGION, 1)
    assert both.needed(b"\1" * 6, REGION).runs == ((REGION, REGION), (3 * REGION, CELL), (4 * REGION, REGION + 100))
    assert made.needed(b"\1" * 6, REGION).runs == ((REGION, REGION), (4 * REGION, REGION + 100))


def test_more_runs_than_a_copy_can_bear_are_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fine_map, "RUNS_MAX", 10)
    made = FineMap(100 * REGION)
    for region in range(40):
        made.add(region * 2 * REGION, CELL)
    found = made.needed(b"\1" * 100, REGION)
    assert len(found.runs) <= 10
    assert found.gap > GAP
    few = FineMap(100 * REGION)
    few.add(0, 1)
    few.add(50 * REGION, 1)
    assert few.needed(b"\1" * 100, REGION).gap == GAP


def test_what_is_needed_only_grows() -> None:
    """A copy that goes on where it stood must not leave out what has come to lie before that."""
    draw, size = random.Random(7), 64 * REGION
    made, before = FineMap(size), frozenset[int]()
    for _ in range(200):
        made.add(draw.randrange(size), draw.randrange(1, 3 * CELL))
        runs = made.needed(b"\1" * 64, REGION).runs
        now = frozenset(cell for offset, length in runs for cell in range(offset // CELL, (offset + length) // CELL))
        assert before <= now
        before = now


@pytest.mark.parametrize(
    ("size", "cell"), [(1, CELL), (16 * GIB, CELL), (16 * GIB + 1, 2 * CELL), (16 * TIB, 4 * MIB), (4 * GIB, CELL)]
)
def test_cells_grow_with_the_volume(size: int, cell: int) -> None:
    assert cell_size(size) == cell
    assert -(-size // cell) <= CELLS_MAX
