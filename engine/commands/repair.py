"""What is asked about disks that fail, and about what lay on them."""

from __future__ import annotations

from engine.commands.base import Command
from engine.records import Ref


class ReactivateDisk(Command, frozen=True, kw_only=True, tag=True):
    """Return a disk that has failed, or came back, to service: its label is read again, its errors are forgotten, and
    the volumes that did without it are made whole. With `volumes` only these are, and its errors stay known."""

    disk: Ref
    volumes: tuple[Ref, ...] | None = None


class ReplaceDisk(Command, frozen=True, kw_only=True, tag=True):
    """A LUN of no group takes the name and the places of a missing or failing disk; what lay there is copied anew from
    the other mirrors. `force` overwrites foreign data on the LUN."""

    disk: Ref
    by: Ref
    force: bool = False


class RepairVolumes(Command, frozen=True, kw_only=True, tag=True):
    """Make volumes whole again: what lay on missing or failing disks gets new places, on spares first or on `disks`,
    and every mirror or column that is out of date is filled."""

    volumes: tuple[Ref, ...]
    disks: tuple[Ref, ...] = ()


class UndoRelocation(Command, frozen=True, kw_only=True, tag=True):
    """Move everything that a repair has taken away from a disk back to it."""

    disk: Ref
