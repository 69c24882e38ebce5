"""A table of records: keyboard, context menu, picking, columns that are remembered."""

from __future__ import annotations

from PySide6.QtCore import QItemSelection, QItemSelectionModel, QModelIndex, QPoint, Qt, QTimer, Signal
from PySide6.QtGui import QContextMenuEvent, QGuiApplication, QHideEvent, QKeyEvent, QKeySequence, QShowEvent
from PySide6.QtWidgets import QAbstractItemView, QMenu, QTableView, QWidget

from engine.records import Ref
from vea_gui import theme
from vea_gui.console import Console
from vea_gui.mirror import Change
from vea_gui.models.table import LINK_ROLE, RecordTable
from vea_gui.selection import Selection
from vea_gui.views.cells import CellDelegate
from vea_gui.views.column_fit import ColumnFit
from vea_gui.views.reason_menu import ReasonMenu

RESORT_MS = 500


class RecordTableView(QTableView):
    """Follows the console while it is visible, and catches up when it is shown again."""

    activated_ref = Signal(object)  # Enter or double-click on a row

    def __init__(self, console: Console, model: RecordTable, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.console = console
        self.table = model
        self.name = name
        self.page: QWidget = self  # while it is visible the table follows, even when an empty state covers it
        self.key = name
        self._stale = False
        self._following = False
        model.setParent(self)
        model.seen = self.seen_rows
        model.searched = lambda: [model.columns[section] for section in self.shown_columns()]
        self.setModel(model)
        self.setAccessibleName(name)
        self._look()
        self.fit = ColumnFit(self)
        self._sorter = QTimer(self)
        self._sorter.setSingleShot(True)
        self._sorter.setInterval(RESORT_MS)
        self._sorter.timeout.connect(model.resort)
        model.unsorted.connect(self._sort_soon)
        model.modelReset.connect(self._follow_selection)
        model.count_changed.connect(self._follow_selection)  # a filter finds rows after its first answer, too
        self.selectionModel().selectionChanged.connect(self._picked)
        console.changed.connect(self._changed)
        console.selection_changed.connect(self._follow_selection)
        theme.signals().changed.connect(self.restyle)
        self.doubleClicked.connect(self._double_clicked)
        self.clicked.connect(self._clicked)

    def seen_rows(self) -> range:
        """The rows that can be seen now."""
        first, last = self.rowAt(0), self.rowAt(self.viewport().height() - 1)
        return range(max(first, 0), (last if last >= 0 else self.table.rowCount() - 1) + 1)

    def selected_refs(self) -> list[Ref]:
        """Picked rows, from top to bottom."""
        rows = sorted({index.row() for index in self.selectionModel().selectedRows()})
        return [self.table.ref(row) for row in rows]

    def copy(self) -> None:
        """The picked rows (all, when none is picked) as CSV to the clipboard."""
        picked = sorted({index.row() for index in self.selectionModel().selectedRows()})
        rows = picked or list(range(self.table.rowCount()))
        QGuiApplication.clipboard().setText(self.table.as_csv(rows, self.shown_columns()))

    def shown_columns(self) -> list[int]:
        """Columns from left to right, hidden ones left out."""
        header = self.horizontalHeader()
        order = [header.logicalIndex(place) for place in range(header.count())]
        return [section for section in order if not header.isSectionHidden(section)]

    def column_menu(self, parent: QWidget) -> QMenu:
        """The column chooser: one entry with a mark for each column; the name stays."""
        menu = ReasonMenu("Columns", self.console, parent)
        for section, column in enumerate(self.table.columns):
            entry = menu.addAction(column.title)
            entry.setCheckable(True)
            entry.setChecked(not self.isColumnHidden(section))
            entry.setEnabled(section > 0)
            why_not = "" if section else "The first column always stays."
            entry.hovered.connect(lambda why_not=why_not: menu.say(why_not))
            entry.toggled.connect(lambda on, section=section: self._show_column(section, on))
        return menu

    def restore(self, key: str) -> None:
        """Bring back widths, order, sort and choice of columns, and keep them from now on under `key`."""
        self.key = key
        state = self.console.settings.state(f"columns/{key}")
        names = self.console.settings.words(f"columns/{key}")
        if state is not None and names == [column.id for column in self.table.columns]:
            self.horizontalHeader().restoreState(state)
            self.fit.chosen = bool(self.console.settings.words(f"columns-chosen/{key}"))
        header = self.horizontalHeader()
        if header.sortIndicatorSection() >= 0:
            self.table.sort(header.sortIndicatorSection(), header.sortIndicatorOrder())

    def keep(self) -> None:
        """Write down how the columns are."""
        settings = self.console.settings
        settings.keep_state(f"columns/{self.key}", self.horizontalHeader().saveState())
        settings.keep_words(f"columns/{self.key}", [column.id for column in self.table.columns])
        settings.keep_words(f"columns-chosen/{self.key}", ["widths"] if self.fit.chosen else [])

    # --- Qt's events ---
    def showEvent(self, event: QShowEvent) -> None:
        self.catch_up()
        super().showEvent(event)
        self._follow_selection()

    def hideEvent(self, event: QHideEvent) -> None:
        self._sorter.stop()
        super().hideEvent(event)

    def catch_up(self) -> None:
        """Take all rows anew when changes have passed by meanwhile."""
        if self._stale:
            self._stale = False
            self.table.reload()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.matches(QKeySequence.StandardKey.Copy):
            self.copy()
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self.currentIndex().isValid():
            self._open(self.currentIndex())
        elif event.key() == Qt.Key.Key_Menu or (
            event.key() == Qt.Key.Key_F10 and event.modifiers() & Qt.KeyboardModifier.ShiftModifier
        ):
            self._menu_at_current()
        else:
            super().keyPressEvent(event)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        if event.reason() is QContextMenuEvent.Reason.Keyboard:
            self._menu_at_current()
        else:
            self._menu(event.globalPos())
        event.accept()

    # --- inside ---
    def _look(self) -> None:
        self.setItemDelegate(CellDelegate(self))
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setAlternatingRowColors(True)
        self.setShowGrid(False)
        self.setWordWrap(self._lines() > 1)
        self.setTabKeyNavigation(False)
        self.setCornerButtonEnabled(False)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.verticalHeader().hide()
        self.restyle()
        header = self.horizontalHeader()
        header.setSectionsMovable(True)
        header.setHighlightSections(False)
        header.setStretchLastSection(True)
        header.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        header.customContextMenuRequested.connect(self._header_menu)
        header.setSortIndicator(0, Qt.SortOrder.AscendingOrder)
        self.setSortingEnabled(True)
        for section, (column, width) in enumerate(zip(self.table.columns, self.usual_widths(), strict=True)):
            self.setColumnWidth(section, width)
            self.setColumnHidden(section, not column.shown)

    def usual_widths(self) -> list[int]:
        """Of all columns, in pixels of today's font."""
        metrics = self.fontMetrics()
        letter = metrics.averageCharWidth()
        titles = [metrics.horizontalAdvance(column.title) + 32 for column in self.table.columns]
        return [max(letter * each.width + 24, title) for each, title in zip(self.table.columns, titles, strict=True)]

    def restyle(self) -> None:
        """Rows as high as today's font."""
        self.verticalHeader().setDefaultSectionSize(self._lines() * self.fontMetrics().height() + 10)
        self.viewport().update()

    def _lines(self) -> int:
        """All rows are alike, so that long tables stay quick: of two lines where there are sentences to read."""
        return 2 if any(column.wraps for column in self.table.columns) else 1

    def _show_column(self, section: int, on: bool) -> None:
        self.setColumnHidden(section, not on)
        self.fit.fit()
        self.keep()

    def _changed(self, change: Change) -> None:
        if self.page.isVisible():
            anchor = self._anchor()
            self.table.apply(change)
            if anchor is not None:
                self._hold(*anchor)
        else:
            self._stale = True

    def _anchor(self) -> tuple[Ref, int] | None:
        """The row that stays where it is on the screen while others come and go: the current one when it can be seen,
        else the uppermost. At the top of a list nothing is held: what is new there is to be seen."""
        if not self.verticalScrollBar().value():
            return None
        seen, current = self.seen_rows(), self.currentIndex().row()
        row = current if current in seen else seen.start
        return (self.table.ref(row), row) if row < self.table.rowCount() else None

    def _hold(self, ref: Ref, row: int) -> None:
        now = self.table.row_of(ref)
        if now is not None and now != row:
            self.verticalScrollBar().setValue(self.verticalScrollBar().value() + now - row)

    def _sort_soon(self) -> None:
        if self.horizontalHeader().sortIndicatorSection() >= 0 and not self._sorter.isActive():
            self._sorter.start()

    def _picked(self) -> None:
        if not self._following:
            self.console.select(self.selected_refs())

    def _follow_selection(self, _: object = None) -> None:
        """Show what is picked elsewhere; nothing scrolls and the keyboard's place stays."""
        wanted = {row for ref in self.console.selection.refs if (row := self.table.row_of(ref)) is not None}
        have = {index.row() for index in self.selectionModel().selectedRows()}
        if wanted == have or not self.isVisible():
            return
        chosen = QItemSelection()
        last = max(self.table.columnCount() - 1, 0)
        for row in sorted(wanted):
            chosen.select(self.table.index(row, 0), self.table.index(row, last))
        self._following = True
        self.selectionModel().select(chosen, QItemSelectionModel.SelectionFlag.ClearAndSelect)
        self._following = False

    def _open(self, index: QModelIndex) -> None:
        ref = self.table.ref(index.row())
        self.activated_ref.emit(ref)
        self.console.trigger("properties", Selection(self.console.config, (ref,)))

    def _double_clicked(self, index: QModelIndex) -> None:
        if not index.data(LINK_ROLE):
            self._open(index)

    def _clicked(self, index: QModelIndex) -> None:
        """A click on a cell that leads somewhere goes there, unless several rows are being picked."""
        if index.data(LINK_ROLE) and not QGuiApplication.keyboardModifiers() and len(self.selected_refs()) <= 1:
            selection = Selection(self.console.config, (self.table.ref(index.row()),))
            self.console.trigger(self.table.columns[index.column()].go, selection)

    def _menu_at_current(self) -> None:
        rect = self.visualRect(self.currentIndex())
        self._menu(self.viewport().mapToGlobal(rect.bottomLeft() if rect.isValid() else QPoint(8, 8)))

    def _menu(self, at: QPoint) -> None:
        selection = Selection(self.console.config, tuple(self.selected_refs()))
        menu = self.console.menu_for(selection, self)
        menu.addSeparator()
        menu.addAction("Copy as CSV").triggered.connect(self.copy)
        menu.addMenu(self.column_menu(menu))
        menu.popup(at)

    def _header_menu(self, at: QPoint) -> None:
        menu = self.column_menu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.popup(self.horizontalHeader().mapToGlobal(at))
