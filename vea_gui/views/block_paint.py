"""How blocks look: fill and pattern by layout, words that can be read, outlines of what is picked, marks of states."""

from __future__ import annotations

from typing import NamedTuple

from PySide6.QtCore import QPointF, QRect, QRectF, Qt
from PySide6.QtGui import QBrush, QColor, QFont, QFontMetrics, QPainter, QPen, QPixmap, QPolygonF, QStaticText
from PySide6.QtWidgets import QWidget

from vea_gui import colors
from vea_gui.theme import Theme, current
from vea_gui.words import Tone

TILE = 12
"""Pixels of a pattern's period: every pattern below repeats after it."""
DIMMED = 0.45
"""How far what is not meant goes towards the background."""
SHORTEST = 3
"""Characters, the ellipsis included, that say too little to be shown."""
CLEAR = ("plain", "two horizontal lines")
"""Patterns that leave the middle of a block free."""
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
        self._fills: dict[tuple[str, bool], QColor] = {}
        self._lines: dict[tuple[str, bool], QColor] = {}
        self._laid_out: dict[str, QStaticText] = {}
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
        known = self._fills.get((layout, dimmed))
        if known is None:
            color = self.theme.layout(layout)
            known = self._fills[layout, dimmed] = mix(color, self.base, DIMMED) if dimmed else color
        return known

    def words(self, layout: str, dimmed: bool = False) -> QColor:
        """The colour of words on it: black or white, whichever is read better on what is dimmed."""
        known = self._texts.get((layout, dimmed))
        if known is None:
            known = self.theme.block_text(layout)
            if dimmed:
                known = self.muted if layout == "free" else QColor(readable_on(self.fill(layout, True).name()))
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
        known = self._lines.get((layout, dimmed))
        if known is None:
            known = self._lines[layout, dimmed] = self._mix_line(layout, dimmed)
        return known

    def _mix_line(self, layout: str, dimmed: bool) -> QColor:
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
            known = self._elided[key] = known if known == text or len(known) > SHORTEST else ""
        return known

    def laid_out(self, text: str) -> QStaticText:
        """The text ready to be drawn: words of blocks are drawn again and again."""
        known = self._laid_out.get(text)
        if known is None:
            if len(self._laid_out) > 5_000:
                self._laid_out.clear()
            known = self._laid_out[text] = QStaticText(text)
            known.setTextFormat(Qt.TextFormat.PlainText)
            known.setPerformanceHint(QStaticText.PerformanceHint.AggressiveCaching)
        return known

    def fitted(self, parts: tuple[str, ...], width: int) -> str:
        """As many parts, from the first on, as so many pixels hold whole."""
        for count in range(len(parts), 0, -1):
            text = "  ".join(parts[:count])
            if self.elided(text, width) == text:
                return text
        return ""


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
    details: tuple[str, ...] = ()  # sizes and states, most wanted first; never cut: what has no room is left out
    tone: Tone = Tone.NONE  # a mark in the corner for what needs attention
    dimmed: bool = False
    solid: bool = False  # outline: the plex is picked
    dashed: bool = False  # outline: the volume is picked
    picked: bool = False
    pale: bool = False  # holds no complete data yet


def draw_block(painter: QPainter, ink: Ink, rect: QRect, look: Look, shown: QRect | None = None) -> None:
    """A block with its words. `rect` includes its border; the words keep to the part that is `shown`."""
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.fillRect(rect, ink.brush(look.layout, look.dimmed or look.pale))
    if colors.PATTERNS[look.layout] == "two horizontal lines":
        line = ink.line(look.layout, look.dimmed or look.pale)
        painter.fillRect(rect.left(), rect.top() + 2, rect.width(), 2, line)
        painter.fillRect(rect.left(), rect.bottom() - 3, rect.width(), 2, line)
    painter.setPen(ink.border if look.layout == "free" else ink.line(look.layout))
    painter.drawRect(rect.x(), rect.y(), rect.width() - 1, rect.height() - 1)
    face = rect if shown is None else rect.intersected(shown)
    mark = look.tone >= Tone.INFORMATION and face.width() >= 2 * TEXT_LEAST
    if face.width() >= TEXT_LEAST:
        _draw_words(painter, ink, face.adjusted(5 if face.width() > 80 else 3, 0, -22 if mark else -1, 0), look)
    if mark:
        draw_mark(painter, ink, QRect(face.right() - 18, face.top() + 3, 15, 15), look.tone)
    _draw_outline(painter, ink, rect, look)


def _draw_words(painter: QPainter, ink: Ink, rect: QRect, look: Look) -> None:
    """One line or two, on a plain ground, so that no pattern runs through them."""
    height = ink.metrics.height()
    lines = _lines(ink, rect.width(), look, rect.height() >= 2 * height)
    if not lines:
        return
    dimmed = look.dimmed or look.pale
    top = rect.top() + (rect.height() - len(lines) * height) // 2
    if colors.PATTERNS[look.layout] not in CLEAR:
        width = max(ink.metrics.horizontalAdvance(line) for line in lines)
        painter.fillRect(rect.left() - 2, top, width + 4, len(lines) * height, ink.fill(look.layout, dimmed))
    painter.setPen(ink.words(look.layout, dimmed))
    for number, line in enumerate(lines):
        painter.drawStaticText(rect.left(), top + number * height, ink.laid_out(line))


def _lines(ink: Ink, width: int, look: Look, two: bool) -> list[str]:
    if two:
        lines = [ink.elided(look.label, width), ink.fitted(look.details, width)]
        return [line for line in lines if line]
    whole = ink.fitted((look.label, *look.details), width)
    return [line for line in (whole or ink.elided(look.label, width),) if line]


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
