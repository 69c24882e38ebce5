"""What becomes of a commit to a group's disks."""

from __future__ import annotations

from typing import NamedTuple

from engine.records import Ref


class Outcome(NamedTuple):
    """What became of a commit. `transaction` is the number that counts now: when disks failed, it is a later one than
    was asked for. `failed` are the disks whose write failed; they hold no copy any more. `reason` says in a sentence
    why nothing is durable."""

    durable: bool
    transaction: int
    failed: tuple[Ref, ...] = ()
    reason: str = ""
