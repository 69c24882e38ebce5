"""Schedules of snapshot sets: added, changed, removed, run."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from engine import rules
from engine.commands import AddSchedule, ChangeSchedule, RemoveSchedules, RunSchedule
from engine.config import Config
from engine.planners.draft import Draft, Ids, refuse
from engine.plans import Plan, Problem
from engine.records import Kind, Ref, RunWay, Schedule, Volume
from engine.rules import counted, listed
from engine.units import format_size

_FIELDS = ("name", "volumes", "when", "keep", "way", "quiesce", "prepares", "late", "enabled")
_RESTARTS = ("when", "enabled")
"""When these change, no moment of before counts as missed."""


def add(config: Config, command: AddSchedule, ids: Ids) -> Plan:
    """Nothing is taken before its first moment."""
    title = f"Add Schedule {command.name[: rules.NAME_MAX]}".rstrip()
    volumes = tuple(dict.fromkeys(command.volumes))
    group = config.volume(volumes[0]).group
    fields: dict[str, Any] = {name: getattr(command, name) for name in _FIELDS}
    schedule = Schedule(ref=ids(Kind.SCHEDULE), group=group, **{**fields, "volumes": volumes})
    if blocked := refuse(title, *_problems(config, schedule), _one_more(config, group)):
        return blocked
    draft = Draft(config, ids, group)
    draft.put(schedule)
    _tell(draft, schedule)
    return draft.plan(title, undo=RemoveSchedules(schedules=(schedule.ref,)))


def change(config: Config, command: ChangeSchedule, ids: Ids) -> Plan:
    """What is set now holds from the next run on; sets that were made stay the schedule's."""
    before = _schedule(config, command.schedule)
    title = f"Change Schedule {before.name}"
    given = {name: value for name in _FIELDS if (value := getattr(command, name)) is not None}
    if "volumes" in given:
        given["volumes"] = tuple(dict.fromkeys(given["volumes"]))
    changed = {name: value for name, value in given.items() if value != getattr(before, name)}
    after = replace(before, **changed)
    if set(changed) & set(_RESTARTS):
        after = replace(after, dealt=0.0)
    nothing = Problem("All of this is set already.", "Change something.", before.ref) if not changed else None
    if blocked := refuse(title, nothing, *_problems(config, after, only=set(changed))):
        return blocked
    draft = Draft(config, ids, before.group)
    draft.put(after)
    if changed.keys() == {"enabled"}:
        draft.step(f"{'Enable' if after.enabled else 'Disable'} {after.name}", "its snapshots stay as they are")
    else:
        _tell(draft, after)
    fewer = len(rules.own_sets(config, before)) - after.keep
    if fewer > 0:
        draft.warn(f"With the next run {counted(fewer, 'set')} more than the new one's place {_goes(after)}.")
    undo = ChangeSchedule(schedule=before.ref, **{name: getattr(before, name) for name in changed})
    return draft.plan(title, undo=undo)


def _goes(schedule: Schedule) -> str:
    return "will be destroyed" if schedule.way is RunWay.NEW else "will be snapped back"


def remove(config: Config, command: RemoveSchedules, ids: Ids) -> Plan:
    """The sets stay."""
    schedules = [_schedule(config, ref) for ref in dict.fromkeys(command.schedules)]
    names = listed([schedule.name for schedule in schedules])
    title = f"Remove {'Schedule' if len(schedules) == 1 else 'Schedules'} {names}"
    problems = (
        rules.can_change_schedule(config, schedule.ref) or rules.schedule_at_rest(config, schedule.ref)
        for schedule in schedules
    )
    apart = rules.one_group(config, (schedule.group for schedule in schedules), "schedules", "schedules")
    if blocked := refuse(title, apart, *problems):
        return blocked
    draft = Draft(config, ids, schedules[0].group)
    draft.drop(*(schedule.ref for schedule in schedules))
    kept = sum(len(rules.own_sets(config, schedule)) for schedule in schedules)
    draft.step(f"Take no more sets for {names}", "snapshots stay as they are")
    if kept:
        draft.warn(
            f"{counted(kept, 'set')} that it has made {'stays' if kept == 1 else 'stay'}, and no schedule "
            "removes them any more."
        )
    undo = _again(schedules[0]) if len(schedules) == 1 else None
    return draft.plan(
        title,
        undo=undo,
        confirm=f"{title}? The snapshots that were made stay.",
        confirm_button="Remove Schedule" if len(schedules) == 1 else f"Remove {len(schedules)} Schedules",
    )


def _again(schedule: Schedule) -> AddSchedule:
    fields: dict[str, Any] = {name: getattr(schedule, name) for name in _FIELDS}
    return AddSchedule(**fields)


def run(config: Config, command: RunSchedule, ids: Ids) -> Plan:
    """The engine begins it at once; its snapshot is a task of its own."""
    schedule = _schedule(config, command.schedule)
    title = f"Run Schedule {schedule.name}"
    lacking = rules.unprepared(config, schedule)
    own, reuses = rules.own_sets(config, schedule), rules.reused_set(config, schedule) is not None
    if blocked := refuse(title, rules.can_run_schedule(config, schedule.ref)):
        return blocked
    draft = Draft(config, ids, schedule.group)
    draft.put(replace(schedule, asked=True))
    names = listed([config.volume(ref).name for ref in schedule.volumes])
    if reuses:
        draft.step(f"Snap back {own[0].name}, using the original volumes", "until it is copied this set is gone")
    elif lacking:
        draft.step(f"Prepare {listed([volume.name for volume in lacking])}", "the set is taken when that is copied")
    draft.step(f"Take a set of {names}, all of one instant", "writes wait for some milliseconds")
    over = len(own) + 1 - reuses - schedule.keep
    if over > 0:
        gone = listed([made.name for made in own[reuses:][:over]])
        draft.step(f"{'Destroy' if schedule.way is RunWay.NEW else 'Snap back'} {gone}", "unless clients use it")
    return draft.plan(title)


