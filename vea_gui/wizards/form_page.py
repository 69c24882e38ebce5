"""One page of fields: labels at the left, controls at the right, under each control the reason while there is one."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QGridLayout, QLabel, QWidget

from engine.config import Config
from vea_gui.wizards.calendar_control import CalendarControl
from vea_gui.wizards.control import Control
from vea_gui.wizards.controls import (
    CheckControl,
    ChoiceControl,
    ComboControl,
    FactControl,
    NumberControl,
    SizeControl,
    TextControl,
)
from vea_gui.wizards.form import Answers, Field, FieldKind, Page
from vea_gui.wizards.list_controls import ListControl, ListsControl, PathsControl
from vea_gui.wizards.notice import Notice
from vea_gui.wizards.snap_controls import FileControl, LinesControl, MendedControl
from vea_gui.words import Tone

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
    FieldKind.CALENDAR: CalendarControl,
    FieldKind.MENDED: MendedControl,
    FieldKind.LINES: LinesControl,
    FieldKind.FILE: FileControl,
}
WIDE = frozenset({FieldKind.LISTS, FieldKind.MENDED, FieldKind.CALENDAR})
ACROSS = WIDE | {FieldKind.LINES}
"""Kinds without a label of their own: they take the whole width, those of WIDE all of the height, too."""
LOWERED = {FieldKind.FACT: 0, FieldKind.CHOICE: 1, FieldKind.CHECK: 1}
"""Pixels by which a label sits lower than its control's top, so that both stand on one line; 4 for all others."""
UNBOUND = frozenset({FieldKind.CHECK, FieldKind.CHOICE, FieldKind.FACT})
"""Kinds whose label stands before several controls, or before none."""


class FormPage(QWidget):
    """Shows fields and gives their answers; knows nothing of plans."""

    changed = Signal(str)  # name of the field whose answer the operator has changed
    asked_maximum = Signal(str)
    asked_form = Signal(str, object)  # its name, and the Refs that it is about

    def __init__(self, page: Page, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.page = page
        self.controls: dict[str, Control] = {}
        self.reasons: dict[str, Notice] = {}
        self._parts: dict[str, list[QWidget]] = {}
        self.grid = QGridLayout(self)
        self.grid.setContentsMargins(0, 0, 0, 0)
        self.grid.setHorizontalSpacing(16)
        self.grid.setVerticalSpacing(4)
        self.grid.setColumnStretch(1, 1)
        for each in page.fields:
            self._add(each)
        self.grid.setRowStretch(self.grid.rowCount(), 1)

    def _add(self, each: Field) -> None:
        row = self.grid.rowCount()
        control = CONTROLS[each.kind](each, self)
        reason = Notice(Tone.ERROR, self)
        self.controls[each.name], self.reasons[each.name] = control, reason
        self._parts[each.name] = [control]
        if each.kind in ACROSS:
            self.grid.addWidget(control, row, 0, 1, 2)
            self.grid.setRowStretch(row, 10 if each.kind in WIDE else 0)
        else:
            label = self._label(each, control)
            if label is not None:
                self.grid.addWidget(label, row, 0, Qt.AlignmentFlag.AlignTop)
                self._parts[each.name].append(label)
            self.grid.addWidget(control, row, 1)
        self.grid.addWidget(reason, row + 1, 0 if each.kind in ACROSS else 1, 1, 2 if each.kind in ACROSS else 1)
        self.grid.setRowMinimumHeight(row + 2, 0 if each.hides else 4)
        control.changed.connect(lambda name=each.name: self.changed.emit(name))
        if isinstance(control, SizeControl):
            control.asked_maximum.connect(lambda name=each.name: self.asked_maximum.emit(name))
        if isinstance(control, MendedControl):
            control.asked_form.connect(self.asked_form)

    def _label(self, each: Field, control: Control) -> QLabel | None:
        text = each.caption if each.kind is FieldKind.CHECK else each.label
        if not text:
            return None
        label = QLabel(f"{text}:", self)
        label.setContentsMargins(0, LOWERED.get(each.kind, 4), 0, 0)
        if each.kind not in UNBOUND:
            label.setBuddy(control.focusProxy() or control)
        return label

    def answers(self) -> dict[str, Any]:
        """What stands in the controls."""
        facts = (name for name, control in self.controls.items() if control.field.kind is FieldKind.FACT)
        hidden = set(facts)
        return {name: control.answer() for name, control in self.controls.items() if name not in hidden}

    def show_answers(self, answers: Answers, but: str = "") -> None:
        """Put answers in, except into the control that the operator is at."""
        for name, control in self.controls.items():
            if name != but and control.field.kind is not FieldKind.FACT and control.answer() != answers[name]:
                control.show_answer(answers[name])

    def refresh(self, config: Config, answers: Answers) -> None:
        """Options, facts and enabled states follow."""
        for control in self.controls.values():
            control.refresh(config, answers)
            if control.field.hides:
                for part in self._parts[control.field.name]:
                    part.setVisible(control.isEnabledTo(self))

    def show_reasons(self, reasons: Mapping[str, str], yet: Collection[str]) -> None:
        """Put each reason under its field. Those of `yet` only ask: nobody has answered there so far."""
        for name, notice in self.reasons.items():
            text = reasons.get(name, "")
            notice.set_tone(Tone.INFORMATION if name in yet else Tone.ERROR)
            if notice.said != text:
                notice.say(text)
                self.controls[name].describe(text)

    def show_maximum(self, name: str, text: str) -> None:
        """What the largest size is now, beside its button."""
        control = self.controls.get(name)
        if isinstance(control, SizeControl):
            control.show_maximum(text)
