"""Space for one more column: a striped plex made anew, one column wider, beside the one that it takes over from."""

from __future__ import annotations

from collections.abc import Sequence

from engine.allocate.fill import Column, fill
from engine.allocate.shape import Shape
from engine.allocate.space import Space
from engine.config import Config
from engine.records import Plex, Ref


def widened(plex: Plex) -> Shape:
    """The shape of a plex with one more column."""
    return Shape(plex.layout, plex.columns + 1, plex.stripe_unit)


def widen_plexes(config: Config, plexes: Sequence[Plex], space: Space, size: int) -> list[list[Column]] | None:
    """The columns of each plex, wider by one; None when there is no room. `space` stays as it is.

    Columns stay on the disks that they are on; the new one, and those whose disk has too little room for both, go to
    disks without any part of the volume. So no disk has two columns, and none two mirrors, now or then.
    """
    space = space.copy()
    taken = {sd.disk for plex in config.plexes_of(plexes[0].volume) for sd in config.subdisks_of(plex.ref)}
    fresh = [disk for disk in space.disks if disk not in taken]
    placed = []
    for plex in plexes:
        columns = _widen(config, plex, space, fresh, size)
        if columns is None:
            return None
        used = {piece.disk for column in columns for piece in column}
        fresh = [disk for disk in fresh if disk not in used]
        placed.append(columns)
    return placed


def _widen(config: Config, plex: Plex, space: Space, fresh: Sequence[Ref], size: int) -> list[Column] | None:
    need = widened(plex).column_length(size)
    columns: list[Column | None] = []
    for number in range(plex.columns):
        own = [sd.disk for sd in config.subdisks_of(plex.ref) if sd.column == number]
        roomy = next((disk for disk in own if space.total(disk) >= need), None)
        columns.append(tuple(space.take(roomy, need)) if roomy is not None else None)
    columns.append(None)
    found = fill(space, fresh, [need] * columns.count(None))
    if found is None:
        return None
    waiting = iter(found)
    return [column if column is not None else next(waiting) for column in columns]
