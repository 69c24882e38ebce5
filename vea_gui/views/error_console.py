"""The Error Console: every error dialog that appeared, and every failed task, with Details to copy."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QListWidget,
    QListWidgetItem,
    QPlainTextEdit,
    QPushButton,
    QSplitter,
    QVBoxLayout,
)

from engine.records import Kind, Task, TaskState
from vea_gui import icons, moments
from vea_gui.console import Console, ErrorEntry
from vea_gui.mirror import Change

NOTHING = "Nothing has gone wrong since the console was started."


class ErrorConsole(QDialog):
    """Newest first; the text of the picked one below."""

    def __init__(self, console: Console) -> None:
        super().__init__(console.window)
        self.console = console
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle("Error Console")
        self.list = QListWidget(self)
        self.list.setAccessibleName("Errors")
        self.text = QPlainTextEdit(self)
        self.text.setReadOnly(True)
        self.text.setTabChangesFocus(True)
        self.text.setAccessibleName("Details")
        self._shown: list[ErrorEntry] = []
        self._build()
        self.list.currentRowChanged.connect(self._show)
        console.errors.listeners.append(self._fill)
        console.changed.connect(self._maybe_fill)
        self.finished.connect(lambda _: console.errors.listeners.remove(self._fill))
        self._fill()

    def _build(self) -> None:
        parts = QSplitter(Qt.Orientation.Vertical, self)
        parts.addWidget(self.list)
        parts.addWidget(self.text)
        buttons = QDialogButtonBox(self)
        copy = QPushButton("Copy", self)
        copy.clicked.connect(lambda: QGuiApplication.clipboard().setText(self.text.toPlainText()))
        close = QPushButton("Close", self)
        close.clicked.connect(self.close)
        buttons.addButton(copy, QDialogButtonBox.ButtonRole.ActionRole)
        buttons.addButton(close, QDialogButtonBox.ButtonRole.RejectRole)
        layout = QVBoxLayout(self)
        layout.addWidget(parts, 1)
        layout.addWidget(buttons)
        self.resize(self.fontMetrics().averageCharWidth() * 80, self.fontMetrics().height() * 26)

    def entries(self) -> list[ErrorEntry]:
        """Dialogs and failed tasks, newest first."""
        tasks = self.console.config.all(Kind.TASK, Task)
        failed = [
            ErrorEntry(task.finished_at or task.started_at, task.name, task.result)
            for task in tasks
            if task.state is TaskState.FAILED
        ]
        return sorted([*self.console.errors.entries, *failed], key=lambda entry: -entry.time)

    def _maybe_fill(self, change: Change) -> None:
        if change.touches(Kind.TASK):
            self._fill()

    def _fill(self) -> None:
        entries = self.entries()
        if entries == self._shown and self.list.count():
            return
        self._shown = entries
        self.list.clear()
        for entry in entries:
            when = moments.clock(entry.time)
            self.list.addItem(QListWidgetItem(icons.icon("state-error"), f"{when}  {entry.title}"))
        if entries:
            self.list.setCurrentRow(0)
        else:
            self.text.setPlainText(NOTHING)

    def _show(self, row: int) -> None:
        if 0 <= row < len(self._shown):
            entry = self._shown[row]
            self.text.setPlainText("\n\n".join(filter(None, (entry.title, entry.text, entry.details))))
