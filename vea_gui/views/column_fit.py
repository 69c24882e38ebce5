"""Columns that fit the width of their table, for as long as nobody has set one: first what is wider than its words
gives way, then paths and sentences, whose middle or end can be left out. What does not fit even so is scrolled to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from PySide6.QtCore import QEvent, QObject, Qt, QTimer
from PySide6.QtGui import QGuiApplication

if TYPE_CHECKING:
    from vea_gui.views.table_view import RecordTableView

LOOKED_AT = 60
"""So many of the rows in sight are measured."""
LEAST_LETTERS = 10
LONG_LETTERS, MOST_LETTERS = 24, 60
PAD, MARK, TITLE_PAD = 20, 28, 32
AGAIN_MS = 500
"""So often at most it is looked whether states have become longer words."""


class Wish(NamedTuple):
    """Pixels of one column: what shows every word, what is usual, what its words need of that, and the least that
    still tells something."""

    whole: int
    wanted: int
    needed: int
    least: int


def fitted(wishes: Sequence[Wish], width: int) -> list[int]:
    """Widths that fit, as long as the least ones do."""
    for high, low in (
        ([wish.whole for wish in wishes], [wish.wanted for wish in wishes]),
        ([wish.wanted for wish in wishes], [wish.needed for wish in wishes]),
        ([wish.needed for wish in wishes], [wish.least for wish in wishes]),
    ):
        if sum(high) <= width:
            return high
        if sum(low) <= width:
            spare, slack = width - sum(low), sum(high) - sum(low)
            return [least + spare * (most - least) // slack for most, least in zip(high, low, strict=True)]
    return [wish.least for wish in wishes]


class ColumnFit(QObject):
    """Of one table. `chosen` is whether its operator has set a width."""

    def __init__(self, view: RecordTableView) -> None:
        super().__init__(view)
        self.chosen = False
        self._view = view
        self._wanted = view.usual_widths()
        self._fitting = False
        self._measured = False  # whether there were rows to measure
        view.installEventFilter(self)
        view.viewport().installEventFilter(self)
        view.horizontalHeader().sectionResized.connect(self._resized)
        self._again = QTimer(self)
        self._again.setSingleShot(True)
        self._again.setInterval(AGAIN_MS)
        self._again.timeout.connect(self._fit_states)
        view.table.dataChanged.connect(self._words_changed)
        view.table.modelReset.connect(self._rows_came)
        view.table.count_changed.connect(self._rows_came)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Resize and watched is self._view.viewport():
            self.fit()
        elif event.type() == QEvent.Type.FontChange and watched is self._view:
            self._wanted = self._view.usual_widths()
            self._view.restyle()
            self.fit()
        return super().eventFilter(watched, event)

    def fit(self) -> None:
        """Anew, unless the operator has chosen."""
        view = self._view
        if self.chosen or self._fitting or not view.isVisible():
            return
        shown = view.shown_columns()
        self._fitting = True
        try:
            self._measured = view.table.rowCount() > 0
            wishes = [self._wish(section) for section in shown]
            for section, width in zip(shown, fitted(wishes, view.viewport().width()), strict=True):
                view.setColumnWidth(section, width)
        finally:
            self._fitting = False

    def _wish(self, section: int) -> Wish:
        view, column = self._view, self._view.table.columns[section]
        metrics, wanted = view.fontMetrics(), self._wanted[section]
        title = metrics.horizontalAdvance(column.title) + TITLE_PAD
        rows = view.seen_rows()[:LOOKED_AT]
        texts = (str(view.table.index(row, section).data(Qt.ItemDataRole.DisplayRole) or "") for row in rows)
        pad = PAD + (MARK if section == 0 or column.tone is not None else 0)
        words = max((metrics.horizontalAdvance(text) + pad for text in texts), default=wanted)
        needed = wanted if column.bar is not None else min(wanted, max(title, words))
        whole = wanted if column.wraps else min(max(wanted, words), metrics.averageCharWidth() * MOST_LETTERS)
        long = column.is_path or column.wraps or column.width >= LONG_LETTERS
        least = min(needed, max(title, metrics.averageCharWidth() * LEAST_LETTERS)) if long else needed
        return Wish(max(whole, wanted), wanted, needed, least)

    def _rows_came(self) -> None:
        if not self._measured:
            self.fit()

    def _words_changed(self) -> None:
        if not self.chosen and not self._again.isActive():
            self._again.start()

    def _fit_states(self) -> None:
        """A state that got worse is what is looked for: it is not cut while others have room."""
        view = self._view
        states = [section for section in view.shown_columns() if view.table.columns[section].tone is not None]
        if view.isVisible() and any(self._wish(section).needed > view.columnWidth(section) for section in states):
            self.fit()

    def _resized(self, section: int, _old: int, _new: int) -> None:
        """By hand: the last one also follows the window."""
        held = QGuiApplication.mouseButtons() & Qt.MouseButton.LeftButton
        if held and not self._fitting and section != self._view.shown_columns()[-1]:
            self.chosen = True
