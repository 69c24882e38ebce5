"""Gives the host back what freed subdisks took of it: holes in LUN files, unmapped space of devices that promise zeros.

Nothing depends on it. It begins after the commit that freed a range has left the live tables, works on a thread of its
own in small pieces, and gives a range up as soon as that is given to a subdisk again, or its LUN leaves this host.
"""

from __future__ import annotations

import logging
from bisect import bisect_right
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from engine.errors import EngineError
from engine.records import Disk, Kind, Subdisk
from engine.units import MIB

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from engine.config import Config
    from engine.luns import HostDevice
    from engine.records import Ref
    from engine.runtime import Runtime

log = logging.getLogger(__name__)

_PIECE = 32 * MIB
"""What one system call frees: I/O to that LUN, and a commit that wants just this range, may wait for it."""


class Freed(NamedTuple):
    """A range of a LUN that belongs to nobody any more; bytes from the LUN's start."""

    disk: Ref
    start: int
    end: int


@dataclass(eq=False)
class _Batch:
    """What one commit has freed. `task` is the command that did it, which is told the bytes at the end."""

    task: Ref | None
    ranges: deque[Freed]
    done: int = field(default=0)


class FreedSpace:
    """`device` answers the open device of a disk, or None; `given_back` is told of each task's bytes, on our thread."""

    def __init__(
        self, device: Callable[[Ref], HostDevice | None], given_back: Callable[[Ref, int], None], runtime: Runtime
    ) -> None:
        self._device = device
        self._given_back = given_back
        self._runtime = runtime
        self._changed = runtime.condition()
        self._batches: deque[_Batch] = deque()
        self._in_hand: Freed | None = None
        self._busy = False
        self._closed = False
        self._thread = runtime.thread("freed space", self._work)

    def take(self, ranges: Iterable[Freed], task: Ref | None) -> None:
        """These are nobody's from now on, in memory and on disk."""
        batch = _Batch(task, deque(ranges))
        with self._changed:
            if batch.ranges and not self._closed:
                self._batches.append(batch)
                self._changed.notify_all()

    def withdraw(self, ranges: Iterable[Freed]) -> None:
        """These are somebody's again. Returns when nothing of them is being freed; that is one system call away."""
        wanted: dict[Ref, list[Freed]] = {}
        for taken in sorted(ranges):
            wanted.setdefault(taken.disk, []).append(taken)
        with self._changed:
            for batch in self._batches if wanted else ():
                batch.ranges = deque(part for known in batch.ranges for part in _without(known, wanted))
            self._changed.wait_for(lambda: self._in_hand is None or _without(self._in_hand, wanted) == [self._in_hand])

    def withdraw_disks(self, disks: Iterable[Ref]) -> None:
        """These disks are not ours to change any more."""
        self.withdraw(Freed(disk, 0, 1 << 63) for disk in disks)

    def settle(self, timeout_s: float) -> bool:
        """Whether all that was freed has been seen to, after waiting for it."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._batches and not self._busy, timeout_s)

    def close(self) -> None:
        """What is not done yet stays taken until it is used again."""
        with self._changed:
            self._closed = True
            self._batches.clear()
            self._changed.notify_all()
        self._thread.join()

    # --- on our thread ---
    def _work(self) -> None:
        while (batch := self._next_batch()) is not None:
            while (piece := self._next_piece(batch)) is not None:
                self._free(batch, piece)
            self._end(batch)

    def _next_batch(self) -> _Batch | None:
        with self._changed:
            self._changed.wait_for(lambda: self._closed or bool(self._batches))
            if self._closed:
                return None
            self._busy = True
            return self._batches[0]

    def _next_piece(self, batch: _Batch) -> Freed | None:
        with self._changed:
            if self._closed or not batch.ranges:
                return None
            first = batch.ranges.popleft()
            piece = first._replace(end=min(first.end, first.start + _PIECE))
            if piece.end < first.end:
                batch.ranges.appendleft(first._replace(start=piece.end))
            self._in_hand = piece
            return piece

    def _free(self, batch: _Batch, piece: Freed) -> None:
        """A failure is nobody's: the space stays taken, and is zeroed when it is used again."""
        try:
            device = self._device(piece.disk)
            if device is not None and device.discard_zeroes:
                device.discard(piece.start, piece.end - piece.start)
                batch.done += (piece.end - piece.start) * device.discard_zeroes
        except EngineError as error:
            log.info("Freed space was not given back: %s", error)
        finally:
            with self._changed:
                self._in_hand = None
                self._changed.notify_all()

    def _end(self, batch: _Batch) -> None:
        with self._changed:
            if batch in self._batches:
                self._batches.remove(batch)
        try:
            if batch.task is not None and batch.done:
                self._given_back(batch.task, batch.done)
        except EngineError as error:
            log.info("What was given back could not be told: %s", error)
        finally:
            with self._changed:
                self._busy = False
                self._changed.notify_all()


def given_and_freed(old: Config, new: Config, touched: Iterable[Ref]) -> tuple[list[Freed], list[Freed]]:
    """The ranges that a change gives to subdisks, and those that it leaves to nobody."""
    given: list[Freed] = []
    freed: list[Freed] = []
    for ref in sorted(ref for ref in touched if ref.kind is Kind.SUBDISK):
        before, after = _place(old, ref), _place(new, ref)
        if before == after:
            continue
        if after is not None:
            given.append(after)
        if before is not None:
            freed += _unused(new, before)
    return given, list(dict.fromkeys(freed))


def gone_disks(old: Config, new: Config, touched: Iterable[Ref]) -> list[Ref]:
    """Disks that are not what they were: out of their group, away, or another LUN."""
    disks = [ref for ref in touched if ref.kind is Kind.DISK]
    return [ref for ref in disks if _whose(old, ref) != _whose(new, ref)]


def _place(config: Config, ref: Ref) -> Freed | None:
    subdisk = config.get(ref)
    if not isinstance(subdisk, Subdisk):
        return None
    return Freed(subdisk.disk, subdisk.disk_offset, subdisk.disk_offset + subdisk.length)


def _unused(config: Config, place: Freed) -> list[Freed]:
    """What of a range belongs to no subdisk, on a disk that can be used."""
    disk = config.get(place.disk)
    if not isinstance(disk, Disk) or not disk.present or disk.failing:
        return []
    parts = (
        Freed(place.disk, max(place.start, free.start), min(place.end, free.end)) for free in config.free(place.disk)
    )
    return [part for part in parts if part.start < part.end]


def _whose(config: Config, ref: Ref) -> tuple[object, ...]:
    disk = config.get(ref)
    return (disk.group, disk.present, disk.lun) if isinstance(disk, Disk) else ()


def _without(known: Freed, wanted: dict[Ref, list[Freed]]) -> list[Freed]:
    """What of a range others leave, which are ascending and don't meet; the range itself when they leave it whole."""
    others = wanted.get(known.disk, ())
    parts, start = [], known.start
    for other in others[bisect_right(others, known.start, key=lambda taken: taken.end) :]:
        if other.start >= known.end:
            break
        parts.append(known._replace(start=start, end=other.start))
        start = other.end
    parts.append(known._replace(start=start))
    return [part for part in parts if part.start < part.end]
