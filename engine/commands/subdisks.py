"""What is asked about subdisks."""

from __future__ import annotations

import msgspec

from engine.commands.base import Command
from engine.records import Ref


class Target(msgspec.Struct, frozen=True, gc=False):
    """Where a piece may go. `offset` from the first byte of the LUN, -1 for wherever it fits; `length` 0 for all."""

    disk: Ref
    offset: int = -1
    length: int = 0


class Move(msgspec.Struct, frozen=True, gc=False):
    """One subdisk and its new places in order; no target lets the engine choose."""

    subdisk: Ref
    targets: tuple[Target, ...] = ()


class MoveSubdisks(Command, frozen=True, kw_only=True, tag=True):
    moves: tuple[Move, ...]
    force: bool = False


class EvacuateDisk(Command, frozen=True, kw_only=True, tag=True):
    """Move every subdisk off a disk."""

    disk: Ref
    targets: tuple[Ref, ...] = ()
    force: bool = False


class SplitSubdisk(Command, frozen=True, kw_only=True, tag=True):
    """Cut a subdisk in two: the first piece has `size` bytes."""

    subdisk: Ref
    size: int


class JoinSubdisks(Command, frozen=True, kw_only=True, tag=True):
    """Make one of two subdisks that are neighbours on the disk and in their column."""

    first: Ref
    second: Ref
