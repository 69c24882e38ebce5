"""Folds plexes, columns and subdisks into the flat table: arithmetic only, no I/O."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from engine.dataplane.raid5_fold import fold_raid5
from engine.dataplane.stripes import column_offset, volume_offset
from engine.dataplane.table import Leg, PlexMap, Segment, Table
from engine.errors import RangeError

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from engine.devices.base import BlockDevice


@dataclass(frozen=True, slots=True)
class Piece:
    """A subdisk: bytes `column_offset` to `column_offset + length` of a column lie at `device_offset` of `device`.

    Pieces of one column may overlap: a subdisk that moves is there twice, the new place not `readable` until it is
    filled. `key` names the piece for those who fill it.
    """

    column: int
    column_offset: int
    length: int
    device: BlockDevice
    device_offset: int
    readable: bool = True
    key: Hashable = None


@dataclass(frozen=True, slots=True)
class PlexLayout:
    """A plex: `columns` columns that take turns every `unit` bytes (one column needs no unit).

    With `raid5` one of the columns holds parity in each row; such a plex has no fellow. A column without a readable
    piece is out there: the others and the parity stand for it.
    """

    key: Hashable
    columns: int
    unit: int
    pieces: tuple[Piece, ...]
    readable: bool = True
    raid5: bool = False


def fold(
    plexes: Sequence[PlexLayout],
    size: int,
    *,
    transaction: int = 0,
    writable: bool = True,
    prefer: Hashable = None,
) -> Table:
    """The table of a volume of `size` bytes. All reads go to the plex `prefer` where that is complete.

    RangeError when a layout makes no sense: no columns, a column out of range, a stripe without a unit, RAID-5 with a
    fellow or with broken units.
    """
    for plex in plexes:
        _check(plex)
    if any(plex.raid5 for plex in plexes):
        if len(plexes) > 1:
            raise RangeError("A RAID-5 plex has no fellow.")
        return Table(fold_raid5(plexes[0], size), size, transaction, writable=writable)
    edges = {0, size}
    for plex in plexes:
        edges.update(edge for edge in _edges(plex) if 0 < edge < size)
    bounds = sorted(edges)
    covers = [_cover(plex, bounds) for plex in plexes]
    segments = []
    for index, (start, end) in enumerate(pairwise(bounds)):
        maps = [_maps(plex, cover[index], start, end) for plex, cover in zip(plexes, covers, strict=True)]
        segments.append(_segment(start, end, maps, prefer))
    return Table(tuple(segments), size, transaction, writable=writable)


def _check(plex: PlexLayout) -> None:
    if plex.columns < 1 or (plex.columns > 1 and plex.unit < 1):
        raise RangeError(f"{plex.columns} columns with a stripe unit of {plex.unit} bytes are no plex.")
    for piece in plex.pieces:
        if not 0 <= piece.column < plex.columns or piece.length <= 0 or piece.column_offset < 0:
            raise RangeError(f"Column {piece.column} at {piece.column_offset} is no place in a plex.")
        if piece.device_offset < 0 or piece.device_offset + piece.length > piece.device.size:
            raise RangeError(f"{piece.length} bytes at {piece.device_offset} are not on {piece.device.name}.")


def _edges(plex: PlexLayout) -> set[int]:
    return {
        volume_offset(plex.unit, plex.columns, piece.column, at)
        for piece in plex.pieces
        for at in (piece.column_offset, piece.column_offset + piece.length)
    }


def _cover(plex: PlexLayout, bounds: list[int]) -> list[list[Piece]]:
    """For each segment between two bounds the pieces that reach into it, readable ones first."""
    cover: list[list[Piece]] = [[] for _ in bounds]
    for piece in sorted(plex.pieces, key=lambda piece: not piece.readable):
        first = volume_offset(plex.unit, plex.columns, piece.column, piece.column_offset)
        last = volume_offset(plex.unit, plex.columns, piece.column, piece.column_offset + piece.length)
        for index in range(bisect_left(bounds, first), bisect_left(bounds, last)):
            cover[index].append(piece)
    return cover


def _segment(start: int, end: int, maps: list[tuple[list[PlexMap], bool]], prefer: Hashable) -> Segment:
    readers = [found[0] for found, complete in maps if complete]
    writers = [writer for found, _ in maps for writer in found]
    preferred = [reader for reader in readers if prefer is not None and reader.key == prefer]
    return Segment(start, end, tuple(preferred or readers), tuple(writers))


def _maps(plex: PlexLayout, pieces: list[Piece], start: int, end: int) -> tuple[list[PlexMap], bool]:
    """The maps of one plex in one segment, the main one first, and whether that one may be read."""
    main: list[Leg | None] = [None] * plex.columns
    extra: list[PlexMap] = []
    complete = plex.readable
    for column in range(plex.columns):
        if not _has_bytes(plex, column, start, end):
            continue
        here = [piece for piece in pieces if piece.column == column]
        trusted = [piece for piece in here if piece.readable or not plex.readable][:1]
        main[column] = _leg(trusted[0]) if trusted else None
        complete = complete and bool(trusted)
        extra.extend(_single(plex, piece) for piece in here if piece not in trusted)
    maps = [PlexMap(plex.key, None, plex.unit, tuple(main), readable=complete)] if any(main) else []
    return maps + extra, complete and bool(maps)


def _has_bytes(plex: PlexLayout, column: int, start: int, end: int) -> bool:
    return column_offset(plex.unit, plex.columns, column, start) < column_offset(plex.unit, plex.columns, column, end)


def _single(plex: PlexLayout, piece: Piece) -> PlexMap:
    columns = tuple(_leg(piece) if column == piece.column else None for column in range(plex.columns))
    return PlexMap(plex.key, piece.key, plex.unit, columns, readable=False)


def _leg(piece: Piece) -> Leg:
    return Leg(piece.device, piece.device_offset - piece.column_offset)
