"""What each 512-byte sector of a volume may read as, told by what its clients asked for and were answered.

A write is known by its number, and fills each of its sectors with that number and the sector's own: so a sector that is
torn inside, that belongs elsewhere, or that nobody wrote is told from every admissible one.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field, replace

import numpy as np

SECTOR = 512
ZERO = 0
"""The number of the write that nobody made: the zeros of a new volume."""

GARBAGE = -1

_CELL = struct.Struct("<QQ")
_BLANK = bytes(SECTOR)


class WrongBytes(AssertionError):
    """A sector reads as something that no client may see there."""


@dataclass(eq=False, slots=True)
class Write:
    """One request that changes bytes. Times are the runtime's; `stable_at` is when a flush behind it was answered."""

    number: int
    started: int
    ended: int = -1
    acknowledged: bool = False
    sure: bool = True  # False: it may also have done nothing (a discard)
    shaken: bool = False  # the only LUN that had it has lost its cache: only a flush can still vouch for it
    stable: bool = False


@dataclass
class VolumeOracle:
    """One volume. A clock of its own counts beginnings and ends of requests.

    Nobody knows what stands on a `wild` one until it is written: its configuration has come back, not its bytes.
    """

    size: int
    clock: int = 0
    _next: int = 1
    _cells: dict[int, list[Write]] = field(default_factory=dict)
    _unstable: dict[Write, tuple[int, int]] = field(default_factory=dict)
    _reads: set[int] = field(default_factory=set)
    _past: dict[int, list[Write]] = field(default_factory=dict)
    base: Write = field(default_factory=lambda: Write(ZERO, 0, 0, acknowledged=True, stable=True))
    wild: bool = False
    touched: set[int] = field(default_factory=set)  # sectors that somebody has begun to change
    followers: list[VolumeOracle] = field(default_factory=list)  # copies that are being taken: they may have it, too

    def tick(self) -> int:
        self.clock += 1
        return self.clock

    # --- what clients do ---
    def begin(self, offset: int, length: int, *, zero: bool = False, sure: bool = True) -> Write:
        """A client asks for a write, or for zeros."""
        number = ZERO if zero else self._next
        self._next += 1
        write = Write(number, self.tick(), sure=sure)
        for sector in range(offset // SECTOR, (offset + length) // SECTOR):
            self._cells.setdefault(sector, [self.base]).append(write)
        self._unstable[write] = (offset // SECTOR, (offset + length) // SECTOR)
        self.touched.update(range(*self._unstable[write]))
        for follower in self.followers:
            follower.may_get(replace(write, ended=follower.tick()), offset, length)
        return write

    def may_get(self, write: Write, offset: int, length: int) -> None:
        """Something that was written elsewhere may stand here."""
        for sector in range(offset // SECTOR, (offset + length) // SECTOR):
            self._cells.setdefault(sector, [self.base]).append(write)

    def payload(self, write: Write, offset: int, length: int) -> bytes:
        """The bytes of a write."""
        first = offset // SECTOR
        return b"".join(content(write.number, first + at) for at in range(length // SECTOR))

    def end(self, write: Write, error: int, *, durable: bool = False) -> None:
        """A write was answered."""
        write.ended = self.tick()
        write.acknowledged = not error
        if durable and not error:
            self._settle(write)

    def flush_begins(self) -> tuple[Write, ...]:
        """What a flush that begins now has to bring to stable storage."""
        return tuple(write for write in self._unstable if write.acknowledged)

    def flushed(self, writes: tuple[Write, ...]) -> None:
        """That flush was answered."""
        for write in writes:
            self._settle(write)

    def shake(self) -> None:
        """Nothing but a flush vouches any more for what was written since the last one."""
        for write in self._unstable:
            write.shaken = True

    def resize(self, size: int) -> None:
        """From now on the volume has so many bytes; what lay behind them is gone."""
        if size < self.size:
            for sector in [sector for sector in self._cells if sector * SECTOR >= size]:
                del self._cells[sector]
        self.size = size

    def copy(self) -> VolumeOracle:
        """For a mirror that becomes a volume of its own: what is under way may be in it, or not."""
        twin: dict[Write, Write] = {}
        for write in (*self._unstable, *(write for cell in self._cells.values() for write in cell)):
            if write not in twin:
                ended = self.clock if write.ended < 0 else write.ended
                twin[write] = replace(write, ended=ended)
        found = VolumeOracle(self.size, self.clock, self._next, base=twin.get(self.base, self.base), wild=self.wild)
        found._cells = {sector: [twin[write] for write in cell] for sector, cell in self._cells.items()}
        found.touched = set(self.touched)
        found._unstable = {twin[write]: span for write, span in self._unstable.items()}
        return found

    def number_from(self, number: int) -> None:
        """The next write gets this number."""
        self._next = number

    # --- what may be read ---
    def admissible(self, sector: int) -> set[int]:
        """The numbers that this sector may read as while the engine lives."""
        cell = self._cells.get(sector)
        return {ZERO} if cell is None else {write.number for write in self._live(cell)}

    def read_begins(self) -> int:
        """A read that begins now may still see what is replaced, and made stable, before it ends."""
        begun = self.tick()
        self._reads.add(begun)
        return begun

    def read_ends(self, begun: int) -> None:
        """It has been checked, or has failed."""
        self._reads.discard(begun)
        if not self._reads:
            self._past.clear()

    def check(self, offset: int, data: bytes | bytearray, begun: int | None = None) -> None:
        """Bytes that a client was given by a read that began at the tick `begun`. WrongBytes says what is wrong."""
        begun = self.clock if begun is None else begun
        first = offset // SECTOR
        for sector, found in self._told(first, numbers_in(data, first)):
            if not self._may_be(sector, found, begun) and not self._unknown(sector):
                raise WrongBytes(self._sentence(sector, found, data, first))

    def survivors(self, data: bytes | bytearray, *, settle: bool = True) -> None:
        """The whole volume, read after a crash. With `settle` what was read is what holds from now on."""
        for sector, found in self._told(0, numbers_in(data, 0)):
            cell = self._cells.get(sector, [self.base])
            known = found in [write.number for write in cell]
            if not known and not self._unknown(sector):
                raise WrongBytes(self._sentence(sector, found, data, 0))
            if settle and sector in self._cells:
                self._hold(sector, found if known else ZERO)

    def _told(self, first: int, numbers: list[int]) -> list[tuple[int, int]]:
        """The sectors of a run that may differ from zeros, and those that do."""
        last = first + len(numbers)
        told = {at + first for at, number in enumerate(numbers) if number} if any(numbers) else set()
        if len(self._cells) < len(numbers):
            told.update(sector for sector in self._cells if first <= sector < last)
        else:
            told.update(sector for sector in range(first, last) if sector in self._cells)
        return [(sector, numbers[sector - first]) for sector in sorted(told)]

    def crash(self) -> None:
        """Whatever was not stable may be there, or not: no flush can vouch for it any more."""
        for write in self._unstable:
            write.acknowledged = False
            if write.ended < 0:
                write.ended = self.tick()
        self._unstable.clear()
        self._reads.clear()
        self._past.clear()

    # --- helpers ---
    def _live(self, cell: list[Write]) -> list[Write]:
        return [write for write in cell if not any(_replaces(other, write) for other in cell)]

    def _may_be(self, sector: int, number: int, begun: int) -> bool:
        """Whether a read that began then may see this: nothing acknowledged before it began took its place."""
        cell = self._cells.get(sector, [self.base]) + self._past.get(sector, [])
        later = [write for write in cell if write.acknowledged and 0 <= write.ended <= begun]
        return any(write.number == number and not any(_replaces(other, write) for other in later) for write in cell)

    def _unknown(self, sector: int) -> bool:
        """Whether what stood there before anybody wrote may still stand there, and nobody knows what that is."""
        cell = self._cells.get(sector, [self.base])
        return self.wild and any(write is self.base for write in self._live(cell))

    def _settle(self, write: Write) -> None:
        """A write is stable: what it had replaced is gone for good."""
        span = self._unstable.pop(write, None)
        if span is None or not write.sure:
            return
        write.stable, write.shaken = True, False
        for sector in range(*span):
            cell = self._cells.get(sector)
            if cell is not None:
                self._cells[sector] = [other for other in cell if other is write or not _replaces(write, other)]
                if self._reads:
                    self._past.setdefault(sector, []).extend(other for other in cell if _replaces(write, other))

    def _hold(self, sector: int, number: int) -> None:
        if number == ZERO:
            del self._cells[sector]
        else:
            self._cells[sector] = [Write(number, 0, 0, acknowledged=True, stable=True)]

    def _sentence(self, sector: int, found: int, data: bytes | bytearray, first: int) -> str:
        cell = self._cells.get(sector, [self.base])
        told = ", ".join(
            f"{write.number}{'+' if write.acknowledged else '?'}{'!' if write.stable else ''}" for write in cell
        )
        part = bytes(data[(sector - first) * SECTOR :][:32]).hex()
        what = f"garbage {part}" if found == GARBAGE else f"write {found}"
        return f"sector {sector} (byte {sector * SECTOR}) reads as {what}; admissible: {told}"


def _replaces(later: Write, earlier: Write) -> bool:
    """Whether an acknowledged write began when the other one had come to its end."""
    return later.acknowledged and later.sure and not later.shaken and 0 <= earlier.ended < later.started


def content(number: int, sector: int) -> bytes:
    """The bytes of one sector of a write."""
    return _BLANK if number == ZERO else _CELL.pack(number, sector) * (SECTOR // _CELL.size)


def numbers_in(data: bytes | bytearray, first: int) -> list[int]:
    """Whose each sector is, from sector `first` on; GARBAGE for what nobody wrote there."""
    words = np.frombuffer(data, dtype="<u8").reshape(-1, SECTOR // 8)
    numbers, places = words[:, 0], np.where(words[:, 0] == ZERO, 0, np.arange(first, first + len(words)))
    whole = (words[:, 0::2] == numbers[:, None]).all(axis=1) & (words[:, 1::2] == places[:, None]).all(axis=1)
    return np.where(whole, numbers.astype("<i8"), GARBAGE).tolist()  # type: ignore[no-any-return]
