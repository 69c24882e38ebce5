"""How a plex is cut into columns."""

from __future__ import annotations

import math
from typing import NamedTuple

from engine.commands import AddMirrors, CreateVolume
from engine.records import Plex, PlexLayout
from engine.units import ALLOCATION_UNIT, KIB, align_up

DEFAULT_COLUMNS = 2
DEFAULT_STRIPE_UNIT = 64 * KIB
PARITY_COLUMNS = 3
PARITY_STRIPE_UNIT = 16 * KIB
"""What a RAID-5 volume has when nothing is said: parity included, and units small enough that whole rows are common."""


class Shape(NamedTuple):
    """Layout, number of columns and bytes of a stripe unit (0 for concat) of a plex."""

    layout: PlexLayout
    columns: int
    stripe_unit: int

    @property
    def data_columns(self) -> int:
        """How many columns of a row hold data."""
        return self.columns - 1 if self.layout is PlexLayout.RAID5 else self.columns

    @property
    def granule(self) -> int:
        """Sizes of volumes are multiples of this: of RAID-5 whole rows, so that none has a part that nobody writes."""
        if self.layout is not PlexLayout.RAID5:
            return ALLOCATION_UNIT
        return math.lcm(ALLOCATION_UNIT, self.data_columns * self.stripe_unit)

    @property
    def edge(self) -> int:
        """Pieces of a column begin and end on multiples of this: a row of RAID-5 has one piece in each column."""
        return self.stripe_unit if self.layout is PlexLayout.RAID5 else 1

    def column_length(self, size: int) -> int:
        """Bytes that each column needs for a volume of `size` bytes: whole stripe units and whole allocation units."""
        return align_up(-(-size // self.data_columns), max(ALLOCATION_UNIT, self.stripe_unit))

    def column_bytes(self, column: int, size: int) -> int:
        """Bytes of one column that the first `size` bytes of the volume lie on."""
        if self.layout is PlexLayout.CONCAT:
            return size
        if self.layout is PlexLayout.RAID5:
            return -(-size // (self.data_columns * self.stripe_unit)) * self.stripe_unit
        rows, rest = divmod(size, self.columns * self.stripe_unit)
        return rows * self.stripe_unit + min(max(rest - column * self.stripe_unit, 0), self.stripe_unit)

    @classmethod
    def of(cls, plex: Plex) -> Shape:
        """The shape of a plex that exists."""
        return cls(plex.layout, plex.columns, plex.stripe_unit)


def mirror_shape(command: AddMirrors, model: Plex) -> Shape:
    """The shape that is asked for new mirrors; what is left open is as `model`, a mirror of the volume, has it."""
    if command.striped is None:
        return Shape.of(model)
    if not command.striped:
        return Shape(PlexLayout.CONCAT, 1, 0)
    like = Shape.of(model) if model.layout is PlexLayout.STRIPE else None
    columns = command.columns or (like.columns if like else DEFAULT_COLUMNS)
    return Shape(PlexLayout.STRIPE, columns, command.stripe_unit or (like.stripe_unit if like else DEFAULT_STRIPE_UNIT))


def shape_of(command: CreateVolume) -> Shape:
    """The shape that a command asks for, with the defaults filled in."""
    if command.raid5:
        unit = command.stripe_unit or PARITY_STRIPE_UNIT
        return Shape(PlexLayout.RAID5, command.columns or PARITY_COLUMNS, unit)
    if not command.striped:
        return Shape(PlexLayout.CONCAT, 1, 0)
    return Shape(PlexLayout.STRIPE, command.columns or DEFAULT_COLUMNS, command.stripe_unit or DEFAULT_STRIPE_UNIT)
