"""Space for a subdisk that moves."""

from __future__ import annotations

from engine.allocate.create import taken_by
from engine.allocate.fill import fill
from engine.allocate.logs import log_disks, place_log
from engine.allocate.shape import Shape
from engine.allocate.space import Piece, Space
from engine.config import Config
from engine.records import Disk, PlexLayout, Ref, Subdisk


def place_on(space: Space, disk: Ref, length: int) -> list[Piece]:
    """As much of `length` as a disk has: one range when one is long enough, else several."""
    return space.take(disk, min(length, space.total(disk)))


def place_piece(config: Config, subdisk: Subdisk, space: Space, *, force: bool) -> tuple[Piece, ...] | None:
    """Space for a whole subdisk on other disks than its own; None when there is none under the rules.

    Disks of the other plexes and of the other columns of its own plex are left out, unless forced and there is no
    other way. Its own enclosure comes first, an enclosure of another plex last.
    """
    if config.plex(subdisk.plex).layout is PlexLayout.LOG:
        return _place_log(config, subdisk, space)
    space = space.copy()
    column, others = _occupied(config, subdisk)
    enclosures = taken_by(config, config.plex(subdisk.plex).volume, without=subdisk.plex).enclosures
    home = config.get(subdisk.disk)
    own = home.enclosure if isinstance(home, Disk) else None

    def preference(disk: Ref) -> tuple[bool, bool, bool]:
        enclosure = space.enclosure[disk]
        return enclosure in enclosures, enclosure != own, disk not in column

    pool = sorted((disk for disk in space.disks if disk != subdisk.disk), key=preference)
    found = fill(space, [disk for disk in pool if disk not in others], [subdisk.length])
    if found is None and force:
        found = fill(space, pool, [subdisk.length])
    edge = Shape.of(config.plex(subdisk.plex)).edge
    return found[0] if found and all(piece.length % edge == 0 for piece in found[0]) else None


def _place_log(config: Config, subdisk: Subdisk, space: Space) -> tuple[Piece, ...] | None:
    """A copy of a log lies in one piece, on a disk without another one; with a column only while there is another."""
    volume = config.plex(subdisk.plex).volume
    columns = {sd.disk for plex in config.plexes_of(volume) for sd in config.subdisks_of(plex.ref)}
    taken = log_disks(config, volume)
    found = place_log(space.copy(), columns, subdisk.length, taken)
    return tuple(found) if found and (found[0].disk not in columns or len(taken) > 1) else None


def _occupied(config: Config, subdisk: Subdisk) -> tuple[set[Ref], set[Ref]]:
    """Disks of the subdisk's own column, and disks of everything else of its volume."""
    column: set[Ref] = set()
    others: set[Ref] = set()
    volume = config.plex(subdisk.plex).volume
    logs = config.logs_of(volume)
    for plex in (*config.plexes_of(volume), *(logs if len(logs) == 1 else ())):
        for other in config.subdisks_of(plex.ref):
            same = plex.ref == subdisk.plex and other.column == subdisk.column
            (column if same else others).add(other.disk)
    return column, others
