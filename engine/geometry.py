"""Where things lie on a LUN: pure arithmetic, shared by planners and store.

First 4 KiB zero, the label at 4 KiB, the private region at 1 MiB, the public region from the next whole MiB to the
last.
"""

from __future__ import annotations

from typing import NamedTuple

from engine.units import ALLOCATION_UNIT, MIB, align_down, align_up

METADATA_BLOCK = 4096
LABEL_OFFSET = 4096
PRIVATE_OFFSET = MIB
PRIVATE_MIN = 4 * MIB
PRIVATE_MAX = 32 * MIB
LUN_MIN = 16 * MIB
"""Smaller LUNs are refused: little but metadata would fit."""

DIRTY_PAGE_REGIONS = 31_360
"""Regions of a volume that one page of a dirty region log tells of: the bits that fit a sealed block of 4 KiB."""
DIRTY_PAGE_SLOTS = 2
"""Each page has so many blocks, which are written in turn."""


class Geometry(NamedTuple):
    """The regions of a LUN of one size; bytes from its start."""

    private_offset: int
    private_length: int
    public_offset: int
    public_length: int


def geometry(lun_size: int) -> Geometry:
    """Regions of a LUN at `init`. ValueError when it is too small."""
    if lun_size < LUN_MIN:
        raise ValueError(f"a LUN of {lun_size} bytes is smaller than {LUN_MIN}")
    private = min(max(align_up(lun_size // 64, MIB), PRIVATE_MIN), PRIVATE_MAX)
    public = PRIVATE_OFFSET + private
    return Geometry(PRIVATE_OFFSET, private, public, public_length(lun_size, public))


def public_length(lun_size: int, public_offset: int) -> int:
    """Usable bytes behind `public_offset`: after a LUN has grown, this is the one number that changes."""
    return max(0, align_down(lun_size, ALLOCATION_UNIT) - public_offset)


def dirty_pages(public_offset: int) -> int:
    """How many pages of dirty region logs a disk has room for; 5/32 of the private region are theirs."""
    private = public_offset - PRIVATE_OFFSET
    return max(private, 0) // 32 * 5 // METADATA_BLOCK // DIRTY_PAGE_SLOTS
