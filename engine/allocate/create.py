"""Space for new plexes: of a new volume, or mirrors of one that exists."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from engine.allocate.fill import Column, fill, fill_shared
from engine.allocate.shape import Shape
from engine.allocate.space import Space
from engine.config import Config
from engine.records import Disk, Ref

PlexColumns = list[Column]


class Wish(NamedTuple):
    """What is to be placed. `beside` is the volume whose mirrors the new plexes shall be."""

    shape: Shape
    plexes: int
    size: int
    across: bool = False  # each plex in enclosures of its own
    force: bool = False  # plexes and columns may share disks when there is no other way
    beside: Ref | None = None


class Taken(NamedTuple):
    """Where other plexes of the volume lie."""

    disks: frozenset[Ref]
    enclosures: Counter[Ref | None]


def place_plexes(config: Config, space: Space, wish: Wish) -> list[PlexColumns] | None:
    """The columns of each new plex; None when the space can't hold them under the rules. `space` stays as it is.

    Mirrors go to different enclosures where that is possible, and never share a disk unless forced.
    """
    taken = taken_by(config, wish.beside)
    space = space.copy()
    pool = [disk for disk in space.disks if disk not in taken.disks]
    placed = _apart(space, pool, wish, taken) if wish.plexes > 1 or taken.disks else None
    if placed is None and not wish.across:
        placed = _anywhere(space, pool, wish, taken)
        if placed is None and wish.force:
            placed = _shared(space, wish, taken)
    elif placed is None and wish.plexes == 1 and not taken.disks:
        placed = _anywhere(space, pool, wish, taken)
    return placed if placed is not None and _on_edges(placed, wish.shape.edge) else None


def _on_edges(placed: list[PlexColumns], edge: int) -> bool:
    """Whether every piece has a length that its shape can use."""
    return all(piece.length % edge == 0 for columns in placed for column in columns for piece in column)


def taken_by(config: Config, volume: Ref | None, without: Ref | None = None) -> Taken:
    """Disks and enclosures on which the plexes of a volume lie, one plex left out."""
    disks: set[Ref] = set()
    enclosures: Counter[Ref | None] = Counter()
    for plex in config.plexes_of(volume) if volume else []:
        if plex.ref != without:
            own = {subdisk.disk for subdisk in config.subdisks_of(plex.ref)}
            disks |= own
            enclosures.update({disk.enclosure for disk in map(config.get, own) if isinstance(disk, Disk)})
    return Taken(frozenset(disks), enclosures)


def _needs(wish: Wish) -> list[int]:
    return [wish.shape.column_length(wish.size)] * wish.shape.columns


def _apart(space: Space, pool: Sequence[Ref], wish: Wish, taken: Taken) -> list[PlexColumns] | None:
    """Each plex in enclosures that no other plex of the volume uses."""
    shelves: dict[Ref | None, list[Ref]] = {}
    for disk in pool:
        if space.enclosure[disk] not in taken.enclosures:
            shelves.setdefault(space.enclosure[disk], []).append(disk)
    alone = [(found, disks) for disks in shelves.values() if (found := fill(space.copy(), disks, _needs(wish)))]
    if len(alone) >= wish.plexes:
        alone.sort(key=lambda pair: sum(len(column) for column in pair[0]))  # stable: the fewest pieces first
        return [found for found, _ in alone[: wish.plexes]]
    return _apart_in_several(space, list(shelves.values()), wish)


def _apart_in_several(space: Space, shelves: list[list[Ref]], wish: Wish) -> list[PlexColumns] | None:
    """Divide the enclosures evenly among the plexes, largest first to the plex that has least."""
    shares: list[list[Ref]] = [[] for _ in range(wish.plexes)]
    room = [0] * wish.plexes
    for disks in sorted(shelves, key=lambda disks: -sum(map(space.total, disks))):
        least = room.index(min(room))
        shares[least] += disks
        room[least] += sum(map(space.total, disks))
    placed = [fill(space.copy(), share, _needs(wish)) for share in shares]
    return [columns for columns in placed if columns] if all(placed) else None


def _anywhere(space: Space, pool: Sequence[Ref], wish: Wish, taken: Taken) -> list[PlexColumns] | None:
    """No disk twice; enclosures spread as evenly as it goes."""
    order = _spread(space, pool, wish, taken.enclosures)
    columns = fill(space, order, _needs(wish) * wish.plexes)
    return None if columns is None else _by_plex(columns, wish)


def _shared(space: Space, wish: Wish, taken: Taken) -> list[PlexColumns] | None:
    order = sorted(space.disks, key=lambda disk: disk in taken.disks)
    columns = fill_shared(space, order, _needs(wish) * wish.plexes)
    return None if columns is None else _by_plex(columns, wish)


def _by_plex(columns: list[Column], wish: Wish) -> list[PlexColumns]:
    count = wish.shape.columns
    return [columns[start : start + count] for start in range(0, len(columns), count)]


def _spread(space: Space, pool: Sequence[Ref], wish: Wish, used: Counter[Ref | None]) -> list[Ref]:
    """Disks in an order that lets one plex after the other use the enclosure that is used least."""
    uses = Counter(used)
    length = wish.shape.column_length(wish.size)
    fitting = [disk for disk in pool if space.largest(disk) >= length]
    order: list[Ref] = []
    for _ in range(wish.plexes):
        fitting.sort(key=lambda disk: uses[space.enclosure[disk]])  # stable: else by name
        chosen = fitting[: wish.shape.columns]
        del fitting[: wish.shape.columns]
        order += chosen
        uses.update({space.enclosure[disk] for disk in chosen})
    return order + [disk for disk in pool if disk not in set(order)]
