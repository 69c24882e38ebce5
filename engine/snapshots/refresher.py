"""Conducts Refresh: waits until what has changed is copied to the snap plexes, then has the snapshots taken anew.

The task's record tells what comes next, so that it goes on after a restart. The copies are tasks of their own.
"""

from __future__ import annotations

import functools
import logging
from typing import TYPE_CHECKING, TypeAlias

from msgspec.structs import replace

from engine import rules
from engine.commands import TakeSnapshots, decode
from engine.errors import EngineError
from engine.records import Plex, Task, TaskState, TaskType, Volume

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.commands import Command
    from engine.commit import Committer
    from engine.config import Config, Edit
    from engine.records import Ref
    from engine.runtime import Runtime, Thread
    from engine.tasks.runner import TaskRunner

log = logging.getLogger(__name__)

LOOK_S = 0.5
READY = "The snap plexes are ready: take a Snap Shot to have the snapshots again."
BEHIND = "Snap plexes that are out of date have to be resynchronized before the next Snap Shot."


Outcome: TypeAlias = tuple[TaskState, str]


class _Left(Exception):
    """The engine ends, or the task is here no more: its record stays as it is."""


class Refresher:
    """One thread for each Refresh. `begin` and the verbs return at once, and may be called under the control lock."""

    def __init__(
        self,
        committer: Committer,
        submit: Callable[[Command], Ref],
        runner: TaskRunner,
        runtime: Runtime,
    ) -> None:
        self._committer = committer
        self._submit = submit
        self._runner = runner
        self._runtime = runtime
        self._lock = runtime.lock()
        self._threads: dict[Ref, Thread] = {}
        self._aborted: set[Ref] = set()
        self._closed = False

    def begin(self, task: Ref) -> None:
        """Conduct a task whose record is committed, from where things stand."""
        with self._lock:
            if not self._closed and (task not in self._threads or not self._threads[task].is_alive()):
                work = functools.partial(self._conduct, task)
                self._threads[task] = self._runtime.thread(f"task {task.id} refresh", work)

    def copies(self, task: Ref) -> list[Ref]:
        """The copies that a Refresh waits for."""
        config = self._committer.config
        record = config.get(task)
        return [copy.ref for copy in _copies(config, record) if not copy.ended] if isinstance(record, Task) else []

    def abort(self, task: Ref) -> None:
        """Its copies end; once the snapshots are being taken it is too late."""
        with self._lock:
            self._aborted.add(task)
        for copy in self.copies(task):
            self._runner.abort(copy)

    def close(self) -> None:
        """Leave records as they are: it goes on at the next start."""
        with self._lock:
            self._closed = True
            threads = list(self._threads.values())
        for thread in threads:
            thread.join()

    def _conduct(self, task: Ref) -> None:
        try:
            state, result = self._copied(task) or self._taken(task)
        except _Left:
            return
        except EngineError as error:
            state, result = TaskState.FAILED, str(error)
        except Exception as error:
            log.exception("A refresh met a defect")
            state, result = TaskState.FAILED, f"It met a defect in the engine ({error})."
        self._end(task, state, result)

    def _copied(self, task: Ref) -> Outcome | None:
        """Wait for the copies, and for whatever else works on the volumes; None when the snapshots can be taken, or
        have been."""
        while True:
            record = self._record(task)
            self._tell(task)
            config = self._committer.config
            if _is_quiet(config, record):
                break
            self._committer.wait_until(functools.partial(_is_quiet, task=record), LOOK_S)
        aborted, ready = task in self._aborted, _is_ready(config, record)
        if aborted:
            return TaskState.ABORTED, f"Aborted. {READY if ready else BEHIND}"
        if ready:
            return None
        return TaskState.FAILED, f"What has changed could not be copied, and no snapshot was taken. {BEHIND}"

    def _record(self, task: Ref) -> Task:
        """The task, while it is to be conducted."""
        record = self._committer.config.get(task)
        if self._closed or not isinstance(record, Task) or record.ended:
            raise _Left
        return record

    def _taken(self, task: Ref) -> Outcome:
        """Take the snapshots, unless that has been done by a run that ended before it could say so."""
        record = self._record(task)
        made = _made(self._committer.config, record)
        if made:
            return self._settled(task, made)
        try:
            shot = self._submit(_told_here(decode(record.params.then), record.ref.host))
        except EngineError as error:
            return TaskState.FAILED, f"{error} {READY}"
        self._wait_for(shot)
        last = self._record_of_shot(task, shot)
        return last.state, last.result

    def _settled(self, task: Ref, made: list[Ref]) -> Outcome:
        config = self._committer.config
        group = self._record(task).group
        tasks = config.tasks_of(group) if group is not None else ()
        shots = [one for one in tasks if one.type is TaskType.SNAP_SHOT]
        for shot in shots:
            if set(made) & set(shot.params.volumes):
                self._wait_for(shot.ref)
        self._record(task)
        if _is_settled(self._committer.config, made):
            return TaskState.COMPLETED, "The snapshots were taken."
        return TaskState.FAILED, "The snapshots were taken, and may lack what was written last."

    def _record_of_shot(self, task: Ref, shot: Ref) -> Task:
        self._record(task)
        last = self._committer.config.get(shot)
        if not isinstance(last, Task):
            raise _Left
        return last

    def _wait_for(self, shot: Ref) -> None:
        def over(config: Config) -> bool:
            record = config.get(shot)
            return not isinstance(record, Task) or record.ended

        while not self._closed and not self._committer.wait_until(over, LOOK_S):
            pass

    def _tell(self, task: Ref) -> None:
        """How far it is: as far as its copies."""

        def change(edit: Edit) -> None:
            record = edit.config.get(task)
            if not isinstance(record, Task) or record.ended:
                return
            copies = _copies(edit.config, record)
            live = [copy for copy in copies if not copy.ended]
            state = TaskState.PAUSED if live and all(copy.paused for copy in live) else TaskState.RUNNING
            told = replace(
                record,
                state=state,
                bytes_total=max(record.bytes_total, sum(copy.bytes_total for copy in copies)),
                bytes_done=sum(copy.bytes_done for copy in copies),
                bytes_copied=sum(copy.bytes_copied for copy in copies),
                eta_low_s=max((copy.eta_low_s for copy in live), default=-1.0),
                eta_high_s=max((copy.eta_high_s for copy in live), default=-1.0),
            )
            if told != record:
                edit.put(told)

        self._committer.commit(change)

    def _end(self, task: Ref, state: TaskState, result: str) -> None:
        def change(edit: Edit) -> None:
            record = edit.config.get(task)
            if isinstance(record, Task) and not record.ended:
                now = max(record.started_at, self._runtime.time())
                ended = replace(record, state=state, result=result, finished_at=now, paused=False)
                edit.put(replace(ended, eta_low_s=-1.0, eta_high_s=-1.0))

        try:
            self._committer.commit(change)
        except EngineError as error:
            log.warning("The end of a refresh could not be written down: %s", error)


