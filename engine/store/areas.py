"""What lies where in a private region: fixed shares, written into the label as a directory."""

from __future__ import annotations

import enum
from typing import NamedTuple

from engine.geometry import METADATA_BLOCK


class Area(enum.StrEnum):
    """The areas of a private region."""

    HEAD = "head"  # the label's copy, then the two import stamps
    SLOT_A = "slot a"  # configuration checkpoints, in turn
    SLOT_B = "slot b"
    JOURNAL = "journal"  # the changes since the newer checkpoint
    DIRTY_MAPS = "dirty maps"
    LOGS = "logs"
    TASKS = "tasks"
    SPARE = "spare"


SLOTS = (Area.SLOT_A, Area.SLOT_B)
STAMP_OFFSETS = (2 * METADATA_BLOCK, 3 * METADATA_BLOCK)
"""Of the two import stamps, from the start of the private region."""

# thirty-seconds of the private region, in order
_SHARES = {
    Area.HEAD: 1,
    Area.SLOT_A: 10,
    Area.SLOT_B: 10,
    Area.JOURNAL: 2,
    Area.DIRTY_MAPS: 5,
    Area.LOGS: 2,
    Area.TASKS: 1,
    Area.SPARE: 1,
}


class Span(NamedTuple):
    """A range of bytes; of an area from the start of its private region."""

    offset: int
    length: int


def areas(private_length: int) -> dict[Area, Span]:
    """The areas of a new private region of this many bytes (whole MiB)."""
    unit, position, found = private_length // 32, 0, {}
    for area, share in _SHARES.items():
        found[area] = Span(position, share * unit)
        position += share * unit
    return found
