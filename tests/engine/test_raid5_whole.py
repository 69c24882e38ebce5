"""Whole rows against the plain words of the layout: what lies where, and what its checksums are."""

from __future__ import annotations

from itertools import pairwise
from random import Random

import pytest

from engine.dataplane.parity import xor_of
from engine.dataplane.raid5 import Geometry
from engine.dataplane.raid5_log_format import payload_checksum
from engine.dataplane.raid5_whole import Source, chains, clipped, columns_of, row_sums, whole_rows


def pieces_of(random: Random, geometry: Geometry) -> list[memoryview]:
    counts = (random.randrange(1, 2 * geometry.columns) for _ in range(random.randrange(1, 4)))
    return [memoryview(random.randbytes(count * geometry.row_bytes)) for count in counts]


@pytest.mark.parametrize("columns", [3, 4, 5, 6, 9, 32])
def test_columns_and_their_checksums_are_those_of_each_row(columns: int, seed: int) -> None:
    random, geometry = Random(seed), Geometry(columns, 512)
    for first in range(columns + 1):
        pieces = pieces_of(random, geometry)
        found = columns_of(geometry, first, pieces)
        sums = row_sums(geometry, first, found)
        data = b"".join(pieces)
        for turn in range(len(data) // geometry.row_bytes):
            row, start = first + turn, turn * geometry.row_bytes
            units = [data[at : at + 512] for at in range(start, start + geometry.row_bytes, 512)]
            wanted = {geometry.data(row, number): unit for number, unit in enumerate(units)}
            wanted[geometry.parity(row)] = bytes(xor_of(units))
            assert [bytes(column[turn]) for column in found] == [*map(wanted.get, range(columns))]
            checksums = [payload_checksum((wanted[column],)) for column in range(columns)]
            assert sums[turn * columns : (turn + 1) * columns] == checksums


def test_pieces_have_whole_rows_however_the_sources_are_cut(seed: int) -> None:
    random, row = Random(seed), 48
    for _ in range(200):
        data = random.randbytes(row * random.randrange(1, 8))
        cuts = sorted({0, len(data), *(random.randrange(len(data)) for _ in range(random.randrange(9)))})
        chain = [Source(number, low, memoryview(data)[low:high]) for number, (low, high) in enumerate(pairwise(cuts))]
        pieces = whole_rows(chain, row)
        assert b"".join(pieces) == data
        assert not any(len(piece) % row for piece in pieces)
        low, high = sorted((random.randrange(len(data) + 1), random.randrange(len(data) + 1)))
        assert b"".join(source.data for source in clipped(chain, low, high)) == data[low:high]


def test_chains_have_no_gap_and_overlaps_no_chain(seed: int) -> None:
    random = Random(seed)
    for _ in range(200):
        spans = [(random.randrange(30), random.randrange(1, 6)) for _ in range(random.randrange(1, 6))]
        sources = [Source(number, low, memoryview(bytes(size))) for number, (low, size) in enumerate(spans)]
        touched = [at for low, size in spans for at in range(low, low + size)]
        found = chains(sources)
        assert (found is None) == (len(set(touched)) < len(touched))
        for chain in found or ():
            assert [at for source in chain for at in range(source.offset, source.end)] == [
                *range(chain[0].offset, chain[-1].end)
            ]
        ends = [(chain[0].offset, chain[-1].end) for chain in found or ()]
        assert all(end < start for (_, end), (start, _) in pairwise(ends))
        assert sum(map(len, found or ())) == (len(sources) if found is not None else 0)
