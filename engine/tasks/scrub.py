"""Verify and Repair: make the plexes of a volume equal to the one that the operator believes, where they differ."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.records import Plex
from engine.states import COMPLETE
from engine.tasks.steps import COPY_BYTES, Begin, Commit, Compare, Flush, TaskFailed, chunks
from engine.tasks.verify import comparable
from engine.units import format_size

if TYPE_CHECKING:
    from engine.config import Config, Edit
    from engine.records import Ref, Task
    from engine.tasks.steps import Differences, Steps


def steps(config: Config, task: Task) -> Steps:
    """Only the ranges that a verification has found, or the whole volume. Each is compared again and, where it still
    differs, written under its lock, so that no client's write is undone and none is made twice after a pause."""
    volume = comparable(config, task)
    source = _source(config, task)
    ranges = task.params.ranges or ((0, volume.size),)
    total = sum(length for _, length in ranges)
    done = min(task.checkpoint, total)
    yield Begin(done, total)
    for start, length in ranges:
        skip = min(done, length)
        done -= skip
        for at, size in chunks(start + skip, start + length, COPY_BYTES):
            yield Compare(volume.ref, at, size, source.ref)
    found = yield Flush(())
    yield Commit(lambda edit: _still(edit, source.ref), result=_sentence(source, found))


def undo(edit: Edit, task: Task) -> str:
    """What has been made equal stays so."""
    return "What was repaired until then stays repaired."


def _source(config: Config, task: Task) -> Plex:
    if not task.params.plexes:
        raise TaskFailed("No mirror was named that is to be believed.")
    return _believed(config, task.params.plexes[0])


def _still(edit: Edit, ref: Ref) -> None:
    """The end of the task is the whole change, as long as the others were compared with what is believed."""
    _believed(edit.config, ref)


def _believed(config: Config, ref: Ref) -> Plex:
    plex = config.get(ref)
    if not isinstance(plex, Plex):
        raise TaskFailed("The mirror that the others were compared with was removed.")
    if plex.state not in COMPLETE:
        raise TaskFailed(f"{plex.name} is not complete any more: the others must not be made equal to it.")
    return plex


def _sentence(source: Plex, found: Differences) -> str:
    """Since the last pause, if there was one."""
    if not found.ranges:
        return f"All mirrors are equal to {source.name}; nothing had to be changed."
    return f"{format_size(found.length)} that differed were made equal to {source.name}."
