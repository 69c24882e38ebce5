"""Which rows of a RAID-5 volume may be written without an entry of their own in its log: those of a stream.

A mark is an entry which says of a range of rows that some of them are being written as a whole, and nothing of what.
While it counts, their parity is made anew from the data after a crash, so that a batch of a stream waits for no log.
What that costs: with a column lost in the same crash nobody can tell which of them stand. A row that the log has bytes
or checksums of goes on by entries, as an entry that is done again must not take the place of something newer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.units import MIB

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

STREAM = 16 * MIB
"""Bytes of whole rows that wait for a flush before more of them go unlogged: with less a crash of the program, which
leaves what is on its way, can be put right also when a column is lost in it."""

RANGE = 16 * MIB
"""Bytes of a volume that have one mark."""

MOST = 256
"""So many marks that wait for a flush are enough: what they cover is read after a crash."""


class Mark:
    """One entry of that kind. `users` are batches that write under it; once `ended` there will be no more."""

    __slots__ = ("ended", "rows", "sequence", "users")

    def __init__(self, sequence: int, rows: range) -> None:
        self.sequence = sequence
        self.rows = rows
        self.users = 1
        self.ended = False


class Marks:
    """Those of one log, whose lock is held by whoever calls anything here."""

    def __init__(self) -> None:
        self._live: dict[range, Mark] = {}
        self._unstable: list[int] = []
        self._told: dict[int, int] = {}

    @property
    def many(self) -> bool:
        """Whether a flush is due, as too much would have to be read after a crash."""
        return len(self._unstable) > MOST

    @property
    def unstable(self) -> bool:
        """Whether there are any that no flush has covered."""
        return bool(self._unstable)

    @property
    def idle(self) -> set[int]:
        """The sequences of the marks under which nobody writes now, but somebody may."""
        return {mark.sequence for mark in self._live.values() if not mark.users}

    def tell(self, rows: Iterable[range], sequence: int) -> None:
        """An entry has bytes or checksums of these rows."""
        for each in rows:
            self._told.update(dict.fromkeys(each, sequence))

    def may_go(self, rows: Iterable[range]) -> bool:
        """Whether the log has nothing of any of these rows that no flush has covered."""
        return not self._told or all(self._told.keys().isdisjoint(each) for each in rows)

    def lacking(self, ranges: Iterable[range]) -> int:
        """How many of these ranges have no mark that anybody may use."""
        return sum(each not in self._live for each in ranges)

    def hold(self, ranges: Iterable[range]) -> tuple[list[Mark], list[range]]:
        """Begin to write under the marks of these ranges; those of them that lack one."""
        held, lacking = [], []
        for each in ranges:
            mark = self._live.get(each)
            if mark is None:
                lacking.append(each)
            else:
                mark.users += 1
                held.append(mark)
        return held, lacking

    def add(self, mark: Mark, *, live: bool) -> list[int]:
        """A mark is durable, and held by one batch; others may use it, too, when it is `live`. Answers what `end`
        does of the one that it replaces."""
        self._unstable.append(mark.sequence)
        former = self._live.pop(mark.rows, None)
        if live:
            self._live[mark.rows] = mark
        else:
            mark.ended = True
        return [] if former is None else _ended([former])

    def drop(self, marks: Sequence[Mark]) -> list[int]:
        """A batch has written under these. Answers the sequences of those that nobody will write under any more."""
        for mark in marks:
            mark.users -= 1
        return [mark.sequence for mark in marks if mark.ended and not mark.users]

    def end(self) -> list[int]:
        """Nobody new writes under any mark that there is. Answers the sequences of those that nobody writes under."""
        marks = list(self._live.values())
        self._live.clear()
        return _ended(marks)

    def flushed(self, stable: int) -> None:
        """Everything before that sequence is on stable storage."""
        self._unstable = [sequence for sequence in self._unstable if sequence >= stable]
        self._told = {row: sequence for row, sequence in self._told.items() if sequence >= stable}


def ranges_of(rows: range, row_bytes: int, within: range) -> list[range]:
    """The ranges, as they are marked, that rows lie in; no part of them is outside of `within`."""
    size = max(RANGE // row_bytes, 1)
    numbers = range(rows.start // size, (rows.stop - 1) // size + 1)
    return [range(max(number * size, within.start), min((number + 1) * size, within.stop)) for number in numbers]


def _ended(marks: Iterable[Mark]) -> list[int]:
    ended = list(marks)
    for mark in ended:
        mark.ended = True
    return [mark.sequence for mark in ended if not mark.users]
