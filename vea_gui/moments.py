"""Dates and times of day, written alike everywhere in the console: as this desktop writes them, else after ISO 8601.

What programs read (CSV, the command line) is after ISO 8601 in any case. No Qt: who knows the desktop tells its way.
"""

from __future__ import annotations

import time
from collections.abc import Callable

Writer = Callable[[float], str]


def iso_moment(when: float) -> str:
    """`2026-11-22 21:40:05`, in this machine's time zone."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(when))


def iso_clock(when: float) -> str:
    """`21:40:05`."""
    return time.strftime("%H:%M:%S", time.localtime(when))


_moment: Writer = iso_moment
_clock: Writer = iso_clock


def write_as(moment: Writer = iso_moment, clock: Writer = iso_clock) -> None:
    """From now on moments are written so; without arguments after ISO 8601 again."""
    global _moment, _clock
    _moment, _clock = moment, clock


def moment(when: float) -> str:
    """A date with the time of day to the second; `when` in seconds since 1970."""
    return _moment(when)


def clock(when: float) -> str:
    """A time of day to the second."""
    return _clock(when)
