"""Actions of schedules of snapshot sets."""

from __future__ import annotations

from engine import rules
from engine.commands import ChangeSchedule, RemoveSchedules, RunSchedule
from engine.plans import Problem
from engine.records import Group, Kind, Schedule, Volume
from vea_gui.action_rows import Action, Reason, WhyNot, asks
from vea_gui.actions import reasons
from vea_gui.console import Console
from vea_gui.selection import Selection

SCHEDULE = (Kind.SCHEDULE.value,)


def _schedules(*checks: reasons.Rule) -> WhyNot:
    def why_not(selection: Selection) -> Reason:
        found = selection.of(Schedule)
        if not found:
            return reasons.pick_first(Kind.SCHEDULE)
        rows = (rules.can_change_schedule, *checks)
        return reasons.first(check(selection.config, one.ref) for one in found for check in rows)

    return why_not


def _cannot_schedule(selection: Selection) -> Reason:
    """A volume of an imported group is there, and all that are picked may be in one set."""
    config, picked = selection.config, selection.of(Volume)
    volumes = picked or config.all(Kind.VOLUME, Volume)
    if selection.of(Group) and selection.group is not None:
        if blocked := rules.needs_imported(config, selection.group.ref):
            return blocked
        volumes = config.volumes_of(selection.group.ref)
    if not volumes:
        return Problem("There is no volume of which a set could be taken.", "Make one with New Volume.")
    blocked_by = [rules.can_schedule(config, volume.ref) for volume in volumes]
    if picked:
        return rules.one_group(config, (one.group for one in picked), "volumes") or reasons.first(blocked_by)
    return None if None in blocked_by else blocked_by[0]


def _is(enabled: bool) -> WhyNot:
    """At least one of them is not so yet."""

    def why_not(selection: Selection) -> Reason:
        found = selection.of(Schedule)
        if found and all(one.enabled is enabled for one in found):
            names = rules.listed([one.name for one in found])
            verb, word = "is" if len(found) == 1 else "are", "enabled" if enabled else "disabled"
            return Problem(f"{names} {verb} {word} already.", "", found[0].ref)
        return _schedules()(selection)

    return why_not


def _set_enabled(console: Console, selection: Selection, enabled: bool) -> None:
    changing = [one for one in selection.of(Schedule) if one.enabled is not enabled]
    console.carry_out(*(ChangeSchedule(schedule=one.ref, enabled=enabled) for one in changing))


def _run(console: Console, selection: Selection) -> None:
    console.carry_out(*(RunSchedule(schedule=one.ref) for one in selection.of(Schedule)))


def _remove(console: Console, selection: Selection) -> None:
    console.carry_out(RemoveSchedules(schedules=tuple(one.ref for one in selection.of(Schedule))))


ROWS = (
    Action(
        "schedule-snapshots",
        "Schedule Snapshots...",
        asks("schedule_snapshots"),
        (Kind.VOLUME, Kind.GROUP),
        _cannot_schedule,
        submenu="Snap",
        section=32,
        plural="Schedule Snapshots of {} Volumes...",
    ),
    Action(
        "run-schedule",
        "Run Schedule Now",
        _run,
        SCHEDULE,
        _schedules(rules.can_run_schedule),
        icon="resume",
        section=20,
        plural="Run {} Schedules Now",
    ),
    Action(
        "change-schedule",
        "Change Schedule...",
        asks("change_schedule"),
        SCHEDULE,
        _schedules(),
        icon="properties",
        section=30,
    ),
    Action(
        "enable-schedule",
        "Enable Schedule",
        lambda console, selection: _set_enabled(console, selection, True),
        SCHEDULE,
        _is(True),
        section=30,
        plural="Enable {} Schedules",
    ),
    Action(
        "disable-schedule",
        "Disable Schedule",
        lambda console, selection: _set_enabled(console, selection, False),
        SCHEDULE,
        _is(False),
        section=30,
        plural="Disable {} Schedules",
    ),
    Action(
        "remove-schedule",
        "Remove Schedule...",
        _remove,
        SCHEDULE,
        _schedules(rules.schedule_at_rest),
        icon="delete",
        shortcut="Del",
        section=40,
        plural="Remove {} Schedules...",
    ),
)
