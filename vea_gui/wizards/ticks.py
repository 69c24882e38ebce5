"""Check boxes and radio buttons whose outline can be seen on a dark ground, where the style draws it nearly black."""

from __future__ import annotations

from PySide6.QtCore import QRectF
from PySide6.QtGui import QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QAbstractButton, QCheckBox, QRadioButton, QStyle, QStyleOptionButton

from vea_gui import colors, theme


class Tick(QCheckBox):
    """A check box."""

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        option = QStyleOptionButton()
        self.initStyleOption(option)
        _outline(self, option, QStyle.SubElement.SE_CheckBoxIndicator, radius=2)


class Radio(QRadioButton):
    """A radio button."""

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        option = QStyleOptionButton()
        self.initStyleOption(option)
        _outline(self, option, QStyle.SubElement.SE_RadioButtonIndicator, radius=0)


def _outline(button: QAbstractButton, option: QStyleOptionButton, part: QStyle.SubElement, radius: int) -> None:
    """A thin line around the indicator; round without a radius."""
    if theme.current().name != colors.DARK:
        return
    rect = QRectF(button.style().subElementRect(part, option, button)).adjusted(0.5, 0.5, -0.5, -0.5)
    painter = QPainter(button)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(QPen(theme.current().color("muted" if button.isEnabled() else "border"), 1))
    if radius:
        painter.drawRoundedRect(rect, radius, radius)
    else:
        painter.drawEllipse(rect.adjusted(0.5, 0.5, -0.5, -0.5))
    painter.end()
