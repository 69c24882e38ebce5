"""What may be done with schedules of snapshot sets, and which sets are a schedule's own."""

from __future__ import annotations

import datetime as dt

from engine.config import Config
from engine.plans import Problem
from engine.records import LinkSide, MadeSet, Pattern, Ref, RunWay, Schedule, ScheduledRun, Volume
from engine.rules.calendar import next_moment, wall, zone_of
from engine.rules.groups import needs_imported
from engine.rules.links import other_end
from engine.rules.names import NAME_MAX, next_name
from engine.rules.parity import not_parity
from engine.rules.snapshots import snap_plexes_of
from engine.rules.tasks import no_running_task
from engine.rules.volumes import in_use_by_clients
from engine.rules.words import listed

KEEP_MAX = 31
TIMES_MAX = 48
SCHEDULES_MAX = 64
"""Of a disk group."""
YEARS = (1970, 2199)
_MINUTES = 24 * 60


def pattern_problem(when: Pattern) -> Problem | None:
    """A pattern that has runs, at times and on days that there are."""
    try:
        zone_of(when.zone)
    except ValueError as error:
        return Problem(f"{error}.", "Give a name such as Europe/Berlin, or none for the host's own.", field="zone")
    if not when.times or len(when.times) > TIMES_MAX or not all(0 <= one < _MINUTES for one in when.times):
        text = "These are no times of the day."
        return Problem(text, f"Give 1 to {TIMES_MAX} times, such as 02:00.", field="times")
    if list(when.times) != sorted(set(when.times)):
        return Problem("The times of the day are not in order.", "Give each once, the earliest first.", field="times")
    if not all(0 <= day <= 6 for day in when.weekdays) or not all(0 <= day <= 31 for day in when.days):
        return Problem("A day of these does not exist.", "Give weekdays, and days of the month 1 to 31.", field="days")
    return _days_problem(when)


def _days_problem(when: Pattern) -> Problem | None:
    for field in ("first", "last"):
        if not _is_day(getattr(when, field)):
            return Problem("This is no day.", "Give one such as 2026-11-23.", field=field)
    if when.first and when.last and when.last < when.first:
        return Problem("The last day is before the first one.", "Give a later last day.", field="last")
    start = when.first or (when.last and f"{YEARS[0]}-01-01")
    if start and not next_moment(when, dt.datetime.fromisoformat(start).replace(tzinfo=dt.UTC).timestamp() - 86_400):
        return Problem("There is no such day between the first and the last one.", "Choose other days.", field="days")
    return None


def _is_day(text: str) -> bool:
    try:
        return not text or (dt.date.fromisoformat(text).isoformat() == text and YEARS[0] < int(text[:4]) < YEARS[1])
    except ValueError:
        return False


def keep_ok(keep: int) -> Problem | None:
    """How many sets may be kept."""
    if 1 <= keep <= KEEP_MAX:
        return None
    return Problem(f"{keep} sets can't be kept.", f"Give 1 to {KEEP_MAX}.", field="keep")


def can_schedule(config: Config, volume: Ref) -> Problem | None:
    """A volume that can have snapshots at all."""
    record = config.volume(volume)
    if blocked := needs_imported(config, record.group):
        return blocked
    if blocked := not_parity(config, volume, "can't have snapshots"):
        return Problem(blocked.text, "Choose a mirrored or a striped volume.", volume)
    return None


def can_change_schedule(config: Config, schedule: Ref) -> Problem | None:
    """A schedule whose group is imported."""
    record = config.get(schedule)
    return needs_imported(config, record.group) if isinstance(record, Schedule) else None


def schedule_at_rest(config: Config, schedule: Ref) -> Problem | None:
    """A schedule of which no run is under way."""
    record = config.get(schedule)
    if not isinstance(record, Schedule) or not (record.run or record.asked):
        return None
    return Problem(f"A run of {record.name} is under way.", "Wait for it to end, or abort its task.", schedule)


def scheduled_volumes(config: Config, schedule: Schedule) -> list[Volume]:
    """The volumes of a schedule that are still in its group."""
    found = (config.get(ref) for ref in schedule.volumes)
    return [volume for volume in found if isinstance(volume, Volume) and volume.group == schedule.group]


def volume_missing(config: Config, ref: Ref) -> Problem | None:
    """All volumes of a schedule are there."""
    schedule = config.get(ref)
    if not isinstance(schedule, Schedule):
        return None
    here = len(scheduled_volumes(config, schedule))
    if here == len(schedule.volumes):
        return None
    gone = len(schedule.volumes) - here
    text = f"{gone} of the {len(schedule.volumes)} volumes of {schedule.name} {'is' if gone == 1 else 'are'} not there."
    return Problem(text, "Change the schedule, or remove it.", schedule.ref, "volumes")


