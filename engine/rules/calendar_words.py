"""When a schedule runs, in words and from words."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from engine.records import LAST_DAY, Pattern
from engine.rules.words import listed

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_TIME = re.compile(r"(\d{1,2})(?:[:.](\d{2}))?\s*([ap])?\.?(?:m\.?)?", re.ASCII | re.IGNORECASE)
_ALL = len(WEEKDAYS)


def clock_text(minute: int) -> str:
    """`02:00`, for so many minutes after midnight."""
    return f"{minute // 60:02d}:{minute % 60:02d}"


def when_text(pattern: Pattern, clock: Callable[[int], str] = clock_text) -> str:
    """`Monday to Friday at 02:00`; `clock` writes a time of the day."""
    times = listed([clock(minute) for minute in pattern.times], most=6)
    said = f"{days_text(pattern)} at {times}"
    if pattern.zone:
        said += f" ({pattern.zone})"
    if pattern.first:
        said += f", from {pattern.first}"
    return said + (f", until {pattern.last}" if pattern.last else "")


def days_text(pattern: Pattern) -> str:
    """`every day`, `Monday to Friday`, `day 1 and the last day of the month`."""
    parts = [_weekdays_text(pattern.weekdays)] if pattern.weekdays else []
    if pattern.days:
        parts.append(_days_of_month_text(pattern.days))
    if not parts or len(set(pattern.weekdays)) == _ALL:
        return "every day"
    return " and ".join(parts)


def _weekdays_text(days: Iterable[int]) -> str:
    found = sorted(set(days))
    if len(found) > 2 and found == list(range(found[0], found[-1] + 1)):
        return f"{WEEKDAYS[found[0]]} to {WEEKDAYS[found[-1]]}"
    return listed([WEEKDAYS[day] for day in found], most=7)


def _days_of_month_text(days: Iterable[int]) -> str:
    found = sorted(set(days) - {LAST_DAY})
    parts = []
    if found:
        parts.append(f"day {listed([str(day) for day in found], most=31)}")
    if LAST_DAY in days:
        parts.append("the last day")
    return f"{' and '.join(parts)} of the month"


def read_times(text: str) -> tuple[int, ...]:
    """Times of the day, apart by commas: `2:00, 14:30`, `2 pm`. ValueError is a sentence for whoever typed it."""
    found = [_read_time(part) for part in re.split(r"[,;]", text) if part.strip()]
    if not found:
        raise ValueError("Give a time of the day, such as 02:00.")
    return tuple(sorted(set(found)))


def _read_time(text: str) -> int:
    match = _TIME.fullmatch(text.strip())
    shown = text.strip()[:20]
    if match is None:
        raise ValueError(f"{shown} is no time of the day. Give one such as 02:00 or 14:30.")
    hour, minute, half = int(match[1]), int(match[2] or 0), (match[3] or "").lower()
    if match[2] is None and not half:
        raise ValueError(f"{shown} is no time of the day. Give one such as 02:00 or 14:30.")
    if half and not 1 <= hour <= 12:
        raise ValueError(f"{shown} is no time of the day.")
    if half:
        hour = hour % 12 + (12 if half == "p" else 0)
    if hour > 23 or minute > 59:
        raise ValueError(f"{shown} is no time of the day. A day ends at 23:59.")
    return 60 * hour + minute


def read_weekdays(text: str) -> tuple[int, ...]:
    """Weekdays by name or by its first letters, apart by commas, also as `mon-fri`. ValueError as above."""
    found: set[int] = set()
    for part in (part.strip() for part in text.split(",")):
        if part:
            first, dash, last = part.partition("-")
            start = _read_weekday(first)
            end = _read_weekday(last) if dash else start
            found.update((start + step) % _ALL for step in range((end - start) % _ALL + 1))
    return tuple(sorted(found))


def _read_weekday(text: str) -> int:
    name = text.strip().lower()
    known = [number for number, day in enumerate(WEEKDAYS) if len(name) >= 2 and day.lower().startswith(name)]
    if len(known) != 1:
        raise ValueError(f"{text.strip()[:20] or 'Nothing'} is no weekday. Give mon, tue, wed, thu, fri, sat or sun.")
    return known[0]


def read_days(text: str) -> tuple[int, ...]:
    """Days of the month, apart by commas: `1, 15, last`. ValueError as above."""
    found: set[int] = set()
    for part in (part.strip().lower() for part in text.split(",")):
        if part == "last":
            found.add(LAST_DAY)
        elif part.isascii() and part.isdigit() and len(part) <= 2 and 1 <= int(part) <= 31:
            found.add(int(part))
        elif part:
            raise ValueError(f"{part[:20]} is no day of the month. Give 1 to 31, or last.")
    return tuple(sorted(found))


def days_as_typed(days: Iterable[int]) -> str:
    """What `read_days` would read."""
    ordered = sorted(set(days) - {LAST_DAY})
    return ", ".join([*(str(day) for day in ordered), *(["last"] if LAST_DAY in days else [])])
