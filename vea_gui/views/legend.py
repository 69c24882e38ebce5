"""The legend of the pictures: what each colour and pattern means. A click puts a layout aside or brings it back."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QRect, QSize, Qt, Signal
from PySide6.QtGui import QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import QAbstractButton, QSizePolicy, QWidget

from vea_gui.colors import LAYOUT_TITLES
from vea_gui.views.block_paint import Ink, Look, draw_block, draw_focus

SWATCH = 26
GAP = 4
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
    """All layouts side by side, in several rows where the page is narrow: other parts of the window keep their room."""

    filtered = Signal(object)  # frozenset of layouts that are put aside

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Legend")
        self.entries = [LegendEntry(name, self) for name in LAYOUTS]
        for entry in self.entries:
            entry.toggled.connect(self._tell)
        policy = QSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Minimum)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)

    def put_aside(self) -> frozenset[str]:
        """The layouts that are put aside now."""
        return frozenset(entry.layout_name for entry in self.entries if not entry.isChecked())

    def hasHeightForWidth(self) -> bool:
        return True

    def heightForWidth(self, width: int) -> int:
        return max(place.bottom() + 1 for place in self._places(width))

    def sizeHint(self) -> QSize:
        sizes = [entry.sizeHint() for entry in self.entries]
        width = sum(size.width() for size in sizes) + GAP * (len(sizes) - 1)
        return QSize(width, max(size.height() for size in sizes))

    def minimumSizeHint(self) -> QSize:
        """Room for the longest entry: the others go below it."""
        sizes = [entry.sizeHint() for entry in self.entries]
        return QSize(max(size.width() for size in sizes), max(size.height() for size in sizes))

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._lay_out()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() in (QEvent.Type.FontChange, QEvent.Type.StyleChange):
            self._lay_out()
            self.updateGeometry()

    def _lay_out(self) -> None:
        for entry, place in zip(self.entries, self._places(self.width()), strict=True):
            entry.setGeometry(place)

    def _places(self, width: int) -> list[QRect]:
        """Where each entry stands: from left to right, then the next row."""
        places: list[QRect] = []
        left = top = 0
        for entry in self.entries:
            size = entry.sizeHint()
            if left and left + size.width() > width:
                left, top = 0, places[-1].bottom() + 1
            places.append(QRect(left, top, size.width(), size.height()))
            left += size.width() + GAP
        return places

    def _tell(self) -> None:
        self.filtered.emit(self.put_aside())
