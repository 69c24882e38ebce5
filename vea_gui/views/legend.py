"""The legend of the pictures: what each colour and pattern means. A click puts a layout aside or brings it back."""

from __future__ import annotations

from PySide6.QtCore import QRect, QSize, Qt, Signal
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QAbstractButton, QHBoxLayout, QSizePolicy, QWidget

from vea_gui.colors import LAYOUT_TITLES
from vea_gui.views.block_paint import Ink, Look, draw_block, draw_focus

SWATCH = 26
LAYOUTS = ("concat", "stripe", "mirror", "mirror-stripe", "raid5", "log", "free")


class LegendEntry(QAbstractButton):
    """One layout: its block and its name. Unchecked, its blocks are pale."""

    def __init__(self, layout: str, parent: QWidget) -> None:
        super().__init__(parent)
        self.layout_name = layout
        self.setText(LAYOUT_TITLES[layout])
        self.setAccessibleName(LAYOUT_TITLES[layout])
        self.setAccessibleDescription("Uncheck to put blocks of this layout aside.")
        self.setCheckable(True)
        self.setChecked(True)
        self.setToolTip("Click to put blocks of this layout aside")
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)

    def sizeHint(self) -> QSize:
        metrics = self.fontMetrics()
        return QSize(SWATCH + metrics.horizontalAdvance(self.text()) + 22, metrics.height() + 8)

    def paintEvent(self, event: QPaintEvent) -> None:
        ink = Ink.of(self)
        painter = QPainter(self)
        painter.setFont(self.font())
        on = self.isChecked()
        box = QRect(4, 4, SWATCH, self.height() - 8)
        draw_block(painter, ink, box, Look(self.layout_name, "", dimmed=not on))
        painter.setPen(ink.text if on else ink.muted)
        font = painter.font()
        font.setStrikeOut(not on)
        painter.setFont(font)
        baseline = (self.height() - ink.metrics.height()) // 2 + ink.metrics.ascent()
        painter.drawText(SWATCH + 10, baseline, self.text())
        if self.hasFocus():
            draw_focus(painter, ink, self.rect().adjusted(-4, -4, 4, 4))
        painter.end()


class Legend(QWidget):
    """All layouts side by side."""

    filtered = Signal(object)  # frozenset of layouts that are put aside

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Legend")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        self.entries = [LegendEntry(name, self) for name in LAYOUTS]
        for entry in self.entries:
            layout.addWidget(entry)
            entry.toggled.connect(self._tell)

    def put_aside(self) -> frozenset[str]:
        """The layouts that are put aside now."""
        return frozenset(entry.layout_name for entry in self.entries if not entry.isChecked())

    def _tell(self) -> None:
        self.filtered.emit(self.put_aside())
