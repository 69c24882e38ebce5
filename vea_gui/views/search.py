"""Search: objects by any word that a table would show of them, and actions by their names."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt, QTimer
from PySide6.QtWidgets import (
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QFormLayout,
    QLabel,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QVBoxLayout,
)

from engine.records import Kind, Record, Ref
from vea_gui import icons
from vea_gui.columns import COLUMNS, matches
from vea_gui.console import Console
from vea_gui.words import KIND_NAMES

ANYTHING = "Everything"
ACTIONS = "Actions"
SEARCHED = (Kind.GROUP, Kind.DISK, Kind.VOLUME, Kind.PLEX, Kind.SUBDISK, Kind.ENCLOSURE, Kind.TASK, Kind.CONNECTION)
MOST = 500
PAUSE_MS = 150
WHAT = Qt.ItemDataRole.UserRole


class SearchWindow(QDialog):
    """Non-modal. Enter on an object picks it and moves the tree there; Enter on an action runs it."""

    def __init__(self, console: Console) -> None:
        super().__init__(console.window)
        self.console = console
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle("Search")
        self.words = QLineEdit(self)
        self.words.setClearButtonEnabled(True)
        self.words.setAccessibleName("Search for")
        self.kind = QComboBox(self)
        self.kind.setAccessibleName("Among")
        self.kind.addItem(ANYTHING)
        for kind in SEARCHED:
            self.kind.addItem(KIND_NAMES[kind][1].capitalize(), kind)
        self.kind.addItem(ACTIONS)
        self.found = QListWidget(self)
        self.found.setAccessibleName("Found")
        self.found.setUniformItemSizes(True)
        self.found.setIconSize(QSize(16, 16))
        self.found.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.found.setTextElideMode(Qt.TextElideMode.ElideRight)
        self.summary = QLabel("", self)
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.setInterval(PAUSE_MS)
        self._later.timeout.connect(self.look)
        self._build()
        self.words.textChanged.connect(lambda _: self._later.start())
        self.kind.currentIndexChanged.connect(lambda _: self.look())
        self.words.returnPressed.connect(self._enter)
        self.found.itemActivated.connect(self._use)
        self.look()

    def look(self) -> None:
        """Find again."""
        self._later.stop()
        self.found.clear()
        wanted = self.words.text().strip()
        total = 0
        if wanted:
            total = self._find_objects(wanted) + self._find_actions(wanted)
        more = f"; the first {MOST} are shown" if total > MOST else ""
        self.summary.setText(f"{total:,} found{more}" if wanted else "Type a name, a status, a disk or an action.")
        if self.found.count():
            self.found.setCurrentRow(0)

    def _build(self) -> None:
        form = QFormLayout()
        form.addRow("Search for:", self.words)
        form.addRow("Among:", self.kind)
        buttons = QDialogButtonBox(self)
        close = QPushButton("Close", self)
        close.setAutoDefault(False)
        close.clicked.connect(self.close)
        buttons.addButton(close, QDialogButtonBox.ButtonRole.RejectRole)
        layout = QVBoxLayout(self)
        layout.addLayout(form)
        layout.addWidget(self.found, 1)
        layout.addWidget(self.summary)
        layout.addWidget(buttons)
        self.resize(self.fontMetrics().averageCharWidth() * 70, self.fontMetrics().height() * 26)

    def _find_objects(self, wanted: str) -> int:
        chosen = self.kind.currentData()
        if self.kind.currentText() == ACTIONS:
            return 0
        kinds = (chosen,) if chosen is not None else SEARCHED
        found = [
            record
            for kind in kinds
            for record in self.console.config.all(kind, Record)
            if matches(self.console.mirror, COLUMNS[kind], record, wanted)
        ]
        found.sort(key=lambda record: _distance(record.name, wanted))
        for record in found[:MOST]:
            kind = record.ref.kind
            self._add(f"{record.name}   ({KIND_NAMES[kind][0]})", kind.value, record.ref)
        return len(found)

    def _find_actions(self, wanted: str) -> int:
        if self.kind.currentText() not in (ANYTHING, ACTIONS):
            return 0
        words = wanted.casefold().split()
        total = 0
        for row in self.console.actions.rows:
            label = " > ".join(filter(None, (row.submenu, row.text.replace("&", ""))))
            if all(word in label.casefold() for word in words):
                total += 1
                reason = row.hindrance(self.console, self.console.selection.on(self.console.config))
                self._add(f"{label}   (action{': ' + reason if reason else ''})", row.icon or "task", row.id)
        return total

    def _add(self, text: str, icon: str, what: Ref | str) -> None:
        item = QListWidgetItem(icons.icon(icon), text)
        item.setData(WHAT, what)
        item.setToolTip(text)
        self.found.addItem(item)

    def _enter(self) -> None:
        if self._later.isActive():
            self.look()
        item = self.found.currentItem()
        if item is not None:
            self._use(item)

    def _use(self, item: QListWidgetItem) -> None:
        what = item.data(WHAT)
        if isinstance(what, Ref):
            self.console.show_in_tree(what)
            self.console.select([what])
        else:
            self.console.trigger(what)


def _distance(name: str, wanted: str) -> int:
    """What is called so comes first, then what begins so, then what has it in its name, then the rest."""
    name, wanted = name.casefold(), wanted.casefold()
    return 0 if name == wanted else 1 if name.startswith(wanted) else 2 if wanted in name else 3
