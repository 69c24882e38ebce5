"""What may be done to a task, and which one is in the way of something else."""

from __future__ import annotations

from engine.config import Config
from engine.plans import Problem
from engine.records import Kind, Plex, Ref, Subdisk, Task, TaskType
from engine.units import format_seconds

IODELAY_MAX_MS = 60_000


def running(task: Task, name: str) -> Problem:
    """The sentence about a task in the way."""
    left = f", about {format_seconds(task.eta_high_s)} left" if task.eta_high_s > 0 else ""
    text = f"The task “{task.name}” is {task.state.value} on {name}{left}."
    return Problem(text, "Wait for it to end, or abort it.", task.ref)


def task_of(config: Config, volume: Ref) -> Task | None:
    """The task that works on a volume now; a volume has one at most."""
    tasks = config.tasks_of(config.volume(volume).group)
    return next((task for task in tasks if not task.ended and volume in volumes_of(config, task)), None)


def volumes_of(config: Config, task: Task) -> set[Ref]:
    """The volumes that a task works on; a Refresh waits for tasks that do."""
    params = task.params
    if task.type is TaskType.REFRESH:
        return set()
    found = {params.volume, task.object, *params.volumes}
    for ref in params.subdisks:
        subdisk = config.get(ref)
        found.add(subdisk.plex if isinstance(subdisk, Subdisk) else None)
    plexes = [config.get(ref) for ref in (*found, *params.plexes) if ref is not None and ref.kind is Kind.PLEX]
    found |= {plex.volume for plex in plexes if isinstance(plex, Plex)}
    return {ref for ref in found if ref is not None and ref.kind is Kind.VOLUME}


def no_running_task(config: Config, volume: Ref) -> Problem | None:
    """A volume has one task at a time."""
    task = task_of(config, volume)
    return None if task is None else running(task, config.volume(volume).name)


def task_live(config: Config, task: Ref) -> Problem | None:
    """A task that has not ended."""
    record = config.task(task)
    if not record.ended:
        return None
    return Problem(f"The task “{record.name}” has ended already.", "", task)


def task_controllable(config: Config, task: Ref) -> Problem | None:
    """A task that can be paused, throttled and aborted."""
    if ended := task_live(config, task):
        return ended
    record = config.task(task)
    if record.type in (TaskType.FILE_SYSTEM, TaskType.FORMAT):
        return Problem(f"“{record.name}” can't be interrupted without harm.", "Wait for it to end.", task)
    if record.type in (TaskType.COMMAND, TaskType.RESCAN):
        return Problem(f"“{record.name}” ends by itself in a moment.", "Wait for it.", task)
    return None
