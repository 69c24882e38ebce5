"""What shape a volume may be asked to have: its size, columns and mirrors."""

from __future__ import annotations

from engine.plans import Problem
from engine.units import ALLOCATION_UNIT, KIB, MIB, format_exact, format_size

SIZE_MAX = 1 << 60
COLUMNS_MAX = 64
MIRRORS_MAX = 32
STRIPE_UNIT_MIN, STRIPE_UNIT_MAX = 4 * KIB, 16 * MIB


def size_ok(size: int) -> Problem | None:
    """A size that a volume may be asked to have."""
    if size <= 0:
        text = f"A size of {size} bytes makes no sense."
        return Problem(text, f"Give at least {format_size(ALLOCATION_UNIT)}.", field="size")
    if size > SIZE_MAX:
        return Problem(f"{format_size(size)} is more than any volume can have.", "Give a smaller size.", field="size")
    return None


def stripes_ok(columns: int, stripe_unit: int) -> Problem | None:
    """Columns and stripe unit of a striped plex; 0 means the default."""
    if columns and not 2 <= columns <= COLUMNS_MAX:
        text = f"{columns} {'column is' if columns == 1 else 'columns are'} not possible for a striped volume."
        return Problem(text, f"Give 2 to {COLUMNS_MAX} columns.", field="columns")
    power = stripe_unit & (stripe_unit - 1) == 0
    if stripe_unit and not (power and STRIPE_UNIT_MIN <= stripe_unit <= STRIPE_UNIT_MAX):
        text = f"A stripe unit of {format_exact(stripe_unit)} is not possible."
        return Problem(text, "Give a power of two from 4 KiB to 16 MiB.", field="stripe_unit")
    return None


def mirrors_ok(present: int, more: int, field: str) -> Problem | None:
    """How many mirrors a volume may have in all."""
    if more < 1:
        return Problem(f"{more} mirrors make no sense.", "Give 1 or more.", field=field)
    if present + more > MIRRORS_MAX:
        text = f"{present + more} mirrors are more than the {MIRRORS_MAX} that a volume can have."
        return Problem(text, f"Ask for {MIRRORS_MAX - present} at most.", field=field)
    return None
