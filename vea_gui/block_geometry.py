"""Where blocks lie in a bar: to scale, but none too small to hit. Pure arithmetic in pixels and bytes."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

from engine.units import GIB, KIB, MIB, TIB

HIT = 10
"""Pixels that a block has at least."""
NOTCH = 30
"""Pixels of a notch that gathers what is smaller: room for its count."""
ZOOM_MAX = 4096.0


class Span(NamedTuple):
    """Bytes that a block covers."""

    start: int
    length: int


class Cell(NamedTuple):
    """A piece of a bar: one span (spans 1), several gathered in a notch (spans > 1), or nothing (spans 0)."""

    left: int  # pixels from the bar's left edge
    right: int
    first: int  # number of its first span
    spans: int
    start: int  # bytes
    end: int


class Bar(NamedTuple):
    """A bar, laid out. Bytes and pixels turn into each other piece by piece, so that a ruler agrees with the blocks."""

    cells: tuple[Cell, ...]
    width: int
    extent: int

    def x_of(self, offset: int) -> int:
        """Pixels from the bar's left edge of a byte; outside of the bar its nearer end."""
        if not self.cells or offset <= 0:
            return 0
        cell = self.cells[max(0, bisect_right(self.cells, offset, key=lambda cell: cell.start) - 1)]
        done = min(offset, cell.end) - cell.start
        return cell.left + (cell.right - cell.left) * done // max(1, cell.end - cell.start)

    def offset_at(self, x: float) -> int:
        """The byte at so many pixels from the bar's left edge, within the bar."""
        if not self.cells or x <= 0:
            return 0
        cell = self.cells[max(0, bisect_right(self.cells, int(x), key=lambda cell: cell.left) - 1)]
        part = (x - cell.left) / max(1, cell.right - cell.left)
        return cell.start + int((cell.end - cell.start) * min(1.0, part))


class _Draft(NamedTuple):
    first: int
    spans: int
    start: int
    end: int
    least: int  # pixels


def lay_out(spans: Sequence[Span], extent: int, width: int) -> Bar:
    """Lay spans (ascending, apart from each other) of an `extent` of bytes into `width` pixels.

    What is narrower than `HIT` is widened at the cost of all that is wider; two such neighbours or more become a notch.
    Where even that needs more room than there is, more is gathered.
    """
    width, extent = max(1, width), max(1, extent)
    threshold = HIT * extent / width
    while True:
        drafts = _gather(spans, extent, threshold)
        if sum(draft.least for draft in drafts) <= width or sum(draft.spans > 0 for draft in drafts) <= 1:
            break
        threshold *= 2
    edges = [round(edge) for edge in accumulate(_widths(drafts, width, extent), initial=0.0)]
    cells = (Cell(edges[n], edges[n + 1], d.first, d.spans, d.start, d.end) for n, d in enumerate(drafts))
    return Bar(tuple(cells), width, extent)


def _gather(spans: Sequence[Span], extent: int, threshold: float) -> list[_Draft]:
    """Spans, gaps and runs of small spans, in order."""
    drafts: list[_Draft] = []
    position, number = 0, 0
    while number < len(spans):
        count = 1
        if spans[number].length < threshold:
            while number + count < len(spans) and spans[number + count].length < threshold:
                count += 1
        start, last = spans[number].start, spans[number + count - 1]
        if start > position:
            drafts.append(_Draft(number, 0, position, start, 0))
        drafts.append(_Draft(number, count, start, last.start + last.length, HIT if count == 1 else NOTCH))
        position, number = last.start + last.length, number + count
    if position < extent:
        drafts.append(_Draft(number, 0, position, extent, 0))
    return drafts


def _widths(drafts: Sequence[_Draft], width: int, extent: int) -> list[float]:
    """Pixels of each: its share, but at least what it needs; the sum is `width`."""
    least = sum(draft.least for draft in drafts)
    if least >= width:
        return [draft.least * width / max(1, least) for draft in drafts]
    raised: set[int] = set()
    scale = width / extent
    while True:
        room = width - sum(drafts[n].least for n in raised)
        flexible = sum(d.end - d.start for n, d in enumerate(drafts) if n not in raised)
        scale = room / max(1, flexible)
        low = {n for n, d in enumerate(drafts) if n not in raised and (d.end - d.start) * scale < d.least}
        if not low:
            break
        raised |= low
    return [float(d.least) if n in raised else (d.end - d.start) * scale for n, d in enumerate(drafts)]


_STEPS = sorted(unit * times for unit in (KIB, MIB, GIB, TIB) for times in (1, 2, 4, 8, 16, 32, 64, 128, 256, 512))


def ruler_step(extent: int, width: int, least: int) -> int:
    """The roundest distance of ticks, in bytes, that leaves `least` pixels between them."""
    wanted = least * extent / max(1, width)
    return next((step for step in _STEPS if step >= wanted), _STEPS[-1])


def ticks(bar: Bar, left: int, right: int, least: int) -> list[tuple[int, int]]:
    """(pixels, bytes) of the ticks between two places of a bar; its end is always one when it is in sight."""
    step = ruler_step(bar.extent, bar.width, least)
    first = bar.offset_at(left) // step * step
    found: list[tuple[int, int]] = []
    for offset in range(first, bar.offset_at(right) + step, step):
        x = bar.x_of(offset)
        if offset < bar.extent and left <= x <= right and (not found or x - found[-1][0] >= least * 2 // 3):
            found.append((x, offset))
    if left <= bar.width <= right:
        while found and bar.width - found[-1][0] < least:
            found.pop()
        found.append((bar.width, bar.extent))
    return found
