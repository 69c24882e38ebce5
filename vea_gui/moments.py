"""Dates and times of day, written alike everywhere in the console: as this desktop writes them, else after ISO 8601.

What programs read (CSV, the command line) is after ISO 8601 in any case. No Qt: who knows the desktop tells its way.
"""

from __future__ import annotations

import time
from collections.abc import Callable

Writer = Callable[[float], str]
DayWriter = Callable[[int], str]


def iso_moment(when: float) -> str:
    """`2026-11-22 21:40:05`, in this machine's time zone."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(when))


def iso_clock(when: float) -> str:
    """`21:40:05`."""
    return time.strftime("%H:%M:%S", time.localtime(when))


def iso_time_of_day(minute: int) -> str:
    """`02:00`."""
    return f"{minute // 60:02d}:{minute % 60:02d}"


_moment: Writer = iso_moment
_clock: Writer = iso_clock
_time_of_day: DayWriter = iso_time_of_day


def write_as(moment: Writer = iso_moment, clock: Writer = iso_clock, time_of_day: DayWriter = iso_time_of_day) -> None:
    """From now on moments are written so; without arguments after ISO 8601 again."""
    global _moment, _clock, _time_of_day
    _moment, _clock, _time_of_day = moment, clock, time_of_day


def moment(when: float) -> str:
    """A date with the time of day to the second; `when` in seconds since 1970."""
    return _moment(when)


def clock(when: float) -> str:
    """A time of day to the second."""
    return _clock(when)


def time_of_day(minute: int) -> str:
    """A time of day to the minute; `minute` from midnight on."""
    return _time_of_day(minute)
