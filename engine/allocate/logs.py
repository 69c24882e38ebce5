"""Space for the log of a RAID-5 volume."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from engine.allocate.create import PlexColumns
from engine.allocate.space import Piece, Space
from engine.config import Config
from engine.records import Ref
from engine.units import ALLOCATION_UNIT, MIB, align_up

LOG_MIN, LOG_MAX = 4 * MIB, 32 * MIB
LOG_SHARE = 16
"""A log has this part of its volume's size, within bounds: what it holds is read again after a crash."""


def log_length(size: int) -> int:
    """Bytes of one copy of the log of a RAID-5 volume of `size` bytes."""
    return min(max(align_up(size // LOG_SHARE, ALLOCATION_UNIT), LOG_MIN), LOG_MAX)


def place_log(space: Space, columns: Collection[Ref], length: int, taken: Collection[Ref] = ()) -> list[Piece] | None:
    """One piece on a disk without a column of the volume; else two, on two of the columns' disks, so that the loss of
    one disk costs a column or a log and never both. None when there is no room; disks in `taken` hold a copy already.
    """
    able = [disk for disk in space.disks if disk not in taken and space.largest(disk) >= length]
    apart = [disk for disk in able if disk not in columns]
    if apart:
        return _take(space, apart[:1], length)
    wanted = 1 if taken else 2
    return _take(space, able[:wanted], length) if len(able) >= wanted else None


def without(space: Space, placed: Iterable[PlexColumns]) -> Space:
    """The space that is left when these columns have been taken."""
    left = space.copy()
    for columns in placed:
        for piece in (piece for column in columns for piece in column):
            left.take_at(*piece)
    return left


def disks_of(placed: Iterable[PlexColumns]) -> frozenset[Ref]:
    """The disks that these columns lie on."""
    return frozenset(piece.disk for columns in placed for column in columns for piece in column)


def log_disks(config: Config, volume: Ref) -> set[Ref]:
    """The disks that the log of a volume lies on."""
    return {subdisk.disk for log in config.logs_of(volume) for subdisk in config.subdisks_of(log.ref)}


def _take(space: Space, disks: Sequence[Ref], length: int) -> list[Piece]:
    return [piece for disk in disks for piece in space.take(disk, length)]
