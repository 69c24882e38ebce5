"""What long work is made of: values that say what to do. A runner does it.

Bulk steps (copy, zero, compare) may run side by side and finish out of order; `weight` is how far each brings the task,
in the bytes that it writes (reads, when it only compares). Barriers (flush, commit) begin when every step before them
has ended, and nothing after them begins before they have.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TypeAlias

import msgspec

from engine.config import Edit
from engine.records import Ref
from engine.units import MIB

COPY_BYTES = MIB
ZERO_BYTES = 64 * MIB
"""Chunks of one step. Zeroing is an instant per step wherever the LUN knows how."""


class Begin(msgspec.Struct, frozen=True, gc=False):
    """The first step of every task: where it stands and how far it goes, in weight."""

    position: int
    total: int


class CopyPlex(msgspec.Struct, frozen=True, gc=False):
    """Copy a range of a volume to plexes. From `source`, or from any complete plex."""

    volume: Ref
    source: Ref | None
    targets: tuple[Ref, ...]
    offset: int
    length: int

    @property
    def weight(self) -> int:
        return self.length * len(self.targets)


class CopySubdisk(msgspec.Struct, frozen=True, gc=False):
    """Copy to a subdisk what the one that it replaces holds; `offset` counts within the target."""

    volume: Ref
    source: Ref
    target: Ref
    offset: int
    length: int

    @property
    def weight(self) -> int:
        return self.length


class Zero(msgspec.Struct, frozen=True, gc=False):
    """Zero a range of a subdisk that no client can reach yet."""

    subdisk: Ref
    offset: int
    length: int

    @property
    def weight(self) -> int:
        return self.length


class Compare(msgspec.Struct, frozen=True, gc=False):
    """Compare a range of a volume on every complete plex. Differences are sent back with the next step."""

    volume: Ref
    offset: int
    length: int

    @property
    def weight(self) -> int:
        return self.length


class Flush(msgspec.Struct, frozen=True, gc=False):
    """Barrier: everything written to these disks so far is on stable storage."""

    disks: tuple[Ref, ...]


class Commit(msgspec.Struct, frozen=True, gc=False):
    """Barrier: change the configuration. `last` ends the task in the same transaction; `result` is its sentence."""

    change: Callable[[Edit], None]
    last: bool = True
    result: str = ""


class Save(msgspec.Struct, frozen=True, gc=False):
    """A runner's own step between those of the generator: flush, and if it is time for that write a `checkpoint`."""

    checkpoint: bool


class Differences(msgspec.Struct, frozen=True, gc=False):
    """What the comparisons so far have found: how many steps differ, and the first offset. Complete after a barrier."""

    count: int = 0
    first: int = -1


Bulk: TypeAlias = CopyPlex | CopySubdisk | Zero | Compare
Barrier: TypeAlias = Flush | Commit
Step: TypeAlias = Begin | Bulk | Barrier
Steps: TypeAlias = Generator[Step, Differences, None]


class TaskFailed(Exception):
    """A task cannot go on; the message is the sentence for the operator."""


def chunks(start: int, end: int, size: int) -> Generator[tuple[int, int], None, None]:
    """(offset, length) of each chunk from `start` to `end`; chunks begin at multiples of `size` after the first."""
    while start < end:
        upto = min((start // size + 1) * size, end)
        yield start, upto - start
        start = upto
