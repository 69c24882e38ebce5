"""A plan as the operator sees it before anything happens."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QRect, QSize, Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QGridLayout,
    QHeaderView,
    QLabel,
    QSizePolicy,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from engine.config import Config
from engine.plans import Plan, PlanStep
from vea_gui.wizards.disk_picture import DiskPicture
from vea_gui.wizards.notice import Notice
from vea_gui.wizards.picture import picture
from vea_gui.wizards.plan_words import Fact, as_text, facts
from vea_gui.words import Tone

HEADINGS = ("Step", "What will happen", "Meanwhile")
MEANWHILE_PERCENT = 36
ROW_MARGIN = 6
CELL_MARGIN = 12
"""Pixels that a cell keeps free at its sides."""


class StepTable(QTableWidget):
    """The steps, in full: it is as tall as its rows, and scrolls with the page."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(0, len(HEADINGS), parent)
        self.setHorizontalHeaderLabels(list(HEADINGS))
        self.setAccessibleName("What will happen")
        self.verticalHeader().hide()
        self.setWordWrap(True)
        self.setShowGrid(False)
        self.setAlternatingRowColors(True)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setTabKeyNavigation(False)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        header = self.horizontalHeader()
        header.setSectionsClickable(False)
        header.setHighlightSections(False)
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        header.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        header.setMinimumSectionSize(1)
        self.verticalHeader().setMinimumSectionSize(1)

    def show_steps(self, steps: Sequence[PlanStep]) -> None:
        """Fill in; a dash stands where a step has no word on the meantime."""
        self.setRowCount(len(steps))
        for row, step in enumerate(steps):
            for column, text in enumerate((str(row + 1), step.text, step.meanwhile)):
                item = QTableWidgetItem(text or "-")
                if not text:
                    item.setData(Qt.ItemDataRole.AccessibleTextRole, f"Nothing to note during step {row + 1}")
                item.setTextAlignment(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft)
                self.setItem(row, column, item)
        self._fit()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        if event.size().width() != event.oldSize().width():
            self._fit()

    def _fit(self) -> None:
        """Columns share the width; rows are as tall as their text needs in them."""
        header, width = self.horizontalHeader(), self.viewport().width()
        first, last = header.sectionSizeHint(0), width * MEANWHILE_PERCENT // 100
        widths = (first, max(1, width - first - last), last)
        for column, size in enumerate(widths):
            header.resizeSection(column, size)
        for row in range(self.rowCount()):
            texts = [item.text() if (item := self.item(row, column)) else "" for column in range(len(HEADINGS))]
            heights = [self._height(text, size) for text, size in zip(texts, widths, strict=True)]
            self.setRowHeight(row, max(heights) + ROW_MARGIN)
        self.updateGeometry()

    def _height(self, text: str, width: int) -> int:
        room = QRect(0, 0, max(1, width - CELL_MARGIN), 10_000)
        return self.fontMetrics().boundingRect(room, Qt.TextFlag.TextWordWrap, text or " ").height()

    def sizeHint(self) -> QSize:
        rows = sum(self.rowHeight(row) for row in range(self.rowCount()))
        return QSize(400, rows + self.horizontalHeader().sizeHint().height() + 2 * self.frameWidth() + 2)

    def minimumSizeHint(self) -> QSize:
        return QSize(240, self.sizeHint().height())


class PlanView(QWidget):
    """Title, reasons and warnings, steps with their meantime, figures, and the picture of the disks."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.title = QLabel(self)
        self.title.setWordWrap(True)
        self.title.setTextFormat(Qt.TextFormat.PlainText)
        font = self.title.font()
        font.setBold(True)
        self.title.setFont(font)
        self.warnings = Notice(Tone.WARNING, self)
        self.steps = StepTable(self)
        self.facts = QGridLayout()
        self.facts.setColumnStretch(1, 1)
        self.facts.setHorizontalSpacing(16)
        self.facts.setVerticalSpacing(4)
        self.picture = DiskPicture(self)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        layout.addWidget(self.title)
        layout.addWidget(self.warnings)
        layout.addWidget(self.steps)
        layout.addLayout(self.facts)
        layout.addWidget(self.picture)
        layout.addStretch(1)
        self._fact_labels: list[tuple[QLabel, Notice]] = []
        self._shown: tuple[Plan, str] | None = None
        self.clear("")

    def clear(self, text: str) -> None:
        """Nothing to show, but this line."""
        self._shown = None
        self.title.setText(text)
        self.title.setVisible(bool(text))
        self.warnings.say("")
        self.steps.hide()
        self._show_facts([])
        self.picture.show_rows([])
        self.setAccessibleName(text or "Plan")

    def show_plan(self, config: Config, plan: Plan, news: str = "") -> None:
        """A plan that is possible; `news` stands above it."""
        if self._shown == (plan, news):
            return
        self._shown = (plan, news)
        self.title.setText(plan.title)
        self.title.show()
        self.warnings.say("\n".join(filter(None, (news, *plan.warnings))))
        self.steps.show_steps(plan.steps)
        self.steps.setVisible(bool(plan.steps))
        self._show_facts(facts(config, plan))
        self.picture.show_rows(picture(config, plan))
        self.setAccessibleName(plan.title)
        self.setAccessibleDescription(as_text(config, plan))

    def _show_facts(self, found: Sequence[Fact]) -> None:
        while len(self._fact_labels) < len(found):
            self._add_fact()
        for row, (name, value) in enumerate(self._fact_labels):
            name.setVisible(row < len(found))
            if row >= len(found):
                value.say("")
                continue
            fact = found[row]
            name.setText(f"{fact.label}:")
            value.set_tone(fact.tone)
            value.say(fact.text)
            value.setToolTip(fact.exact)

    def _add_fact(self) -> None:
        row, name, value = len(self._fact_labels), QLabel(self), Notice(Tone.NONE, self)
        self.facts.addWidget(name, row, 0, Qt.AlignmentFlag.AlignTop)
        self.facts.addWidget(value, row, 1)
        self._fact_labels.append((name, value))
