"""Copies that begin anew: what they have copied is in doubt, or the mirror that they copy from is believed no more."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from engine.assemble import is_held_back
from engine.records import Kind, PlexState, Task, TaskType, Volume
from engine.rules import volumes_of
from engine.states import COMPLETE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from engine.commit import Committer
    from engine.config import Config, Edit
    from engine.records import Ref
    from engine.tasks.runner import TaskRunner

COPYING = frozenset(
    {TaskType.RESYNC, TaskType.ADD_MIRROR, TaskType.ADD_COLUMN, TaskType.MOVE_SUBDISK, TaskType.EVACUATE_DISK}
)
"""Tasks whose copy is worthless once its source is not believed, or a write has missed one of its places."""

_COLUMNS = frozenset({TaskType.REBUILD, TaskType.PARITY})
"""Those of RAID-5, which has one plex: its columns are believed, or it is held back."""


def copies_of(config: Config, volume: Ref) -> list[Task]:
    """The tasks that have not ended and copy to places of a volume."""
    tasks = config.tasks_of(config.volume(volume).group)
    return [task for task in tasks if not task.ended and task.type in COPYING and volume in volumes_of(config, task)]


def take_back(edit: Edit, volume: Ref) -> None:
    """No checkpoint of the copies in a volume counts; while one mirror is believed, all others are filled from it."""
    record = edit.config.volume(volume)
    for task in copies_of(edit.config, volume):
        if task.type is TaskType.RESYNC and task.params.volume == volume:
            targets = tuple(
                plex.ref
                for plex in edit.config.plexes_of(volume)
                if plex.ref != record.source
                and (plex.state is PlexState.FILLING or (record.source is not None and plex.state in COMPLETE))
            )
            params = msgspec.structs.replace(task.params, plexes=targets)
            task = msgspec.structs.replace(task, params=params, bytes_total=record.size * len(targets))
        edit.put(msgspec.structs.replace(task, checkpoint=0))


def _is_another(before: Volume, after: Volume) -> bool:
    """Whether the bytes of a volume come from elsewhere than they did."""
    return after.source not in (None, before.source) or (is_held_back(after) and not is_held_back(before))


class Restarts:
    """Begins copies anew whenever another mirror of their volume is believed, or nobody knows any more how old what
    they copy is. Called under the control lock."""

    def __init__(self, committer: Committer, runner: TaskRunner) -> None:
        self._committer = committer
        self._runner = runner

    def follow(self, old: Config, new: Config, touched: Iterable[Ref]) -> None:
        """After a commit."""
        for ref in sorted(ref for ref in touched if ref.kind is Kind.VOLUME):
            before, after = old.get(ref), new.get(ref)
            if isinstance(before, Volume) and isinstance(after, Volume) and _is_another(before, after):
                known = [task for task in copies_of(new, ref) if task.ref in old and not old.task(task.ref).ended]
                if known:
                    self.begin(ref)
                for task in new.tasks_of(after.group):
                    if task.type in _COLUMNS and not task.ended and task.params.volume == ref:
                        self._runner.begin_anew(task.ref)

    def begin(self, volume: Ref) -> None:
        """The copies in a volume begin anew."""
        for task in copies_of(self._committer.config, volume):
            self._runner.begin_anew(task.ref)
        self._committer.commit(lambda edit: take_back(edit, volume))
