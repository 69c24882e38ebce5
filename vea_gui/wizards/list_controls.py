"""Fields that are lists: one row of a list, Available and Selected, paths."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QPlainTextEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from engine.config import Config
from vea_gui.wizards.control import Control
from vea_gui.wizards.form import Answers, Field, Option

LIST_ROWS = 6
PATH_LINES = 4


class Rows(QListWidget):
    """A list whose long rows break into lines, so that nothing is cut and nothing scrolls sideways."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWordWrap(True)
        self.setTextElideMode(Qt.TextElideMode.ElideNone)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setResizeMode(QListWidget.ResizeMode.Adjust)
        self.setAlternatingRowColors(True)

    def sizeHint(self) -> QSize:
        return QSize(200, self.fontMetrics().height() * LIST_ROWS + 12)

    def minimumSizeHint(self) -> QSize:
        return QSize(120, self.sizeHint().height())


class Takers(Rows):
    """Rows of which Enter does with the picked ones what a double click does, instead of leaving the page."""

    entered = Signal()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self.selectedItems():
            self.entered.emit()
            event.accept()
            return
        super().keyPressEvent(event)


class ListsControl(Control):
    """Two lists, and the buttons between them. What cannot be taken says why."""

    def __init__(self, field: Field, parent: QWidget | None = None) -> None:
        super().__init__(field, parent)
        self.available = self._list(field.lists[0])
        self.selected = self._list(field.lists[1])
        row = QHBoxLayout()
        row.addLayout(self._column(field.lists[0], self.available), 1)
        row.addLayout(self._buttons())
        row.addLayout(self._column(field.lists[1], self.selected), 1)
        self.box.addLayout(row)
        self.setFocusProxy(self.available)
        self._options: list[Option] = []
        self._chosen: tuple[Any, ...] = ()
        self.available.entered.connect(lambda: self._take(self.available.selectedItems()))
        self.selected.entered.connect(lambda: self._give(self.selected.selectedItems()))
        self.available.itemDoubleClicked.connect(lambda item: self._take([item]))
        self.selected.itemDoubleClicked.connect(lambda item: self._give([item]))

    def answer(self) -> tuple[Any, ...]:
        return self._chosen

    def show_answer(self, answer: Any) -> None:
        self._chosen = tuple(answer)
        self._fill()

    def refresh(self, config: Config, answers: Answers) -> None:
        options = self.field.options(config, answers)
        if options != self._options:
            self._options = options
            known = {option.value for option in options}
            self._chosen = tuple(value for value in self._chosen if value in known)
            self._fill()
        super().refresh(config, answers)

    def _fill(self) -> None:
        by_value = {option.value: option for option in self._options}
        self.available.clear()
        self.selected.clear()
        for option in self._options:
            if option.value not in self._chosen:
                self.available.addItem(_item(option))
        for value in self._chosen:
            if value in by_value:
                self.selected.addItem(_item(by_value[value], allowed=True))

    def _take(self, items: list[QListWidgetItem]) -> None:
        allowed = [item for item in items if item.flags() & Qt.ItemFlag.ItemIsEnabled]
        self._chosen = (*self._chosen, *(item.data(Qt.ItemDataRole.UserRole) for item in allowed))
        self._told()

    def _give(self, items: list[QListWidgetItem]) -> None:
        gone = {item.data(Qt.ItemDataRole.UserRole) for item in items}
        self._chosen = tuple(value for value in self._chosen if value not in gone)
        self._told()

    def _told(self) -> None:
        self._fill()
        self.changed.emit()

    def _list(self, heading: str) -> Takers:
        made = Takers(self)
        made.setSelectionMode(QListWidget.SelectionMode.ExtendedSelection)
        made.setAccessibleName(heading)
        return made

    def _column(self, heading: str, view: QListWidget) -> QVBoxLayout:
        column = QVBoxLayout()
        label = QLabel(heading, self)
        label.setBuddy(view)
        column.addWidget(label)
        column.addWidget(view, 1)
        return column

    def _buttons(self) -> QVBoxLayout:
        column = QVBoxLayout()
        column.addStretch(1)
        work = {
            "&Add": lambda: self._take(self.available.selectedItems()),
            "Add A&ll": lambda: self._take([self.available.item(row) for row in range(self.available.count())]),
            "&Remove": lambda: self._give(self.selected.selectedItems()),
            "Remo&ve All": lambda: self._give([self.selected.item(row) for row in range(self.selected.count())]),
        }
        for text, act in work.items():
            button = QPushButton(text, self)
            button.setAccessibleName(text.replace("&", ""))
            button.clicked.connect(lambda _=False, act=act: act())
            column.addWidget(button)
        column.addStretch(1)
        return column