def _schedule(config: Config, ref: Ref) -> Schedule:
    record = config[ref]
    assert isinstance(record, Schedule)  # looked at before every planner
    return record


def _problems(config: Config, schedule: Schedule, only: set[str] | None = None) -> list[Problem | None]:
    """All that is asked of a schedule; of a changed one what has changed."""
    wanted = set(_FIELDS) if only is None else only
    volumes = [config.volume(ref) for ref in schedule.volumes] if "volumes" in wanted else []
    found = [rules.one_group(config, [schedule.group, *(one.group for one in volumes)], "volumes", "volumes")]
    found += [rules.can_change_schedule(config, schedule.ref) if only is not None else None]
    if "volumes" in wanted and not volumes:
        found.append(Problem("Nothing was chosen.", "Choose at least one of the volumes.", field="volumes"))
    found += [rules.can_schedule(config, volume.ref) for volume in volumes]
    if "name" in wanted:
        free = rules.name_free(config, Kind.SCHEDULE, schedule.name, schedule.group, schedule.ref)
        found.append(rules.name_ok(schedule.name) or free)
    if "when" in wanted:
        found.append(rules.pattern_problem(schedule.when))
    if "keep" in wanted:
        found.append(rules.keep_ok(schedule.keep))
    return found


def _one_more(config: Config, group: Ref) -> Problem | None:
    if len(config.schedules_of(group)) < rules.SCHEDULES_MAX:
        return None
    name = config.group(group).name
    return Problem(
        f"{name} has {rules.SCHEDULES_MAX} schedules, the most that it can have.", "Remove one first.", group
    )


def _tell(draft: Draft, schedule: Schedule) -> None:
    """What it does, when, and what it needs."""
    config = draft.base
    volumes = [config.volume(ref) for ref in schedule.volumes if ref in config]
    names = listed([volume.name for volume in volumes])
    draft.step(f"Take a set of {names}: {rules.when_text(schedule.when)}", "all of one instant")
    sets = "newest set" if schedule.keep == 1 else f"newest {schedule.keep} sets"
    oldest = "destroy" if schedule.way is RunWay.NEW else "snap back, using the original volume,"
    draft.step(f"Keep the {sets}; {oldest} the oldest beyond them", "a set in use by clients stays")
    _tell_quiesce(draft, schedule, volumes)
    if not schedule.enabled:
        draft.warn("It is disabled: nothing is taken before it is enabled.")
    _tell_need(draft, schedule, volumes)
    lacking = [volume for volume in volumes if volume in rules.unprepared(config, schedule)]
    if schedule.prepares and schedule.enabled and lacking:
        size = format_size(sum(volume.size for volume in lacking))
        lacking_names = listed([volume.name for volume in lacking])
        draft.step(f"Prepare {lacking_names}: copy {size} to snap plexes", "begins when the schedule is there")
    elif lacking:
        draft.warn(f"{listed([one.name for one in lacking])} must be prepared before the first run: Snap > Prepare.")
    if schedule.way is RunWay.REFRESH:
        draft.warn(
            "While the oldest set is brought up to date it is no snapshot. With one more Snap Ready plex of each "
            "volume the new set is taken first."
        )


def _tell_quiesce(draft: Draft, schedule: Schedule, volumes: list[Volume]) -> None:
    """How writers are kept still, and what that would be worth as things are found now."""
    level = rules.lowest(rules.expected_consistency(volume, schedule.quiesce) for volume in volumes)
    found = [rules.can_quiesce(draft.base, volume.ref, schedule.quiesce) for volume in volumes]
    problem = next(filter(None, found), None)
    if problem is not None:
        draft.warn(f"{problem.text} As things are now no set would be taken.")
    meanwhile = f"as things are now a set would be {level}" if problem is None else ""
    draft.step(f"Keep writers still: {rules.QUIESCE_WORDS[schedule.quiesce]}", meanwhile)


def _tell_need(draft: Draft, schedule: Schedule, volumes: list[Volume]) -> None:
    """Snap plexes take as much space as their volume; those of today count."""
    config, needed = draft.base, rules.plexes_needed(schedule)
    own = len(rules.own_sets(config, schedule))
    more, size = 0, 0
    for volume in volumes:
        lacks = max(0, needed - own - len(rules.snap_plexes_of(config, volume.ref)))
        more, size = more + lacks, size + lacks * volume.size
    each = f"{counted(needed, 'snap plex')[:-1] + 'es' if needed > 1 else '1 snap plex'} of each volume in all"
    if not more:
        draft.step(f"Use {each}, which are there", "")
        return
    free = config.group(schedule.group).free
    words = f"{more} more, {rules.needed_free(size, free)} in {config.group(schedule.group).name}"
    draft.step(f"Need {each}: {words}", "allocated when they are prepared")
    if size > free:
        draft.warn(f"There is not room for all of its snap plexes: {rules.needed_free(size, free)}.")
