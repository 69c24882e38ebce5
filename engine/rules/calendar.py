"""The moments of a schedule: local wall time, as a clock on the wall would say it.

A time that the clock jumps over when it is put forward means the instant of the jump. A time that comes twice when it
is put back means the first of the two.
"""

from __future__ import annotations

import calendar
import datetime as dt
import zoneinfo
from collections.abc import Iterator

from engine.records import LAST_DAY, Pattern

ZONE_MAX = 64
"""Characters of the name of a time zone."""
_YEARS_AHEAD = 9
"""29 February comes again within so many years, also around 2100."""
_A_DAY = dt.timedelta(days=1)


def zone_of(name: str) -> dt.tzinfo | None:
    """A time zone by its name; None, which is the host's own, for an empty one. ValueError when there is none."""
    if not name:
        return None
    if len(name) > ZONE_MAX:
        raise ValueError("no time zone has so long a name")
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"{name[:ZONE_MAX]} is no time zone") from error


def wall(when: float, zone: dt.tzinfo | None) -> dt.datetime:
    """What the clock on the wall shows at an instant."""
    return dt.datetime.fromtimestamp(when, zone).replace(tzinfo=None, fold=0)


def is_day(pattern: Pattern, day: dt.date) -> bool:
    """Whether a pattern has runs on a day."""
    if (pattern.first and day < dt.date.fromisoformat(pattern.first)) or (
        pattern.last and day > dt.date.fromisoformat(pattern.last)
    ):
        return False
    if not pattern.weekdays and not pattern.days:
        return True
    length = calendar.monthrange(day.year, day.month)[1]
    return (
        day.weekday() in pattern.weekdays or day.day in pattern.days or (LAST_DAY in pattern.days and day.day == length)
    )


def moments(pattern: Pattern, after: float) -> Iterator[float]:
    """The moments after an instant, ascending, each once. It ends when nothing comes within nine years."""
    zone = zone_of(pattern.zone)
    day = wall(after, zone).date() - _A_DAY  # an instant of the jump may belong to the day before
    if pattern.first:
        day = max(day, dt.date.fromisoformat(pattern.first))
    end = day.replace(year=day.year + _YEARS_AHEAD, day=min(day.day, 28))
    last = after
    while day <= end and (not pattern.last or day <= dt.date.fromisoformat(pattern.last)):
        if is_day(pattern, day):
            for minute in pattern.times:
                found = instant(day, minute, zone)
                if found > last:
                    last = found
                    yield found
        day += _A_DAY


def next_moment(pattern: Pattern, after: float) -> float:
    """The first moment after an instant; 0 when there is none."""
    return next(moments(pattern, after), 0.0)


def instant(day: dt.date, minute: int, zone: dt.tzinfo | None) -> float:
    """The instant, in seconds since the epoch, that a wall time means."""
    shown = dt.datetime.combine(day, dt.time(minute // 60, minute % 60))
    aware = shown.replace(tzinfo=zone)
    found = aware.timestamp()
    if wall(found, zone) == shown:
        return found
    return _jump(shown, aware, zone)


def _jump(shown: dt.datetime, aware: dt.datetime, zone: dt.tzinfo | None) -> float:
    """The first second at which the clock shows more than a time that it never shows."""
    low, high = sorted((round(aware.timestamp()), round(aware.replace(fold=1).timestamp())))
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if wall(middle, zone) >= shown else (middle, high)
    return float(high)
