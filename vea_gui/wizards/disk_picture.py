"""The small picture of the disks that a plan touches: to scale, with what is taken and freed set off from the rest."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QEvent, QRect, QSize, Qt
from PySide6.QtGui import QHelpEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from vea_gui.block_geometry import Bar, Cell, Span, lay_out
from vea_gui.views.block_paint import Ink, Look, draw_block
from vea_gui.wizards.picture import DiskRow, Fate, Part

GAP = 8
LEAST_BAR = 160
MOST_ROWS = 8


class DiskPicture(QWidget):
    """Rows of disks. Its accessible description says the same in words."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.rows: tuple[DiskRow, ...] = ()
        self._ink: Ink | None = None
        self.setAccessibleName("Disks")
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def show_rows(self, rows: Sequence[DiskRow]) -> None:
        """Draw these disks; those that would make it too tall are told in words only."""
        self.rows = tuple(rows)
        self.setAccessibleDescription("\n".join(row.words for row in rows))
        self.setVisible(bool(rows))
        self.updateGeometry()
        self.update()

    def sizeHint(self) -> QSize:
        shown = min(len(self.rows), MOST_ROWS)
        more = self.fontMetrics().height() + 4 if len(self.rows) > MOST_ROWS else 0
        return QSize(self._head() + 2 * LEAST_BAR, shown * (self._height() + GAP) + more)

    def minimumSizeHint(self) -> QSize:
        return QSize(self._head() + LEAST_BAR, self.sizeHint().height())

    def part_at(self, x: int, y: int) -> tuple[DiskRow, Part] | None:
        """The part of a disk under a point."""
        number = y // (self._height() + GAP)
        if not 0 <= number < min(len(self.rows), MOST_ROWS) or x < self._head():
            return None
        row = self.rows[number]
        offset = self._bar(row).offset_at(x - self._head())
        found = (part for part in row.parts if part.start <= offset < part.start + part.length)
        part = next(found, None)
        return (row, part) if part is not None else None

    def event(self, event: QEvent) -> bool:
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            found = self.part_at(event.pos().x(), event.pos().y())
            QToolTip.showText(event.globalPos(), f"{found[0].name}: {found[1].words}" if found else "", self)
            return True
        return super().event(event)

    def paintEvent(self, event: QPaintEvent) -> None:
        if self._ink is None or not self._ink.fits(self):
            self._ink = Ink.of(self)
        painter = QPainter(self)
        painter.setFont(self._ink.font)
        for number, row in enumerate(self.rows[:MOST_ROWS]):
            self._paint_row(painter, self._ink, row, number * (self._height() + GAP))
        if len(self.rows) > MOST_ROWS:
            painter.setPen(self._ink.muted)
            painter.drawText(0, self.height() - 6, f"and {len(self.rows) - MOST_ROWS} more disks")
        if self.hasFocus():
            painter.setPen(self._ink.link)
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRect(self.rect().adjusted(0, 0, -1, -1))
        painter.end()

    def _paint_row(self, painter: QPainter, ink: Ink, row: DiskRow, top: int) -> None:
        head = self._head() - GAP
        line = ink.metrics.height()
        painter.setPen(ink.text)
        painter.drawText(2, top + line - ink.metrics.descent(), ink.elided(row.name, head))
        painter.setPen(ink.muted)
        painter.drawText(2, top + 2 * line - ink.metrics.descent(), ink.elided(row.place, head))
        bar = self._bar(row)
        ground = QRect(self._head(), top, bar.width, self._height())
        painter.fillRect(ground, ink.window)
        painter.setPen(ink.border)
        painter.drawRect(ground.adjusted(0, 0, -1, -1))
        for cell in bar.cells:
            if cell.spans:
                rect = QRect(ground.left() + cell.left, top, cell.right - cell.left, ground.height())
                draw_block(painter, ink, rect, _look(row, cell))

    def _bar(self, row: DiskRow) -> Bar:
        width = max(1, self.width() - self._head() - 1)
        return lay_out([Span(part.start, part.length) for part in row.parts], row.extent, width)

    def _height(self) -> int:
        return 2 * self.fontMetrics().height() + 8

    def _head(self) -> int:
        """Pixels of the column with the names."""
        metrics = self.fontMetrics()
        widths = [metrics.horizontalAdvance(text) for row in self.rows for text in (row.name, row.place)]
        return min(max(widths, default=0), 26 * metrics.averageCharWidth()) + 2 * GAP


def _look(row: DiskRow, cell: Cell) -> Look:
    """How a part is drawn: what changes has an outline and a word, the rest steps back."""
    parts = row.parts[cell.first : cell.first + cell.spans]
    part = max(parts, key=lambda each: (each.fate, each.length))
    if len(parts) > 1 and part.fate in (Fate.STAYS, Fate.FREE):
        return Look(part.layout, "...", dimmed=True)
    size = part.words.rsplit(", ", 1)[-1].split(" at ")[0]
    if part.fate is Fate.TAKEN:
        return Look(part.layout, f"new: {part.label}", (size,), picked=True)
    if part.fate is Fate.FREED:
        return Look(part.layout, f"freed: {part.label}", (size,), dashed=True, pale=True)
    if part.fate is Fate.FREE:
        return Look("free", part.label, (size,))
    return Look(part.layout, part.label, (size,), dimmed=True)