def _told_here(command: Command, host: str) -> Command:
    """A command that another host has written down names the same objects, as this one tells them."""
    if not isinstance(command, TakeSnapshots):
        return command
    choices = []
    for choice in command.choices:
        plex = replace(choice.plex, host=host) if choice.plex is not None else None
        choices.append(replace(choice, volume=replace(choice.volume, host=host), plex=plex))
    return replace(command, choices=tuple(choices))


def _copies(config: Config, task: Task) -> list[Task]:
    """The copies to the plexes of a Refresh that were begun with it, or since."""
    wanted = set(task.params.plexes)
    tasks = [one for one in config.tasks_of(task.group) if one.type is TaskType.RESYNC] if task.group else []
    return [one for one in tasks if wanted & set(one.params.plexes) and one.started_at >= task.started_at]


def _is_quiet(config: Config, task: Task) -> bool:
    """No other task works on a volume of the plexes, wherever they belong now."""
    plexes = [plex for ref in task.params.plexes if isinstance(plex := config.get(ref), Plex)]
    return all(rules.task_of(config, plex.volume) is None for plex in plexes)


def _is_ready(config: Config, task: Task) -> bool:
    """All plexes are complete."""
    plexes = [config.get(ref) for ref in task.params.plexes]
    return all(isinstance(plex, Plex) and plex.complete for plex in plexes)


def _made(config: Config, task: Task) -> list[Ref]:
    """The snapshots that have been made of the plexes already."""
    plexes = [plex for ref in task.params.plexes if isinstance(plex := config.get(ref), Plex) and plex.snap is None]
    return [plex.volume for plex in plexes]


def _is_settled(config: Config, snapshots: list[Ref]) -> bool:
    volumes = [volume for ref in snapshots if isinstance(volume := config.get(ref), Volume)]
    return all(link.settled for volume in volumes for link in volume.links)
