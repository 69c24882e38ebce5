"""Sizes are bytes, everywhere; this module alone reads and writes them for people."""

from __future__ import annotations

import re

KIB = 1 << 10
MIB = 1 << 20
GIB = 1 << 30
TIB = 1 << 40

ALLOCATION_UNIT = MIB
"""Subdisks start and end on this boundary, and volume sizes are rounded up to it."""

_SUFFIX = {"": 1, "b": 1, "k": KIB, "m": MIB, "g": GIB, "t": TIB}
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([bkmgt]?)(?:i?b)?\s*", re.IGNORECASE)


def parse_size(text: str) -> int:
    """The bytes that `512m`, `2g`, `1.5 GiB` or `4096` mean (powers of 1024). ValueError says what is expected."""
    match = _SIZE.fullmatch(text)
    if not match or not text.isascii() or len(text) > 32:
        raise ValueError(f"{text[:32]!r} is not a size. Give bytes, or a number with k, m, g or t, such as 512m or 2g.")
    number, suffix = match.groups()
    scale = _SUFFIX[suffix.lower()]
    return int(number) * scale if "." not in number else int(float(number) * scale)


def format_size(size: int) -> str:
    """`2.0 GiB`: the one style of sizes in the product."""
    for unit, name in ((TIB, "TiB"), (GIB, "GiB")):
        if abs(size) >= unit:
            return f"{size / unit:.1f} {name}"
    for unit, name in ((MIB, "MiB"), (KIB, "KiB")):
        if abs(size) >= unit:
            return f"{size / unit:.0f} {name}" if size % unit == 0 else f"{size / unit:.1f} {name}"
    return f"{size} bytes"


def format_exact(size: int) -> str:
    """`2,147,483,648 bytes`, for tooltips beside the short form."""
    return f"{size:,} bytes"


def format_apart(one: int, other: int) -> tuple[str, str]:
    """Two sizes to be compared: in exact bytes where their short forms are equal."""
    short = format_size(one), format_size(other)
    return short if short[0] != short[1] else (format_exact(one), format_exact(other))


def align_up(value: int, unit: int) -> int:
    """The smallest multiple of `unit` that is at least `value`."""
    return -(-value // unit) * unit


def align_down(value: int, unit: int) -> int:
    """The largest multiple of `unit` that is at most `value`."""
    return value // unit * unit


def format_seconds(seconds: float) -> str:
    """`8 s`, `3 min`, `2 h 5 min`: rough on purpose."""
    whole = round(seconds)
    if whole < 90:
        return f"{max(whole, 1)} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"


def format_band(low_s: float, high_s: float) -> str:
    """`8-11 s`: the time left as a low and a high guess."""
    low, high = format_seconds(low_s), format_seconds(high_s)
    if low == high:
        return low
    number, _, unit = low.partition(" ")
    return f"{number}-{high}" if " " not in unit and high.endswith(" " + unit) else f"{low} - {high}"