class ListControl(Control):
    """One row of a list. What cannot be taken stands there with its reason, so that it can be read by keyboard."""

    def __init__(self, field: Field, parent: QWidget | None = None) -> None:
        super().__init__(field, parent)
        self.rows = Rows(self)
        self.named(self.rows)
        self.rows.currentRowChanged.connect(self._picked)
        self.box.addWidget(self.rows)
        self.setFocusProxy(self.rows)
        self._options: list[Option] = []
        self._chosen: Any = None

    def answer(self) -> Any:
        return self._chosen

    def show_answer(self, answer: Any) -> None:
        self._chosen = answer
        self._fill()

    def refresh(self, config: Config, answers: Answers) -> None:
        options = self.field.options(config, answers)
        if options != self._options:
            self._options = options
            self._fill()
        super().refresh(config, answers)

    def _fill(self) -> None:
        self.rows.blockSignals(True)
        self.rows.clear()
        for option in self._options:
            item = _item(option)
            item.setFlags(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable)
            if option.why_not:
                item.setForeground(self.palette().placeholderText())
            self.rows.addItem(item)
        values = [option.value for option in self._options]
        self.rows.setCurrentRow(values.index(self._chosen) if self._chosen in values else -1)
        self.rows.blockSignals(False)

    def _picked(self, row: int) -> None:
        if 0 <= row < len(self._options):
            self._chosen = self._options[row].value
            self.changed.emit()


class PathsControl(Control):
    """Paths, one a line, typed or browsed for."""

    def __init__(self, field: Field, parent: QWidget | None = None) -> None:
        super().__init__(field, parent)
        self.lines = QPlainTextEdit(self)
        self.named(self.lines)
        self.lines.setTabChangesFocus(True)
        self.lines.setFixedHeight(self.lines.fontMetrics().height() * PATH_LINES + 12)
        self.lines.textChanged.connect(self.changed)
        browse = QPushButton("&Browse...", self)
        browse.setAccessibleName("Browse...")
        browse.clicked.connect(self._browse)
        row = QHBoxLayout()
        row.addWidget(self.lines, 1)
        row.addWidget(browse, 0, Qt.AlignmentFlag.AlignTop)
        self.box.addLayout(row)
        self.setFocusProxy(self.lines)

    def answer(self) -> tuple[str, ...]:
        return tuple(line.strip() for line in self.lines.toPlainText().splitlines() if line.strip())

    def show_answer(self, answer: Any) -> None:
        self.lines.setPlainText("\n".join(answer))

    def _browse(self) -> None:
        dialog = QFileDialog(self, "Choose LUN files")
        dialog.setFileMode(QFileDialog.FileMode.ExistingFiles)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        for header in dialog.findChildren(QHeaderView):  # Qt's own dialog; a desktop's has none
            header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        dialog.filesSelected.connect(lambda paths: self.show_answer((*self.answer(), *paths)))
        dialog.open()


def _item(option: Option, allowed: bool = False) -> QListWidgetItem:
    text = f"{option.text} ({option.why_not})" if option.why_not and not allowed else option.text
    item = QListWidgetItem(text)
    item.setData(Qt.ItemDataRole.UserRole, option.value)
    if option.why_not and not allowed:
        item.setFlags(item.flags() & ~Qt.ItemFlag.ItemIsEnabled)
        item.setData(Qt.ItemDataRole.AccessibleDescriptionRole, option.why_not)
    item.setToolTip(text)
    return item
