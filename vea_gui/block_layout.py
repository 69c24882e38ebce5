"""Where the items of a band lie on the screen: boxes in pixels for every item, bars for rulers, notches that open.

Header items keep their place at the left; blocks are counted from the left edge of the bars and scroll with them.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from vea_gui.block_geometry import Bar, Span, lay_out
from vea_gui.block_rows import HEADERS, Band, Item, ItemKind, Key

DRAWER_CELL = 7
"""Width of a block in an opened notch, in heights of a line."""
SHORTEST = 0.3
"""Of the room for bars: no disk's bar is shorter, however much larger another disk is."""


class Metrics(NamedTuple):
    """Sizes that follow from the font; pixels."""

    line: int  # height of a line of text
    header: int  # width of the cells at the left
    gap: int = 4

    @property
    def bar(self) -> int:
        """Height of a disk's blocks: two lines."""
        return 2 * (self.line + self.gap)

    @property
    def low_bar(self) -> int:
        """Height of a block with one line."""
        return self.line + 2 * self.gap


class Box(NamedTuple):
    """A rectangle; pixels from the band's top, and from the left of the headers or of the bars."""

    left: int
    top: int
    width: int
    height: int

    @property
    def right(self) -> int:
        return self.left + self.width

    @property
    def bottom(self) -> int:
        return self.top + self.height

    def holds(self, x: float, y: float) -> bool:
        return self.left <= x < self.right and self.top <= y < self.bottom


class Strip(NamedTuple):
    """A bar in its place; `items` are the item numbers of the bar's spans."""

    bar: Bar
    top: int
    height: int
    items: tuple[int, ...]


class Notch(NamedTuple):
    """Blocks too small to hit, gathered. Open, they lie in a drawer under the bar."""

    box: Box
    items: tuple[int, ...]
    open: bool


class Arrangement(NamedTuple):
    """A band, laid out. `lines` are item numbers as arrows up and down walk them, each from left to right."""

    height: int
    boxes: tuple[Box, ...]
    strips: tuple[Strip, ...]
    notches: tuple[Notch, ...]
    lines: tuple[tuple[int, ...], ...]
    headers: tuple[int, ...]
    drawer: Box | None = None

    def notch_of(self, item: int) -> Notch | None:
        """The notch that has gathered an item."""
        return next((notch for notch in self.notches if item in notch.items), None)


