"""One run of a schedule: room is made for a set, it is taken, and what is older than those that are kept goes.

The engine may end at every line. The record then has the run, and whoever has the group next finds by the set's name
whether it was taken.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, NamedTuple

from msgspec.structs import replace

from engine import rules
from engine.commands import DeleteVolumes, PrepareSnapshot, SnapBack, SnapChoice, TakeSnapshots
from engine.errors import CommandRejected, EngineError
from engine.records import (
    Outcome,
    Remedy,
    RunResult,
    RunWay,
    Schedule,
    ScheduledRun,
    Severity,
    Task,
    TaskState,
)
from engine.rules import listed

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.commands import Command
    from engine.commit import Committer
    from engine.config import Config, Edit
    from engine.records import MadeSet, Ref, Volume
    from engine.runtime import Runtime

log = logging.getLogger(__name__)

RESULTS_MAX = 10
TEXT_MAX = 240
_LOOK_S = 1.0
"""While a run waits for a task it looks so often whether the engine ends."""
_INTERRUPTED = "The engine ended, or the disk group left this host, before its set was taken."


class _Told(NamedTuple):
    """Why something could not be done, what helps, and the action that begins it; `on`: not on the schedule."""

    cause: str
    remedy: str
    action: Remedy | None = Remedy.RUN_SCHEDULE
    on: Ref | None = None

    @property
    def text(self) -> str:
        return f"{self.cause} {self.remedy}".strip()


class _Left(Exception):
    """The engine ends, or the schedule is not here any more: somebody else goes on."""


class _Failed(Exception):
    """The set can't be taken: the cause, then what helps, and the action that begins that."""

    def __init__(self, cause: str, remedy: str, action: Remedy = Remedy.RUN_SCHEDULE, on: Ref | None = None) -> None:
        super().__init__(cause)
        self.told = _Told(cause, remedy, action, on)


