"""What is asked about snapshots."""

from __future__ import annotations

from engine.commands.base import Command
from engine.records import Ref


class PrepareSnapshot(Command, frozen=True, kw_only=True, tag=True):
    """A snap plex for a volume: a new mirror, or `plex`, one that it has."""

    volume: Ref
    plex: Ref | None = None
    disks: tuple[Ref, ...] = ()  # () lets the engine choose
    force: bool = False  # it may share disks with the volume's other mirrors


class AbortSnapshot(Command, frozen=True, kw_only=True, tag=True):
    """Snap plexes go, or are ordinary mirrors again if that is what they were."""

    plexes: tuple[Ref, ...]
