"""vxsnap schedule: sets that are taken again and again, by the engine."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from engine.cli import output, snap_words
from engine.cli.common import DONE, REFUSED, number
from engine.cli.forms import Form, Usage, shown

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from engine.cli.forms import Words
    from engine.cli.session import Session
    from engine.records import Pattern, Ref, Schedule

_WHEN = {
    "times": "02:00,14:30",
    "weekdays": "mon-fri",
    "days": "1,15,last",
    "first": "2026-12-01",
    "last": "2026-12-31",
    "zone": "Europe/Berlin",
}
_SET = {
    "keep": "NUMBER",
    "way": "refresh|new",
    "quiesce": "auto|fs|agent|none",
    "prepare": "yes|no",
    "late": "yes|no",
    "enabled": "yes|no",
}


def _add(session: Session, words: Words) -> int:
    from engine.cli.common import new_name
    from engine.commands import AddSchedule
    from engine.records import Pattern

    volumes = tuple(snap_words.volume(session.config, one, session.named_group).ref for one in words.many("VOLUME"))
    if "times" not in words.settings:
        raise Usage("The time of the day is missing: times=02:00.")
    when = _pattern(words, Pattern(times=()))
    return session.carry_out(AddSchedule(name=new_name(words["NAME"]), volumes=volumes, when=when, **_choices(words)))


def _change(session: Session, words: Words) -> int:
    from engine.commands import ChangeSchedule

    schedule = _named(session, words["NAME"])
    if not words.settings:
        raise Usage("Nothing is to be changed. Give a setting, such as keep=7.")
    when = _pattern(words, schedule.when) if words.settings.keys() & _WHEN.keys() else None
    volumes = tuple(filter(None, words.settings.get("volumes", "").split(",")))
    group = session.config.group(schedule.group)
    refs = tuple(snap_words.volume(session.config, one, group).ref for one in volumes)
    name = words.settings.get("name")
    return session.carry_out(
        ChangeSchedule(schedule=schedule.ref, name=name, volumes=refs or None, when=when, **_choices(words))
    )


def _pattern(words: Words, before: Pattern) -> Pattern:
    """What was typed; what was not stays as it was."""
    from msgspec.structs import replace

    from engine import rules

    readers: dict[str, Callable[[str], Any]] = {
        "times": rules.read_times,
        "weekdays": rules.read_weekdays,
        "days": rules.read_days,
    }
    found: dict[str, Any] = {}
    for key in words.settings.keys() & _WHEN.keys():
        try:
            found[key] = readers.get(key, str)(words.settings[key])
        except ValueError as error:
            raise Usage(f"{key}: {error}") from None
    return replace(before, **found)


def _choices(words: Words) -> dict[str, Any]:
    from engine.records import RunWay

    found: dict[str, Any] = {"keep": number(words, "keep", 0)} if "keep" in words.settings else {}
    if "way" in words.settings:
        if words.settings["way"] not in ("refresh", "new"):
            raise Usage(f"way={shown(words.settings['way'])} is not known: way=refresh or way=new.")
        found["way"] = RunWay(words.settings["way"])
    if "quiesce" in words.settings:
        found["quiesce"] = snap_words.quiesce(words.settings["quiesce"])
    for key, name in (("prepare", "prepares"), ("late", "late"), ("enabled", "enabled")):
        if key in words.settings:
            if words.settings[key] not in ("yes", "no"):
                raise Usage(f"{key}={shown(words.settings[key])} is not known: {key}=yes or {key}=no.")
            found[name] = words.settings[key] == "yes"
    return found


def _remove(session: Session, words: Words) -> int:
    from engine.commands import RemoveSchedules

    refs = tuple(dict.fromkeys(_named(session, name).ref for name in words.many("NAME")))
    return session.carry_out(RemoveSchedules(schedules=refs))


def _run(session: Session, words: Words) -> int:
    """Waits for the end of the run, as the engine begins it after the command."""
    from engine.commands import RunSchedule

    schedule = _named(session, words["NAME"])
    quietly = words.has("--plan") or words.has("-b")
    status = session.carry_out(RunSchedule(schedule=schedule.ref))
    if status != DONE or quietly:
        return status
    return _tell_result(session, schedule)


def _tell_result(session: Session, before: Schedule) -> int:
    from engine.records import Outcome

    while _under_way(session, before.ref):
        session.next_batch(3600.0)
    after = _record(session, before.ref)
    result = after.last_result if after is not None else None
    if result is None or after is None:
        output.complain(f"{before.name} is not there any more.")
        return REFUSED
    if result.outcome is not Outcome.COMPLETED:
        output.complain(f"{after.name}: {result.text}")
        return REFUSED
    if not session.json:
        output.write(f"{after.name}: {result.text}")
    return DONE


def _under_way(session: Session, ref: Ref) -> bool:
    session.fold()
    record = _record(session, ref)
    return record is not None and (record.asked or record.run is not None)


def _record(session: Session, ref: Ref) -> Schedule | None:
    from engine.records import Schedule

    found = session.config.get(ref)
    return found if isinstance(found, Schedule) else None


def _list(session: Session, words: Words) -> int:
    from engine.records import Kind, Schedule

    found = session.config.all(Kind.SCHEDULE, Schedule)
    if session.named_group is not None:
        found = [one for one in found if one.group == session.named_group.ref]
    if session.json:
        output.write_json([_row(session, one) for one in found])
    else:
        heads = ("SCHEDULE", "GROUP", "WHEN", "KEEP", "NEXT", "LAST RESULT")
        output.write(output.table(heads, [_line(session, one) for one in found], ("KEEP",)))
    return DONE


def _row(session: Session, schedule: Schedule) -> dict[str, Any]:
    from engine import rules

    config, when = session.config, schedule.when
    return {
        "name": schedule.name,
        "group": config.group(schedule.group).name,
        "volumes": [volume.name for volume in rules.scheduled_volumes(config, schedule)],
        "times": [rules.clock_text(minute) for minute in when.times],
        "weekdays": [rules.WEEKDAYS[day] for day in when.weekdays],
        "days": ["last" if day == 0 else day for day in when.days],
        "first": when.first or None,
        "last": when.last or None,
        "zone": when.zone or None,
        "keep": schedule.keep,
        "way": schedule.way.value,
        "quiesce": schedule.quiesce.value,
        "prepare": schedule.prepares,
        "late": schedule.late,
        "enabled": schedule.enabled,
        "running": schedule.run is not None,
        "next": schedule.next_run or None,
        "sets": [{"name": made.name, "taken": made.taken} for made in rules.own_sets(config, schedule)],
        "results": [
            {"due": one.due, "ended": one.ended, "outcome": one.outcome.value, "text": one.text}
            for one in schedule.results
        ],
    }


def _line(session: Session, schedule: Schedule) -> tuple[str, ...]:
    from engine import rules

    last = schedule.last_result
    following = time.strftime("%Y-%m-%d %H:%M", time.localtime(schedule.next_run)) if schedule.next_run else "-"
    if schedule.run is not None:
        following = "now"
    if not schedule.enabled:
        following = "disabled"
    group = session.config.group(schedule.group).name
    outcome = last.outcome.value if last is not None else "-"
    return schedule.name, group, rules.when_text(schedule.when), str(schedule.keep), following, outcome


def _named(session: Session, name: str) -> Schedule:
    """A schedule by its name, in the group of `-g` or in the only one that has it."""
    from engine.errors import EngineError
    from engine.records import Kind, Schedule

    group = session.named_group
    known = session.config.all(Kind.SCHEDULE, Schedule)
    found = [one for one in known if one.name == name and group in (None, session.config.group(one.group))]
    if not found:
        there = ", ".join(dict.fromkeys(one.name for one in known)) or "none"
        raise EngineError(f"There is no schedule {shown(name)}. There are: {there}.")
    if len(found) > 1:
        raise EngineError(f"Several disk groups have a schedule {shown(name)}. Say which with -g.")
    return found[0]


FORMS = (
    Form(
        "schedule add NAME VOLUME...",
        "Take a set of these volumes again and again; by default every day, the newest is kept and refreshed.",
        _add,
        settings={**_WHEN, **_SET},
        examples=("vxsnap -g dg1 schedule add nightly ev logs times=02:00 keep=5 way=new prepare=yes",),
    ),
    Form(
        "schedule change NAME",
        "Set what is given; the rest stays.",
        _change,
        settings={**_WHEN, **_SET, "name": "NAME", "volumes": "VOLUME,VOLUME"},
        examples=("vxsnap schedule change nightly enabled=no",),
    ),
    Form("schedule remove NAME...", "Take no more sets; those that were made stay.", _remove),
    Form("schedule run NAME", "Take the set now, and wait until that has ended.", _run),
    Form("schedule list", "Schedules with their next runs and last results.", _list),
)
