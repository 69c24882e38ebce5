"""Colours of curves in today's theme."""

from __future__ import annotations

from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QColor, QIcon, QPainter, QPen, QPixmap

from vea_gui import theme
from vea_gui.plots.measures import READ_INK, SINGLE_INK, WRITE_INK, Line
from vea_gui.words import Tone

DASHES = [4.0, 3.0]
LINE_WIDTH = 1.5


def color(ink: str) -> QColor:
    """The colour of a curve."""
    chosen = theme.current()
    if ink == WRITE_INK:
        return chosen.layout("mirror")
    return {READ_INK: chosen.state(Tone.INFORMATION), SINGLE_INK: chosen.layout("stripe")}[ink]


def pen(line: Line) -> QPen:
    """How a curve is drawn: reads solid, writes dashed."""
    made = QPen(color(line.ink), LINE_WIDTH)
    made.setCosmetic(True)
    if line.dashed:
        made.setDashPattern(DASHES)
    return made


def swatch(line: Line, width: int, height: int, ratio: float) -> QIcon:
    """A short piece of the curve, for a legend."""
    picture = QPixmap(round(width * ratio), round(height * ratio))
    picture.setDevicePixelRatio(ratio)
    picture.fill(Qt.GlobalColor.transparent)
    painter = QPainter(picture)
    stroke = pen(line)
    stroke.setWidthF(2.0)
    painter.setPen(stroke)
    painter.drawLine(QPointF(1, height / 2), QPointF(width - 1, height / 2))
    painter.end()
    return QIcon(picture)
