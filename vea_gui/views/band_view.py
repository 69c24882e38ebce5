"""A list view that shows its items as bands of blocks: geometry, scrolling, zoom and the walk of the arrows.

It is a `QListView` so that a screen reader sees every block with its name, its rectangle and its focus; every place
where Qt would lay items out in a column is overridden.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate
from typing import NamedTuple

from PySide6.QtCore import QItemSelection, QItemSelectionModel, QModelIndex, QPoint, QRect, Qt, Signal
from PySide6.QtGui import QAccessible, QAccessibleEvent, QRegion, QResizeEvent
from PySide6.QtWidgets import QAbstractItemView, QListView, QScrollBar, QWidget

from engine.records import Kind, Ref
from vea_gui.block_geometry import ZOOM_MAX
from vea_gui.block_layout import Arrangement, Box, Metrics, Notch, Room, item_at, neighbour
from vea_gui.block_rows import HEADERS, Band, Item, Key
from vea_gui.views.block_paint import Ink
from vea_gui.views.blocks import BlockModel, Index

Move = QAbstractItemView.CursorAction
Hint = QAbstractItemView.ScrollHint


WIDEST_CELL = "enclosure0 / lun100.img   2 paths"
"""What a cell at the left can show without being cut."""


class Shape(NamedTuple):
    """What tells a Disk View from a Volume View."""

    arrange: Callable[[Band, Metrics, Room, Key | None], Arrangement]
    height: Callable[[Band, Metrics], int]  # while no notch is open
    order: Callable[[], list[Ref]]  # the bands to show today


class BandView(QListView):
    """Bands over a `BlockModel`. Nothing in here knows the engine."""

    zoom_changed = Signal(float)

    def __init__(self, model: BlockModel, shape: Shape, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.blocks = model
        self.shape = shape
        self.zoom = 1.0
        self.ink = Ink.of(self)
        self.metrics = self._measure()
        self._opened: Key | None = None  # an item in the notch that is open
        self._by_hand = False  # it was opened by a click, and stays when the arrows leave it
        self._tops: list[int] = [0]
        self._heights: dict[Ref, int] = {}
        self._arranged: dict[Ref, tuple[Band, Room, Key | None, Arrangement]] = {}
        self._extent = 1
        self._still = False  # while set, nothing scrolls by itself
        self.setModel(model)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOn)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setUniformItemSizes(True)
        self.selectionModel().currentChanged.connect(self._tell_focus)
        model.bands_changed.connect(self._forget)
        model.bands_added.connect(self._measure_more)
        model.modelReset.connect(self._reset)

    def _tell_focus(self, current: QModelIndex) -> None:
        """Qt's own event names the list only, since it finds no block in a layout of its own."""
        if QAccessible.isActive() and current.isValid() and self.hasFocus():
            event = QAccessibleEvent(self, QAccessible.Event.Focus)
            event.setChild(current.row())
            QAccessible.updateAccessibility(event)

    def _forget(self, refs: Iterable[Ref]) -> None:
        for ref in refs:
            self._heights.pop(ref, None)
            self._arranged.pop(ref, None)
        self.measure_bands()

    def _reset(self) -> None:
        self._heights.clear()
        self._arranged.clear()
        self.measure_bands()

    # --- sizes ---
    def _measure(self) -> Metrics:
        return Metrics(self.ink.metrics.height(), self.ink.metrics.horizontalAdvance(WIDEST_CELL) + 16)

    def measure_bands(self) -> None:
        bands = self.blocks.rows.bands
        heights = self._heights
        for band in bands:
            if band.ref not in heights:
                heights[band.ref] = self.shape.height(band, self.metrics)
        drawer = self._drawer()
        each = [heights[band.ref] if drawer is None or band.ref != drawer[0] else drawer[1] for band in bands]
        self._tops = [0, *accumulate(each)]
        extent = max((band.extent for band in bands), default=1)
        if extent != self._extent:
            self._extent = extent
            self._arranged.clear()
        self.updateGeometries()
        self.viewport().update()

    def _measure_more(self, first: int) -> None:
        """Bands have come behind all others, from this number on."""
        if len(self._tops) != first + 1:
            self.measure_bands()
            return
        for band in self.blocks.rows.bands[first:]:
            height = self._heights[band.ref] = self.shape.height(band, self.metrics)
            self._tops.append(self._tops[-1] + height)
            if band.extent > self._extent:
                self._extent = band.extent
                self._arranged.clear()
        self.updateGeometries()
        self.viewport().update()

    def _drawer(self) -> tuple[Ref, int] | None:
        """The band with the open notch, and its height."""
        number = self._opened_band()
        if number is None:
            return None
        return self.blocks.rows.bands[number].ref, self.arrangement(number).height

    def _opened_band(self) -> int | None:
        return self.blocks.rows.band_of(self._opened[1]) if self._opened is not None else None

    @property
    def bars_visible(self) -> int:
        """Pixels of bars that are in sight."""
        return max(1, self.viewport().width() - self.metrics.header - 2 * self.metrics.gap)

    def room(self, number: int) -> Room:
        """The room for a band's bars."""
        band = self.blocks.rows.bands[number]
        scrolled = self.horizontalOffset() if number == self._opened_band() else 0
        extent = self._extent if band.ref.kind is Kind.DISK else max(1, band.extent)
        return Room(self.bars_visible, self.zoom, scrolled, extent)

    def arrangement(self, number: int) -> Arrangement:
        """A band, laid out; kept until the band, the room or the open notch changes."""
        band, room = self.blocks.rows.bands[number], self.room(number)
        opened = self._opened if number == self._opened_band() else None
        known = self._arranged.get(band.ref)
        if known is not None and known[0] is band and known[1] == room and known[2] == opened:
            return known[3]
        made = self.shape.arrange(band, self.metrics, room, opened)
        self._arranged[band.ref] = (band, room, opened, made)
        return made

    def band_top(self, number: int) -> int:
        """Where a band begins on the screen."""
        return self._tops[number] - self.verticalOffset()

    def band_height(self, number: int) -> int:
        """Pixels of a band, the drawer of an open notch included."""
        return self._tops[number + 1] - self._tops[number]

    def band_at(self, y: int) -> int:
        """The number of the band at a height of the screen; the nearest one outside."""
        number = bisect_right(self._tops, y + self.verticalOffset()) - 1
        return max(0, min(number, len(self.blocks.rows.bands) - 1))

    def visible_range(self, region: QRect | None = None) -> range:
        """The numbers of the bands that can be seen."""
        if not self.blocks.rows.bands:
            return range(0)
        area = region if region is not None else self.viewport().rect()
        return range(self.band_at(area.top()), self.band_at(area.bottom()) + 1)

    def visible_bands(self) -> list[Ref]:
        """The bands that can be seen."""
        return [self.blocks.rows.bands[number].ref for number in self.visible_range()]

    def on_screen(self, number: int, item: Item, box: Box) -> QRect:
        """A box of a band as it lies in the viewport, whether in sight or not."""
        left = box.left if item.kind in HEADERS else self.bars_left + box.left
        return QRect(left, self.band_top(number) + box.top, box.width, box.height)

    @property
    def bars_left(self) -> int:
        """Where the bars begin on the screen; left of the header's edge when they are scrolled."""
        return self.metrics.header - self.horizontalOffset()

    # --- what QListView would do with rows and columns ---
    def doItemsLayout(self) -> None:
        QAbstractItemView.doItemsLayout(self)

    def updateGeometries(self) -> None:
        area = self.viewport().size()
        bar = self.verticalScrollBar()
        bar.setPageStep(area.height())
        bar.setSingleStep(2 * self.metrics.line)
        bar.setRange(0, max(0, self._tops[-1] - area.height()))
        across = self.horizontalScrollBar()
        across.setPageStep(self.bars_visible)
        across.setSingleStep(4 * self.metrics.line)
        across.setRange(0, max(0, round(self.bars_visible * (self.zoom - 1.0))))

    def horizontalOffset(self) -> int:
        return self.horizontalScrollBar().value()

    def verticalOffset(self) -> int:
        return self.verticalScrollBar().value()

    def scrollContentsBy(self, dx: int, dy: int) -> None:
        self.viewport().update()

    def dataChanged(self, top: Index, bottom: Index, roles: Sequence[int] = ()) -> None:
        self.viewport().update()

    def rowsAboutToBeRemoved(self, parent: Index, first: int, last: int) -> None:
        still, self._still = self._still, True
        super().rowsAboutToBeRemoved(parent, first, last)
        self._still = still

    def visualRect(self, index: Index) -> QRect:
        """The part of an item that is not hidden behind the cells at the left."""
        if not index.isValid() or index.row() >= len(self.blocks.rows):
            return QRect()
        number, item_number = self.blocks.rows.place(index.row())
        if number + 1 >= len(self._tops):
            return QRect()
        item = self.blocks.rows.bands[number].items[item_number]
        rect = self.on_screen(number, item, self.arrangement(number).boxes[item_number])
        if item.kind in HEADERS:
            return rect
        shown = rect.intersected(QRect(self.metrics.header, rect.top(), self.bars_visible, rect.height()))
        return shown if not shown.isEmpty() else rect

    def indexAt(self, point: QPoint) -> QModelIndex:
        place = self.item_under(point)
        return self.blocks.index(self.blocks.rows.row(*place)) if place is not None else QModelIndex()

    def item_under(self, point: QPoint) -> tuple[int, int] | None:
        """(band, item) at a place of the viewport."""
        bands = self.blocks.rows.bands
        y = point.y() + self.verticalOffset()
        if not bands or not 0 <= y < self._tops[-1]:
            return None
        number = self.band_at(point.y())
        found = item_at(
            self.arrangement(number),
            bands[number].items,
            point.x(),
            y - self._tops[number],
            self.metrics.header,
            self.horizontalOffset(),
        )
        return (number, found) if found is not None else None

    def scrollTo(self, index: Index, hint: QAbstractItemView.ScrollHint = Hint.EnsureVisible) -> None:
        if self._still or not index.isValid():
            return
        number, item_number = self.blocks.rows.place(index.row())
        item = self.blocks.rows.bands[number].items[item_number]
        box = self.arrangement(number).boxes[item_number]
        _bring(self.verticalScrollBar(), self._tops[number] + box.top, box.height, self.viewport().height(), hint)
        if item.kind not in HEADERS:
            _bring(self.horizontalScrollBar(), box.left, box.width, self.bars_visible, Hint.EnsureVisible)

    def setSelection(self, rect: QRect, command: QItemSelectionModel.SelectionFlag) -> None:
        chosen = QItemSelection()
        if rect.width() <= 1 and rect.height() <= 1:
            index = self.indexAt(rect.topLeft())
            if index.isValid():
                chosen.select(index, index)
        else:
            for index in self._touching(rect.normalized()):
                chosen.select(index, index)
        self.selectionModel().select(chosen, command)

    def _touching(self, rect: QRect) -> Iterable[QModelIndex]:
        """Blocks that a rubber band or Shift with arrows covers; cells at the left only when nothing else is."""
        found: list[QModelIndex] = []
        headers: list[QModelIndex] = []
        for number in self.visible_range(rect):
            boxes = self.arrangement(number).boxes
            for item_number, item in enumerate(self.blocks.rows.bands[number].items):
                if self.on_screen(number, item, boxes[item_number]).intersects(rect):
                    index = self.blocks.index(self.blocks.rows.row(number, item_number))
                    (headers if item.kind in HEADERS else found).append(index)
        return found or headers

    def visualRegionForSelection(self, selection: QItemSelection) -> QRegion:
        return QRegion(self.viewport().rect())

    # --- the keyboard ---
    def moveCursor(self, action: QAbstractItemView.CursorAction, modifiers: Qt.KeyboardModifier) -> QModelIndex:
        rows = self.blocks.rows
        current = self.currentIndex()
        if not len(rows):
            return QModelIndex()
        if not current.isValid():
            return self.blocks.index(0)
        number, item = rows.place(current.row())
        if action in (Move.MoveLeft, Move.MovePrevious):
            return self.blocks.index(max(0, current.row() - 1))
        if action in (Move.MoveRight, Move.MoveNext):
            return self.blocks.index(min(len(rows) - 1, current.row() + 1))
        if action in (Move.MoveHome, Move.MoveEnd):
            everything = bool(modifiers & Qt.KeyboardModifier.ControlModifier)
            return self._end_of(number, action == Move.MoveEnd, everything)
        if action in (Move.MovePageUp, Move.MovePageDown):
            return self._page(number, item, -1 if action == Move.MovePageUp else 1)
        return self._line(number, item, -1 if action == Move.MoveUp else 1)

    def _end_of(self, number: int, last: bool, everything: bool) -> QModelIndex:
        bands = self.blocks.rows.bands
        if everything:
            return self.blocks.index(len(self.blocks.rows) - 1 if last else 0)
        items = bands[number].items
        row = self.blocks.rows.row(number, len(items) - 1 if last else min(1, len(items) - 1))
        return self.blocks.index(row)

    def _line(self, number: int, item: int, step: int) -> QModelIndex:
        """The nearest item on the line above or below, in the next band when this one ends."""
        rows = self.blocks.rows
        found = neighbour(self.arrangement(number), item, step)
        target = number + step
        if found is not None:
            return self.blocks.index(rows.row(number, found))
        if not 0 <= target < len(rows.bands):
            return self.blocks.index(rows.row(number, item))
        line = 0 if step > 0 else len(self.arrangement(target).lines) - 1
        x = self.middle_of(number, item)
        nearest = self._nearest(target, line, rows.bands[number].items[item], x)
        return self.blocks.index(rows.row(target, nearest))

    def middle_of(self, number: int, item: int) -> int:
        """Where an item's middle is on the screen, across."""
        rect = self.on_screen(number, self.blocks.rows.bands[number].items[item], self.arrangement(number).boxes[item])
        return rect.center().x()

    def _nearest(self, number: int, line: int, item: Item, x: int) -> int:
        """Cells lead to cells, blocks to blocks."""
        numbers = self.arrangement(number).lines[line]
        items = self.blocks.rows.bands[number].items
        blocks = [n for n in numbers if items[n].kind not in HEADERS]
        if item.kind in HEADERS or not blocks:
            return numbers[0]
        return min(blocks, key=lambda n: abs(self.middle_of(number, n) - x))

    def _page(self, number: int, item: int, step: int) -> QModelIndex:
        rows = self.blocks.rows
        y = self._tops[number] + step * self.viewport().height() - self.verticalOffset()
        target = self.band_at(y)
        if target == number:
            target = max(0, min(len(rows.bands) - 1, number + step))
        nearest = self._nearest(target, 0, rows.bands[number].items[item], self.middle_of(number, item))
        return self.blocks.index(rows.row(target, nearest))

    # --- zoom and notches ---
    def set_zoom(self, zoom: float, at: int | None = None) -> None:
        """Show bars so many times as long as fits; the byte at `at` (pixels across the viewport) stays there."""
        zoom = max(1.0, min(ZOOM_MAX, zoom))
        if zoom == self.zoom:
            return
        x = (at if at is not None else self.metrics.header + self.bars_visible // 2) - self.metrics.header
        part = (self.horizontalOffset() + x) / (self.bars_visible * self.zoom)
        self.zoom = zoom
        self.measure_bands()
        self.horizontalScrollBar().setValue(round(part * self.bars_visible * zoom - x))
        self.zoom_changed.emit(zoom)

    def notch_under(self, point: QPoint) -> Notch | None:
        """The notch at a place of the viewport."""
        if not self.blocks.rows.bands or point.x() < self.metrics.header:
            return None
        number = self.band_at(point.y())
        x, y = point.x() - self.bars_left, point.y() - self.band_top(number)
        return next((each for each in self.arrangement(number).notches if each.box.holds(x, y)), None)

    def open_notch(self, key: Key | None, by_hand: bool = True) -> None:
        """Open the notch that has gathered an item; None closes."""
        self._opened, self._by_hand = key, by_hand
        self.measure_bands()

    def toggle_notch(self, number: int, notch: Notch) -> None:
        """Open a notch of a band, or close it."""
        self.open_notch(None if notch.open else self.blocks.rows.bands[number].items[notch.items[0]].key)

    def currentChanged(self, current: Index, previous: Index) -> None:
        self._follow_into_notch(current)
        super().currentChanged(current, previous)
        self.viewport().update()

    def _follow_into_notch(self, current: Index) -> None:
        """What the keyboard stands on can be seen: its notch opens, and closes when the arrows leave it."""
        if not current.isValid() or current.row() >= len(self.blocks.rows):
            return
        number, item = self.blocks.rows.place(current.row())
        notch = self.arrangement(number).notch_of(item)
        if notch is not None and not notch.open and not self._still:
            self.open_notch(self.blocks.item(self.blocks.index(current.row())).key, by_hand=False)
        elif notch is None and self._opened is not None and not self._by_hand:
            self.open_notch(None)

    # --- fonts and themes ---
    def renew_ink(self) -> None:
        """Take over theme, font and scale as they are now."""
        if self.ink.fits(self):
            return
        self.ink = Ink.of(self)
        metrics = self._measure()
        if metrics != self.metrics:
            self.metrics = metrics
            self._heights.clear()
            self._arranged.clear()
            self.measure_bands()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.measure_bands()


def _bring(bar: QScrollBar, start: int, length: int, page: int, hint: QAbstractItemView.ScrollHint) -> None:
    """Scroll as little as is needed to see [start, start + length)."""
    if hint == Hint.PositionAtTop:
        bar.setValue(start)
    elif hint == Hint.PositionAtCenter:
        bar.setValue(start - (page - length) // 2)
    elif start < bar.value() or length > page:
        bar.setValue(start)
    elif start + length > bar.value() + page:
        bar.setValue(start + length - page)
