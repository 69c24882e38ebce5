"""What the host has, counted: the page of the host and of StorageAgent."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QTableWidget, QTableWidgetItem, QVBoxLayout, QWidget

from vea_gui import icons, theme
from vea_gui.console import Console
from vea_gui.tree_shape import AGENT, FOLDER_KINDS, FOLDER_NAMES, FOLDERS, Folder
from vea_gui.words import TONE_NAMES, Tone


class OverviewPage(QWidget):
    """One row for each folder: how many there are, and what is wrong with them."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self.console = console
        self.table = QTableWidget(len(FOLDERS), 3, self)
        self.table.setAccessibleName("Objects")
        self.table.setHorizontalHeaderLabels(["Name", "Objects", "Needs attention"])
        self.table.verticalHeader().hide()
        self.table.setShowGrid(False)
        self.table.setWordWrap(False)
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.table.setTabKeyNavigation(False)
        self.table.horizontalHeader().setSectionResizeMode(2, QHeaderView.ResizeMode.Stretch)
        self.table.horizontalHeader().setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        self.table.activated.connect(lambda index: self._open(index.row()))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.table)
        console.changed.connect(self._changed)
        theme.signals().changed.connect(self._fill)
        self._fill()
        self.table.resizeColumnsToContents()

    def showEvent(self, event: QShowEvent) -> None:
        self._fill()
        super().showEvent(event)

    def _changed(self, _: object) -> None:
        if self.isVisible():
            self._fill()

    def _fill(self) -> None:
        mirror = self.console.mirror
        for row, name in enumerate(FOLDERS):
            key = Folder(self.console.host.id, name)
            worst = mirror.health.worst(key)
            causes = " ".join(mirror.health.causes(key))
            cells = (FOLDER_NAMES[name], f"{mirror.config.count(FOLDER_KINDS[name]):,}", causes or "Nothing")
            items = [self._set(row, column, text) for column, text in enumerate(cells)]
            mark = TONE_NAMES[worst] if worst >= Tone.WARNING else ""
            items[0].setIcon(icons.icon("folder", mark))
            items[2].setToolTip(causes)

    def _set(self, row: int, column: int, text: str) -> QTableWidgetItem:
        item = self.table.item(row, column)
        if item is None:
            item = QTableWidgetItem()
            if column == 1:
                item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            self.table.setItem(row, column, item)
        if item.text() != text:
            item.setText(text)
            item.setData(Qt.ItemDataRole.AccessibleTextRole, text)
        return item

    def _open(self, row: int) -> None:
        host = self.console.host
        self.console.frame.go((host, Folder(host.id, AGENT), Folder(host.id, FOLDERS[row])))
