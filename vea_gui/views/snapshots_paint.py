"""How a row of the timeline is drawn: its time, its place on the line, what it is, and how much has changed."""

from __future__ import annotations

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QPointF, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFont, QFontMetrics, QPainter, QPen
from PySide6.QtWidgets import QListView, QStyle, QStyledItemDelegate, QStyleOptionViewItem

from vea_gui import theme
from vea_gui.snap_timeline import Row, RowKind
from vea_gui.views.snapshots_model import ROW_ROLE
from vea_gui.words import Tone

Index = QModelIndex | QPersistentModelIndex
PAD = 6
RAIL = 28
"""Pixels for the line and its dots."""
DOT = 5
INDENT = 20
BAR_WIDTH, BAR_HEIGHT = 120, 5
LONGEST_TIME = "2026-12-28 22:58:58"
NOW = "now"


class TimelineDelegate(QStyledItemDelegate):
    """Three columns: when, the line with a dot, and what it is."""

    def __init__(self, view: QListView) -> None:
        super().__init__(view)
        self.view = view

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        row: Row | None = index.data(ROW_ROLE)
        lines = len(row.lines) + 1 if row is not None else 1
        return QSize(self._times(option.fontMetrics) + RAIL, lines * option.fontMetrics.height() + 2 * PAD)

    def _times(self, metrics: QFontMetrics) -> int:
        """The width of the times at the left: that of the widest one there is."""
        told = [row.when for row in getattr(self.view.model(), "rows", ())]
        return PAD + max(metrics.horizontalAdvance(text) for text in (LONGEST_TIME, *told))

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        row: Row | None = index.data(ROW_ROLE)
        if row is None:
            return
        self.initStyleOption(option, index)
        option.text = ""
        style = self.view.style()
        style.drawControl(QStyle.ControlElement.CE_ItemViewItem, option, painter, self.view)
        picked = bool(option.state & QStyle.StateFlag.State_Selected)
        colors = theme.current()
        ink = colors.color("accent-text" if picked else "text")
        muted = ink if picked else colors.color("muted")
        painter.save()
        times = self._times(option.fontMetrics)
        left = option.rect.left()
        if not row.member:
            self._write(painter, option, QRect(left + PAD, option.rect.top() + PAD, times, 0), row.when or NOW, muted)
        self._rail(painter, option.rect, left + times + RAIL // 2, row, index, ink)
        beside = left + times + RAIL + (INDENT if row.member else 0)
        self._words(painter, option, row, beside, (ink, muted))
        painter.restore()

    def _rail(self, painter: QPainter, rect: QRect, x: int, row: Row, index: Index, ink: QColor) -> None:
        """The line goes through all rows; a set has a large dot, and what waits an empty one."""
        colors = theme.current()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        middle = rect.top() + PAD + self.view.fontMetrics().height() / 2
        painter.setPen(QPen(colors.color("outline"), 2))
        if index.row() > 0:
            painter.drawLine(QPointF(x, rect.top()), QPointF(x, middle))
        if index.row() < self.view.model().rowCount() - 1:
            painter.drawLine(QPointF(x, middle), QPointF(x, rect.bottom() + 1))
        at = x + (INDENT if row.member else 0)
        if row.member:
            painter.drawLine(QPointF(x, middle), QPointF(at, middle))
        fill = colors.state(row.tone) if row.tone >= Tone.WARNING else colors.color("accent")
        painter.setPen(QPen(ink, 1.5))
        painter.setBrush(colors.color("base") if row.kind is RowKind.READY else fill)
        radius = DOT + 2 if row.kind is RowKind.SET else DOT
        painter.drawEllipse(QPointF(at, middle), radius, radius)

    def _words(
        self, painter: QPainter, option: QStyleOptionViewItem, row: Row, left: int, inks: tuple[QColor, QColor]
    ) -> None:
        width = option.rect.right() - left - 2 * PAD
        bars = BAR_WIDTH + 2 * PAD if row.shares and width > 3 * BAR_WIDTH else 0
        line = option.fontMetrics.height()
        place = QRect(left + PAD, option.rect.top() + PAD, width - bars, line)
        heading = QFont(option.font)
        heading.setBold(True)
        painter.setFont(heading)
        self._write(painter, option, place, row.title, inks[0], QFontMetrics(heading))
        painter.setFont(option.font)
        for text in row.lines:
            place.translate(0, line)
            self._write(painter, option, place, text, inks[1])
        if bars:
            self._bars(painter, option, row, inks)

    def _write(
        self,
        painter: QPainter,
        option: QStyleOptionViewItem,
        place: QRect,
        text: str,
        ink: QColor,
        metrics: QFontMetrics | None = None,
    ) -> None:
        """One line; what has no room ends in an ellipsis, and the tip has it whole."""
        shown = (metrics or option.fontMetrics).elidedText(text, Qt.TextElideMode.ElideRight, place.width())
        painter.setPen(ink)
        where = QRect(place.left(), place.top(), place.width(), option.fontMetrics.height())
        painter.drawText(where, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, shown)

    def _bars(self, painter: QPainter, option: QStyleOptionViewItem, row: Row, inks: tuple[QColor, QColor]) -> None:
        """How much of the volume either side has changed: the original above, the snapshot below."""
        colors, picked = theme.current(), bool(option.state & QStyle.StateFlag.State_Selected)
        left = option.rect.right() - PAD - BAR_WIDTH
        top = option.rect.center().y() - BAR_HEIGHT - 2
        for number, share in enumerate(row.shares):
            bar = QRectF(left + 0.5, top + number * (BAR_HEIGHT + 5) + 0.5, BAR_WIDTH, BAR_HEIGHT)
            painter.setPen(inks[0] if picked else colors.color("outline"))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRect(bar)
            filled = bar.adjusted(0.5, 0.5, -0.5, -0.5)
            filled.setWidth(filled.width() * share)
            painter.fillRect(filled, inks[0] if picked else colors.color("accent"))
