"""The widgets of fields: each shows one field, gives its answer, and has a line for the reason beside it."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtWidgets import (
    QButtonGroup,
    QCheckBox,
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QPlainTextEdit,
    QPushButton,
    QRadioButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from engine.config import Config
from engine.units import GIB, KIB, MIB, TIB, parse_size
from vea_gui.wizards.form import Answers, Field, FieldKind, Option

UNITS = {"KiB": KIB, "MiB": MIB, "GiB": GIB, "TiB": TIB, "sectors": 512, "bytes": 1}
LIST_ROWS = 6
PATH_LINES = 4
NUMBER = re.compile(r"[0-9]+(\.[0-9]*)?|\.[0-9]+")
LONGEST_NUMBER = 32


class Control(QWidget):
    """One field on a page. `changed` tells that its answer has changed by the operator's hand."""

    changed = Signal()

    def __init__(self, field: Field, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.field = field
        self.box = QVBoxLayout(self)
        self.box.setContentsMargins(0, 0, 0, 0)
        self.box.setSpacing(2)

    def named(self, widget: QWidget, label: str = "") -> QWidget:
        """Give a part its accessible name: the visible label without the mnemonic."""
        widget.setAccessibleName((label or self.field.label).replace("&", "").rstrip(":"))
        if self.field.hint:
            widget.setToolTip(self.field.hint)
            widget.setAccessibleDescription(self.field.hint)
        return widget

    def answer(self) -> Any:
        raise TypeError(f"{type(self).__name__} has no answer")

    def show_answer(self, answer: Any) -> None:
        """Put an answer in, as if by default: `changed` is not told."""

    def refresh(self, config: Config, answers: Answers) -> None:
        """Other answers or records have changed: options, facts and the enabled state follow."""
        self.setEnabled(self.field.enabled(config, answers))

    def describe(self, reason: str) -> None:
        """Tell a screen reader, too, why the answer is not good."""
        target = self.focusProxy() or self
        target.setAccessibleDescription(" ".join(filter(None, (reason, self.field.hint))))


class TextControl(Control):
    """A line of text."""

    def __init__(self, field: Field, parent: QWidget | None = None) -> None:
        super().__init__(field, parent)
        self.line = QLineEdit(self)
        self.named(self.line)
        self.line.textEdited.connect(self.changed)
        self.box.addWidget(self.line)
        self.setFocusProxy(self.line)

    def answer(self) -> str:
        return self.line.text()

    def show_answer(self, answer: Any) -> None:
        self.line.setText(str(answer))
        self.line.setCursorPosition(0)


class SizeControl(Control):
    """A number and a unit, and `Max Size` where there is a largest."""

    asked_maximum = Signal()

    def __init__(self, field: Field, parent: QWidget | None = None) -> None:
        super().__init__(field, parent)
        self.line = QLineEdit(self)
        self.most: QPushButton | None = None
        self.unit = QComboBox(self)
        self.unit.addItems(list(UNITS))
        self.named(self.line)
        self.named(self.unit, f"{field.label} unit")
        row = QHBoxLayout()
        row.addWidget(self.line, 1)
        row.addWidget(self.unit)
        if field.maximum is not None:
            self.most = QPushButton("Ma&x Size", self)
            self.named(self.most, "Max Size")
            self.most.clicked.connect(self.asked_maximum)
            self.most.setAutoDefault(False)
            row.addWidget(self.most)
        self.maximum = QLabel(self)
        self.maximum.hide()
        self.box.addLayout(row)
        self.box.addWidget(self.maximum)
        self.line.textEdited.connect(self.changed)
        self.unit.currentTextChanged.connect(lambda _: self.changed.emit())
        self.setFocusProxy(self.line)

    def answer(self) -> int:
        text = self.line.text().strip()
        if len(text) > LONGEST_NUMBER:
            return -1
        if not NUMBER.fullmatch(text):
            try:
                return parse_size(text)  # "512m" or "2 GiB" typed whole is understood as well
            except ValueError:
                return -1
        return int(Decimal(text) * UNITS[self.unit.currentText()])

    def show_answer(self, answer: Any) -> None:
        size = int(answer)
        unit = next((name for name in ("TiB", "GiB", "MiB", "KiB") if size and size % UNITS[name] == 0), "bytes")
        self.unit.blockSignals(True)
        self.unit.setCurrentText(unit)
        self.unit.blockSignals(False)
        self.line.setText(str(size // UNITS[unit]))

    def show_maximum(self, text: str) -> None:
        """What the largest size is under the other answers."""
        self.maximum.setText(text)
        self.maximum.setVisible(bool(text))


class NumberControl(Control):
    """A whole number within bounds."""

    def __init__(self, field: Field, parent: QWidget | None = None) -> None:
        super().__init__(field, parent)
        self.spin = QSpinBox(self)
        self.spin.setRange(field.lowest, field.highest)
        self.named(self.spin)
        self.spin.valueChanged.connect(lambda _: self.changed.emit())
        row = QHBoxLayout()
        row.addWidget(self.spin)
        row.addStretch(1)
        self.box.addLayout(row)
        self.setFocusProxy(self.spin)

    def answer(self) -> int:
        return self.spin.value()

    def show_answer(self, answer: Any) -> None:
        self.spin.blockSignals(True)
        self.spin.setValue(int(answer))
        self.spin.blockSignals(False)


class CheckControl(Control):
    """Yes or no."""

    def __init__(self, field: Field, parent: QWidget | None = None) -> None:
        super().__init__(field, parent)
        self.tick = QCheckBox(field.label, self)
        self.named(self.tick)
        self.tick.toggled.connect(lambda _: self.changed.emit())
        self.box.addWidget(self.tick)
        self.setFocusProxy(self.tick)

    def answer(self) -> bool:
        return self.tick.isChecked()

    def show_answer(self, answer: Any) -> None:
        self.tick.blockSignals(True)
        self.tick.setChecked(bool(answer))
        self.tick.blockSignals(False)


class ChoiceControl(Control):
    """Radio buttons; an impossible one carries its reason in its text."""

    def __init__(self, field: Field, parent: QWidget | None = None) -> None:
        super().__init__(field, parent)
        self.group = QButtonGroup(self)
        self.group.buttonClicked.connect(lambda _: self.changed.emit())
        self._options: list[Option] = []
        self._chosen: Any = None

    def answer(self) -> Any:
        checked = self.group.checkedId()
        return self._options[checked].value if 0 <= checked < len(self._options) else self._chosen

    def show_answer(self, answer: Any) -> None:
        self._chosen = answer
        self._tick()

    def refresh(self, config: Config, answers: Answers) -> None:
        options = self.field.options(config, answers)
        if options != self._options:
            self._chosen = self.answer()
            self._remake(options)
        super().refresh(config, answers)

    def _remake(self, options: list[Option]) -> None:
        for button in self.group.buttons():
            self.group.removeButton(button)
            self.box.removeWidget(button)
            button.deleteLater()
        self._options = options
        for number, option in enumerate(options):
            text = f"{option.text} ({option.why_not})" if option.why_not else option.text
            button = QRadioButton(text, self)
            button.setAccessibleName(text.replace("&", ""))
            button.setEnabled(not option.why_not)
            self.group.addButton(button, number)
            self.box.addWidget(button)
        self._tick()

    def _tick(self) -> None:
        for number, option in enumerate(self._options):
            if option.value == self._chosen:
                self.group.button(number).setChecked(True)
                self.setFocusProxy(self.group.button(number))


class ComboControl(Control):
    """A drop-down list."""

    def __init__(self, field: Field, parent: QWidget | None = None) -> None:
        super().__init__(field, parent)
        self.combo = QComboBox(self)
        self.named(self.combo)
        self.combo.activated.connect(lambda _: self.changed.emit())
        self.box.addWidget(self.combo)
        self.setFocusProxy(self.combo)
        self._options: list[Option] = []
        self._chosen: Any = None

    def answer(self) -> Any:
        index = self.combo.currentIndex()
        return self._options[index].value if 0 <= index < len(self._options) else self._chosen

    def show_answer(self, answer: Any) -> None:
        self._chosen = answer
        self._pick()

    def refresh(self, config: Config, answers: Answers) -> None:
        options = self.field.options(config, answers)
        if options != self._options:
            self._chosen = self.answer()
            self._options = options
            self.combo.clear()
            self.combo.addItems([option.text for option in options])
            self._pick()
        super().refresh(config, answers)

    def _pick(self) -> None:
        values = [option.value for option in self._options]
        if self._chosen in values:
            self.combo.setCurrentIndex(values.index(self._chosen))


class FactControl(Control):
    """A line that only says something."""

    def __init__(self, field: Field, parent: QWidget | None = None) -> None:
        super().__init__(field, parent)
        self.text = QLabel(self)
        self.text.setWordWrap(True)
        self.text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.box.addWidget(self.text)

    def answer(self) -> None:
        return None

    def refresh(self, config: Config, answers: Answers) -> None:
        options = self.field.options(config, answers)
        said = "\n".join(option.text for option in options) if options else str(self.field.default)
        self.text.setText(said)
        self.text.setAccessibleName(f"{self.field.label}: {said}" if self.field.label else said)
        super().refresh(config, answers)


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

    def _list(self, heading: str) -> QListWidget:
        made = Rows(self)
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
            button.setAutoDefault(False)
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
        browse.setAutoDefault(False)
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
        dialog.filesSelected.connect(lambda paths: self.show_answer((*self.answer(), *paths)))
        dialog.open()


CONTROLS: dict[FieldKind, type[Control]] = {
    FieldKind.TEXT: TextControl,
    FieldKind.SIZE: SizeControl,
    FieldKind.NUMBER: NumberControl,
    FieldKind.CHOICE: ChoiceControl,
    FieldKind.COMBO: ComboControl,
    FieldKind.CHECK: CheckControl,
    FieldKind.LIST: ListControl,
    FieldKind.LISTS: ListsControl,
    FieldKind.FACT: FactControl,
    FieldKind.PATHS: PathsControl,
}


def _item(option: Option, allowed: bool = False) -> QListWidgetItem:
    text = f"{option.text} ({option.why_not})" if option.why_not and not allowed else option.text
    item = QListWidgetItem(text)
    item.setData(Qt.ItemDataRole.UserRole, option.value)
    if option.why_not and not allowed:
        item.setFlags(item.flags() & ~Qt.ItemFlag.ItemIsEnabled)
    item.setToolTip(text)
    return item
