"""What long work is made of: values that say what to do. A runner does it.

Bulk steps (copy, zero, compare) may run side by side and finish out of order; `weight` is how far each brings the task,
in the bytes that it writes (reads, when it only compares). Barriers (flush, commit) begin when every step before them
has ended, and nothing after them begins before they have.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TypeAlias

import msgspec

from engine.config import Config, Edit
from engine.records import Ref
from engine.units import MIB

Ranges: TypeAlias = tuple[tuple[int, int], ...]
"""(offset, length) of places in a volume."""

RANGES_MAX = 64
COPY_BYTES = MIB
RUNS_TOGETHER = 64
"""So many runs make one step at most: on LUNs that have to seek, too, it ends soon enough for a swap of tables."""
ZERO_BYTES = 64 * MIB
"""Chunks of one step. Zeroing is an instant per step wherever the LUN knows how."""


class Begin(msgspec.Struct, frozen=True, gc=False):
    """The first step of every task: where it stands and how far it goes, in weight."""

    position: int
    total: int
    lineage: str = ""  # as in the task's parameters: what the position counts in


class AskDirty(msgspec.Struct, frozen=True, gc=False):
    """Before the first step: which regions of a volume may differ? Sent back with `dirty`."""

    volume: Ref


class Dirty(msgspec.Struct, frozen=True, gc=False):
    """What a dirty map knows: (offset, length) of each run, ascending and apart. `lineage` names that knowledge."""

    lineage: str
    runs: tuple[tuple[int, int], ...]


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


class CopyRuns(msgspec.Struct, frozen=True, gc=False):
    """As `CopyPlex` for several short runs of a volume, (offset, length) of each, ascending; none crosses 1 MiB."""

    volume: Ref
    source: Ref | None
    targets: tuple[Ref, ...]
    runs: Ranges

    @property
    def length(self) -> int:
        return sum(length for _, length in self.runs)

    @property
    def weight(self) -> int:
        return self.length * len(self.targets)

    def one_by_one(self) -> list[CopyPlex]:
        """The same, each run by itself."""
        return [CopyPlex(self.volume, self.source, self.targets, *run) for run in self.runs]


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


class Rebuild(msgspec.Struct, frozen=True, gc=False):
    """Make a range of a piece of a RAID-5 column from the other columns; `offset` counts within the piece."""

    volume: Ref
    subdisk: Ref
    offset: int
    length: int

    @property
    def weight(self) -> int:
        return self.length


class Parity(msgspec.Struct, frozen=True, gc=False):
    """Compare the parity of whole rows of a RAID-5 volume with their data. Differences are sent back with the next
    step; with `repair` parity is written anew there."""

    volume: Ref
    offset: int
    length: int
    repair: bool

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
    """Compare a range of a volume on every complete plex, past the page cache. Differences are sent back with the next
    step. With a `source` the other plexes get its bytes where they differ from it or can't be read."""

    volume: Ref
    offset: int
    length: int
    source: Ref | None = None

    @property
    def weight(self) -> int:
        return self.length


class Flush(msgspec.Struct, frozen=True, gc=False):
    """Barrier: everything written to these disks so far is on stable storage."""

    disks: tuple[Ref, ...]


class FlushVolumes(msgspec.Struct, frozen=True, gc=False):
    """Barrier: everything written to these volumes so far is on stable storage, also where a plex has left them."""

    volumes: tuple[Ref, ...]


class Commit(msgspec.Struct, frozen=True, gc=False):
    """Barrier: change the configuration. `last` ends the task in the same transaction; `result` is its sentence, or
    what makes it of the new configuration."""

    change: Callable[[Edit], None]
    last: bool = True
    result: str | Callable[[Config], str] = ""


class Save(msgspec.Struct, frozen=True, gc=False):
    """A runner's own step between those of the generator: flush, and if it is time for that write a `checkpoint`."""

    checkpoint: bool


class Differences(msgspec.Struct, frozen=True, gc=False):
    """What the comparisons so far have found, complete after a barrier: ranges that cover every byte that differs, and
    how many bytes of blocks that differ they were made of. Ascending and apart, `RANGES_MAX` at most: then the nearest
    are made one."""

    ranges: Ranges = ()
    length: int = 0
    dirty: Dirty | None = None  # the answer to AskDirty; None: nobody knows

    def plus(self, found: Ranges) -> Differences:
        """With some more."""
        if not found:
            return self
        length = self.length + sum(length for _, length in found)
        return Differences(joined((*self.ranges, *found)), length)


Bulk: TypeAlias = CopyPlex | CopyRuns | CopySubdisk | Rebuild | Parity | Zero | Compare
Barrier: TypeAlias = Flush | FlushVolumes | Commit
Step: TypeAlias = AskDirty | Begin | Bulk | Barrier
Steps: TypeAlias = Generator[Step, Differences, None]


def joined(found: Ranges) -> Ranges:
    """The same places in order, neighbours as one. Where they are more than `RANGES_MAX`, across the smallest gaps."""
    merged: list[tuple[int, int]] = []
    for offset, length in sorted(found):
        if merged and offset <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], offset + length))
        else:
            merged.append((offset, offset + length))
    while len(merged) > RANGES_MAX:
        at = min(range(1, len(merged)), key=lambda place: merged[place][0] - merged[place - 1][1])
        merged[at - 1 : at + 1] = [(merged[at - 1][0], merged[at][1])]
    return tuple((start, end - start) for start, end in merged)


class TaskFailed(Exception):
    """A task cannot go on; the message is the sentence for the operator."""


def chunks(start: int, end: int, size: int) -> Generator[tuple[int, int], None, None]:
    """(offset, length) of each chunk from `start` to `end`; chunks begin at multiples of `size` after the first."""
    while start < end:
        upto = min((start // size + 1) * size, end)
        yield start, upto - start
        start = upto
