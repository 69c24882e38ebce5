"""Fields that let the wheel pass: a page is scrolled over them, and nobody has changed what stands there."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtWidgets import QWidget


class _Passes(QObject):
    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Wheel and isinstance(watched, QWidget) and not watched.hasFocus():
            event.ignore()  # what is around it gets the event
            return True
        return False


def pass_wheel(field: QWidget) -> None:
    """Only where the keyboard is does the wheel change a number or a choice; turning it takes no focus."""
    field.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    field.installEventFilter(_Passes(field))
