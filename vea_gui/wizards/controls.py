"""The widgets of fields: each shows one field, gives its answer, and has a line for the reason beside it."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QButtonGroup,
    QCheckBox,
    QComboBox,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QRadioButton,
    QSpinBox,
    QWidget,
)

from engine.config import Config
from engine.units import GIB, KIB, MIB, TIB, parse_size
from vea_gui.wizards.control import Control
from vea_gui.wizards.form import Answers, Field, Option
from vea_gui.wizards.wheel import pass_wheel

UNITS = {"KiB": KIB, "MiB": MIB, "GiB": GIB, "TiB": TIB, "sectors": 512, "bytes": 1}
NUMBER = re.compile(r"[0-9]+(\.[0-9]*)?|\.[0-9]+")
LONGEST_NUMBER = 32


class TextControl(Control):
    """A line of text."""

    def __init__(self, field: Field, parent: QWidget | None = None) -> None:
        super().__init__(field, parent)
        self.line = QLineEdit(self)
        self.line.setPlaceholderText(field.sample)
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
        pass_wheel(self.unit)
        self.named(self.line)
        self.named(self.unit, f"{field.label} unit")
        self.unit.setAccessibleDescription(f"{field.label} unit")  # a combo box is read out by what it shows
        row = QHBoxLayout()
        row.addWidget(self.line, 1)
        row.addWidget(self.unit)
        if field.maximum is not None:
            self.most = QPushButton("Ma&x Size", self)
            self.named(self.most, "Max Size")
            self.most.clicked.connect(self.asked_maximum)
            row.addWidget(self.most)
        self.maximum = QLabel(self)
        self.maximum.hide()
        self.box.addLayout(row)
        self.box.addWidget(self.maximum)
        self.line.textEdited.connect(self.changed)
        self.line.editingFinished.connect(self._settle)
        self.unit.currentTextChanged.connect(lambda _: self.changed.emit())
        self.setFocusProxy(self.line)

    def _settle(self) -> None:
        """A unit that was typed goes where units stand: two of them beside each other contradict each other."""
        text, size = self.line.text().strip(), self.answer()
        if size > 0 and not NUMBER.fullmatch(text):
            self.show_answer(size)

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
        pass_wheel(self.spin)
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
        self.named(self)
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
            button.setAccessibleDescription(option.why_not)
            self.group.addButton(button, number)
            self.box.addWidget(button)
        self._tick()

    def _tick(self) -> None:
        for number, option in enumerate(self._options):
            if option.value == self._chosen:
                self.group.button(number).setChecked(True)
                self.setFocusProxy(self.group.button(number))
                if self._off:  # the button that stands for the field now has to say so, too
                    self._explain(self.field.off)


class ComboControl(Control):
    """A drop-down list."""

    def __init__(self, field: Field, parent: QWidget | None = None) -> None:
        super().__init__(field, parent)
        self.combo = QComboBox(self)
        pass_wheel(self.combo)
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
            self.combo.addItems([f"{one.text} ({one.why_not})" if one.why_not else one.text for one in options])
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
