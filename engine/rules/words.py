"""Numbers and names in sentences."""

from __future__ import annotations

from collections.abc import Iterable

from engine.units import format_apart, format_size


def counted(number: int, noun: str) -> str:
    """`1 volume`, `3 volumes`, `2 copies`."""
    if number == 1:
        return f"1 {noun}"
    return f"{number} {noun[:-1]}ies" if noun.endswith("py") else f"{number} {noun}s"


def listed(names: Iterable[str], most: int = 4) -> str:
    """`a`, `a and b`, `a, b and c`, `a, b, c, d and 8 more`."""
    shown = list(names)
    if len(shown) > most + 1:
        shown[most:] = [f"{len(shown) - most} more"]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


def copied(size: int, where: str) -> str:
    """`Copy 3 MiB to v-02`; `Nothing has to be copied to v-02`."""
    return f"Copy {format_size(size)} {where}" if size else f"Nothing has to be copied {where}"


def needed_free(needed: int, free: int) -> str:
    """`1.1 GiB needed, 0.8 GiB free`, in exact bytes where the short forms are equal."""
    need, have = format_apart(needed, free)
    return f"{need} needed, {have} free"
