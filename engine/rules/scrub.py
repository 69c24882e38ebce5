"""What verifications have found, and nobody has repaired yet."""

from __future__ import annotations

from engine.config import Config
from engine.records import Kind, Ref, Task, TaskState, TaskType

Ranges = tuple[tuple[int, int], ...]


def differing(config: Config) -> dict[Ref, Task]:
    """The volumes whose mirrors are known to differ in places, each with the verification that has found these. Some of
    these volumes may have gone."""
    last: dict[Ref, Task] = {}
    for task in config.all(Kind.TASK, Task):
        volume = task.params.volume
        if volume is not None and _looked(task) and (volume not in last or _number(task) > _number(last[volume])):
            last[volume] = task
    return {volume: task for volume, task in last.items() if task.type is TaskType.VERIFY and task.params.ranges}


def found_different(config: Config, volume: Ref) -> Ranges:
    """Where the last verification of a volume has found its mirrors to differ; nothing once that was repaired."""
    last = differing(config).get(volume)
    if last is None:
        return ()
    size = config.volume(volume).size
    return tuple((start, min(length, size - start)) for start, length in last.params.ranges if start < size)


def _number(task: Task) -> int:
    return int(task.ref.id)


def _looked(task: Task) -> bool:
    if task.type is TaskType.VERIFY:
        return task.ended and (task.state is TaskState.COMPLETED or bool(task.params.ranges))
    return task.type is TaskType.SCRUB and task.state is TaskState.COMPLETED
