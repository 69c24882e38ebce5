"""How blocks look: fill and pattern by layout, words that can be read, outlines of what is picked, marks of states."""

from __future__ import annotations

from typing import NamedTuple

from PySide6.QtCore import QPointF, QRect, QRectF, Qt
from PySide6.QtGui import QBrush, QColor, QFont, QFontMetrics, QPainter, QPen, QPixmap, QPolygonF
from PySide6.QtWidgets import QWidget

from vea_gui import colors
from vea_gui.theme import Theme, current
from vea_gui.words import Tone

TILE = 12
"""Pixels of a pattern's period: every pattern below repeats after it."""
DIMMED = 0.45
"""How far what is not meant goes towards the background."""
TEXT_LEAST = 22
"""Pixels below which a block has no words."""


class Ink:
    """Brushes, pens and fonts of one theme at one scale, made once."""

    def __init__(self, theme: Theme, font: QFont, scale: float) -> None:
        self.theme, self.scale = theme, scale
        self.font = QFont(font)
        self.bold = QFont(font)
        self.bold.setBold(True)
        self.small = QFont(font)
        size = font.pointSizeF()
        if size > 0:
            self.small.setPointSizeF(max(7.0, size * 0.85))
        self.metrics = QFontMetrics(self.font)
        self.bold_metrics = QFontMetrics(self.bold)
        self.small_metrics = QFontMetrics(self.small)
        self.text, self.muted = theme.color("text"), theme.color("muted")
        self.base, self.window = theme.color("base"), theme.color("window")
        self.border, self.accent = theme.color("border"), theme.color("accent")
        self.link = theme.color("link")
        self.good = theme.state(Tone.GOOD)
        self._brushes: dict[tuple[str, bool], QBrush] = {}
        self._texts: dict[tuple[str, bool], QColor] = {}
        self._elided: dict[tuple[str, int, bool], str] = {}

    @classmethod
    def of(cls, widget: QWidget) -> Ink:
        """The ink for a widget as things are now."""
        return cls(current(), widget.font(), widget.devicePixelRatioF())

    def fits(self, widget: QWidget) -> bool:
        """Whether theme, font and scale are still those that it was made for."""
        return current() == self.theme and widget.font() == self.font and widget.devicePixelRatioF() == self.scale

    def fill(self, layout: str, dimmed: bool = False) -> QColor:
        """The colour of a layout's blocks."""
        color = self.theme.layout(layout)
        return mix(color, self.base, DIMMED) if dimmed else color

    def words(self, layout: str, dimmed: bool = False) -> QColor:
        """The colour of words on it: black or white, whichever is read better on what is dimmed."""
        known = self._texts.get((layout, dimmed))
        if known is None:
            known = self.theme.block_text(layout)
            if dimmed and layout != "free":
                known = QColor(readable_on(self.fill(layout, True).name()))
            self._texts[layout, dimmed] = known
        return known

    def brush(self, layout: str, dimmed: bool = False) -> QBrush:
        """Fill and pattern in one."""
        known = self._brushes.get((layout, dimmed))
        if known is None:
            known = self._brushes[layout, dimmed] = self._tile(layout, dimmed)
        return known

    def _tile(self, layout: str, dimmed: bool) -> QBrush:
        pattern = colors.PATTERNS[layout]
        fill = self.fill(layout, dimmed)
        if pattern in ("plain", "two horizontal lines"):
            return QBrush(fill)
        side = round(TILE * self.scale)
        pixmap = QPixmap(side, side)
        pixmap.fill(fill)
        pixmap.setDevicePixelRatio(self.scale)
        painter = QPainter(pixmap)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, "diagonal" in pattern)
        painter.setPen(QPen(self.line(layout, dimmed), 1))
        _PATTERNS[pattern](painter)
        painter.end()
        return QBrush(pixmap)

    def line(self, layout: str, dimmed: bool = False) -> QColor:
        """The colour of a pattern's lines: away from the words, so that they stay readable."""
        if layout == "free":
            return mix(self.base, self.theme.color("mid"), 0.5 if dimmed else 0.9)
        away = QColor("#FFFFFF") if self.words(layout, dimmed).lightness() < 128 else QColor("#000000")
        return mix(self.fill(layout, dimmed), away, 0.28)

    def elided(self, text: str, width: int, bold: bool = False) -> str:
        """The text, cut with an ellipsis to so many pixels."""
        key = (text, width, bold)
        known = self._elided.get(key)
        if known is None:
            if len(self._elided) > 20_000:
                self._elided.clear()
            metrics = self.bold_metrics if bold else self.metrics
            known = metrics.elidedText(text, Qt.TextElideMode.ElideRight, width)
            self._elided[key] = known if known != "…" else ""
        return known


def mix(color: QColor, other: QColor, part: float) -> QColor:
    """A colour on its way to another."""
    keep = 1.0 - part
    return QColor(
        round(color.red() * keep + other.red() * part),
        round(color.green() * keep + other.green() * part),
        round(color.blue() * keep + other.blue() * part),
    )


def readable_on(fill: str) -> str:
    """Black or white: one of them has a contrast of more than 4.5 on any colour."""
    return max(("#000000", "#FFFFFF"), key=lambda text: colors.contrast(text, fill))


def _bars(painter: QPainter) -> None:
    for x in (2, 3, 8, 9):
        painter.drawLine(x, 0, x, TILE)


def _grid(painter: QPainter) -> None:
    for at in (0, 6):
        painter.drawLine(at, 0, at, TILE)
        painter.drawLine(0, at, TILE, at)


