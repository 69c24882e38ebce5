"""What is asked about mirrors."""

from __future__ import annotations

from engine.commands.base import Command
from engine.records import Ref


class AddMirrors(Command, frozen=True, kw_only=True, tag=True):
    """More copies. `striped` None lays them out as the volume is; what is 0 is as the volume has it, or the usual."""

    volume: Ref
    count: int = 1
    striped: bool | None = None
    columns: int = 0
    stripe_unit: int = 0
    disks: tuple[Ref, ...] = ()
    across_enclosures: bool = False
    force: bool = False


class RemoveMirrors(Command, frozen=True, kw_only=True, tag=True):
    plexes: tuple[Ref, ...]


class BreakMirror(Command, frozen=True, kw_only=True, tag=True):
    """A complete mirror becomes a volume of its own."""

    plex: Ref
    name: str = ""


class DetachPlex(Command, frozen=True, kw_only=True, tag=True):
    plex: Ref


class AttachPlex(Command, frozen=True, kw_only=True, tag=True):
    """Fill a detached, stale or failed plex again."""

    plex: Ref
