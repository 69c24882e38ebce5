"""A field that shows days: two months side by side, the marked days in the accent colour, each day read out whole."""

from __future__ import annotations

import datetime as dt

from PySide6.QtCore import QDate, QItemSelectionModel, QLocale, Qt
from PySide6.QtGui import QColor
from PySide6.QtWidgets import (
    QAbstractItemView,
    QFrame,
    QHBoxLayout,
    QLabel,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from engine.config import Config
from vea_gui import theme
from vea_gui.wizards.control import Control
from vea_gui.wizards.form import Answers, Field, Option

MONTHS = 2
WEEKS, DAYS = 6, 7
NO_RUN = "no run"
BESIDE_PIXELS = 12
"""Beside the name of a weekday."""


class MonthView(QTableWidget):
    """A month, week by week as this desktop counts them; the days around it are there, but grey."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(WEEKS, DAYS, parent)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setTabKeyNavigation(False)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setShowGrid(False)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.verticalHeader().hide()
        self.horizontalHeader().setHighlightSections(False)
        self._size()

    def _size(self) -> None:
        names = [QLocale().dayName(day, QLocale.FormatType.ShortFormat) for day in range(1, DAYS + 1)]
        across = max(self.fontMetrics().horizontalAdvance(name) for name in (*names, "00")) + BESIDE_PIXELS
        high = round(self.fontMetrics().height() * 1.5)
        self.horizontalHeader().setMinimumSectionSize(across)
        self.horizontalHeader().setDefaultSectionSize(across)
        self.verticalHeader().setMinimumSectionSize(high)
        self.verticalHeader().setDefaultSectionSize(high)
        self.setFixedSize(across * DAYS + 2, high * WEEKS + self.horizontalHeader().sizeHint().height() + 2)

    def show_month(self, first: dt.date, marked: dict[dt.date, str], today: dt.date) -> None:
        """`marked`: what is on a day. The keyboard begins at today, or where the month begins."""
        locale = QLocale()
        start = locale.firstDayOfWeek().value
        heads = [
            locale.dayName((start - 1 + column) % DAYS + 1, QLocale.FormatType.ShortFormat) for column in range(DAYS)
        ]
        self.setHorizontalHeaderLabels(heads)
        before = (first.isoweekday() - start) % DAYS
        day = first - dt.timedelta(days=before)
        for row in range(WEEKS):
            for column in range(DAYS):
                self.setItem(row, column, _item(day, first.month, marked, locale))
                day += dt.timedelta(days=1)
        stands = before + (today.day - 1 if (today.year, today.month) == (first.year, first.month) else 0)
        self.setCurrentCell(*divmod(stands, DAYS), QItemSelectionModel.SelectionFlag.NoUpdate)
        self.setAccessibleName(locale.toString(QDate(first.year, first.month, 1), "MMMM yyyy"))


def _item(day: dt.date, month: int, marked: dict[dt.date, str], locale: QLocale) -> QTableWidgetItem:
    item = QTableWidgetItem(str(day.day))
    item.setTextAlignment(Qt.AlignmentFlag.AlignCenter)
    here = day.month == month
    what = marked.get(day, "") if here else ""
    said = locale.toString(QDate(day.year, day.month, day.day), QLocale.FormatType.LongFormat)
    item.setData(Qt.ItemDataRole.AccessibleTextRole, f"{said}, {what or NO_RUN}")
    item.setToolTip(f"{said}\n{what}" if what else said)
    item.setFlags(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable)
    if what:
        font = item.font()
        font.setBold(True)
        item.setFont(font)
        item.setBackground(QColor(theme.current().color("accent")))
        item.setForeground(QColor(theme.current().color("accent-text")))
    elif not here:
        item.setForeground(QColor(theme.current().color("muted")))
    return item


class CalendarControl(Control):
    """Its options are days, in ISO form, with what is on them; the first is the day with which it begins."""

    def __init__(self, field: Field, parent: QWidget | None = None) -> None:
        super().__init__(field, parent)
        self.titles = [QLabel(self) for _ in range(MONTHS)]
        self.months = [MonthView(self) for _ in range(MONTHS)]
        row = QHBoxLayout()
        row.setSpacing(24)
        for title, month in zip(self.titles, self.months, strict=True):
            title.setAlignment(Qt.AlignmentFlag.AlignCenter)
            title.setBuddy(month)
            column = QVBoxLayout()
            column.addWidget(title)
            column.addWidget(month)
            column.addStretch(1)
            row.addLayout(column)
        row.addStretch(1)
        self.box.addLayout(row)
        self.box.addStretch(1)
        self.setFocusProxy(self.months[0])
        self._options: list[Option] = []

    def answer(self) -> str:
        return ""

    def refresh(self, config: Config, answers: Answers) -> None:
        options = self.field.options(config, answers)
        if options and options != self._options:
            self._options = options
            self._show(dt.date.fromisoformat(options[0].value))
        super().refresh(config, answers)

    def _show(self, today: dt.date) -> None:
        first = today.replace(day=1)
        marked = {dt.date.fromisoformat(option.value): option.text for option in self._options if option.text}
        for title, month in zip(self.titles, self.months, strict=True):
            month.show_month(first, marked, today)
            title.setText(month.accessibleName())
            first = (first + dt.timedelta(days=32)).replace(day=1)
