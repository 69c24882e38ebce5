"""Actions of tasks."""

from __future__ import annotations

from collections.abc import Callable

from engine import rules
from engine.commands import AbortTask, ClearTasks, Command, PauseTask, ResumeTask
from engine.config import Config
from engine.plans import Problem
from engine.records import Kind, Ref, Task, TaskState
from vea_gui.action_rows import Action, Reason, asks
from vea_gui.actions import reasons
from vea_gui.console import Console
from vea_gui.selection import Selection

TASK = (Kind.TASK.value,)


def _on_each(make: Callable[[Ref], Command]) -> Callable[[Console, Selection], None]:
    def run(console: Console, selection: Selection) -> None:
        console.carry_out(*(make(task.ref) for task in selection.of(Task)))

    return run


def _runs(config: Config, task: Ref) -> Problem | None:
    record = config.task(task)
    return Problem(f"The task “{record.name}” is paused already.", "", task) if record.paused else None


def _paused(config: Config, task: Ref) -> Problem | None:
    record = config.task(task)
    return None if record.paused else Problem(f"The task “{record.name}” is not paused.", "", task)


def _ended(config: Config, task: Ref) -> Problem | None:
    record = config.task(task)
    if record.ended:
        return None
    return Problem(f"The task “{record.name}” has not ended.", "Wait for it, or abort it.", task)


def _undoable(config: Config, task: Ref) -> Problem | None:
    record = config.task(task)
    if record.state is not TaskState.COMPLETED:
        return Problem("Only what has completed can be undone.", "A task that still runs can be aborted.", task)
    if not record.undo:
        return Problem(f"“{record.name}” cannot be undone.", "", task)
    for other in config.all(Kind.TASK, Task):
        if other.undoes == int(task.id) and (other.state is TaskState.COMPLETED or not other.ended):
            return Problem(f"“{other.name}” has done it already.", "To have it once more, undo that one.", task)
    return None


def _any_finished(selection: Selection) -> Reason:
    if any(task.ended and not task.cleared for task in selection.config.all(Kind.TASK, Task)):
        return None
    return Problem("No task has finished.", "")


ROWS = (
    Action(
        "pause-task",
        "Pause Task",
        _on_each(lambda ref: PauseTask(task=ref)),
        TASK,
        reasons.each(Task, rules.task_controllable, _runs),
        icon="pause",
        section=20,
        plural="Pause {} Tasks",
    ),
    Action(
        "resume-task",
        "Resume Task",
        _on_each(lambda ref: ResumeTask(task=ref)),
        TASK,
        reasons.each(Task, rules.task_controllable, _paused),
        icon="resume",
        section=20,
        plural="Resume {} Tasks",
    ),
    Action(
        "abort-task",
        "Abort Task",
        _on_each(lambda ref: AbortTask(task=ref)),
        TASK,
        reasons.each(Task, rules.task_controllable),
        icon="abort",
        section=20,
        plural="Abort {} Tasks",
    ),
    Action(
        "throttle-task",
        "Throttle Task...",
        asks("throttle_task"),
        TASK,
        reasons.each(Task, rules.task_controllable),
        icon="throttle",
        section=20,
    ),
    Action(
        "undo-task",
        "Undo...",
        asks("undo_task"),
        TASK,
        reasons.each(Task, _undoable),
        icon="undo",
        shortcut="Ctrl+Z",
        section=30,
    ),
    Action(
        "clear-task",
        "Clear Task",
        lambda console, selection: console.submit(ClearTasks(tasks=tuple(task.ref for task in selection.of(Task)))),
        TASK,
        reasons.each(Task, _ended),
        shortcut="Del",
        section=40,
        plural="Clear {} Tasks",
    ),
    Action(
        "clear-tasks",
        "Clear Finished Tasks",
        lambda console, _: console.submit(ClearTasks()),
        TASK,
        _any_finished,
        icon="clear",
        section=40,
        plural="Clear Finished Tasks",
    ),
)
