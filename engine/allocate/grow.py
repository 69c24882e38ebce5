"""Space for the growth of a volume: every column of every plex by the same rules."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

from engine.allocate.fill import Column, fill
from engine.allocate.logs import log_disks
from engine.allocate.shape import Shape
from engine.allocate.space import Piece, Space
from engine.config import Config
from engine.records import Plex, Ref, Subdisk


class Growth(NamedTuple):
    """What a column gets: pieces to append behind `end`, its present length."""

    plex: Ref
    column: int
    end: int
    pieces: Column


class Tail(NamedTuple):
    """A range within a subdisk, from its start, that no client has reached yet."""

    subdisk: Ref
    offset: int
    length: int


def hidden_tails(config: Config, volume: Ref, new: Collection[Ref] = ()) -> list[Tail]:
    """What lies behind the published size in the subdisks of a volume, those in `new` left out.

    Columns are cut in whole rows, so that the last ones reach beyond the end of most striped volumes. A growth shows
    these bytes to clients, and for a mirror that was filled by a copy nothing ever wrote zeros there.
    """
    size = config.volume(volume).size
    tails = []
    for slot in _slots(config, volume):
        visible = Shape.of(slot.plex).column_bytes(slot.column, size)
        for subdisk in slot.subdisks:
            start = max(visible - subdisk.plex_offset, 0)
            if start < subdisk.length and subdisk.ref not in new:
                tails.append(Tail(subdisk.ref, start, subdisk.length - start))
    return tails


class _Slot(NamedTuple):
    plex: Plex
    column: int
    subdisks: list[Subdisk]

    @property
    def end(self) -> int:
        return sum(subdisk.length for subdisk in self.subdisks)


def grow_columns(config: Config, volume: Ref, size: int, space: Space) -> list[Growth] | None:
    """Pieces for each column of each plex so that the volume can have `size` bytes; None when they can't be found.

    First what lies right behind a column's last subdisk, then the column's own disks, then disks without any part
    of the volume. `space` stays as it is.
    """
    slots = _slots(config, volume)
    space = space.copy()
    needs = [max(0, Shape.of(slot.plex).column_length(size) - slot.end) for slot in slots]
    pieces: list[list[Piece]] = [[] for _ in slots]
    for index, slot in enumerate(slots):
        _neighbour(space, slot, needs, pieces, index)
    taken = {subdisk.disk for slot in slots for subdisk in slot.subdisks} | log_disks(config, volume)
    fresh = _ordered([disk for disk in space.disks if disk not in taken], space, slots, needs)
    for index, slot in enumerate(slots):
        _own_disks(space, slot, needs, pieces, index, whole=True)
    placed = fill(space, fresh, needs) if _one_disk_each(space, fresh, needs) else None
    if placed is None:
        for index, slot in enumerate(slots):
            _own_disks(space, slot, needs, pieces, index, whole=False)
        placed = fill(space, fresh, needs)
    if placed is None or any(piece.length % edge for edge, piece in _edges(slots, pieces, placed)):
        return None
    return [
        Growth(slot.plex.ref, slot.column, slot.end, (*got, *more))
        for slot, got, more in zip(slots, pieces, placed, strict=True)
        if got or more
    ]


def _edges(slots: list[_Slot], *found: Sequence[Sequence[Piece]]) -> Iterator[tuple[int, Piece]]:
    """Each new piece, and what its length must be a multiple of."""
    for pieces in found:
        for slot, more in zip(slots, pieces, strict=True):
            yield from ((Shape.of(slot.plex).edge, piece) for piece in more)


def _slots(config: Config, volume: Ref) -> list[_Slot]:
    slots = []
    for plex in config.plexes_of(volume):
        own = [subdisk for subdisk in config.subdisks_of(plex.ref) if subdisk.replaces is None]
        for column in range(plex.columns):
            slots.append(_Slot(plex, column, [subdisk for subdisk in own if subdisk.column == column]))
    return slots


def _neighbour(space: Space, slot: _Slot, needs: list[int], pieces: list[list[Piece]], index: int) -> None:
    if not slot.subdisks or not needs[index]:
        return
    last = slot.subdisks[-1]
    end = last.disk_offset + last.length
    part = min(needs[index], space.at(last.disk, end))
    part -= part % Shape.of(slot.plex).edge
    if part:
        pieces[index].append(space.take_at(last.disk, end, part))
        needs[index] -= part


def _own_disks(
    space: Space, slot: _Slot, needs: list[int], pieces: list[list[Piece]], index: int, *, whole: bool
) -> None:
    """Take from disks that the column lies on already; with `whole` only from one that has all it needs."""
    for disk in dict.fromkeys(subdisk.disk for subdisk in reversed(slot.subdisks)):
        part = min(needs[index], space.total(disk))
        if part and not (whole and part < needs[index]):
            pieces[index] += space.take(disk, part)
            needs[index] -= part


def _one_disk_each(space: Space, fresh: Sequence[Ref], needs: Sequence[int]) -> bool:
    """Whether each column that still lacks something finds a whole range on a disk of its own."""
    rooms = sorted((space.largest(disk) for disk in fresh), reverse=True)
    wanted = sorted((need for need in needs if need), reverse=True)
    return len(rooms) >= len(wanted) and all(room >= need for room, need in zip(rooms, wanted, strict=False))


def _ordered(fresh: list[Ref], space: Space, slots: list[_Slot], needs: list[int]) -> list[Ref]:
    """Fresh disks, those of the needy plexes' own enclosures first."""
    own = {
        space.enclosure.get(subdisk.disk)
        for slot, need in zip(slots, needs, strict=True)
        if need
        for subdisk in slot.subdisks
    }
    return sorted(fresh, key=lambda disk: space.enclosure[disk] not in own)
