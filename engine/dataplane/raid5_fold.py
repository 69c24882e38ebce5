"""Folds the pieces of a RAID-5 plex into segments of whole rows: arithmetic only, no I/O."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from engine.dataplane.raid5 import MAX_COLUMNS, MIN_COLUMNS, Geometry
from engine.dataplane.raid5_map import Column, Raid5Map, Target
from engine.dataplane.table import Segment
from engine.errors import RangeError

if TYPE_CHECKING:
    from engine.dataplane.fold import Piece, PlexLayout


def fold_raid5(plex: PlexLayout, size: int) -> tuple[Segment, ...]:
    """The segments of a RAID-5 volume of `size` bytes.

    RangeError when there are too few or too many columns, or a piece does not consist of whole units.
    """
    geometry = Geometry(plex.columns, plex.unit)
    _check(plex)
    rows = geometry.rows_for(size)
    edges = {0, rows}
    for piece in plex.pieces:
        found = geometry.rows_of_column(piece.column_offset, piece.length)
        edges.update(edge for edge in (found.start, found.stop) if 0 < edge < rows)
    segments = []
    for first, last in pairwise(sorted(edges)):
        parity = _map(plex, geometry, first)
        end = min(last * geometry.row_bytes, size)
        segments.append(Segment(first * geometry.row_bytes, end, (), (), parity))
    return tuple(segments) or (Segment(0, 0, (), (), _map(plex, geometry, 0)),)


def _check(plex: PlexLayout) -> None:
    if not MIN_COLUMNS <= plex.columns <= MAX_COLUMNS:
        raise RangeError(f"RAID-5 has {MIN_COLUMNS} to {MAX_COLUMNS} columns, not {plex.columns}.")
    for piece in plex.pieces:
        if piece.column_offset % plex.unit or piece.length % plex.unit:
            raise RangeError(f"A piece of {piece.length} bytes at {piece.column_offset} does not have whole units.")


def _map(plex: PlexLayout, geometry: Geometry, row: int) -> Raid5Map:
    at = row * geometry.unit
    columns: list[list[Piece]] = [[] for _ in range(plex.columns)]
    for piece in plex.pieces:
        if piece.column_offset <= at < piece.column_offset + piece.length:
            columns[piece.column].append(piece)
    return Raid5Map(plex.key, geometry, tuple(map(_column, columns)))


def _column(pieces: list[Piece]) -> Column:
    targets = tuple(
        Target(piece.device, piece.device_offset - piece.column_offset, piece.key, piece.readable)
        for piece in sorted(pieces, key=lambda piece: not piece.readable)
    )
    reader = targets[0] if targets and targets[0].readable else None
    return Column(reader, targets)
