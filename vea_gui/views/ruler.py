"""The ruler under a bar: it counts from the LUN's first byte, and follows zoom and scrolling."""

from __future__ import annotations

from PySide6.QtCore import QRect
from PySide6.QtGui import QPainter

from engine.units import GIB, TIB, format_size
from vea_gui.block_geometry import Bar, ticks
from vea_gui.views.block_paint import Ink

TICK = 4


def draw_ruler(painter: QPainter, ink: Ink, bar: Bar, left: int, area: QRect) -> None:
    """Ticks and sizes of a bar that begins at `left`, as far as they lie in `area`."""
    least = 2 * ink.small_metrics.horizontalAdvance("0000 MiB")
    painter.setFont(ink.small)
    painter.setPen(ink.muted)
    baseline = area.top() + TICK + ink.small_metrics.ascent()
    for x, offset in ticks(bar, max(0, area.left() - left), area.right() - left, least):
        at = left + x
        painter.drawLine(at, area.top(), at, area.top() + TICK - 1)
        text = tick_words(offset)
        width = ink.small_metrics.horizontalAdvance(text)
        painter.drawText(max(area.left(), min(at - width // 2 if x else at, area.right() - width)), baseline, text)
    painter.setFont(ink.font)


def tick_words(offset: int) -> str:
    """`1.25 GiB`: as exact as the place is round."""
    if not offset:
        return "0"
    for unit, name in ((TIB, "TiB"), (GIB, "GiB")):
        if offset >= unit:
            return f"{offset / unit:.3f}".rstrip("0").rstrip(".") + f" {name}"
    return format_size(offset)
