"""The Control Panel perspective: settings of the host, one page for each."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt
from PySide6.QtWidgets import QListWidget, QListWidgetItem, QSplitter, QStackedWidget, QVBoxLayout, QWidget

from engine.records import Kind
from vea_gui import icons, theme
from vea_gui.console import Console
from vea_gui.mirror import Change
from vea_gui.models.table import everything
from vea_gui.views.settings_page import SettingsPage
from vea_gui.views.table_page import TablePage
from vea_gui.wizards.host_settings import ITEMS, PanelItem, configuration_backup


class ControlPanel(QWidget):
    """A list of items; the page of the current one beside it. Pages are made once the settings are known."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self.console = console
        self.list = QListWidget(self)
        self.list.setAccessibleName("Control Panel")
        self.list.setIconSize(QSize(24, 24))
        self.list.setSpacing(2)
        for item in ITEMS:
            row = QListWidgetItem(item.name, self.list)
            row.setData(Qt.ItemDataRole.AccessibleTextRole, item.name)
        self.list.setMinimumWidth(self.list.sizeHintForColumn(0) + 48)
        self.stack = QStackedWidget(self)
        self.pages: dict[int, QWidget] = {}
        across = QSplitter(Qt.Orientation.Horizontal, self)
        across.addWidget(self.list)
        across.addWidget(self.stack)
        across.setStretchFactor(1, 1)
        across.setChildrenCollapsible(False)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(across)
        theme.signals().changed.connect(self._restyle)
        self._restyle()
        self.list.currentRowChanged.connect(self._show)
        console.changed.connect(self._changed)
        self.list.setCurrentRow(0)

    def open(self, name: str) -> None:
        """Bring the page of this name to the front."""
        names = [item.name for item in ITEMS]
        self.list.setCurrentRow(names.index(name))

    def page(self) -> QWidget | None:
        """The page that is shown."""
        return self.pages.get(self.list.currentRow())

    def _changed(self, change: Change) -> None:
        if change.touches(Kind.SETTINGS):
            self._show(self.list.currentRow())

    def _show(self, row: int) -> None:
        if not 0 <= row < len(ITEMS) or self.console.config.settings is None:
            return
        if row not in self.pages:
            page = SettingsPage(self.console, ITEMS[row].form, self._table(ITEMS[row]))
            page.setAccessibleName(ITEMS[row].name)
            self.pages[row] = page
            self.stack.addWidget(page)
        self.stack.setCurrentWidget(self.pages[row])

    def _table(self, item: PanelItem) -> TablePage | None:
        """The backups that there are, below what is set about them: each can be restored from here."""
        if item.form is not configuration_backup:
            return None
        return TablePage(self.console, "Backups", everything(Kind.BACKUP), "backups", newest_first="time")

    def _restyle(self) -> None:
        for row, item in enumerate(ITEMS):
            entry = self.list.item(row)
            if entry is not None:
                entry.setIcon(icons.icon(item.icon))