def own_sets(config: Config, schedule: Schedule) -> list[MadeSet]:
    """The sets that a schedule has made and that nobody has renamed, cleared or taken back since; oldest first."""
    return [made for made in schedule.sets if _is_own(config, made)]


def _is_own(config: Config, made: MadeSet) -> bool:
    for ref, name in zip(made.snapshots, made.names, strict=False):
        volume = config.get(ref)
        if not isinstance(volume, Volume) or volume.name != name:
            return False
        if not any(link.set_name == made.name and _holds(config, volume, link.generation) for link in volume.links):
            return False
    return bool(made.snapshots)


def _holds(config: Config, snapshot: Volume, generation: str) -> bool:
    link = next(one for one in snapshot.links if one.generation == generation)
    return link.side is LinkSide.SNAPSHOT and other_end(config, snapshot.ref, link) is not None


def made_by(config: Config, run: ScheduledRun) -> MadeSet | None:
    """The set of a run, if it was taken and everything in it is on stable storage."""
    snapshots, taken = [], run.begun
    for original, name in zip(run.volumes, run.names, strict=False):
        record = config.get(original)
        links = record.links if isinstance(record, Volume) else ()
        found = next((link for link in links if link.set_name == run.name and _named(config, link.peer, name)), None)
        if found is None or not found.settled or found.side is not LinkSide.ORIGINAL:
            return None
        snapshots.append(found.peer)
        taken = found.taken
    made = MadeSet(run.name, taken, tuple(snapshots), run.names)
    return made if _is_own(config, made) else None


def _named(config: Config, ref: Ref, name: str) -> bool:
    record = config.get(ref)
    return record is not None and record.name == name


def unprepared(config: Config, schedule: Schedule) -> list[Volume]:
    """The volumes of a schedule without a snap plex that is ready."""
    volumes = scheduled_volumes(config, schedule)
    return [one for one in volumes if not any(plex.complete for plex in snap_plexes_of(config, one.ref))]


def reused_set(config: Config, schedule: Schedule) -> MadeSet | None:
    """The set that is snapped back before the next one can be taken; None when none has to be."""
    own = own_sets(config, schedule)
    if schedule.way is RunWay.REFRESH and 0 < schedule.keep <= len(own) and unprepared(config, schedule):
        return own[0]
    return None


def can_run_schedule(config: Config, ref: Ref) -> Problem | None:
    """A schedule whose set could be taken now."""
    schedule = config.get(ref)
    if not isinstance(schedule, Schedule):
        return None
    blocked = can_change_schedule(config, ref) or volume_missing(config, ref) or schedule_at_rest(config, ref)
    if blocked:
        return blocked
    lacking, reused = unprepared(config, schedule), reused_set(config, schedule)
    if lacking and reused is None and not schedule.prepares:
        names = listed([volume.name for volume in lacking])
        text = f"{names} {'is' if len(lacking) == 1 else 'are'} not prepared."
        return Problem(text, "Prepare it: Snap > Prepare. Or let the schedule prepare.", lacking[0].ref)
    problems = [no_running_task(config, volume.ref) for volume in scheduled_volumes(config, schedule)]
    problems += [in_use_by_clients(config, one) for one in (reused.snapshots if reused else ())]
    return next((problem for problem in problems if problem is not None), None)


def plexes_needed(schedule: Schedule) -> int:
    """How many snap plexes each volume has in the end, those of its kept sets included."""
    return schedule.keep + (schedule.prepares and schedule.way is RunWay.NEW)


def set_name(schedule: Schedule, due: float) -> str:
    """What a set that is taken for a moment is called, if that is free."""
    return _fitting(schedule.name, _stamp(schedule, due))


def run_names(config: Config, schedule: Schedule, due: float) -> tuple[str, tuple[str, ...]]:
    """The names of the set for a moment and of its snapshots, none of which is taken in the group."""
    stamp = _stamp(schedule, due)
    volumes = config.volumes_of(schedule.group)
    taken = {volume.name for volume in volumes}
    sets = {link.set_name for volume in volumes for link in volume.links}
    names = []
    for volume in scheduled_volumes(config, schedule):
        names.append(_free(volume.name, stamp, taken))
        taken.add(names[-1])
    return _free(schedule.name, stamp, sets), tuple(names)


def _stamp(schedule: Schedule, due: float) -> str:
    return f"{wall(due, zone_of(schedule.when.zone)):_%Y%m%d_%H%M}"


def _fitting(name: str, end: str) -> str:
    return name[: NAME_MAX - len(end)] + end


def _free(name: str, stamp: str, taken: set[str]) -> str:
    wanted = _fitting(name, stamp)
    if wanted not in taken:
        return wanted
    short = _fitting(name, f"{stamp}-999")
    return next_name(short.removesuffix("999"), taken)
