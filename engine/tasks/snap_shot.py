"""Snap Shot: bring to the disks what had been written when it was taken; only then is it a snapshot."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from engine import rules
from engine.records import LinkSide, Volume
from engine.tasks.steps import Begin, Commit, FlushVolumes, TaskFailed

if TYPE_CHECKING:
    from engine.config import Config, Edit
    from engine.records import Ref, Task
    from engine.tasks.steps import Steps

LEFT = "The snapshots are stopped, as they may lack what was written last, and a Snap Back of them copies everything."


def steps(config: Config, task: Task) -> Steps:
    """All of the set become snapshots in one transaction, or none does."""
    volumes = task.params.volumes
    if not volumes:
        raise TaskFailed("The engine ended before everything that had been written was on the disks.")
    yield Begin(0, 0)
    yield FlushVolumes(volumes)
    yield Commit(lambda edit: _settle(edit, volumes), result=lambda config: _told(config, volumes))


def undo(edit: Edit, task: Task) -> str:
    """What has been split stays apart."""
    return LEFT


def _settle(edit: Edit, volumes: tuple[Ref, ...]) -> None:
    for ref in volumes:
        volume = edit.config.get(ref)
        if not isinstance(volume, Volume):
            raise TaskFailed("A volume of the set was removed.")
        links = (replace(link, settled=True) if link.peer in volumes else link for link in volume.links)
        new = any(link.side is LinkSide.SNAPSHOT and link.peer in volumes for link in volume.links)
        edit.put(replace(volume, links=tuple(links), started=volume.started or new))


def _told(config: Config, volumes: tuple[Ref, ...]) -> str:
    found = [volume for ref in volumes if isinstance(volume := config.get(ref), Volume)]
    waited = max((volume.held_s for volume in found), default=0.0)
    told = [f"Writes waited for {waited * 1000:.1f} ms."]
    ends = [link for one in found for link in one.links if link.side is LinkSide.SNAPSHOT and link.peer in volumes]
    frozen_s = max((link.frozen_s for link in ends), default=0.0)
    if frozen_s:
        told.append(f"Frozen for {frozen_s * 1000:.0f} ms.")
    told.append(f"The snapshot{'s are' if len(ends) > 1 else ' is'} {rules.set_consistency(ends)}.")
    told += dict.fromkeys(link.lower for link in ends if link.lower)
    return " ".join(told)
