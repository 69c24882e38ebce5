"""The arithmetic of rotating parity against rows that are drawn, not computed, for 3 to 32 columns."""

from __future__ import annotations

from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.dataplane.fold import Piece, PlexLayout, fold
from engine.dataplane.parity import is_zero, xor_into, xor_of
from engine.dataplane.raid5 import MAX_COLUMNS, MIN_COLUMNS, Geometry
from engine.devices.memory import MemoryDevice
from engine.errors import RangeError
from tests.engine.raid5_lab import PLEX, naive_rows

UNIT = 8
geometries = st.integers(MIN_COLUMNS, MAX_COLUMNS)


@given(geometries)
def test_every_unit_lies_where_it_was_drawn(columns: int) -> None:
    geometry = Geometry(columns, UNIT)
    for row, line in enumerate(naive_rows(columns, 2 * columns + 1)):
        assert line[geometry.parity(row)] == -1
        for column, unit in enumerate(line):
            assert geometry.number(row, column) == (unit - row * (columns - 1) if unit >= 0 else -1)
            if unit >= 0:
                assert geometry.data(row, unit - row * (columns - 1)) == column
                for inside in (0, 3, UNIT - 1):
                    assert geometry.place(unit * UNIT + inside) == (column, row * UNIT + inside)


@given(geometries, st.data())
def test_runs_rows_and_ranges_fit_each_other(columns: int, data: st.DataObject) -> None:
    geometry = Geometry(columns, UNIT)
    size = 3 * columns * geometry.row_bytes
    offset = data.draw(st.integers(0, size - 1))
    length = data.draw(st.integers(0, size - offset))
    runs = list(geometry.runs(offset, length))
    assert [run.start for run in runs] == [sum(other.length for other in runs[:n]) for n in range(len(runs))]
    assert sum(run.length for run in runs) == length
    for run in runs:
        assert geometry.place(offset + run.start) == (run.column, run.column_offset)
        assert run.column_offset // UNIT == (run.column_offset + run.length - 1) // UNIT
    rows = geometry.rows_of(offset, length)
    assert list(rows) == sorted({run.column_offset // UNIT for run in runs})
    if length:
        start, count = geometry.volume_range_of(rows)
        assert start <= offset
        assert offset + length <= start + count
        assert count - length < 2 * geometry.row_bytes
        assert geometry.rows_of(start, count) == rows


@given(geometries, st.integers(0, 10_000))
def test_a_volume_needs_so_many_rows_that_its_last_byte_has_a_place(columns: int, size: int) -> None:
    geometry = Geometry(columns, UNIT)
    rows = geometry.rows_for(size)
    assert rows * geometry.row_bytes >= size > (rows - 1) * geometry.row_bytes or rows == size == 0


@given(st.integers(1, 5), st.integers(0, 300), st.integers(0, 2**32))
def test_parity_stands_for_any_of_its_sources(sources: int, length: int, seed: int) -> None:
    random = Random(seed)
    parts = [random.randbytes(length) for _ in range(sources)]
    parity = xor_of(parts)
    for index, part in enumerate(parts):
        others = [other for number, other in enumerate(parts) if number != index]
        assert xor_of([parity, *others]) == part
    xor_into(parity, *parts)
    assert is_zero(parity)
    with pytest.raises(ValueError, match="combined"):
        xor_into(parity, bytes(length + 1))


def test_the_folded_table_finds_each_byte_in_its_piece(seed: int) -> None:
    random = Random(seed)
    device = MemoryDevice("lun", 1 << 20)
    try:
        for _ in range(100):
            columns, rows = random.randint(3, 7), random.randint(1, 12)
            pieces = _random_pieces(random, device, columns, rows)
            geometry = Geometry(columns, UNIT)
            size = random.randint((rows - 1) * geometry.row_bytes + 1, rows * geometry.row_bytes)
            table = fold([PlexLayout(PLEX, columns, UNIT, tuple(pieces), raid5=True)], size)
            assert table.raid5 == geometry
            assert table.segments[0].start == 0
            assert table.segments[-1].end == size
            for offset in range(size):
                column, at = geometry.place(offset)
                here = [p for p in pieces if p.column == column and p.column_offset <= at < p.column_offset + p.length]
                parity = table.find(offset).parity
                assert parity is not None
                readers = [p for p in here if p.readable]
                spot = parity.place(offset, 1)
                assert (spot is None) == (not readers) == (column in parity.out)
                if spot is not None:
                    assert spot[1] == readers[0].device_offset + at - readers[0].column_offset
                assert {target.key for target in parity.columns[column].writers} == {p.key for p in here}
    finally:
        device.close()


def _random_pieces(random: Random, device: MemoryDevice, columns: int, rows: int) -> list[Piece]:
    """Each column cut anywhere between rows; a piece may lack, be filled, or be on its way to another place."""
    pieces, place = [], 0
    for column in range(columns):
        cuts = sorted({random.randrange(rows) for _ in range(2)} | {0, rows})
        for first, last in pairwise(cuts):
            for readable in random.choice([(True,), (True,), (False,), (True, False), ()]):
                length = (last - first) * UNIT
                pieces.append(Piece(column, first * UNIT, length, device, place, readable, len(pieces)))
                place += length + 3
    return pieces


@pytest.mark.parametrize("columns", [2, 33])
def test_too_few_and_too_many_columns_are_refused(columns: int) -> None:
    with pytest.raises(RangeError, match="3 to 32 columns"):
        fold([PlexLayout(PLEX, columns, UNIT, (), raid5=True)], 100)


def test_broken_units_and_fellows_are_refused() -> None:
    device = MemoryDevice("lun", 4096)
    try:
        for at, length in ((0, UNIT + 1), (3, UNIT)):
            with pytest.raises(RangeError, match="whole units"):
                fold([PlexLayout(PLEX, 3, UNIT, (Piece(0, at, length, device, 0),), raid5=True)], UNIT)
        two = [PlexLayout(PLEX, 3, UNIT, (), raid5=True), PlexLayout("other", 1, 0, ())]
        with pytest.raises(RangeError, match="no fellow"):
            fold(two, UNIT)
    finally:
        device.close()
