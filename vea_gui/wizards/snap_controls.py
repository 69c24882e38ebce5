"""Fields that snapshots need: lists where what is missing can be mended, lines of answers, a file to write."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QComboBox,
    QFileDialog,
    QGridLayout,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QLineEdit,
    QListWidgetItem,
    QPushButton,
    QWidget,
)

from engine.config import Config
from vea_gui.wizards.control import Control
from vea_gui.wizards.form import Answers, Cell, Field, Line
from vea_gui.wizards.list_controls import ListsControl
from vea_gui.wizards.wheel import pass_wheel

PICK_FIRST = "Pick a volume on the left that is not prepared."


class MendedControl(ListsControl):
    """Two lists. One can stand on what can't be taken, and a button opens the form that helps it."""

    asked_form = Signal(str, object)

    def __init__(self, field: Field, parent: QWidget | None = None) -> None:
        super().__init__(field, parent)
        assert field.mending is not None
        self._config = Config()
        self._mending = field.mending
        self.mend = QPushButton(field.mending.label, self)
        self.mend.setAccessibleName(field.mending.label.replace("&", ""))
        self.mend.clicked.connect(self._ask)
        self.why = QLabel(self)
        self.why.setWordWrap(True)
        row = QHBoxLayout()
        row.addWidget(self.mend)
        row.addWidget(self.why, 1)
        self.box.addLayout(row)
        self.available.itemSelectionChanged.connect(self._explain_mending)
        self._explain_mending()

    def refresh(self, config: Config, answers: Answers) -> None:
        self._config = config
        super().refresh(config, answers)
        self._explain_mending()

    def _fill(self) -> None:
        picked = {item.data(Qt.ItemDataRole.UserRole) for item in self.available.selectedItems()}
        self.available.blockSignals(True)
        super()._fill()
        forbidden = self._forbidden()
        for row in range(self.available.count()):
            item = self.available.item(row)
            value = item.data(Qt.ItemDataRole.UserRole)
            if value in forbidden:
                item.setFlags(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable)
                item.setForeground(self.palette().placeholderText())
            item.setSelected(value in picked)
        self.available.blockSignals(False)

    def _take(self, items: list[QListWidgetItem]) -> None:
        forbidden = self._forbidden()
        super()._take([item for item in items if item.data(Qt.ItemDataRole.UserRole) not in forbidden])

    def _told(self) -> None:
        super()._told()
        self._explain_mending()

    def _forbidden(self) -> dict[Any, str]:
        return {option.value: option.why_not for option in self._options if option.why_not}

    def _picked(self) -> list[Any]:
        """What is stood on and can't be taken."""
        forbidden = self._forbidden()
        values = (item.data(Qt.ItemDataRole.UserRole) for item in self.available.selectedItems())
        return [value for value in values if value in forbidden]

    def _explain_mending(self) -> None:
        picked = self._picked()
        why = self._mending.why_not(self._config, picked[0]) if picked else PICK_FIRST
        self.mend.setEnabled(not why)
        self.mend.setAccessibleDescription(why)
        self.mend.setToolTip(why)
        self.why.setText(why)

    def _ask(self) -> None:
        if picked := self._picked():
            self.asked_form.emit(self._mending.form, picked[:1])