class _Draft:
    """An arrangement in the making."""

    def __init__(self, band: Band, metrics: Metrics, opened: Key | None) -> None:
        self.band, self.metrics, self.opened = band, metrics, opened
        self.boxes: dict[int, Box] = {}
        self.strips: list[Strip] = []
        self.notches: list[Notch] = []
        self.lines: list[list[int]] = []
        self.drawer: Box | None = None
        self.bottom = 0

    def strip(self, items: Sequence[int], top: int, height: int, width: int, extent: int) -> None:
        """Lay items into a bar; their line of arrows is the last one."""
        spans = [Span(self.band.items[n].start, self.band.items[n].length) for n in items]
        bar = lay_out(spans, extent, width)
        self.strips.append(Strip(bar, top, height, tuple(items)))
        for cell in bar.cells:
            box = Box(cell.left, top, cell.right - cell.left, height)
            gathered = tuple(items[cell.first : cell.first + cell.spans])
            self.boxes.update(dict.fromkeys(gathered, box))
            if cell.spans > 1:
                is_open = any(self.band.items[n].key == self.opened for n in gathered)
                self.notches.append(Notch(box, gathered, is_open))
        self.lines[-1].extend(items)
        self.bottom = top + height

    def open_drawer(self, visible: int, scrolled: int) -> None:
        """Lay the items of the open notch under everything else, where they can be seen."""
        notch = next((notch for notch in self.notches if notch.open), None)
        if notch is None:
            return
        gap, height = self.metrics.gap, self.metrics.bar
        cell = DRAWER_CELL * self.metrics.line
        columns = max(1, min(len(notch.items), (visible - 2 * gap) // cell))
        rows = -(-len(notch.items) // columns)
        width = columns * cell + 2 * gap
        left = max(scrolled, min(notch.box.left + notch.box.width // 2 - width // 2, scrolled + visible - width))
        top = self.bottom + gap
        self.drawer = Box(left, top, width, rows * (height + gap) + gap)
        gathered = set(notch.items)
        self.lines = [[n for n in line if n not in gathered] for line in self.lines]
        for at, number in enumerate(notch.items):
            x, y = left + gap + at % columns * cell, top + gap + at // columns * (height + gap)
            self.boxes[number] = Box(x, y, cell - gap, height)
            if at % columns == 0:
                self.lines.append([])
            self.lines[-1].append(number)
        self.bottom = self.drawer.bottom

    def done(self) -> Arrangement:
        lines = tuple(tuple(line) for line in self.lines if line)
        boxes = tuple(self.boxes[number] for number in range(len(self.band.items)))
        height = self.bottom + self.metrics.gap
        headers = tuple(number for number, item in enumerate(self.band.items) if item.kind in HEADERS)
        return Arrangement(height, boxes, tuple(self.strips), tuple(self.notches), lines, headers, self.drawer)


class Room(NamedTuple):
    """The room that a view has for bars."""

    visible: int  # pixels of bars that are in sight
    zoom: float = 1.0
    scrolled: int = 0  # pixels that the bars are scrolled to the left
    extent: int = 1  # bytes of the longest bar

    def bar_width(self, extent: int) -> int:
        """Pixels of a bar of so many bytes."""
        share = max(SHORTEST, min(1.0, extent / max(1, self.extent)))
        return max(1, round(self.visible * self.zoom * share))


def disk_height(metrics: Metrics) -> int:
    """Height of a disk's band while no notch is open."""
    return 3 * metrics.gap + metrics.bar + metrics.line


def arrange_disk(band: Band, metrics: Metrics, room: Room, opened: Key | None = None) -> Arrangement:
    """The cell at the left, the bar to scale, room for the ruler below it, the drawer of an open notch."""
    draft = _Draft(band, metrics, opened)
    height = disk_height(metrics)
    draft.boxes[0] = Box(0, 0, metrics.header, height - metrics.gap)
    draft.lines = [[0]]
    width = room.bar_width(band.extent)
    draft.strip(range(1, len(band.items)), metrics.gap, metrics.bar, width, band.extent)
    draft.bottom = height - metrics.gap
    draft.open_drawer(room.visible, room.scrolled)
    return draft.done()


def arrange_volume(band: Band, metrics: Metrics, room: Room, opened: Key | None = None) -> Arrangement:
    """The volume's line over its mirrors; each has its cell at the left and a bar for each column."""
    draft = _Draft(band, metrics, opened)
    gap = metrics.gap
    draft.boxes[0] = Box(0, gap, metrics.header + room.visible, metrics.low_bar)
    draft.lines = [[0]]
    draft.bottom = gap + metrics.low_bar
    for first, last in _sections(band.items, ItemKind.PLEX, 1, len(band.items)):
        top = draft.bottom + gap
        draft.boxes[first] = Box(4 * gap, top, metrics.header - 4 * gap, metrics.low_bar)
        draft.lines.append([first])
        draft.bottom = top + metrics.low_bar
        _arrange_plex(draft, first, last, top, room)
    draft.open_drawer(room.visible, room.scrolled)
    draft.bottom += gap
    return draft.done()


def _arrange_plex(draft: _Draft, plex: int, last: int, top: int, room: Room) -> None:
    items, metrics = draft.band.items, draft.metrics
    width = max(1, round(room.visible * room.zoom))
    has_columns = plex + 1 < last and items[plex + 1].kind is ItemKind.COLUMN
    sections = list(_sections(items, ItemKind.COLUMN, plex + 1, last)) if has_columns else [(plex, last)]
    cell = (metrics.header - 4 * metrics.gap) // 2
    for number, (first, end) in enumerate(sections):
        if number:
            draft.lines.append([])
        if has_columns:
            left = metrics.header - cell
            draft.boxes[plex] = draft.boxes[plex]._replace(width=metrics.header - 4 * metrics.gap - cell)
            draft.boxes[first] = Box(left, top, cell, metrics.low_bar)
            draft.lines[-1].append(first)
        rows = range(first + 1, end)
        extent = max([draft.band.extent, *(items[n].start + items[n].length for n in rows)])
        draft.strip([n for n in rows if not items[n].second], top, metrics.low_bar, width, extent)
        seconds = [n for n in rows if items[n].second]
        if seconds:
            draft.lines.append([])
            draft.strip(seconds, draft.bottom + 1, metrics.line, width, extent)
        top = draft.bottom + metrics.gap


def volume_height(items: Sequence[Item], metrics: Metrics) -> int:
    """Height of a volume's band while no notch is open, without laying it out."""
    gap, low = metrics.gap, metrics.low_bar
    height = gap + low
    for first, last in _sections(items, ItemKind.PLEX, 1, len(items)):
        height += gap + low
        rows = items[first + 1 : last]
        columns = sum(item.kind is ItemKind.COLUMN for item in rows)
        height += max(0, columns - 1) * (low + gap)
        moving = {item.column for item in rows if item.second}
        height += len(moving) * (1 + metrics.line)
    return height + 2 * gap


def _sections(items: Sequence[Item], kind: ItemKind, first: int, last: int) -> list[tuple[int, int]]:
    """[begin, end) of each run that an item of a kind leads."""
    begins = [n for n in range(first, last) if items[n].kind is kind]
    return [(begin, end) for begin, end in pairwise([*begins, last])]


def item_at(
    arrangement: Arrangement, items: Sequence[Item], x: float, y: float, header: int, scrolled: int
) -> int | None:
    """The item at a place of the band as it is seen: `x` from the left edge of the view."""
    for number, box in enumerate(arrangement.boxes):
        if items[number].kind in HEADERS:
            if box.holds(x, y):
                return number
        elif x >= header and box.holds(x - header + scrolled, y):
            return number
    return None


def neighbour(arrangement: Arrangement, item: int, step: int) -> int | None:
    """The item on the line above (-1) or below (1) that is nearest across; None at the band's end."""
    line = next(n for n, numbers in enumerate(arrangement.lines) if item in numbers) + step
    if not 0 <= line < len(arrangement.lines):
        return None
    return nearest(arrangement, line, middle(arrangement, item))


def middle(arrangement: Arrangement, item: int) -> float:
    """Where an item's middle lies across."""
    return arrangement.boxes[item].left + arrangement.boxes[item].width / 2


def nearest(arrangement: Arrangement, line: int, x: float) -> int:
    """The item of a line whose middle is nearest to `x`."""
    return min(arrangement.lines[line], key=lambda item: abs(middle(arrangement, item) - x))
