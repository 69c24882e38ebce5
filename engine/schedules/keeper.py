"""Begins the runs of schedules on the engine's clock, and tells of those that were missed.

A thread of its own waits for the next moment; it begins with the first schedule. Each run has a thread, too, since it
waits for copies. What a run does goes through the front door, never under the control lock.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from msgspec.structs import replace

from engine import rules
from engine.errors import EngineError
from engine.events import Remove, Upsert
from engine.lookout import Lookout
from engine.records import Group, Kind, Outcome, Remedy, RunResult, Schedule, ScheduledRun, Severity
from engine.schedules import due
from engine.schedules.run import Runner, with_result

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.commands import Command
    from engine.commit import Committer
    from engine.config import Edit
    from engine.events import Batch, Event
    from engine.records import Ref
    from engine.runtime import Runtime, Thread
    from engine.schedules.due import Due

log = logging.getLogger(__name__)

LOOK_S = 20.0
"""As often the clock is looked at while there are schedules: somebody may set it."""
_MATTERS = frozenset({Kind.SCHEDULE, Kind.GROUP})


class ScheduleKeeper:
    """Looks at every schedule of every imported group. `submit` is the front door's."""

    def __init__(self, committer: Committer, submit: Callable[[Command], Ref], runtime: Runtime) -> None:
        self._committer = committer
        self._runtime = runtime
        self._runner = Runner(committer, submit, runtime)
        self._runs: dict[Ref, Thread] = {}  # by schedule
        self._ended: set[Ref] = set()  # whose thread is done
        self._told: dict[Ref, str] = {}  # what keeps a schedule from being looked at, as it was told
        self._lookout = Lookout(runtime, "schedules", self._look, LOOK_S)
        _, config = committer.attach(self._hear)
        if config.count(Kind.SCHEDULE):
            self._lookout.begin()

    def close(self) -> None:
        """Begin nothing any more; a run that is under way is seen to at the next start."""
        self._committer.detach(self._hear)
        self._lookout.close()
        self._runner.close()
        for thread in list(self._runs.values()):
            thread.join()

    def wake(self) -> None:
        """Look at the clock now."""
        self._lookout.wake()

    def _hear(self, batch: Batch) -> None:
        """A listener: called under the control lock, and done at once."""
        matters = [event for event in batch.events if _kind(event) in _MATTERS]
        if not matters:
            return
        if any(_kind(event) is Kind.SCHEDULE for event in matters):
            self._lookout.begin()
        self.wake()

    # --- looking ---
    def _look(self) -> float | None:
        """Begin what is due; answers the seconds until it has to be looked again."""
        with self._committer.lock:
            config = self._committer.config
            groups = [config.get(ref) for ref in sorted(self._committer.stores)]
            usable = [group for group in groups if isinstance(group, Group) and not group.frozen]
            schedules = [one for group in usable for one in config.schedules_of(group.ref)]
            for ref in self._ended:
                self._runs.pop(ref).join()
            self._ended.clear()
            waits = [self._look_at(schedule) for schedule in schedules if schedule.ref not in self._runs]
        return min(waits, default=None)

    def _look_at(self, schedule: Schedule) -> float:
        """Under the control lock. Answers the seconds until its next moment, or until the clock is looked at."""
        if schedule.run is not None:
            self._start(schedule.ref, resumed=True)
            return LOOK_S
        now = self._runtime.time()
        try:
            found = due.look(schedule, now)
            self._carry_out(schedule, found, now)
        except (ValueError, OverflowError) as error:
            self._tell_impossible(schedule, str(error))
            return LOOK_S
        except EngineError as error:
            self._tell_impossible(schedule, str(error))
            return LOOK_S
        self._told.pop(schedule.ref, None)
        return min(max(found.next_run - now, 0.0), LOOK_S) if found.next_run else LOOK_S

    def _carry_out(self, schedule: Schedule, found: Due, now: float) -> None:
        """What is begun is in the record before it begins, so that no moment has two runs."""
        missed, count = found.missed
        begins = found.run or (now if schedule.asked else 0.0)
        started = schedule.dealt == 0.0
        after = replace(schedule, next_run=found.next_run, asked=False)
        if started or count or found.run:
            after = replace(after, dealt=found.dealt)
        if count:
            after = with_result(after, RunResult(missed, now, Outcome.MISSED, _why_missed(schedule, missed, count)))
        if begins:
            name, names = rules.run_names(self._committer.config, schedule, begins)
            run = ScheduledRun(begins, now, name, schedule.volumes, names, late=found.late)
            after = replace(after, run=run)
        if after != schedule:
            self._committer.commit(lambda edit: _put(edit, after))
        if count:
            self._tell_missed(after, count, made_up=found.late)
        if begins or (started and schedule.enabled and schedule.prepares):
            self._start(schedule.ref, resumed=False)

    def _start(self, schedule: Ref, *, resumed: bool) -> None:
        def work() -> None:
            try:
                self._runner.carry_out(schedule, resumed=resumed)
            except Exception:
                log.exception("A run of a schedule met a defect")
            with self._committer.lock:
                self._ended.add(schedule)
            self.wake()

        name = self._committer.config[schedule].name
        self._runs[schedule] = self._runtime.thread(f"schedule {name}", work)

    # --- telling ---
    def _tell_missed(self, schedule: Schedule, count: int, *, made_up: bool) -> None:
        last = schedule.results[0]
        text = "A run" if count == 1 else f"{count} runs"
        self._committer.alert(
            Severity.INFORMATION if made_up else Severity.WARNING,
            f"{text} of the schedule {schedule.name} {'was' if count == 1 else 'were'} missed.",
            about=schedule.ref,
            cause=last.text,
            remedy="It is made up for now." if made_up else "Choose Run Schedule Now, or wait for the next run.",
            action=None if made_up else Remedy.RUN_SCHEDULE,
        )

    def _tell_impossible(self, schedule: Schedule, why: str) -> None:
        if self._told.get(schedule.ref) == why:
            return
        self._told[schedule.ref] = why
        self._committer.alert(
            Severity.ERROR,
            f"The schedule {schedule.name} can't run.",
            about=schedule.ref,
            cause=why,
            remedy="Change the schedule, or remove the cause.",
            action=Remedy.CHANGE_SCHEDULE,
        )


def _put(edit: Edit, schedule: Schedule) -> None:
    edit.put(schedule)


def _why_missed(schedule: Schedule, moment: float, count: int) -> str:
    last = schedule.last_result
    if last is not None and last.ended > moment:
        return "The run before was still under way."
    return "The engine did not run, or the disk group was not imported here and whole."


def _kind(event: Event) -> Kind | None:
    if isinstance(event, Upsert):
        return event.record.ref.kind
    return event.ref.kind if isinstance(event, Remove) else None
