"""What is read of schedules in tables and property sheets. No Qt."""

from __future__ import annotations

from engine import rules
from engine.records import Group, GroupState, Outcome, Pattern, RunWay, Schedule
from vea_gui import moments
from vea_gui.mirror import Mirror
from vea_gui.words import Tone

_TONES = {Outcome.COMPLETED: Tone.GOOD, Outcome.FAILED: Tone.ERROR, Outcome.MISSED: Tone.WARNING}


def when_words(pattern: Pattern) -> str:
    """`Monday to Friday at 02:00`, as this desktop writes times."""
    return rules.when_text(pattern, moments.time_of_day)


def next_text(mirror: Mirror, schedule: Schedule) -> str:
    """When it runs next, or why it does not."""
    group = mirror.config.get(schedule.group)
    if schedule.run is not None:
        return "running"
    if not schedule.enabled:
        return "disabled"
    if not isinstance(group, Group) or group.state is not GroupState.IMPORTED:
        return "not imported here"
    return moments.moment(schedule.next_run) if schedule.next_run else "none"


def last_text(schedule: Schedule) -> str:
    """How the newest run ended, and for which moment it was."""
    last = schedule.last_result
    return f"{last.outcome}, {moments.moment(last.due)}" if last is not None else ""


def last_tip(mirror: Mirror, schedule: Schedule) -> str:
    """The newest results, one below the other."""
    return "\n".join(f"{moments.moment(one.due)}: {one.outcome}. {one.text}".strip() for one in schedule.results)


def last_tone(schedule: Schedule) -> Tone:
    """How the newest result is shown."""
    last = schedule.last_result
    return _TONES[last.outcome] if last is not None else Tone.NONE


def kept_text(mirror: Mirror, schedule: Schedule) -> str:
    """`3 of 5, oldest is refreshed`."""
    there = len(rules.own_sets(mirror.config, schedule))
    goes = "destroyed" if schedule.way is RunWay.NEW else "refreshed"
    return f"{there} of {schedule.keep}, oldest is {goes}"
