"""Moments of schedules beside a model that looks at every minute of a year; what is due, over any restarts."""

from __future__ import annotations

import datetime as dt
import functools
import random
import time
import zoneinfo
from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from engine import rules
from engine.records import LAST_DAY, Kind, Pattern, Ref, Schedule
from engine.schedules import due

MINUTE_S = 60
START = dt.datetime(2027, 12, 30, tzinfo=dt.UTC)  # a leap year, and its edges
MINUTES = 368 * 24 * 60
ZONES = ("Europe/Berlin", "America/New_York")
PATTERNS = {
    "a time that is jumped over": Pattern(times=(150,)),
    "two such times and the jump itself": Pattern(times=(135, 165, 180)),
    "a time that comes twice": Pattern(times=(75, 90, 119)),
    "working days": Pattern(times=(0, 1439), weekdays=(0, 1, 2, 3, 4)),
    "sundays": Pattern(times=(120, 150, 179, 180), weekdays=(6,)),
    "ends of months": Pattern(times=(1410,), days=(30, 31, LAST_DAY)),
    "the leap day": Pattern(times=(600,), days=(29,)),
    "weekdays and days of the month": Pattern(times=(150,), weekdays=(2,), days=(1, 15)),
    "between two days": Pattern(times=(0, 720), first="2028-03-26", last="2028-10-29"),
}


@functools.cache
def shown(zone: str) -> dict[int, list[tuple[float, dt.date]]]:
    """Minute by minute, what the clock on the wall shows for the first time or has just jumped over: for each minute of
    the day, when that was and on which day."""
    here = zoneinfo.ZoneInfo(zone)
    found: dict[int, list[tuple[float, dt.date]]] = {minute: [] for minute in range(24 * 60)}
    before = START.astimezone(here).replace(tzinfo=None)
    for number in range(1, MINUTES):
        aware = (START + dt.timedelta(minutes=number)).astimezone(here)
        now = aware.replace(tzinfo=None, fold=0)
        passed = [] if aware.fold else [now]
        if now - before > dt.timedelta(minutes=1):
            lost = int((now - before).total_seconds()) // 60
            passed += [now - dt.timedelta(minutes=back) for back in range(1, lost)]
        for each in passed:
            found[each.hour * 60 + each.minute].append((START.timestamp() + MINUTE_S * number, now.date()))
        before = now
    return found


def modelled(pattern: Pattern, zone: str) -> Iterator[float]:
    for minute in pattern.times:
        yield from (when for when, day in shown(zone)[minute] if wanted(pattern, day))


def wanted(pattern: Pattern, day: dt.date) -> bool:
    if not (pattern.first or "0") <= day.isoformat() <= (pattern.last or "9"):
        return False
    is_last = (day + dt.timedelta(days=1)).day == 1
    by_day = day.day in pattern.days or (is_last and LAST_DAY in pattern.days)
    return by_day or day.weekday() in pattern.weekdays or not (pattern.days or pattern.weekdays)


def in_zone(pattern: Pattern, zone: str) -> Pattern:
    return Pattern(pattern.times, pattern.weekdays, pattern.days, pattern.first, pattern.last, zone)


@functools.cache
def year_of(name: str, zone: str) -> tuple[float, ...]:
    return tuple(sorted(set(modelled(PATTERNS[name], zone))))


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("name", PATTERNS)
def test_a_year_of_moments_is_what_the_clock_on_the_wall_shows(name: str, zone: str) -> None:
    found, end = [], START.timestamp() + MINUTE_S * MINUTES
    for moment in rules.moments(in_zone(PATTERNS[name], zone), START.timestamp()):
        if moment >= end:
            break
        found.append(moment)
    assert found == list(year_of(name, zone))
    assert found, "the year has none"


@pytest.mark.parametrize("zone", ZONES)
def test_moments_go_on_from_any_instant(zone: str, seed: int) -> None:
    draw = random.Random(seed)
    for name in PATTERNS:
        moments = year_of(name, zone)
        pattern = in_zone(PATTERNS[name], zone)
        for _ in range(20):
            after = START.timestamp() + draw.randrange(MINUTE_S * MINUTES)
            following = [one for one in moments if one > after]
            if following:
                assert rules.next_moment(pattern, after) == following[0]


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("late", [False, True])
def test_each_moment_is_run_once_or_told_as_missed_over_any_restarts(zone: str, late: bool, seed: int) -> None:
    draw = random.Random(seed)
    for name in PATTERNS:
        moments = year_of(name, zone)
        schedule = schedule_of(in_zone(PATTERNS[name], zone), late=late)
        now = START.timestamp()
        ran: list[float] = []
        missed = 0
        schedule = at(schedule, due.look(schedule, now))
        end = START.timestamp() + MINUTE_S * MINUTES
        while now < end:
            off = draw.random() < 0.2
            step = draw.uniform(0, 9 * 86_400) if off else draw.uniform(0.1, 5000.0)
            following = due.look(schedule, now).next_run
            now = now + step if off or not following else max(now + 0.01, min(now + step, following + 0.5))
            if now >= end:
                break
            found = due.look(schedule, now)
            missed += found.missed[1]
            if found.run:
                assert found.late or now - found.run <= due.GRACE_S
                ran.append(found.run)
                missed -= found.late
            schedule = at(schedule, found)
        gone = [one for one in moments if one <= schedule.dealt]
        assert len(ran) == len(set(ran))
        assert ran == sorted(ran)
        assert set(ran) <= set(gone)
        assert len(ran) + missed == len(gone)


