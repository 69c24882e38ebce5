"""What shape a volume may be asked to have: its size, columns and mirrors."""

from __future__ import annotations

from engine.commands import CreateVolume, LogType
from engine.plans import Problem
from engine.units import ALLOCATION_UNIT, KIB, MIB, format_exact, format_size

SIZE_MAX = 1 << 60
COLUMNS_MAX = 64
PARITY_COLUMNS_MIN, PARITY_COLUMNS_MAX = 3, 32
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


def parity_ok(command: CreateVolume) -> Problem | None:
    """Columns and stripe unit of a RAID-5 volume, which is one plex."""
    if command.columns and not PARITY_COLUMNS_MIN <= command.columns <= PARITY_COLUMNS_MAX:
        text = f"{command.columns} {'column is' if command.columns == 1 else 'columns are'} not possible for RAID-5."
        help_ = f"Give {PARITY_COLUMNS_MIN} to {PARITY_COLUMNS_MAX} columns, the one for parity included."
        return Problem(text, help_, field="columns")
    if command.striped:
        return Problem("A RAID-5 volume is striped already.", "Choose one layout.", field="striped")
    if command.mirrors != 1:
        return Problem("A RAID-5 volume has no mirrors.", "Choose mirrors or RAID-5.", field="mirrors")
    return stripes_ok(0, command.stripe_unit)


def log_fits(command: CreateVolume) -> Problem | None:
    """A log of the kind that the layout has."""
    if command.log is LogType.RAID5 and not command.raid5:
        return Problem("Only a RAID-5 volume has a RAID-5 log.", "Choose another log, or none.", field="log")
    if command.log is LogType.DRL and (command.raid5 or command.mirrors < 2):
        return Problem("Only mirrors have a dirty region log.", "Choose another log, or none.", field="log")
    return None


def mirrors_ok(present: int, more: int, field: str) -> Problem | None:
    """How many mirrors a volume may have in all."""
    if more < 1:
        return Problem(f"{more} mirrors make no sense.", "Give 1 or more.", field=field)
    if present + more > MIRRORS_MAX:
        text = f"{present + more} mirrors are more than the {MIRRORS_MAX} that a volume can have."
        return Problem(text, f"Ask for {MIRRORS_MAX - present} at most.", field=field)
    return None
