"""Which generator and which abort belong to which type of task."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from engine.config import Config, Edit
from engine.records import Task, TaskType
from engine.tasks import create, grow, mirror, move, parity, rebuild, relayout, resync, scrub, snap_shot, verify
from engine.tasks.steps import Steps


class TaskKind(NamedTuple):
    """`steps` makes the work from a task's record; `undo` returns everything not yet final and says what remains."""

    steps: Callable[[Config, Task], Steps]
    undo: Callable[[Edit, Task], str]
    copies: bool  # what is done has been copied, not only zeroed or compared


KINDS: Mapping[TaskType, TaskKind] = {
    TaskType.CREATE_VOLUME: TaskKind(create.steps, create.undo, copies=False),
    TaskType.GROW_VOLUME: TaskKind(grow.steps, grow.undo, copies=False),
    TaskType.ADD_COLUMN: TaskKind(relayout.steps, relayout.undo, copies=True),
    TaskType.ADD_MIRROR: TaskKind(mirror.steps, mirror.undo, copies=True),
    TaskType.RESYNC: TaskKind(resync.steps, resync.undo, copies=True),
    TaskType.MOVE_SUBDISK: TaskKind(move.steps, move.undo, copies=True),
    TaskType.EVACUATE_DISK: TaskKind(move.steps, move.undo, copies=True),
    TaskType.REBUILD: TaskKind(rebuild.steps, rebuild.undo, copies=True),
    TaskType.PARITY: TaskKind(parity.steps, parity.undo, copies=True),
    TaskType.VERIFY: TaskKind(verify.steps, verify.undo, copies=False),
    TaskType.SNAP_SHOT: TaskKind(snap_shot.steps, snap_shot.undo, copies=False),
    TaskType.SCRUB: TaskKind(scrub.steps, scrub.undo, copies=False),
}
