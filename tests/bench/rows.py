"""The points of the table: what is measured, beside whom, and what it has to reach."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass

_ENOUGH = 0.9


@dataclass(frozen=True)
class Row:
    """One point. `floor` is what must be reached; 0 stands for nine tenths of the goal.

    With `most` the goal is not to be exceeded. Without a peer the figure itself is what is judged.
    """

    name: str
    title: str
    peer: str
    unit: str
    goal: float
    floor: float = 0.0
    most: bool = False

    @property
    def bound(self) -> float:
        return self.floor or (self.goal if self.most else self.goal * _ENOUGH)

    def verdict(self, ratio: float) -> str:
        sign = -1 if self.most else 1
        if sign * ratio >= sign * self.goal:
            return "goal"
        return "floor" if sign * ratio >= sign * self.bound else "short"


@dataclass(frozen=True)
class Pair:
    """One turn of each. Both answer in the row's unit; where there is no peer, 1 makes the figure the ratio."""

    own: Callable[[], float]
    peer: Callable[[], float] | None = None


@dataclass(frozen=True)
class Result:
    """The turns of a row, in the order in which they were taken."""

    row: Row
    own: tuple[float, ...]
    peer: tuple[float, ...]

    @property
    def ratios(self) -> list[float]:
        if not self.peer:
            return list(self.own)
        return [own / peer for own, peer in zip(self.own, self.peer, strict=True)]

    @property
    def ratio(self) -> float:
        """The median of the pairs' ratios."""
        return statistics.median(self.ratios)

    @property
    def spread(self) -> tuple[float, float]:
        return min(self.ratios), max(self.ratios)


def measure(row: Row, pair: Pair, pairs: int) -> Result:
    """So many pairs of turns; who begins changes from pair to pair."""
    own: list[float] = []
    peer: list[float] = []
    for number in range(pairs):
        sides = [(own, pair.own)] if pair.peer is None else [(own, pair.own), (peer, pair.peer)]
        for figures, turn in sides if number % 2 == 0 else reversed(sides):
            figures.append(turn())
    return Result(row, tuple(own), tuple(peer))


_THOUSAND, _MIBS, _S = "k/s", "MiB/s", "s"

ROWS = (
    Row("read", "random 4 KiB read, depth 32, volume of 64 extents", "nbdkit file", _THOUSAND, 1.1),
    Row("read-qemu", "random 4 KiB read, depth 32, volume of 64 extents", "qemu-nbd", _THOUSAND, 3.5),
    Row("write", "random 4 KiB write, depth 32, volume of 64 extents", "nbdkit file", _THOUSAND, 1.0),
    Row("write-qemu", "random 4 KiB write, depth 32, volume of 64 extents", "qemu-nbd", _THOUSAND, 2.0),
    Row("mirror-read", "random 4 KiB read, depth 32, two-way mirror", "QEMU quorum of 2", _THOUSAND, 2.5),
    Row("mirror-write", "random 4 KiB write, depth 32, two-way mirror", "QEMU quorum of 2", _THOUSAND, 2.0, 1.8),
    Row("dirty-log", "random 4 KiB write, depth 32, two-way mirror with a log", "without a log", _THOUSAND, 0.85, 0.85),
    Row("recovery", "copied after kill -9, mirror written in 16 places", "", "MiB", 16.0, 16.0, most=True),
    Row("raid5-write", "sequential 1 MiB write, depth 4, RAID-5 of 5 with log", "stripe of 5", _MIBS, 0.6),
    Row("raid5-synced", "the same, all of the volume once, synced", "stripe of 5", _MIBS, 0.6),
    Row("rebuild", "rebuild of a RAID-5 column while idle, synced", "dd bs=1M, fdatasync", _MIBS, 0.7),
    Row("one-read", "random 4 KiB read, depth 1, processors awake", "qemu-nbd", _THOUSAND, 1.0),
    Row("one-write", "random 4 KiB write, depth 1, processors awake", "qemu-nbd", _THOUSAND, 1.0),
    Row("sequential-read", "sequential 1 MiB read, depth 4", "nbdkit file", _MIBS, 0.9),
    Row("sequential-write", "sequential 1 MiB write, depth 4", "nbdkit file", _MIBS, 0.75, 0.65),
    Row("flush", "random 4 KiB write, depth 16, FLUSH after every 16", "qemu-nbd", _THOUSAND, 1.4),
    Row("cold", "random 4 KiB read, depth 32, cold cache", "qemu-nbd", _THOUSAND, 0.6, 0.5),
    Row("resync", "resync of a full mirror, synced", "QEMU blockdev-mirror", _MIBS, 1.0),
    Row("resync-dd", "resync of a full mirror, synced", "dd bs=1M, fdatasync", _MIBS, 1.0),
    Row("move", "Move Subdisk of a full subdisk, synced", "QEMU blockdev-mirror", _MIBS, 1.0),
    Row("move-dd", "Move Subdisk of a full subdisk, synced", "dd bs=1M, fdatasync", _MIBS, 1.0),
    Row("snap-pause", "wait of writes for a set of 8 busy volumes: median", "", _S, 0.02, 0.02, most=True),
    Row("snap-pause-95", "wait of writes for a set of 8 busy volumes: 95th percentile", "", _S, 0.06, most=True),
    Row("snap-pause-most", "wait of writes for a set of 8 busy volumes: longest of 40", "", _S, 2.0, most=True),
    Row("snap-back", "Snap Back after 1 % random change of 4 KiB each", "making the plex anew", _S, 0.1, most=True),
    Row("snap-back-bytes", "copied by it", "making the plex anew", "MiB", 0.03, most=True),
    Row("snap-writes", "random 4 KiB write, depth 32, since a snapshot", "without", _THOUSAND, 0.85, 0.85),
    Row("beside-resync", "random 4 KiB read, depth 32, while a resync runs", "the client alone", _THOUSAND, 0.6, 0.5),
    Row("beside-console", "random 4 KiB read, depth 32, console in the process", "engine alone", _THOUSAND, 0.3),
    Row("start", "start of the console to a usable window", "bare window, pyqtgraph", _S, 2.5, most=True),
    Row("click", "slowest of eleven clicks, 10,000 volumes, 40,000 subdisks", "", _S, 0.2, most=True),
    Row("stall", "longest stall of the event loop, 5,000 changes/s", "", _S, 0.05, most=True),
)
