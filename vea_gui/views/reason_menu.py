"""A menu in which one can stand on what is not possible: it is marked, and its reason lasts as long as the menu."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtGui import QAction, QColor, QPainter, QPaintEvent, QPalette, QPen
from PySide6.QtWidgets import QMenu, QWidget

if TYPE_CHECKING:
    from vea_gui.console import Console

TINT = 48
"""How much of the highlight's colour, of 255, lies over a grey entry: its words stay readable."""


class ReasonMenu(QMenu):
    """The style marks only what can be chosen; here arrows and pointer are seen on every entry."""

    def __init__(self, title: str, console: Console, parent: QWidget | None = None) -> None:
        super().__init__(title, parent)
        self.console = console
        self._said = ""
        self.aboutToHide.connect(self._left)

    def say(self, reason: str) -> None:
        """Tell why the entry that is stood on is not possible; empty for one that is."""
        self._said = reason
        self.console.tell(reason)

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        here = self.activeAction()
        grey = [entry for entry in self.actions() if entry == here and not (entry.isEnabled() or entry.isSeparator())]
        for entry in grey:
            self._mark(entry)

    def _mark(self, entry: QAction) -> None:
        accent = self.palette().color(QPalette.ColorGroup.Active, QPalette.ColorRole.Highlight)
        fill = QColor(accent)
        fill.setAlpha(TINT)
        rect = self.actionGeometry(entry).adjusted(0, 0, -1, -1)
        painter = QPainter(self)
        painter.setPen(QPen(accent, 1))
        painter.setBrush(fill)
        painter.drawRect(rect)
        painter.end()

    def _left(self) -> None:
        if self._said:
            self.console.take_back(self._said)
            self._said = ""