def schedule_of(pattern: Pattern, **choices: object) -> Schedule:
    group, volume = Ref(Kind.GROUP, "1" * 32), Ref(Kind.VOLUME, "2" * 32)
    ref = Ref(Kind.SCHEDULE, "3" * 32)
    made = Schedule(ref=ref, name="nightly", group=group, volumes=(volume,), when=pattern)
    return replace(made, **choices)


def at(schedule: Schedule, found: due.Due) -> Schedule:
    return replace(schedule, dealt=found.dealt)


def test_a_clock_that_is_put_back_runs_nothing_again() -> None:
    schedule = at(schedule_of(Pattern(times=(120,), zone="Europe/Berlin")), due.Due(1_800_000_000.0, 0.0))
    following = due.look(schedule, 1_800_000_000.0).next_run
    found = due.look(schedule, following + 1)
    assert found.run == following
    after = at(schedule, found)
    for back in (1, 3600, 90_000):
        assert due.look(after, following - back).run == 0.0
        assert due.look(after, following - back).next_run > following


def test_nothing_counts_before_a_schedule_is_known_or_while_it_is_disabled() -> None:
    schedule = schedule_of(Pattern(times=tuple(range(0, 1440, 30))))
    assert due.look(schedule, 1_800_000_000.0).missed == (0.0, 0)
    off = at(schedule_of(schedule.when, enabled=False), due.Due(1_700_000_000.0, 0.0))
    assert due.look(off, 1_800_000_000.0) == due.Due(1_800_000_000.0, 0.0)


def test_the_hosts_own_zone_is_followed_too(monkeypatch: pytest.MonkeyPatch) -> None:
    before = list(rules.moments(Pattern(times=(150,), last="2028-11-30", zone="Europe/Berlin"), START.timestamp()))
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        assert list(rules.moments(Pattern(times=(150,), last="2028-11-30"), START.timestamp())) == before
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize(
    ("pattern", "field"),
    [
        (Pattern(times=()), "times"),
        (Pattern(times=(1440,)), "times"),
        (Pattern(times=(60, 60)), "times"),
        (Pattern(times=(1,), weekdays=(7,)), "days"),
        (Pattern(times=(1,), days=(32,)), "days"),
        (Pattern(times=(1,), first="2026-2-1"), "first"),
        (Pattern(times=(1,), last="soon"), "last"),
        (Pattern(times=(1,), first="2026-03-02", last="2026-03-01"), "last"),
        (Pattern(times=(1,), days=(31,), first="2026-02-01", last="2026-02-28"), "days"),
        (Pattern(times=(1,), zone="Europe/Atlantis"), "zone"),
        (Pattern(times=(1,), zone="../../../etc/passwd"), "zone"),
        (Pattern(times=(1,), zone="Europe"), "zone"),
        (Pattern(times=(1,), zone="x" * 999), "zone"),
        (Pattern(times=(1,), zone="\0"), "zone"),
    ],
)
def test_what_makes_no_sense_is_refused_beside_its_field(pattern: Pattern, field: str) -> None:
    problem = rules.pattern_problem(pattern)
    assert problem is not None
    assert problem.field == field


def test_words_of_a_pattern_and_back() -> None:
    assert rules.read_times("14:30, 2:00;2 pm") == (120, 840, 870)
    assert rules.read_times("12am, 12 p.m.") == (0, 720)
    assert rules.read_weekdays("mon-fri") == (0, 1, 2, 3, 4)
    assert rules.read_weekdays("sat-mon,Wednesday") == (0, 2, 5, 6)
    assert rules.read_days("15,1, last") == (LAST_DAY, 1, 15)
    assert rules.days_as_typed((LAST_DAY, 1, 15)) == "1, 15, last"
    text = rules.when_text(Pattern(times=(120, 870), weekdays=(0, 1, 2, 3, 4), zone="Europe/Berlin"))
    assert text == "Monday to Friday at 02:00 and 14:30 (Europe/Berlin)"
    assert rules.days_text(Pattern(times=(1,), days=(LAST_DAY, 1))) == "day 1 and the last day of the month"
    assert rules.days_text(Pattern(times=(1,))) == "every day"


@pytest.mark.parametrize("text", ["", "25:00", "2:60", "2", "noon", "13 pm", "1:2", "٢:٠٠", "2:00:00"])
def test_times_that_are_none_say_so(text: str) -> None:
    with pytest.raises(ValueError, match=r"time of the day"):
        rules.read_times(text)


@pytest.mark.parametrize("text", ["t", "mo-", "day", "mon-fri-sat", "s"])
def test_weekdays_that_are_none_say_so(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no weekday"):
        rules.read_weekdays(text)
