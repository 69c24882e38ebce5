"""One run of a program against the running engine: its configuration, and commands with their tasks."""

from __future__ import annotations

import queue
from typing import TYPE_CHECKING

from engine.cli import output, resolve, rows
from engine.cli.forms import Usage, shown
from engine.cli.progress import Progress
from engine.config import Config, Edit
from engine.errors import CommandRejected, ConnectionLost
from engine.events import Batch, Remove, Sample, Upsert
from engine.records import Kind, Task, TaskState
from engine.units import format_seconds, format_size

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from engine.api import EngineApi
    from engine.cli.forms import Words
    from engine.commands import Command
    from engine.plans import Plan
    from engine.records import Group, Ref

INTERRUPTED = 130


class Session:
    """Attached to an engine for the length of one program. `config` follows it as often as `fold` is called."""

    def __init__(self, api: EngineApi, words: Words, arrived: queue.SimpleQueue[Batch | str]) -> None:
        """`arrived` also gets the reason when the connection is lost."""
        self.api = api
        self.words = words
        self.json = words.has("--json")
        self._arrived = arrived
        self.samples: dict[Ref, Sample] = {}  # traffic, summed since somebody last cleared it
        snapshot = api.attach(self._arrived.put)
        edit = Edit(Config())
        for record in snapshot.records:
            edit.put(record)
        self.config = edit.unsettled()
        self.host = snapshot.host

    # --- names ---
    @property
    def named_group(self) -> Group | None:
        """The group of `-g`."""
        return resolve.group(self.config, self.words.option("-g")) if self.words.has("-g") else None

    @property
    def group(self) -> Group:
        """The group of `-g`, or the only one that is imported."""
        return self.named_group or resolve.only_group(self.config)

    def disks(self, names: Collection[str]) -> tuple[Ref, ...]:
        """Disks by name, each once."""
        return tuple(dict.fromkeys(resolve.disk(self.config, name).ref for name in names))

    # --- commands ---
    def carry_out(self, command: Command, *, reached: Callable[[Task], bool] | None = None) -> int:
        """Plan it; with `--plan` print that, else do it and wait for its task. Answers the exit status.

        With `reached` the command acts on a task: wait until that is so, or until the task has ended.
        """
        basis = self._basis()
        plan = self.api.plan(command)
        if self.words.has("--plan"):
            return self._print_plan(plan)
        if plan.problems:
            raise CommandRejected(plan.problems)
        task = self._submit(command, basis)
        if not self.json:
            for warning in plan.warnings:
                output.write(f"Note: {warning}")
        if self.words.has("-b"):
            return self._tell_begun(task, in_words=False)
        if reached is None:
            return self.wait([task, *self._further(task, plan)])
        self._wait_until(task, reached)
        return self._tell_begun(task, in_words=True)

    def _further(self, first: Ref, plan: Plan) -> list[Ref]:
        """The tasks that a plan has started beside its own: a volume each."""
        if not plan.also:
            return []
        self.fold()
        wanted = {(work.type, work.params.volume) for work in plan.also}
        begun = [task for task in self.config.all(Kind.TASK, Task) if int(task.ref.id) > int(first.id)]
        found = [task.ref for task in begun if (task.type, task.params.volume) in wanted]
        return sorted(found, key=lambda ref: int(ref.id))

    def _submit(self, command: Command, basis: int | None) -> Ref:
        try:
            return self.api.submit(command, basis)
        except CommandRejected as error:
            if error.plan is not None:
                self._print_plan(error.plan)
            raise

    def _basis(self) -> int | None:
        text = self.words.option("--basis")
        if text and not (text.isascii() and text.isdigit() and len(text) < 19):
            raise Usage(f"{shown(text)} is no transaction number. Take the basis that --plan --json printed.")
        return int(text) if text else None

    def _print_plan(self, plan: Plan) -> int:
        from engine.cli.plan_text import plan_text  # only --plan needs it

        if self.json:
            output.write_json(rows.plan_row(self.config, plan))
        else:
            output.write(plan_text(self.config, plan))
        if plan.problems:
            output.complain(plan.problems[0].typed_sentences)
        return 1 if plan.problems else 0

    def _tell_begun(self, ref: Ref, *, in_words: bool) -> int:
        self.fold()
        task = self.config.get(ref)
        if self.json and isinstance(task, Task):
            output.write_json(rows.task_row(self.config, task))
        elif not in_words:
            output.write(ref.id)
        elif isinstance(task, Task):
            output.write(f"Task {ref.id} ({task.name}): {task.state}.")
        return 0

    # --- waiting ---
    def wait(self, tasks: list[Ref], *, several: bool = False) -> int:
        """Wait until all have ended, tell how, and answer 1 when any of them failed or was aborted."""
        progress = Progress()
        known: dict[Ref, Task] = {}
        try:
            while waiting := self._unfinished(tasks, known):
                progress.show(waiting[0])
                self._fold_next()
        except KeyboardInterrupt:
            progress.end()
            ids = ", ".join(ref.id for ref in tasks)
            output.complain(f"Not waiting any more; task {ids} goes on. vxtask wait {tasks[0].id} waits again.")
            return INTERRUPTED
        finally:
            progress.end()
        return self._tell_ended([known[ref] for ref in tasks if ref in known], several=several)

    def _wait_until(self, ref: Ref, reached: Callable[[Task], bool]) -> None:
        self.fold()
        while isinstance(task := self.config.get(ref), Task) and not task.ended and not reached(task):
            self._fold_next()

    def _unfinished(self, tasks: list[Ref], known: dict[Ref, Task]) -> list[Task]:
        self.fold()
        waiting = []
        for ref in tasks:
            task = self.config.get(ref)
            if isinstance(task, Task):
                known[ref] = task
                if not task.ended:
                    waiting.append(task)
        return waiting

    def _tell_ended(self, tasks: list[Task], *, several: bool) -> int:
        if not tasks and not several:
            output.complain("Somebody cleared the task before its end was seen. The task log of the console has it.")
            return 1
        told = [rows.task_row(self.config, task) for task in tasks]
        if self.json:
            output.write_json(told if several else told[0])
        failed = False
        for task in tasks:
            if task.state in (TaskState.FAILED, TaskState.ABORTED):
                failed = True
                output.complain(failure(task))
            elif not self.json:
                output.write(success(task))
        return int(failed)

    # --- events ---
    def fold(self) -> None:
        """Take in everything that has arrived."""
        batches = []
        while not self._arrived.empty():
            batches.append(self._arrived.get())
        self._apply(batches)

    def _fold_next(self) -> None:
        self._apply([self._arrived.get()])

    def next_batch(self, timeout_s: float) -> bool:
        """Take in the next batch; False when none came in time."""
        try:
            self._apply([self._arrived.get(timeout=max(timeout_s, 0.0))])
        except queue.Empty:
            return False
        return True

    def _apply(self, batches: list[Batch | str]) -> None:
        if not batches:
            return
        edit = Edit(self.config)
        for batch in batches:
            if isinstance(batch, str):
                raise ConnectionLost(f"The connection to the engine is lost: {batch}")
            for event in batch.events:
                if isinstance(event, Upsert):
                    edit.put(event.record)
                elif isinstance(event, Remove):
                    if event.ref in edit.config:
                        edit.drop(event.ref)
                else:
                    before = self.samples.get(event.ref)
                    self.samples[event.ref] = event if before is None else _sum(before, event)
        self.config = edit.unsettled()


def _sum(one: Sample, other: Sample) -> Sample:
    """The traffic of two intervals as one."""
    return Sample(
        other.ref,
        other.time,
        one.seconds + other.seconds,
        one.reads + other.reads,
        one.writes + other.writes,
        one.read_bytes + other.read_bytes,
        one.write_bytes + other.write_bytes,
        one.busy_s + other.busy_s,
        other.cpu_percent,
    )


def success(task: Task) -> str:
    """One line on a task that has completed."""
    seconds = task.finished_at - task.started_at
    parts = []
    if task.bytes_copied:
        parts.append(f"{format_size(task.bytes_copied)} written")
    if seconds >= 1:
        parts.append(f"in {format_seconds(seconds)}")
    return f"{task.name}: done" + (f", {' '.join(parts)}." if parts else ".")


def failure(task: Task) -> str:
    """One sentence on a task that has failed or was aborted."""
    how = "was aborted" if task.state is TaskState.ABORTED else "failed"
    result = task.result.strip()
    return f"Task {task.ref.id} ({task.name}) {how}{': ' + result if result else '.'}"