class Runner:
    """Carries runs out, each on its caller's thread. `submit` is the front door's."""

    def __init__(self, committer: Committer, submit: Callable[[Command], Ref], runtime: Runtime) -> None:
        self._committer = committer
        self._submit = submit
        self._runtime = runtime
        self._closed = False

    def close(self) -> None:
        """Runs that are under way give up within a second; what they have begun goes on."""
        self._closed = True

    def carry_out(self, schedule: Ref, *, resumed: bool) -> None:
        """The run that stands in the record, if one does; afterwards what is wanted for the next one.

        `resumed`: nobody has been at it since it was begun, so that it was interrupted.
        """
        try:
            run = self._schedule(schedule).run
            if run is not None:
                self._end(schedule, self._outcome(schedule, run, resumed))
            self._prepare_next(schedule)
        except _Left:
            return
        except EngineError as error:  # the record can't be written: the run stands in it, and is looked at again
            log.info("A run of a schedule could not be noted: %s", error)

    def _outcome(self, ref: Ref, run: ScheduledRun, resumed: bool) -> RunResult:
        try:
            if not resumed or not self._adopt(ref, run):
                if resumed:
                    self._once_more(ref, run)
                self._make_ready(ref)
                self._take(ref, run)
            text = self._let_go(ref)
        except (_Failed, EngineError) as error:
            told = _told(error)
            self._tell(ref, Severity.ERROR, f"The schedule {self._name(ref)} took no set.", told)
            return RunResult(run.due, self._runtime.time(), Outcome.FAILED, told.text[:TEXT_MAX])
        return RunResult(run.due, self._runtime.time(), Outcome.COMPLETED, f"{run.name}. {text}".strip()[:TEXT_MAX])

    # --- steps ---
    def _adopt(self, ref: Ref, run: ScheduledRun) -> bool:
        """Whether the set was taken before the run was interrupted. It is the schedule's then."""
        self._quiet(ref, run.volumes)
        schedule = self._schedule(ref)
        if any(made.name == run.name for made in schedule.sets):
            return True
        made = rules.made_by(self._committer.config, run)
        if made is not None:
            self._note(ref, made)
        return made is not None

    def _once_more(self, ref: Ref, run: ScheduledRun) -> None:
        """An interrupted run is made up for where the schedule says so, but not again and again."""
        schedule, config = self._schedule(ref), self._config
        left = [volume.name for volume in config.volumes_of(schedule.group) if volume.name in run.names]
        if left:
            text = f"The engine ended while {listed(left)} {'was' if len(left) == 1 else 'were'} taken."
            raise _Failed(text, "What is there is no whole set: snap it back, or delete it.")
        if run.late or not schedule.late:
            raise _Failed(_INTERRUPTED, "It is tried again at the next run, or by Run Schedule Now.")
        self._change(ref, lambda now: replace(now, run=replace(run, late=True)))

    def _make_ready(self, ref: Ref) -> None:
        """Every volume has a snap plex that is ready, or it is no use to go on."""
        schedule = self._whole(ref)
        if rules.unprepared(self._config, schedule):
            self._quiet(ref, schedule.volumes)
            reused = rules.reused_set(self._config, schedule)
            if reused is not None:
                self._snap_back(ref, reused)
        lacking = rules.unprepared(self._config, schedule)
        if lacking and schedule.prepares:
            self._prepare(ref, lacking)
            lacking = rules.unprepared(self._config, schedule)
        if lacking:
            names = listed([volume.name for volume in lacking])
            text = f"{names} {'is' if len(lacking) == 1 else 'are'} not prepared."
            remedy = "Prepare: Snap > Prepare. Or let the schedule prepare by itself."
            raise _Failed(text, remedy, Remedy.PREPARE_SNAPSHOT, lacking[0].ref)

    def _take(self, ref: Ref, run: ScheduledRun) -> None:
        chosen = zip(run.volumes, run.names, strict=False)
        choices = tuple(SnapChoice(volume=volume, name=name) for volume, name in chosen)
        if len(choices) != len(run.volumes):
            gone, remedy = "A volume of the schedule is not there.", "Change the schedule, or remove it."
            raise _Failed(gone, remedy, Remedy.CHANGE_SCHEDULE)
        self._do(ref, TakeSnapshots(choices=choices, set_name=run.name, quiesce=self._schedule(ref).quiesce))
        made = rules.made_by(self._committer.config, run)
        if made is None:
            raise _Failed("The set was gone as soon as it was taken.", "See who has taken it back.")
        self._note(ref, made)

    def _let_go(self, ref: Ref) -> str:
        """What is more than the sets that are kept goes, the oldest first; answers what had to stay."""
        schedule = self._schedule(ref)
        own = rules.own_sets(self._config, schedule)
        stayed = []
        for made in own[: max(0, len(own) - schedule.keep)]:
            try:
                if schedule.way is RunWay.NEW:
                    self._refuse_used(made)
                    self._do(ref, DeleteVolumes(volumes=made.snapshots))
                else:
                    self._snap_back(ref, made)
            except (_Failed, EngineError) as error:
                told = _told(error)
                text = f"{made.name}, an old set of the schedule {schedule.name}, stays."
                remedy = f"{told.remedy} It is tried again after the next run.".strip()
                self._tell(ref, Severity.WARNING, text, told._replace(remedy=remedy, action=None))
                stayed.append(made.name)
        return f"{listed(stayed)} stayed." if stayed else ""

    def _snap_back(self, ref: Ref, made: MadeSet) -> None:
        """Its snap plexes are ready again; without force, so that nobody loses a connection."""
        self._refuse_used(made)
        self._do(ref, SnapBack(snapshots=made.snapshots))
        self._quiet(ref, self._schedule(ref).volumes)

    def _refuse_used(self, made: MadeSet) -> None:
        for snapshot in made.snapshots:
            problem = rules.in_use_by_clients(self._config, snapshot)
            if problem is not None:
                raise _Failed(problem.text, "Disconnect its clients.")

    def _prepare(self, ref: Ref, volumes: list[Volume]) -> None:
        tasks = [self._submit(PrepareSnapshot(volume=volume.ref)) for volume in volumes]
        self._wait(ref, lambda config: all(_has_ended(config, task) for task in tasks))

    def _prepare_next(self, ref: Ref) -> None:
        """So that the next set is of its very instant. What fails later on is told as every failed task is."""
        schedule = self._schedule(ref)
        own = len(rules.own_sets(self._config, schedule))
        if not schedule.prepares or not schedule.enabled or (schedule.way is RunWay.REFRESH and own >= schedule.keep):
            return
        for volume in rules.unprepared(self._config, schedule):
            if rules.snap_plexes_of(self._config, volume.ref):
                continue  # one is being filled
            try:
                self._submit(PrepareSnapshot(volume=volume.ref))
            except EngineError as error:
                told = _told(error)._replace(action=Remedy.PREPARE_SNAPSHOT, on=volume.ref)
                text = f"{volume.name} could not be prepared for the next run of the schedule {schedule.name}."
                self._tell(ref, Severity.WARNING, text, told)

    # --- doing and waiting ---
    def _do(self, ref: Ref, command: Command) -> None:
        """Have a command done to its end."""
        task = self._submit(command)
        self._wait(ref, lambda config: _has_ended(config, task))
        record = self._config.get(task)
        if isinstance(record, Task) and record.state is not TaskState.COMPLETED:
            raise _Failed(record.result or f"“{record.name}” was aborted.", "Remove the cause.")

    def _quiet(self, ref: Ref, volumes: tuple[Ref, ...]) -> None:
        """No task works on these volumes any more."""
        self._wait(ref, lambda config: all(one not in config or rules.task_of(config, one) is None for one in volumes))

    def _wait(self, ref: Ref, holds: Callable[[Config], bool]) -> None:
        while not self._committer.wait_until(lambda config: self._closed or holds(config), _LOOK_S):
            self._schedule(ref)
        self._schedule(ref)

    @property
    def _config(self) -> Config:
        return self._committer.config

    def _schedule(self, ref: Ref) -> Schedule:
        """The record as it is now. _Left when it is not this host's business any more."""
        with self._committer.lock:
            record = self._config.get(ref)
            if self._closed or not isinstance(record, Schedule) or record.group not in self._committer.stores:
                raise _Left
            return record

    def _whole(self, ref: Ref) -> Schedule:
        schedule = self._schedule(ref)
        problem = rules.volume_missing(self._config, ref)
        if problem is not None:
            raise _Failed(problem.text, problem.help, Remedy.CHANGE_SCHEDULE)
        return schedule

    def _name(self, ref: Ref) -> str:
        return self._schedule(ref).name

    # --- noting and telling ---
    def _note(self, ref: Ref, made: MadeSet) -> None:
        self._change(ref, lambda schedule: replace(schedule, sets=(*schedule.sets, made)))

    def _end(self, ref: Ref, result: RunResult) -> None:
        def ended(schedule: Schedule) -> Schedule:
            own = tuple(rules.own_sets(self._config, schedule))
            return with_result(replace(schedule, run=None, sets=own), result)

        self._change(ref, ended)

    def _change(self, ref: Ref, how: Callable[[Schedule], Schedule]) -> None:
        """Make the record what `how` makes of it as it is now."""
        with self._committer.lock:
            after = how(self._schedule(ref))

            def change(edit: Edit) -> None:
                edit.put(after)

            self._committer.commit(change)

    def _tell(self, ref: Ref, severity: Severity, text: str, told: _Told) -> None:
        self._committer.alert(
            severity,
            text,
            about=ref,
            cause=told.cause,
            remedy=told.remedy,
            action=told.action,
            action_on=told.on,
        )


def with_result(schedule: Schedule, result: RunResult) -> Schedule:
    """A schedule with one result more; the oldest goes when there are too many."""
    return replace(schedule, results=(result, *schedule.results)[:RESULTS_MAX])


def _has_ended(config: Config, task: Ref) -> bool:
    record = config.get(task)
    return not isinstance(record, Task) or record.ended


def _told(error: Exception) -> _Told:
    """What kept it from being done, and what helps."""
    if isinstance(error, CommandRejected):
        problem = error.problems[0]
        action = Remedy.CHANGE_SCHEDULE if problem.field == "quiesce" else Remedy.RUN_SCHEDULE
        return _Told(problem.text, problem.help, action)
    return error.told if isinstance(error, _Failed) else _Told(str(error), "Remove the cause.")