def _diagonal(painter: QPainter) -> None:
    painter.setPen(QPen(painter.pen().color(), 1.6))
    for start in (-TILE, -TILE // 2, 0, TILE // 2, TILE):
        painter.drawLine(QPointF(start, TILE), QPointF(start + TILE, 0))


def _dots(painter: QPainter) -> None:
    for x, y in ((1, 1), (7, 1), (4, 4), (10, 4), (1, 7), (7, 7), (4, 10), (10, 10)):
        painter.fillRect(x, y, 2, 2, painter.pen().color())


def _hatch(painter: QPainter) -> None:
    for start in (-TILE, 0, TILE):
        painter.drawLine(QPointF(start, 0), QPointF(start + TILE, TILE))


_PATTERNS = {
    "vertical bars": _bars,
    "grid": _grid,
    "diagonal": _diagonal,
    "dots": _dots,
    "light diagonal hatch": _hatch,
}


class Look(NamedTuple):
    """How one block is drawn."""

    layout: str  # colour and pattern: concat, stripe, ..., free
    label: str
    detail: str = ""
    tone: Tone = Tone.NONE  # a mark in the corner for what needs attention
    dimmed: bool = False
    solid: bool = False  # outline: the plex is picked
    dashed: bool = False  # outline: the volume is picked
    picked: bool = False
    pale: bool = False  # holds no complete data yet


def draw_block(painter: QPainter, ink: Ink, rect: QRect, look: Look) -> None:
    """A block with its words. `rect` includes its border."""
    painter.fillRect(rect, ink.brush(look.layout, look.dimmed or look.pale))
    if colors.PATTERNS[look.layout] == "two horizontal lines":
        line = ink.line(look.layout, look.dimmed or look.pale)
        painter.fillRect(rect.left(), rect.top() + 3, rect.width(), 2, line)
        painter.fillRect(rect.left(), rect.bottom() - 4, rect.width(), 2, line)
    painter.setPen(ink.border if look.layout == "free" else ink.line(look.layout))
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.drawRect(rect.adjusted(0, 0, -1, -1))
    mark = look.tone >= Tone.WORKING and rect.width() >= 2 * TEXT_LEAST
    if rect.width() >= TEXT_LEAST:
        _draw_words(painter, ink, rect.adjusted(5, 0, -22 if mark else -4, 0), look)
    if mark:
        plate = QRect(rect.right() - 18, rect.top() + 3, 15, 15)
        draw_mark(painter, ink, plate, look.tone)
    _draw_outline(painter, ink, rect, look)


def _draw_words(painter: QPainter, ink: Ink, rect: QRect, look: Look) -> None:
    painter.setPen(ink.words(look.layout, look.dimmed or look.pale))
    height = ink.metrics.height()
    detail = look.detail if rect.height() >= 2 * height else ""
    label = look.label if detail or not look.detail else f"{look.label}  {look.detail}"
    if detail:
        top = rect.top() + (rect.height() - 2 * height) // 2
        painter.drawText(rect.left(), top + ink.metrics.ascent(), ink.elided(label, rect.width()))
        painter.drawText(rect.left(), top + height + ink.metrics.ascent(), ink.elided(detail, rect.width()))
        return
    baseline = rect.top() + (rect.height() - height) // 2 + ink.metrics.ascent()
    painter.drawText(rect.left(), baseline, ink.elided(label, rect.width()))


def _draw_outline(painter: QPainter, ink: Ink, rect: QRect, look: Look) -> None:
    if not (look.solid or look.dashed or look.picked):
        return
    style = Qt.PenStyle.SolidLine if look.solid or look.picked else Qt.PenStyle.DashLine
    painter.setPen(QPen(ink.base, 3))
    painter.drawRect(rect.adjusted(1, 1, -2, -2))
    painter.setPen(QPen(ink.text if not look.picked else ink.link, 3 if look.picked else 2, style))
    painter.drawRect(rect.adjusted(1, 1, -2, -2))


def draw_focus(painter: QPainter, ink: Ink, rect: QRect) -> None:
    """Where the keyboard stands: a frame that is seen on every fill."""
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.setPen(QPen(ink.base, 1))
    painter.drawRect(rect.adjusted(4, 4, -5, -5))
    painter.setPen(QPen(ink.text, 1, Qt.PenStyle.DotLine))
    painter.drawRect(rect.adjusted(4, 4, -5, -5))


def draw_mark(painter: QPainter, ink: Ink, rect: QRect, tone: Tone) -> None:
    """A state's colour in its shape, on a plate that it is read on."""
    color = ink.theme.state(tone)
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(ink.base)
    painter.drawRoundedRect(rect, 3, 3)
    inner = QRectF(rect).adjusted(2, 2, -2, -2)
    painter.setBrush(color)
    if tone is Tone.WARNING:
        painter.drawPolygon(
            QPolygonF([QPointF(inner.center().x(), inner.top()), inner.bottomRight(), inner.bottomLeft()])
        )
    elif tone is Tone.ERROR:
        painter.drawEllipse(inner)
        painter.setPen(QPen(ink.base, 1.6))
        cross = inner.adjusted(3, 3, -3, -3)
        painter.drawLine(cross.topLeft(), cross.bottomRight())
        painter.drawLine(cross.topRight(), cross.bottomLeft())
    elif tone is Tone.WORKING:
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(color, 1.8))
        painter.drawArc(inner, 30 * 16, 140 * 16)
        painter.drawArc(inner, 210 * 16, 140 * 16)
    else:
        painter.drawEllipse(inner.adjusted(2, 2, -2, -2))
    painter.restore()


def draw_swatch(painter: QPainter, ink: Ink, rect: QRect, layout: str) -> None:
    """A small block for a legend."""
    draw_block(painter, ink, rect, Look(layout, ""))
