"""What the widgets of all fields have in common."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QVBoxLayout, QWidget

from engine.config import Config
from vea_gui.wizards.form import Answers, Field


class Control(QWidget):
    """One field on a page. `changed` tells that its answer has changed by the operator's hand."""

    changed = Signal()

    def __init__(self, field: Field, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.field = field
        self._off = False  # grey, and saying why
        self.setAccessibleName((field.caption or field.label).replace("&", ""))
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
        on = self.field.enabled(config, answers)
        self.setEnabled(on)
        if on is self._off:
            self._off = not on
            self._explain("" if on else self.field.off)

    def describe(self, reason: str) -> None:
        """Tell a screen reader, too, why the answer is not good."""
        if not self._off:
            self._target().setAccessibleDescription(" ".join(filter(None, (reason, self.field.hint))))

    def _explain(self, why_off: str) -> None:
        """A field that is grey says why, to the pointer and to a screen reader; so does its group."""
        self.setAccessibleDescription(why_off)
        self.setToolTip(why_off)
        self._target().setAccessibleDescription(why_off or self.field.hint)
        self._target().setToolTip(why_off or self.field.hint)

    def _target(self) -> QWidget:
        return self.focusProxy() or self
