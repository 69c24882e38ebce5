"""How cells with a share are drawn: a bar with its words, for screens and screen readers alike."""

from __future__ import annotations

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRectF, Qt
from PySide6.QtGui import QPainter, QPalette
from PySide6.QtWidgets import QStyle, QStyledItemDelegate, QStyleOptionViewItem

from vea_gui import theme
from vea_gui.models.table import BAR_ROLE, LINK_ROLE, PATH_ROLE

Index = QModelIndex | QPersistentModelIndex
MARGIN = 4
BAR_WORDS = " 100 % "


class CellDelegate(QStyledItemDelegate):
    """Cells as the style draws them, and shares as bars."""

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        share = index.data(BAR_ROLE)
        if share is None:
            if index.data(LINK_ROLE):
                self._as_link(option)
            if index.data(PATH_ROLE):
                option.textElideMode = Qt.TextElideMode.ElideMiddle
            super().paint(painter, option, index)
            return
        self.initStyleOption(option, index)
        words, option.text = option.text, ""
        widget = option.widget
        widget.style().drawControl(QStyle.ControlElement.CE_ItemViewItem, option, painter, widget)
        self._paint_bar(painter, option, share, words)

    def _as_link(self, option: QStyleOptionViewItem) -> None:
        """What a click leads somewhere from is underlined, in the colour of links; on a picked row it has its ink."""
        option.font.setUnderline(True)
        option.palette.setColor(QPalette.ColorRole.Text, theme.current().color("accent"))

    def _paint_bar(self, painter: QPainter, option: QStyleOptionViewItem, share: float, words: str) -> None:
        colors = theme.current()
        selected = bool(option.state & QStyle.StateFlag.State_Selected)
        ink = colors.color("accent-text" if selected else "text")
        text_width = option.fontMetrics.horizontalAdvance(BAR_WORDS)
        box = QRectF(option.rect).adjusted(MARGIN, 0, -MARGIN, 0)
        height = min(10.0, box.height() - 4)
        bar = QRectF(box.left(), box.center().y() - height / 2, max(8.0, box.width() - text_width), height)
        painter.save()
        painter.setPen(ink if selected else colors.color("border"))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawRect(bar)
        filled = bar.adjusted(1, 1, 0, 0)
        filled.setWidth((bar.width() - 1) * share)
        painter.fillRect(filled, ink if selected else colors.color("accent"))
        painter.setPen(ink)
        painter.drawText(box, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, words)
        painter.restore()
