"""How a plex is cut into columns."""

from __future__ import annotations

from typing import NamedTuple

from engine.commands import AddMirrors, CreateVolume
from engine.records import Plex, PlexLayout
from engine.units import ALLOCATION_UNIT, KIB, align_up

DEFAULT_COLUMNS = 2
DEFAULT_STRIPE_UNIT = 64 * KIB


class Shape(NamedTuple):
    """Layout, number of columns and bytes of a stripe unit (0 for concat) of a plex."""

    layout: PlexLayout
    columns: int
    stripe_unit: int

    def column_length(self, size: int) -> int:
        """Bytes that each column needs for a volume of `size` bytes: whole stripe units and whole allocation units."""
        return align_up(-(-size // self.columns), max(ALLOCATION_UNIT, self.stripe_unit))

    def column_bytes(self, column: int, size: int) -> int:
        """Bytes of one column that the first `size` bytes of the volume lie on."""
        if self.layout is PlexLayout.CONCAT:
            return size
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
    if not command.striped:
        return Shape(PlexLayout.CONCAT, 1, 0)
    return Shape(PlexLayout.STRIPE, command.columns or DEFAULT_COLUMNS, command.stripe_unit or DEFAULT_STRIPE_UNIT)