class LinesControl(Control):
    """A line of answers for each of several objects. The answer is a tuple of `Line`."""

    def __init__(self, field: Field, parent: QWidget | None = None) -> None:
        super().__init__(field, parent)
        self.grid = QGridLayout()
        self.grid.setHorizontalSpacing(16)
        self.grid.setVerticalSpacing(4)
        self.box.addLayout(self.grid)
        for column, head in enumerate(field.heads):
            self.grid.addWidget(QLabel(head, self), 0, column)
        self.rows: list[list[QWidget]] = []
        self._lines: list[Line] = []

    def answer(self) -> tuple[Line, ...]:
        return tuple(self._lines)

    def show_answer(self, answer: Any) -> None:
        """What follows from other answers comes by `refresh`."""

    def refresh(self, config: Config, answers: Answers) -> None:
        lines = self.field.lines(config, answers)
        if [_shape(line) for line in lines] != [_shape(line) for line in self._lines]:
            self._remake(lines)
        self._lines = lines
        for row, line in zip(self.rows, lines, strict=True):
            for widget, cell in zip(row[1:], line.cells, strict=True):
                _show(widget, cell)
        super().refresh(config, answers)

    def _remake(self, lines: list[Line]) -> None:
        for row in self.rows:
            for widget in row:
                self.grid.removeWidget(widget)
                widget.hide()
                widget.deleteLater()
        self.rows = [self._row(number, line) for number, line in enumerate(lines)]
        texts = [widget for row in self.rows for widget in row if isinstance(widget, QLineEdit)]
        if texts:
            self.setFocusProxy(texts[0])

    def _row(self, number: int, line: Line) -> list[QWidget]:
        made: list[QWidget] = [QLabel(line.title, self)]
        made += [self._widget(number, at, line.title, cell) for at, cell in enumerate(line.cells)]
        for column, widget in enumerate(made):
            self.grid.addWidget(widget, number + 1, column)
            self.grid.setColumnStretch(column, 2 if isinstance(widget, QLineEdit) else 0)
        return made

    def _widget(self, number: int, at: int, title: str, cell: Cell) -> QWidget:
        name = f"{self.field.heads[at + 1]} of {title}"
        if cell.options is None:
            line = QLineEdit(self)
            line.textEdited.connect(lambda text: self._change(number, at, text))
            return _called(line, name)
        if len(cell.options) < 2:
            return QLabel(cell.options[0].text if cell.options else "", self)
        combo = QComboBox(self)
        pass_wheel(combo)
        combo.addItems([option.text for option in cell.options])
        values = [option.value for option in cell.options]
        combo.activated.connect(lambda row: self._change(number, at, values[row]))
        return _called(combo, name)

    def _change(self, number: int, at: int, answer: Any) -> None:
        line = self._lines[number]
        cells = (*line.cells[:at], replace(line.cells[at], answer=answer), *line.cells[at + 1 :])
        self._lines = [*self._lines[:number], replace(line, cells=cells), *self._lines[number + 1 :]]
        self.changed.emit()


def _called(widget: QWidget, name: str) -> QWidget:
    """A combo box is read out by what it shows: its description names it, too."""
    widget.setAccessibleName(name)
    widget.setAccessibleDescription(name)
    return widget


def _show(widget: QWidget, cell: Cell) -> None:
    if isinstance(widget, QLineEdit) and widget.text() != cell.answer:
        widget.setText(cell.answer)
    if isinstance(widget, QComboBox) and cell.options is not None:
        values = [option.value for option in cell.options]
        widget.setCurrentIndex(values.index(cell.answer) if cell.answer in values else -1)


def _shape(line: Line) -> tuple[Any, ...]:
    """What the widgets of a line are made for."""
    return line.value, line.title, tuple(cell.options for cell in line.cells)


class FileControl(Control):
    """The path of a file that is to be written, typed or browsed for."""

    def __init__(self, field: Field, parent: QWidget | None = None) -> None:
        super().__init__(field, parent)
        self.line = QLineEdit(self)
        self.named(self.line)
        self.line.textEdited.connect(self.changed)
        browse = QPushButton("&Browse...", self)
        browse.setAccessibleName("Browse...")
        browse.clicked.connect(self._browse)
        row = QHBoxLayout()
        row.addWidget(self.line, 1)
        row.addWidget(browse)
        self.box.addLayout(row)
        self.setFocusProxy(self.line)

    def answer(self) -> str:
        return self.line.text().strip()

    def show_answer(self, answer: Any) -> None:
        self.line.setText(str(answer))

    def _browse(self) -> None:
        dialog = QFileDialog(self, self.field.label)
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setOption(QFileDialog.Option.DontConfirmOverwrite)  # the form asks
        dialog.setNameFilter("XML files (*.xml)")
        dialog.setDefaultSuffix("xml")
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        for header in dialog.findChildren(QHeaderView):  # Qt's own dialog; a desktop's has none
            header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        dialog.fileSelected.connect(self._taken)
        dialog.open()

    def _taken(self, path: str) -> None:
        self.line.setText(path)
        self.changed.emit()
