"""The order in which an operator reads names."""

from __future__ import annotations

import functools
import re
from typing import TypeVar

from engine.records import Record

R = TypeVar("R", bound=Record)

_DIGITS = re.compile("([0-9]+)")


def by_name(records: list[R]) -> list[R]:
    """Records in natural order of their names."""
    return sorted(records, key=lambda record: (natural(record.name), record.ref))


@functools.lru_cache(maxsize=1 << 17)
def natural(name: str) -> str:
    """Sort key that puts Harddisk10 behind Harddisk9. Kept, because long lists are put in order often.

    A number is written with how many digits it has before them, so that comparing text compares numbers; they come
    before letters. One flat text is compared ten times faster than a tuple of parts.
    """
    parts = [part for part in _DIGITS.split(name.casefold()) if part]
    return "".join(_number(part.lstrip("0")) if part[0] in "0123456789" else f"\2{part}" for part in parts)


def _number(digits: str) -> str:
    return f"\1{chr(len(digits))}{digits}"
