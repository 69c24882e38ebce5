"""The small picture of a plan page: new pieces have a solid outline, those that go a dashed one."""

from __future__ import annotations

from PySide6.QtCore import QRect, QSize
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from engine.config import Config
from engine.plans import Plan
from engine.units import format_size
from vea_gui.disk_picture import Part, Piece, Strip, strips, touched
from vea_gui.views.block_paint import Ink, Look, draw_block

GAP = 4


class DiskPicture(QWidget):
    """Shows `show_plan`'s disks; empty and without height while a plan touches none."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._strips: list[Strip] = []
        self._more = 0
        self.setAccessibleName("Disks")
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def show_plan(self, config: Config, plan: Plan) -> None:
        """Show what a plan would do to the disks of a configuration."""
        self._strips = strips(config, plan)
        self._more = len(touched(config, plan)) - len(self._strips)
        self.setAccessibleDescription(". ".join(strip.sentence for strip in self._strips))
        self.setVisible(bool(self._strips))
        self.updateGeometry()
        self.update()

    def sizeHint(self) -> QSize:
        line = self.fontMetrics().height()
        rows = len(self._strips) * (self._height() + GAP)
        return QSize(40 * line, rows + (line if self._more else 0))

    def minimumSizeHint(self) -> QSize:
        return QSize(20 * self.fontMetrics().height(), self.sizeHint().height())

    def _height(self) -> int:
        return self.fontMetrics().height() + 2 * GAP

    def paintEvent(self, event: QPaintEvent) -> None:
        ink = Ink.of(self)
        painter = QPainter(self)
        painter.setFont(ink.font)
        labels = [f"{strip.name}   {format_size(strip.size)}" for strip in self._strips]
        left = max((ink.metrics.horizontalAdvance(label) for label in labels), default=0) + 3 * GAP
        for number, (strip, label) in enumerate(zip(self._strips, labels, strict=True)):
            top = number * (self._height() + GAP)
            painter.setPen(ink.text)
            painter.drawText(0, top + GAP + ink.metrics.ascent(), label)
            self._draw_strip(painter, ink, strip, QRect(left, top, self.width() - left, self._height()))
        if self._more:
            painter.setPen(ink.muted)
            painter.drawText(0, self.height() - ink.metrics.descent(), f"and {self._more} more disks")
        painter.end()

    def _draw_strip(self, painter: QPainter, ink: Ink, strip: Strip, area: QRect) -> None:
        for cell in strip.bar(area.width()).cells:
            rect = QRect(area.left() + cell.left, area.top(), cell.right - cell.left, area.height())
            if cell.spans == 1:
                self._draw_piece(painter, ink, strip.pieces[cell.first], rect)
            elif cell.spans:
                self._draw_crowd(painter, ink, strip.pieces[cell.first : cell.first + cell.spans], rect)

    def _draw_piece(self, painter: QPainter, ink: Ink, piece: Piece, rect: QRect) -> None:
        new, gone = piece.part is Part.TAKEN, piece.part is Part.GIVEN
        details = ("becomes free",) if gone else (format_size(piece.length),)
        label = piece.label or ("free" if piece.part is Part.FREE else "")
        draw_block(painter, ink, rect, Look(piece.layout, label, details, dimmed=not new, solid=new, dashed=gone))

    def _draw_crowd(self, painter: QPainter, ink: Ink, pieces: tuple[Piece, ...], rect: QRect) -> None:
        """Pieces too small to draw: new ones among them are what counts, then those that become free."""
        parts = {piece.part: piece for piece in reversed(pieces)}
        shown = parts.get(Part.TAKEN) or parts.get(Part.GIVEN) or pieces[0]
        new, gone = shown.part is Part.TAKEN, shown.part is Part.GIVEN
        draw_block(painter, ink, rect, Look(shown.layout, str(len(pieces)), dimmed=not new, solid=new, dashed=gone))
