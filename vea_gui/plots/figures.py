"""A panel's curves in words: now, on average, at most. It is the plot's legend as well."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QTableWidget, QTableWidgetItem, QWidget

from vea_gui.plots import ink
from vea_gui.plots.measures import Panel
from vea_gui.series import Window

TITLES = ("Curve", "Now", "Average", "Maximum")
WIDEST = "0,000,000.0"
AIR = 20
NAME_AIR = 36


class Figures(QTableWidget):
    """A row for each curve."""

    def __init__(self, panel: Panel, parent: QWidget | None = None) -> None:
        super().__init__(len(panel.lines), len(TITLES), parent)
        self.panel = panel
        self.setAccessibleName(f"{panel.title} in figures, {panel.unit}")
        self.verticalHeader().hide()
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setTabKeyNavigation(False)
        self.setCornerButtonEnabled(False)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._fill()
        self.restyle()

    def show_window(self, window: Window, span_s: float) -> None:
        """The figures of the last `span_s` seconds."""
        shown = window.within(span_s)
        for row, line in enumerate(self.panel.lines):
            summary = shown.summary(line.measure)
            for column, value in enumerate((summary.current, summary.average, summary.maximum), 1):
                text = self.panel.figure(value)
                item = self._cell(row, column)
                if item.text() != text:
                    item.setText(text)

    def widen(self, width: int) -> None:
        """Give the names room, so that the table is this wide; never less than it needs."""
        more = max(0, width - self.width())
        self.setColumnWidth(0, self.columnWidth(0) + more)
        self.setFixedWidth(self.width() + more)

    def texts(self) -> list[list[str]]:
        """What stands in the table, row by row."""
        columns, rows = range(self.columnCount()), range(self.rowCount())
        return [[self._cell(row, column).text() for column in columns] for row in rows]

    def restyle(self) -> None:
        """Take swatches from the theme, and sizes from the font."""
        metrics = self.fontMetrics()
        self.setIconSize(QSize(metrics.height() * 2, metrics.height()))
        header = self.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        names = max(metrics.horizontalAdvance(line.name) for line in self.panel.lines)
        self.setColumnWidth(0, max(names + self.iconSize().width(), metrics.horizontalAdvance(TITLES[0])) + NAME_AIR)
        for column in range(1, len(TITLES)):
            self.setColumnWidth(column, metrics.horizontalAdvance(WIDEST) + AIR)
        for row, line in enumerate(self.panel.lines):
            self.setRowHeight(row, metrics.height() + 10)
            size = self.iconSize()
            self._cell(row, 0).setIcon(ink.swatch(line, size.width(), size.height(), self.devicePixelRatioF()))
        frame = 2 * self.frameWidth()
        height = header.sizeHint().height() + self.rowCount() * self.rowHeight(0) + frame
        self.setFixedSize(sum(self.columnWidth(column) for column in range(len(TITLES))) + frame, height)

    def _head(self, column: int, side: Qt.AlignmentFlag) -> None:
        title = QTableWidgetItem(TITLES[column])
        title.setTextAlignment(side)
        self.setHorizontalHeaderItem(column, title)

    def _cell(self, row: int, column: int) -> QTableWidgetItem:
        found = self.item(row, column)
        if found is None:
            raise IndexError(f"no cell {row}, {column}")
        return found

    def _fill(self) -> None:
        header = self.horizontalHeader()
        header.setHighlightSections(False)
        right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        self._head(0, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        for column in range(1, len(TITLES)):
            self._head(column, right)
        for row, line in enumerate(self.panel.lines):
            self.setItem(row, 0, QTableWidgetItem(line.name))
            for column in range(1, len(TITLES)):
                item = QTableWidgetItem(self.panel.figure(0.0))
                item.setTextAlignment(right)
                self.setItem(row, column, item)
