"""Schedules of snapshot sets: kept in the group's configuration, so that they go with it to another host."""

from __future__ import annotations

import enum

import msgspec

from engine.records.base import Record, Ref
from engine.records.quiesce import Quiesce

LAST_DAY = 0
"""As a day of the month: its last one, whichever that is."""


class RunWay(enum.StrEnum):
    """What makes room for the next set, once there are as many as are kept."""

    NEW = "new"  # the oldest is destroyed
    REFRESH = "refresh"  # the oldest is snapped back, and its snap plexes become the new one


class Outcome(enum.StrEnum):
    """How a run ended."""

    COMPLETED = "Completed"
    FAILED = "Failed"
    MISSED = "Missed"


class Pattern(msgspec.Struct, frozen=True, gc=False):
    """When: at each of `times`, on days that are named by weekday or by day of the month; on every day if none is."""

    times: tuple[int, ...]  # minutes after midnight, ascending
    weekdays: tuple[int, ...] = ()  # Monday is 0
    days: tuple[int, ...] = ()  # of the month; LAST_DAY is its last
    first: str = ""  # the first day, as 2026-11-23; empty: from now on
    last: str = ""  # the last day, included; empty: for ever
    zone: str = ""  # as Europe/Berlin; empty: the host's own


class MadeSet(msgspec.Struct, frozen=True, gc=False):
    """A set that a schedule has made. It is the schedule's for as long as its snapshots have these names and their
    links."""

    name: str
    taken: float  # seconds since the epoch
    snapshots: tuple[Ref, ...]
    names: tuple[str, ...]  # of the snapshots, one by one


class ScheduledRun(msgspec.Struct, frozen=True, gc=False):
    """A run that has begun, and has not been seen to end."""

    due: float  # the moment that it is for
    begun: float
    name: str  # of the set
    volumes: tuple[Ref, ...]
    names: tuple[str, ...]  # of the snapshots, one by one
    late: bool = False  # for a moment that had been missed: it is not made up for again


class RunResult(msgspec.Struct, frozen=True, gc=False):
    """What became of a run, or of several that were missed."""

    due: float
    ended: float
    outcome: Outcome
    text: str = ""  # the cause when it failed; what else there is to know


class Schedule(Record, frozen=True, kw_only=True, tag="schedule"):
    """A recurring snapshot set of volumes of one disk group. It runs on the host that has the group imported."""

    group: Ref
    volumes: tuple[Ref, ...]
    when: Pattern
    keep: int = 1  # so many sets
    way: RunWay = RunWay.REFRESH
    quiesce: Quiesce = Quiesce.AUTO
    prepares: bool = False  # volumes that have no snap plex are prepared by the schedule
    late: bool = False  # what was missed is made up for once
    enabled: bool = True
    asked: bool = False  # somebody wants a run now
    dealt: float = 0.0  # the last moment that was run or told as missed; 0: its moments count from now on
    run: ScheduledRun | None = None
    sets: tuple[MadeSet, ...] = ()  # oldest first
    results: tuple[RunResult, ...] = ()  # newest first
    # host
    next_run: float = 0.0  # 0: none

    @property
    def last_result(self) -> RunResult | None:
        """How the newest run ended; None when there was none."""
        return self.results[0] if self.results else None
