"""Add Column: fill wider plexes from the complete ones, then let them take over in one transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from engine.records import Plex, Volume
from engine.states import COMPLETE
from engine.tasks.filling import fill, state_of_others, taking_writes
from engine.tasks.steps import Begin, Commit, TaskFailed

if TYPE_CHECKING:
    from engine.config import Config, Edit
    from engine.records import Ref, Task
    from engine.tasks.steps import Steps


def steps(config: Config, task: Task) -> Steps:
    """As a new mirror is filled: every write of a client reaches old and new columns until the change-over."""
    volume = config.get(task.params.volume)
    if not isinstance(volume, Volume):
        raise TaskFailed("The volume was removed while a column was being added.")
    if _finished(config, task):
        yield Begin(task.bytes_total, task.bytes_total)
        return
    yield from fill(config, task, volume, volume.source)
    yield Commit(lambda edit: _take_over(edit, task))


def undo(edit: Edit, task: Task) -> str:
    """The new columns are gone; the old ones have had every write."""
    if _finished(edit.config, task):
        return ""
    for ref in task.params.plexes:
        _drop(edit, ref)
    return "The volume kept the columns that it had."


def _finished(config: Config, task: Task) -> bool:
    return not any(ref in config for ref in task.params.leaving)


def _take_over(edit: Edit, task: Task) -> None:
    volume = edit.config.get(task.params.volume)
    if not isinstance(volume, Volume):
        raise TaskFailed("The volume was removed while a column was being added.")
    state = state_of_others(edit.config, volume.ref, task.params.plexes)
    for old, new in zip(task.params.leaving, task.params.plexes, strict=True):
        before = edit.config.get(old)
        made = taking_writes(edit.config, new, in_doubt=False)
        if not isinstance(before, Plex):
            raise TaskFailed("A mirror was removed while a column was being added to it.")
        _drop(edit, old)
        edit.put(replace(made, name=before.name, state=state))
        if volume.preferred == old:
            volume = replace(volume, preferred=new)
        if volume.source == old:  # every new plex was filled from it alone
            volume = replace(volume, source=new if _others(edit, task) else None)
    edit.put(volume)


def _others(edit: Edit, task: Task) -> list[Plex]:
    """Complete plexes that are neither filled nor given up by a task."""
    volume = task.params.volume
    mine = {*task.params.plexes, *task.params.leaving}
    plexes = edit.config.plexes_of(volume) if volume is not None else []
    return [plex for plex in plexes if plex.state in COMPLETE and plex.ref not in mine]


def _drop(edit: Edit, ref: Ref) -> None:
    if ref in edit.config:
        for subdisk in edit.config.subdisks_of(ref):
            edit.drop(subdisk.ref)
        edit.drop(ref)
