"""The page of the host and of StorageAgent: what needs attention and what helps, then what there is."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QSize, Qt
from PySide6.QtGui import QContextMenuEvent, QIcon, QResizeEvent, QShowEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QLabel,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from engine.records import Kind, Record
from vea_gui import icons, theme
from vea_gui.attention import Trouble, space, states, troubles
from vea_gui.console import Console
from vea_gui.mirror import Change
from vea_gui.remedies import Way
from vea_gui.tree_shape import AGENT, FOLDER_KINDS, FOLDER_NAMES, FOLDERS, Folder
from vea_gui.views.menus import context_menu
from vea_gui.views.remedy_bar import RemedyBar, begin, best_way
from vea_gui.words import TONE_NAMES, Tone

LEAST_LINES = 4
MOST = 100
"""Rows of trouble that are listed; the headline counts all."""
ACTION = 2
AIR = 8
SHOWN = (Kind.GROUP, Kind.DISK, Kind.ENCLOSURE, Kind.VOLUME, Kind.CONNECTION)


class Airy(QStyledItemDelegate):
    """Sentences of several lines need room between the rows, or they run into each other."""

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex) -> QSize:
        return super().sizeHint(option, index) + QSize(0, AIR)


class Sheet(QTableWidget):
    """A table of words that is as wide as its page, its last column taking what is left; text is never cut."""

    def __init__(self, name: str, heads: Sequence[str], open_row: Callable[[int], None], parent: QWidget) -> None:
        super().__init__(0, len(heads), parent)
        self.setAccessibleName(name)
        self.setHorizontalHeaderLabels(heads)
        self.verticalHeader().hide()
        self.setShowGrid(False)
        self.setItemDelegate(Airy(self))
        self.setWordWrap(True)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setMinimumHeight(LEAST_LINES * self.fontMetrics().height())  # a small window scrolls it
        self.setTabKeyNavigation(False)
        self.horizontalHeader().setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        self.horizontalHeader().setStretchLastSection(True)
        self.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        self.activated.connect(lambda index: open_row(index.row()))

    def put(self, row: int, column: int, text: str, icon: QIcon | None = None) -> None:
        """The words of one cell."""
        item = self.item(row, column)
        if item is None:
            item = QTableWidgetItem()
            self.setItem(row, column, item)
        if item.text() != text:
            item.setText(text)
            item.setToolTip(text)
            item.setData(Qt.ItemDataRole.AccessibleTextRole, text)
        if icon is not None:
            item.setIcon(icon)

    def link(self, row: int, column: int, leads: bool) -> None:
        """A cell from which a click leads somewhere looks like it."""
        item = self.item(row, column)
        if item is None:
            return
        font = item.font()
        if font.underline() is not leads:
            font.setUnderline(leads)
            item.setFont(font)
        item.setForeground(theme.current().color("accent") if leads else theme.current().color("text"))

    def fit(self) -> None:
        """Columns as wide as their words, but none wider than its share; the last has the rest, and where that is less
        than the widest has, the two get as much."""
        room, heads = self.viewport().width(), self.horizontalHeader()
        needed = [
            max(self.sizeHintForColumn(column), heads.sectionSizeHint(column)) + 8
            for column in range(self.columnCount() - 1)
        ]
        widths = [min(room * 2 // 5, each) for each in needed]
        widest = widths.index(max(widths))
        rest = room - sum(widths)
        if rest < widths[widest]:
            widths[widest] = max((rest + widths[widest]) // 2, heads.sectionSizeHint(widest))
        for column, width in enumerate(widths):
            self.setColumnWidth(column, width)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.fit()


class Troubles(Sheet):
    """What needs attention: a row is picked as anywhere else, Enter shows it in the tree."""

    def __init__(self, console: Console, parent: QWidget) -> None:
        super().__init__("Needs attention", ("Object", "What is wrong", "Action", "What to do"), self._open, parent)
        self.console = console
        self.rows: list[Trouble] = []
        self.itemSelectionChanged.connect(self._picked)
        self.cellClicked.connect(self._clicked)

    def show_rows(self, found: list[Trouble]) -> None:
        """Bring the rows up to date; what is picked stays picked."""
        if found == self.rows and self.rowCount():
            return
        picked = self._at(self.currentRow()) if self.selectedItems() else None
        self.rows = found
        self.blockSignals(True)
        self.setRowCount(len(found))
        for row, trouble in enumerate(found):
            icon = icons.icon(f"state-{TONE_NAMES[trouble.tone]}")
            self.put(row, 0, trouble.name, icon)
            self.put(row, 1, trouble.what)
            way = self._way(trouble)
            self.put(row, ACTION, way.words if way is not None else "")
            self.link(row, ACTION, way is not None)
            self.put(row, ACTION + 1, trouble.help)
        names = [trouble.ref for trouble in found]
        if picked is not None and picked.ref in names:
            self.selectRow(names.index(picked.ref))
        else:
            self.clearSelection()
        self.blockSignals(False)
        self.fit()

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        trouble = self._at(self.currentRow())
        if trouble is not None:
            context_menu(self.console, self.console.at(trouble.ref), self).popup(event.globalPos())

    def _way(self, trouble: Trouble) -> Way | None:
        record = self.console.config.get(trouble.ref)
        return best_way(self.console, record) if record is not None else None

    def _clicked(self, row: int, column: int) -> None:
        trouble = self._at(row)
        way = self._way(trouble) if trouble is not None and column == ACTION else None
        if way is not None:
            begin(self.console, way)

    def any_row(self) -> bool:
        """Whether anything is in trouble."""
        return bool(self.rows)

    def meant(self) -> Record | None:
        """The object whose trouble is picked; when none is, the only one there is."""
        if len(self.rows) == 1:
            return self.console.config.get(self.rows[0].ref)
        trouble = self._at(self.currentRow()) if self.selectedItems() else None
        return self.console.config.get(trouble.ref) if trouble is not None else None

    def _at(self, row: int) -> Trouble | None:
        return self.rows[row] if 0 <= row < len(self.rows) else None

    def _picked(self) -> None:
        trouble = self._at(self.currentRow()) if self.selectedItems() else None
        self.console.select((trouble.ref,) if trouble is not None else ())

    def _open(self, row: int) -> None:
        trouble = self._at(row)
        if trouble is not None:
            self.console.show_in_tree(trouble.ref)


class OverviewPage(QWidget):
    """Trouble first, then one row for each folder."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self.console = console
        self.headline = QLabel(self)
        self.headline.setTextFormat(Qt.TextFormat.PlainText)
        self.headline.setWordWrap(True)
        self.troubles = Troubles(console, self)
        shown = self.troubles
        self.remedies = RemedyBar(console, shown.meant, self, "Pick an object first.", False, shown.any_row)
        self.table = Sheet("Objects", ("Name", "Objects", "Space", "State"), self._open, self)
        self.table.setRowCount(len(FOLDERS))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        self.headline.setContentsMargins(8, 8, 8, 0)
        layout.addWidget(self.headline)
        layout.addWidget(self.remedies)
        layout.addWidget(self.troubles, 3)
        layout.addWidget(self.table, 2)
        console.changed.connect(self._changed)
        console.selection_changed.connect(self._follow)
        theme.signals().changed.connect(self._fill)
        self._fill()

    def showEvent(self, event: QShowEvent) -> None:
        self._fill()
        super().showEvent(event)

    def _changed(self, change: Change) -> None:
        if self.isVisible() and change.touches(*SHOWN):
            self._fill()

    def _follow(self, _: object) -> None:
        if self.isVisible() and self.troubles.rows:
            self.remedies.update_ways()

    def _fill(self) -> None:
        found = troubles(self.console.mirror)
        self.headline.setText(_headline(found))
        self.troubles.setVisible(bool(found))
        self.troubles.show_rows(found[:MOST])
        self.remedies.update_ways()
        for row, name in enumerate(FOLDERS):
            self._fill_folder(row, name)
        self.table.fit()

    def _fill_folder(self, row: int, name: str) -> None:
        mirror, kind = self.console.mirror, FOLDER_KINDS[name]
        worst = mirror.health.worst(Folder(self.console.host.id, name))
        icon = icons.icon("folder", TONE_NAMES[worst] if worst >= Tone.WARNING else "")
        self.table.put(row, 0, FOLDER_NAMES[name], icon)
        self.table.put(row, 1, f"{mirror.config.count(kind):,}")
        self.table.put(row, 2, space(mirror.config, kind))
        self.table.put(row, 3, states(mirror, kind))

    def _open(self, row: int) -> None:
        host = self.console.host
        self.console.frame.go((host, Folder(host.id, AGENT), Folder(host.id, FOLDERS[row])))


def _headline(found: list[Trouble]) -> str:
    if not found:
        return "Nothing needs attention."
    if len(found) == 1:
        return "1 object needs attention."
    more = f" The {MOST} that matter most are listed." if len(found) > MOST else ""
    return f"{len(found):,} objects need attention, the worst first.{more}"
