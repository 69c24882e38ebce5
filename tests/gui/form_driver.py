"""Answers the fields of a form by hand: keys and clicks on the widgets, as an operator does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QAbstractButton, QApplication, QLineEdit, QListWidget, QPushButton
from pytestqt.qtbot import QtBot

from engine.records import Ref
from vea_gui.console import Console
from vea_gui.wizards.controls import (
    CheckControl,
    ChoiceControl,
    ComboControl,
    NumberControl,
    SizeControl,
    TextControl,
)
from vea_gui.wizards.dialog import FormDialog
from vea_gui.wizards.list_controls import ListControl, ListsControl, PathsControl


class Driver:
    """One open form."""

    def __init__(self, qtbot: QtBot, console: Console, name: str, refs: Sequence[Ref] = (), *more: object) -> None:
        self.qtbot = qtbot
        opened = console.ask(name, console.at(*refs), *more)
        assert isinstance(opened, FormDialog)
        self.dialog = opened
        self.settle()

    def settle(self) -> None:
        """Wait until everything is known about the answers."""
        found = self.dialog.inquiry
        self.qtbot.waitUntil(lambda: found.gone or (not found.asking and bool(found.plan or found.reasons)))

    def fill(self, **answers: Any) -> Driver:
        """Answer fields, in this order."""
        for name, value in answers.items():
            self._fill(self.dialog.control(name), value)
            self.settle()
        return self

    def _fill(self, control: Any, value: Any) -> None:
        assert control.isEnabled(), f"{control.field.name} is not enabled"
        match control:
            case TextControl():
                self._type(control.line, str(value))
            case SizeControl():
                number, unit = value.split(" ")
                control.unit.setCurrentText(unit)
                self._type(control.line, number)
            case NumberControl():
                control.spin.setValue(value)
            case CheckControl():
                self.click(control.tick)
            case ChoiceControl():
                self.click(next(button for button in control.group.buttons() if button.text().startswith(value)))
            case ComboControl():
                texts = [control.combo.itemText(row) for row in range(control.combo.count())]
                row = next(row for row, text in enumerate(texts) if text.startswith(value))
                control.combo.setCurrentIndex(row)
                control.combo.activated.emit(row)
            case ListControl():
                control.rows.setCurrentRow(row_of(control.rows, value))
            case ListsControl():
                self._add(control, value)
            case PathsControl():
                control.lines.setFocus()
                self.qtbot.keyClicks(control.lines, value)
            case _:
                raise AssertionError(f"nobody knows how to answer {control}")

    def _type(self, line: QLineEdit, text: str) -> None:
        line.setFocus()
        line.selectAll()
        self.qtbot.keyClick(line, Qt.Key.Key_Delete)
        self.qtbot.keyClicks(line, text)

    def _add(self, control: ListsControl, names: Sequence[str]) -> None:
        for name in names:
            control.available.setCurrentRow(row_of(control.available, name))
            add = next(button for button in control.findChildren(QPushButton) if button.accessibleName() == "Add")
            self.click(add)

    def click(self, button: QAbstractButton) -> None:
        """A left click; a disabled button is a defect of the test."""
        assert button.isEnabled(), f"{button.text()} is not enabled"
        button.click()

    def next(self, times: int = 1) -> Driver:
        """Press Next."""
        for _ in range(times):
            self.settle()
            self.click(self.dialog.next)
        return self

    def finish(self) -> None:
        """Press Finish, or the verb, and wait until the dialog has closed."""
        self.settle()
        with self.qtbot.waitSignal(self.dialog.accepted):
            self.click(self.dialog.finish)

    def reason(self, name: str) -> str:
        """What stands under a field."""
        return next(page.reasons[name].said for page in self.dialog.pages if name in page.reasons)

    def steps(self) -> list[str]:
        """The steps that the plan shows."""
        table = self.dialog.plan_view.steps
        return [table.item(row, 1).text() for row in range(table.rowCount())]


def close_all() -> None:
    """Cancel every form that is still open."""
    for widget in QApplication.topLevelWidgets():
        if isinstance(widget, FormDialog):
            widget.reject()


def row_of(rows: QListWidget, name: str) -> int:
    """The row whose text begins with a name."""
    texts = [rows.item(row).text() for row in range(rows.count())]
    return next(row for row, text in enumerate(texts) if text.split(",")[0] == name)
