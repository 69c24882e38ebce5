"""A plan in the operator's words: steps, figures, and what it means for the data. No Qt."""

from __future__ import annotations

from typing import NamedTuple

from engine.config import Config
from engine.plans import Plan
from engine.records import Kind, Task, TaskState, TaskType
from engine.units import MIB, format_band, format_exact, format_size
from vea_gui.words import Tone

ZEROING = frozenset({TaskType.CREATE_VOLUME, TaskType.GROW_VOLUME})
COPYING = frozenset(
    {TaskType.ADD_MIRROR, TaskType.ADD_COLUMN, TaskType.RESYNC, TaskType.MOVE_SUBDISK, TaskType.EVACUATE_DISK}
)
SLOWEST, FASTEST = 100 * MIB, 500 * MIB
"""Bytes a second that are supposed where nothing of the kind has been done on this host yet."""
TELLING_BYTES = 64 * MIB
"""Less than this tells nothing of a speed."""
SHORTEST_S = 0.05
"""Clocks and commits make anything shorter look as fast as it likes."""
REMEMBERED = 5
SPREAD = 0.15


class Fact(NamedTuple):
    """One line beside the steps."""

    label: str
    text: str
    tone: Tone = Tone.NONE
    exact: str = ""


def facts(config: Config, plan: Plan) -> list[Fact]:
    """What the plan costs and means, most important first."""
    found = [Fact("Cannot be undone", plan.irreversible or "nothing", Tone.ERROR if plan.irreversible else Tone.NONE)]
    if plan.redundancy:
        found.append(Fact("Redundancy", plan.redundancy))
    if plan.zeroes_bytes:
        found.append(_amount("To zero", config, plan.zeroes_bytes, ZEROING))
    if plan.copies_bytes:
        found.append(_amount("To copy", config, plan.copies_bytes, COPYING))
    return found


def _amount(label: str, config: Config, size: int, types: frozenset[TaskType]) -> Fact:
    low, high, measured = expected_s(config, size, types)
    guess = "" if measured else ", a guess: nothing was measured here yet"
    return Fact(label, f"{format_size(size)}, about {format_band(low, high)}{guess}", exact=format_exact(size))


def expected_s(config: Config, size: int, types: frozenset[TaskType]) -> tuple[float, float, bool]:
    """Low and high seconds for so many bytes, and whether finished tasks of this host tell it."""
    speeds = [speed for task in config.all(Kind.TASK, Task) if task.type in types and (speed := _speed(task))]
    recent = speeds[-REMEMBERED:]
    if not recent:
        return size / FASTEST, size / SLOWEST, False
    return size / max(recent) * (1 - SPREAD), size / min(recent) * (1 + SPREAD), True


def _speed(task: Task) -> float:
    """Bytes a second of a task that ran through; 0 when it tells nothing."""
    took = task.finished_at - task.started_at
    size = task.bytes_total if task.type in ZEROING else task.bytes_copied
    telling = task.state is TaskState.COMPLETED and size >= TELLING_BYTES and took > 0
    return size / max(took, SHORTEST_S) if telling and not task.iodelay_ms else 0.0


def as_text(config: Config, plan: Plan) -> str:
    """The whole plan as lines, for a screen reader."""
    steps = [f"{number}. {step.text}. {step.meanwhile}".rstrip() for number, step in enumerate(plan.steps, 1)]
    reasons = [problem.sentences for problem in plan.problems]
    told = [f"{fact.label}: {fact.text}" for fact in facts(config, plan)]
    return "\n".join([plan.title, *reasons, *plan.warnings, *steps, *told])
