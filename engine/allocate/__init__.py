"""Where space comes from: pure functions from a configuration and a wish to pieces of disks."""

from engine.allocate.columns import widen_plexes, widened
from engine.allocate.create import Wish, place_plexes
from engine.allocate.fill import Column
from engine.allocate.grow import Growth, Tail, grow_columns, hidden_tails
from engine.allocate.limits import max_grow, max_size, wants_log
from engine.allocate.logs import disks_of, log_disks, log_length, place_log, without
from engine.allocate.move import place_on, place_piece
from engine.allocate.repair import place_lost, relocation_pools
from engine.allocate.shape import (
    DEFAULT_COLUMNS,
    DEFAULT_STRIPE_UNIT,
    PARITY_COLUMNS,
    PARITY_STRIPE_UNIT,
    Shape,
    mirror_shape,
    shape_of,
)
from engine.allocate.space import Piece, Space, usable_disks

__all__ = [
    "DEFAULT_COLUMNS",
    "DEFAULT_STRIPE_UNIT",
    "PARITY_COLUMNS",
    "PARITY_STRIPE_UNIT",
    "Column",
    "Growth",
    "Piece",
    "Shape",
    "Space",
    "Tail",
    "Wish",
    "disks_of",
    "grow_columns",
    "hidden_tails",
    "log_disks",
    "log_length",
    "max_grow",
    "max_size",
    "mirror_shape",
    "place_log",
    "place_lost",
    "place_on",
    "place_piece",
    "place_plexes",
    "relocation_pools",
    "shape_of",
    "usable_disks",
    "wants_log",
    "widen_plexes",
    "widened",
    "without",
]
