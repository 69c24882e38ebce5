"""Commands about tasks and alerts."""

from __future__ import annotations

from msgspec.structs import replace

from engine import rules
from engine.commands import AbortTask, AcknowledgeAlerts, ClearTasks, PauseTask, ResumeTask, ThrottleTask
from engine.config import Config
from engine.planners.draft import Draft, Ids, refuse
from engine.plans import Plan, Problem
from engine.records import Alert, Kind, Task, TaskType
from engine.rules import counted

_ABORT_LEAVES = {
    TaskType.CREATE_VOLUME: "The volume is removed again.",
    TaskType.GROW_VOLUME: "The volume keeps its size.",
    TaskType.ADD_MIRROR: "The new mirror is removed again.",
    TaskType.RESYNC: "The mirrors that were being filled stay out of use until the next resynchronization.",
    TaskType.REFRESH: "There is no snapshot until the next Snap Shot; what was copied is not copied again.",
    TaskType.MOVE_SUBDISK: "Everything stays where it was.",
    TaskType.EVACUATE_DISK: "What has moved already stays at its new place.",
    TaskType.ADD_COLUMN: "The volume keeps the columns that it had.",
    TaskType.VERIFY: "Nothing changes.",
    TaskType.SCRUB: "What has been repaired stays so.",
    TaskType.REBUILD: "What was being rebuilt stays out of use until the next resynchronization.",
    TaskType.PARITY: "Parity that was not known to be right stays in doubt until the next resynchronization.",
}


def pause(config: Config, command: PauseTask, ids: Ids) -> Plan:
    """The task rests until it is resumed, also across a restart."""
    return _set_paused(config, config.task(command.task), ids, paused=True)


def resume(config: Config, command: ResumeTask, ids: Ids) -> Plan:
    """A paused task goes on where it stood."""
    return _set_paused(config, config.task(command.task), ids, paused=False)


def _set_paused(config: Config, task: Task, ids: Ids, *, paused: bool) -> Plan:
    title = f"{'Pause' if paused else 'Resume'} Task {task.ref.id}"
    problem = rules.task_controllable(config, task.ref)
    if problem is None and task.paused is paused:
        word = "paused already" if paused else "not paused"
        problem = Problem(f"The task “{task.name}” is {word}.", "", task.ref)
    if blocked := refuse(title, problem):
        return blocked
    draft = Draft(config, ids, task.group)
    draft.put(replace(task, paused=paused))
    draft.step(f"{'Pause' if paused else 'Resume'} “{task.name}”", "writes still reach every copy")
    undo = ResumeTask(task=task.ref) if paused else PauseTask(task=task.ref)
    return draft.plan(title, undo=undo, commits=False)


def abort(config: Config, command: AbortTask, ids: Ids) -> Plan:
    """The task ends and returns what isn't final."""
    task = config.task(command.task)
    title = f"Abort Task {task.ref.id}"
    if blocked := refuse(title, rules.task_controllable(config, task.ref)):
        return blocked
    draft = Draft(config, ids, task.group)
    left = _ABORT_LEAVES.get(task.type, "")
    draft.step(f"Abort “{task.name}”", left)
    return draft.plan(
        title,
        irreversible="What was done so far is given up." if task.type is not TaskType.VERIFY else "",
        confirm=f"Abort “{task.name}”? {left}".rstrip(),
        confirm_button="Abort Task",
        commits=False,
    )


def throttle(config: Config, command: ThrottleTask, ids: Ids) -> Plan:
    """The task rests after each mebibyte that it copies."""
    task = config.task(command.task)
    title = f"Throttle Task {task.ref.id}"
    problem = rules.task_controllable(config, task.ref)
    if problem is None and not 0 <= command.iodelay_ms <= rules.IODELAY_MAX_MS:
        text = f"A rest of {command.iodelay_ms} ms is not possible."
        problem = Problem(text, f"Give 0 to {rules.IODELAY_MAX_MS} ms.", task.ref, "iodelay_ms")
    if blocked := refuse(title, problem):
        return blocked
    draft = Draft(config, ids, task.group)
    draft.put(replace(task, iodelay_ms=command.iodelay_ms))
    draft.step(f"Rest {command.iodelay_ms} ms after each mebibyte of “{task.name}”")
    return draft.plan(title, undo=ThrottleTask(task=task.ref, iodelay_ms=task.iodelay_ms), commits=False)


def clear(config: Config, command: ClearTasks, ids: Ids) -> Plan:
    """Finished tasks leave the list; the log keeps them."""
    refs = dict.fromkeys(command.tasks)
    tasks = [config.task(ref) for ref in refs] if refs else config.all(Kind.TASK, Task)
    title = "Clear Finished Tasks"
    live = next((task for task in tasks if not task.ended), None) if refs else None
    text = f"The task “{live.name}” has not ended." if live else ""
    if blocked := refuse(title, Problem(text, "Wait for it, or abort it.", live.ref, "tasks") if live else None):
        return blocked
    draft = Draft(config, ids)
    ended = [task for task in tasks if task.ended and not task.cleared]
    draft.put(*(replace(task, cleared=True) for task in ended))
    draft.step(f"Take {counted(len(ended), 'finished task')} off the list", "the log keeps them")
    return draft.plan(title)


def acknowledge(config: Config, command: AcknowledgeAlerts, ids: Ids) -> Plan:
    """Alerts leave the list of open ones; the log keeps them."""
    named = [config[ref] for ref in dict.fromkeys(command.alerts)] or config.all(Kind.ALERT, Alert)
    alerts = [alert for alert in named if isinstance(alert, Alert) and alert.open]
    draft = Draft(config, ids)
    draft.put(*(replace(alert, acknowledged=True) for alert in alerts))
    draft.step(f"Take {counted(len(alerts), 'alert')} off the list", "the log keeps them")
    return draft.plan("Acknowledge Alerts")
