"""What a LUN keeps: stable pages, a volatile cache over them, and what a power cut makes of both."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from random import Random

PAGE = 4096
SECTOR = 512
ZEROS = bytes(PAGE)
_BIT_BY_BIT = 64
"""Longer extents are torn in runs of sectors, shorter ones sector by sector."""

Pages = dict[int, bytes]


@dataclass(frozen=True, slots=True)
class Extent:
    """One write that the cache took. `data` None means zeros. Once `durable` nothing before it counts in its range."""

    offset: int
    length: int
    data: bytes | None
    durable: bool = False


@dataclass(frozen=True, slots=True)
class Image:
    """A LUN at one instant, power still on."""

    size: int
    stable: Pages
    extents: tuple[Extent, ...]
    bad: frozenset[int] = frozenset()


def read(pages: Pages, offset: int, into: memoryview) -> None:
    """Fill `into` with the bytes at `offset`."""
    first, start = divmod(offset, PAGE)
    end = offset + len(into)
    found = b"".join([pages.get(page, ZEROS) for page in range(first, -(-end // PAGE))])
    into[:] = found[start : start + len(into)] if len(found) != len(into) else found


def write(pages: Pages, offset: int, data: bytes) -> None:
    """Put bytes at `offset`; a page of zeros takes no room."""
    done, length = 0, len(data)
    while done < length:
        page, start = divmod(offset + done, PAGE)
        step = min(PAGE - start, length - done)
        part = data[done : done + step]
        if step < PAGE:
            old = pages.get(page, ZEROS)
            part = old[:start] + part + old[start + step :]
        if part == ZEROS:
            pages.pop(page, None)
        else:
            pages[page] = part
        done += step


def zero(pages: Pages, offset: int, length: int) -> None:
    """Zeros over a range, however long."""
    first, last = -(-offset // PAGE), (offset + length) // PAGE
    if first > last:
        write(pages, offset, bytes(length))
        return
    write(pages, offset, bytes(first * PAGE - offset))
    write(pages, last * PAGE, bytes(offset + length - last * PAGE))
    if last - first < len(pages):
        for page in range(first, last):
            pages.pop(page, None)
    else:
        for page in [page for page in pages if first <= page < last]:
            del pages[page]


def put(pages: Pages, extent: Extent) -> None:
    """Carry a whole extent out."""
    if extent.data is None:
        zero(pages, extent.offset, extent.length)
    else:
        write(pages, extent.offset, extent.data)


@dataclass
class Media:
    """The state of one LUN while the power is on. `stable` survives; `current` is what reads see."""

    size: int
    stable: Pages = field(default_factory=dict)
    current: Pages = field(default_factory=dict)
    extents: list[Extent] = field(default_factory=list)
    bad: set[int] = field(default_factory=set)  # pages that cannot be read until they are written
    gone: int = 0  # extents that are stable, or lost

    def take(self, extent: Extent) -> None:
        """Into the cache."""
        put(self.current, extent)
        self.extents.append(extent)
        if self.bad:
            first, last = -(-extent.offset // PAGE), (extent.offset + extent.length) // PAGE
            self.bad = {page for page in self.bad if not first <= page < last}

    def settle(self, extent: Extent) -> None:
        """This range, and only this, is stable as the cache has it now; what `take` was given last."""
        part = bytearray(extent.length)
        read(self.current, extent.offset, memoryview(part))
        write(self.stable, extent.offset, bytes(part))
        self.extents.append(Extent(extent.offset, extent.length, None, durable=True))

    @property
    def taken(self) -> int:
        """How many extents it has ever taken: what a flush that begins now has to see to."""
        return self.gone + len(self.extents)

    def flush(self, upto: int) -> None:
        """What the cache had `taken` when the flush began is stable; what has come since may be lost yet."""
        count = max(upto - self.gone, 0)
        for index, extent in enumerate(self.extents[:count]):
            if not extent.durable:
                for piece in _not_settled(extent, self.extents[index + 1 :]):
                    put(self.stable, piece)
        self._forget(count)

    def lose(self, dice: Random) -> None:
        """A flush has failed: of what the cache took some is stable and the rest never will be, but reads see it."""
        self.stable = settle(self.image(), dice)
        self._forget(len(self.extents))

    def drop(self, dice: Random) -> bool:
        """The LUN went away with what was on its way there. Whether that was anything."""
        lost = any(not extent.durable for extent in self.extents)
        self.lose(dice)
        self.current = dict(self.stable)
        return lost

    def image(self) -> Image:
        return Image(self.size, dict(self.stable), tuple(self.extents), frozenset(self.bad))

    def _forget(self, count: int) -> None:
        del self.extents[:count]
        self.gone += count


def settle(image: Image, dice: Random, keep: float = 0.5) -> Pages:
    """What the platter holds after a power cut: of each sector any version since it was last stable.

    `keep` is how likely an extent that is not torn has survived.
    """
    pages = dict(image.stable)
    extents = image.extents
    for index, extent in enumerate(extents):
        if extent.durable:
            continue
        choice = dice.random()
        if choice < 0.4:
            parts = _torn(extent, dice)
        elif dice.random() < keep:
            parts = [extent]
        else:
            continue
        for part in parts:
            for piece in _not_settled(part, extents[index + 1 :]):
                put(pages, piece)
    return pages


def _not_settled(extent: Extent, later: tuple[Extent, ...]) -> list[Extent]:
    """What of an extent no later durable write has made a thing of the past."""
    pieces = [extent]
    for after in later:
        if after.durable and _meet(after, extent):
            pieces = [rest for piece in pieces for rest in _without(piece, after)]
    return pieces


def _meet(one: Extent, other: Extent) -> bool:
    return one.offset < other.offset + other.length and other.offset < one.offset + one.length


def _without(extent: Extent, gone: Extent) -> list[Extent]:
    start, end = extent.offset, extent.offset + extent.length
    left, right = min(max(gone.offset, start), end), min(max(gone.offset + gone.length, start), end)
    if left >= right:
        return [extent]
    return [_part(extent, at, upto) for at, upto in ((start, left), (right, end)) if at < upto]


def _torn(extent: Extent, dice: Random) -> list[Extent]:
    """Some sectors of an extent, in a few pieces."""
    start, end = extent.offset, extent.offset + extent.length
    first, last = start // SECTOR, -(-end // SECTOR)
    count = last - first
    if count > _BIT_BY_BIT:
        edges = sorted(dice.randrange(first, last + 1) for _ in range(4))
        runs = [(edges[0], edges[1]), (edges[2], edges[3])]
    else:
        bits = dice.getrandbits(count)
        runs = [(first + at, first + at + 1) for at in range(count) if bits >> at & 1]
    limits = ((max(low * SECTOR, start), min(high * SECTOR, end)) for low, high in runs)
    return [_part(extent, low, high) for low, high in limits if low < high]


def _part(extent: Extent, start: int, end: int) -> Extent:
    data = None if extent.data is None else extent.data[start - extent.offset : end - extent.offset]
    return Extent(start, end - start, data)
