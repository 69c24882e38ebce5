"""A line that says why: wrapped, in the colour and with the sign of its tone, gone while there is nothing to say."""

from __future__ import annotations

from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QPalette
from PySide6.QtWidgets import QLabel, QWidget

from vea_gui import theme
from vea_gui.words import Tone

SIGNS = {Tone.ERROR: "✖ ", Tone.WARNING: "⚠ "}
"""Colour alone must not carry the meaning."""


class Notice(QLabel):
    """Reason, warning, or plain figure."""

    def __init__(self, tone: Tone, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.tone = tone
        self.said = ""
        self.setWordWrap(True)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._color()
        self.hide()

    def say(self, text: str) -> None:
        """Show this; nothing hides the line."""
        self.said = text
        sign = SIGNS.get(self.tone, "")
        self.setText("\n".join(f"{sign}{line}" for line in text.splitlines()))
        self.setAccessibleName(text)
        self.setVisible(bool(text))

    def set_tone(self, tone: Tone) -> None:
        """What the next text means."""
        if tone is not self.tone:
            self.tone = tone
            self._color()
            self.say(self.said)

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange:
            self._color()

    def _color(self) -> None:
        color = theme.current().state(self.tone) if self.tone is not Tone.NONE else theme.current().color("text")
        if self.palette().color(QPalette.ColorRole.WindowText) != color:
            palette = self.palette()
            palette.setColor(QPalette.ColorRole.WindowText, color)
            self.setPalette(palette)
