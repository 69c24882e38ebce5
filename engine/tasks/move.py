"""Move Subdisk and Evacuate Disk: mirror a subdisk at its new place, then drop the old one.

A move of several subdisks changes over in one commit, so that an abort returns every one. An evacuation changes over
subdisk by subdisk: what has moved stays moved, an abort returns the rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from engine.records import PieceState, PlexState, Subdisk, TaskType
from engine.rules import holds_bytes
from engine.states import COMPLETE
from engine.tasks.steps import COPY_BYTES, Begin, Commit, CopySubdisk, Flush, TaskFailed, chunks
from engine.tasks.zeroing import disks_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine.config import Config, Edit
    from engine.records import Ref, Task
    from engine.tasks.steps import Steps

_HOLDS_BYTES = COMPLETE | {PlexState.FILLING}


def steps(config: Config, task: Task) -> Steps:
    """Weight counts the targets in the order of the parameters, those that have changed over long ago included."""
    targets = remaining(config, task)
    left = sum(target.length for target in targets)
    untouched = len(targets) == len(task.params.subdisks)
    total = left if untouched else max(task.bytes_total, left)
    skip = max(task.checkpoint - (total - left), 0)
    yield Begin(total - left + skip, total)
    batches = _by_source(targets) if task.type is TaskType.EVACUATE_DISK else [targets]
    for number, batch in enumerate(batches, 1):
        for target in batch:
            done = min(skip, target.length)
            skip -= done
            yield from _copy(config, target, done)
        if batch:
            yield Flush(disks_of(batch))
        yield _change_over(task, tuple(target.ref for target in batch), last=number == len(batches))
    if not batches:
        yield _change_over(task, (), last=True)


def undo(edit: Edit, task: Task) -> str:
    """Targets are gone, their sources untouched."""
    targets = remaining(edit.config, task)
    if not targets:
        return ""
    for target in targets:
        edit.drop(target.ref)
    moved = len(task.params.subdisks) - len(targets)
    kept = " What had been moved before stays where it is now." if moved else ""
    return f"{_stays(len({target.replaces for target in targets}))}.{kept}"


def remaining(config: Config, task: Task) -> list[Subdisk]:
    """Targets that have not taken over yet, in the order of the task."""
    found = [config.get(ref) for ref in task.params.subdisks]
    return [subdisk for subdisk in found if isinstance(subdisk, Subdisk) and subdisk.replaces is not None]


def take_over(edit: Edit, targets: tuple[Ref, ...]) -> None:
    """The old record keeps its Ref and takes the place of its first target; the other targets stand beside it."""
    by_source: dict[Ref, list[Subdisk]] = {}
    for ref in targets:
        target = edit.config.get(ref)
        if not isinstance(target, Subdisk) or target.replaces is None or target.replaces not in edit.config:
            raise TaskFailed("A subdisk was removed while it was being moved.")
        by_source.setdefault(target.replaces, []).append(target)
    for source, found in by_source.items():
        first, *others = sorted(found, key=lambda subdisk: subdisk.plex_offset)
        old = edit.config.subdisk(source)
        if sum(target.length for target in found) != old.length:
            raise TaskFailed(f"{old.name} was changed while it was being moved.")
        edit.drop(first.ref)
        state = first.state if old.state is PieceState.GOOD else old.state
        place = replace(first, ref=old.ref, replaces=None, state=state)
        edit.put(place)
        for other in others:
            edit.put(replace(other, replaces=None, state=state))


def _by_source(targets: list[Subdisk]) -> list[list[Subdisk]]:
    batches: dict[Ref | None, list[Subdisk]] = {}
    for target in targets:
        batches.setdefault(target.replaces, []).append(target)
    return list(batches.values())


def _copy(config: Config, target: Subdisk, done: int) -> Iterator[CopySubdisk]:
    plex = config.plex(target.plex)
    if plex.state not in _HOLDS_BYTES or target.replaces is None or not holds_bytes(plex, target):
        return  # a stale plex holds nothing that is worth a copy
    for offset, length in chunks(done, target.length, COPY_BYTES):
        yield CopySubdisk(plex.volume, target.replaces, target.ref, offset, length)


def _change_over(task: Task, targets: tuple[Ref, ...], *, last: bool) -> Commit:
    return Commit(lambda edit: take_over(edit, targets), last=last)


def _stays(subdisks: int) -> str:
    return "The subdisk stays where it was" if subdisks == 1 else f"{subdisks} subdisks stay where they were"
