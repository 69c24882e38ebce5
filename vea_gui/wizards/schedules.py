"""Schedule Snapshots: which volumes, when, what is kept, and a calendar of the runs to come. No Qt."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from engine import rules
from engine.commands import AddSchedule, ChangeSchedule
from engine.config import Config
from engine.records import Kind, Pattern, Ref, RunWay, Schedule, Volume
from engine.units import format_size
from vea_gui import moments
from vea_gui.selection import Selection
from vea_gui.wizards import choices
from vea_gui.wizards.form import Answers, Field, FieldKind, Form, Option, Page
from vea_gui.wizards.snap_quiesce import scheduled_quiesce_fields

WELCOME = """This wizard makes a schedule: the engine takes snapshots of volumes again and again, all volumes of a set \
at one instant, whether or not a console is open.

You choose the volumes, the times, and how many sets are kept. A calendar shows the runs of two months. Nothing is \
changed before you choose Finish on the last page."""
WAYS = {
    RunWay.REFRESH: "Refresh: the oldest set is snapped back, and its snap plexes become the new set",
    RunWay.NEW: "New: a new set is made each time, and the oldest is destroyed",
}
SHOWN_DAYS = 62
_NONE_SET = {"zone": "", "first": "", "last": ""}


def schedule_snapshots(config: Config, selection: Selection) -> Form:
    """A new schedule; picked volumes are chosen already."""
    volumes = [volume for volume in selection.of(Volume) if rules.can_schedule(config, volume.ref) is None]
    chosen = tuple(volume.ref for volume in volumes if volume.group == volumes[0].group)
    only = selection.group.ref if selection.group is not None and not chosen else None
    pages = _pages(_volume_page(only, _new_name(config)))
    start = {"volumes": chosen}
    return Form(
        "schedule_snapshots", "Schedule Snapshots", pages, _build_add, welcome=WELCOME, wizard=True, answers=start
    )


def change_schedule(config: Config, selection: Selection) -> Form:
    """All of a schedule, as it is now."""
    schedule = selection.of(Schedule)[0]
    when = schedule.when
    days = {day: number in when.weekdays for number, day in enumerate(rules.WEEKDAYS)}
    start: dict[str, Any] = {
        "name": schedule.name,
        "volumes": schedule.volumes,
        "times": ", ".join(rules.clock_text(minute) for minute in when.times),
        **{day.lower(): ticked for day, ticked in days.items()},
        "days": rules.days_as_typed(when.days),
        "first": when.first,
        "last": when.last,
        "zone": when.zone,
        "keep": schedule.keep,
        "way": schedule.way,
        "quiesce": schedule.quiesce,
        "prepares": schedule.prepares,
        "late": schedule.late,
        "enabled": schedule.enabled,
    }
    pages = _pages(_volume_page(schedule.group, schedule.name))
    build = partial(_build_change, schedule.ref)
    title = "Change Schedule"
    return Form("change_schedule", title, pages, build, wizard=True, about=(schedule.ref,), answers=start)


def _pages(volumes: Page) -> tuple[Page, ...]:
    return volumes, _when_page(), _set_page(), _calendar_page()


def _new_name(config: Config) -> str:
    taken = {schedule.name for schedule in config.all(Kind.SCHEDULE, Schedule)}
    return "nightly" if "nightly" not in taken else rules.next_name("schedule", taken)


# --- pages ---
def _volume_page(group: Ref | None, name: str) -> Page:
    return Page(
        "Volumes",
        "Decide of which volumes a set is taken. All of them lie in one disk group.",
        (
            Field(
                "name",
                "Schedule name",
                FieldKind.TEXT,
                default=name,
                check=lambda _, answers: choices.sentence(rules.name_ok(answers["name"])),
                hint="A set is called so, with the date and the time behind it.",
            ),
            Field(
                "volumes",
                "Volumes",
                FieldKind.LISTS,
                default=(),
                options=partial(_volumes, group),
                check=lambda _, answers: "" if answers["volumes"] else "Choose at least one volume.",
                lists=("Available Volumes", "Selected Volumes"),
            ),
        ),
    )


def _volumes(group: Ref | None, config: Config, answers: Answers) -> list[Option]:
    """A set lies in one disk group: the first volume that is chosen decides which."""
    chosen = [config.volume(ref).group for ref in answers.get("volumes", ()) if ref in config]
    wanted = group or next(iter(chosen), None)
    found = []
    for volume in config.all(Kind.VOLUME, Volume):
        why_not = choices.short(rules.can_schedule(config, volume.ref))
        if wanted is not None and volume.group != wanted:
            why_not = why_not or "in another disk group"
        where = config.group(volume.group).name
        found.append(Option(volume.ref, f"{volume.name}, {format_size(volume.size)}, {where}", why_not))
    return found


def _when_page() -> Page:
    ticks = [
        Field(day.lower(), day, FieldKind.CHECK, default=False, caption="" if number else "Weekdays")
        for number, day in enumerate(rules.WEEKDAYS)
    ]
    return Page(
        "Times and Days",
        "Decide when it is taken. With no weekday and no day of the month it is taken every day.",
        (
            Field(
                "times",
                "Times of the day",
                FieldKind.TEXT,
                default="02:00",
                check=partial(_read, "times", rules.read_times),
                hint="One or several, apart by commas: 02:00, 14:30. A time that the clock jumps over in spring means "
                "the instant of the jump; one that comes twice in autumn means the first.",
            ),
            *ticks,
            Field(
                "days",
                "Days of the month",
                FieldKind.TEXT,
                check=partial(_read, "days", rules.read_days),
                hint="As in 1, 15, last. Empty: none beside the weekdays.",
                sample="none, or as in: 1, 15, last",
            ),
            Field(
                "first",
                "First day",
                FieldKind.TEXT,
                hint="As in 2026-11-23. Empty: from now on.",
                sample="from now on, or as in: 2026-11-23",
            ),
            Field(
                "last",
                "Last day",
                FieldKind.TEXT,
                hint="As in 2026-12-31. Empty: for ever.",
                sample="for ever, or as in: 2026-12-31",
            ),
            Field(
                "zone",
                "Time zone",
                FieldKind.TEXT,
                hint="As in Europe/Berlin. Empty: that of the host that has the disk group.",
                sample="that of this host, or as in: Europe/Berlin",
            ),
        ),
    )


def _read(name: str, read: Callable[[str], object], _: Config, answers: Answers) -> str:
    try:
        read(answers[name])
    except ValueError as error:
        return str(error)
    return ""


def _set_page() -> Page:
    return Page(
        "Sets",
        "Decide how many sets are kept, what becomes of the oldest, and how writers are kept still. Sets that you have "
        "renamed or cleared are yours: no schedule touches them.",
        (
            Field("keep", "Sets kept", FieldKind.NUMBER, default=1, lowest=1, highest=rules.KEEP_MAX),
            Field(
                "way",
                "Oldest set",
                FieldKind.CHOICE,
                default=RunWay.REFRESH,
                options=lambda *_: [Option(way, text) for way, text in WAYS.items()],
            ),
            *scheduled_quiesce_fields(lambda _, answers: answers["volumes"]),
            Field(
                "prepares",
                "Prepare volumes that have no snap plex that is ready",
                FieldKind.CHECK,
                default=True,
                caption="Prepare",
                hint="Without it a run fails until you choose Snap > Prepare.",
            ),
            Field(
                "late",
                "Make up for missed runs, once",
                FieldKind.CHECK,
                default=False,
                caption="Missed runs",
                hint="A run is missed while the engine is off or the disk group is not imported. It is always told.",
            ),
            Field("enabled", "Enabled", FieldKind.CHECK, default=True, caption="Schedule"),
        ),
    )


def _calendar_page() -> Page:
    return Page(
        "Calendar",
        "These are the runs of this month and the next. Go back to change them.",
        (
            Field("next", "Next run", FieldKind.FACT, options=_next_run),
            Field("runs", "Runs", FieldKind.CALENDAR, options=_marked),
        ),
    )


def _marked(config: Config, answers: Answers) -> list[Option]:
    """Today, then the days that have runs."""
    now, today = dt.datetime.now().timestamp(), dt.date.today()
    by_day: dict[dt.date, list[str]] = {today: []}
    for when in _coming(answers, now):
        shown = rules.wall(when, _zone(answers))
        by_day.setdefault(shown.date(), []).append(moments.time_of_day(shown.hour * 60 + shown.minute))
    return [Option(day.isoformat(), _runs_text(times)) for day, times in by_day.items()]


def _runs_text(times: list[str]) -> str:
    return f"{'run' if len(times) == 1 else 'runs'} at {rules.listed(times)}" if times else ""


def _next_run(config: Config, answers: Answers) -> list[Option]:
    if not answers["enabled"]:
        return [Option("", "none while the schedule is disabled")]
    following = next(iter(_coming(answers, dt.datetime.now().timestamp())), 0.0)
    return [Option("", moments.moment(following) if following else "none within two months")]


def _coming(answers: Answers, now: float) -> Iterable[float]:
    try:
        pattern = _pattern(answers)
        if rules.pattern_problem(pattern) is not None:
            return
        for when in rules.moments(pattern, now):
            if when > now + SHOWN_DAYS * 86_400:
                return
            yield when
    except ValueError:
        return


def _zone(answers: Answers) -> dt.tzinfo | None:
    return rules.zone_of(answers["zone"].strip())


def _pattern(answers: Answers) -> Pattern:
    return Pattern(
        times=rules.read_times(answers["times"]),
        weekdays=tuple(number for number, day in enumerate(rules.WEEKDAYS) if answers[day.lower()]),
        days=rules.read_days(answers["days"]),
        **{name: answers[name].strip() for name in _NONE_SET},
    )


# --- commands ---
def _build_add(config: Config, answers: Answers) -> AddSchedule:
    return AddSchedule(**_fields(answers))


def _build_change(schedule: Ref, config: Config, answers: Answers) -> ChangeSchedule:
    return ChangeSchedule(schedule=schedule, **_fields(answers))


def _fields(answers: Answers) -> dict[str, Any]:
    names = ("name", "volumes", "keep", "way", "quiesce", "prepares", "late", "enabled")
    return {"when": _pattern(answers), **{name: answers[name] for name in names}}
