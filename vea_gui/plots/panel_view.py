"""A panel: its title, its plot, and its figures beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QBoxLayout, QHBoxLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget

from vea_gui.plots.figures import Figures
from vea_gui.plots.measures import Panel

if TYPE_CHECKING:
    from vea_gui.plots.chart import Chart
    from vea_gui.series import Window

SPACING, NARROW_SPACING = 16, 4
PLOT_LETTERS = 44
LOADING = "The plot is being prepared."


class MakeChart(Protocol):
    """The plot's class, which is loaded late."""

    def __call__(self, panel: Panel, parent: QWidget | None = None) -> Chart: ...


class PanelView(QWidget):
    """Figures are there at once; the plot comes when its library has been loaded."""

    def __init__(self, panel: Panel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.panel = panel
        self.chart: Chart | None = None
        self.title = QLabel(f"{panel.title} ({panel.unit})", self)
        self.figures = Figures(panel, self)
        self.waiting = QLabel(LOADING, self)
        self.waiting.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.note = QLabel(panel.note, self)
        self.note.setWordWrap(True)
        self.note.setVisible(bool(panel.note))
        self.note.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.MinimumExpanding)
        self._place()
        self.restyle()

    def take_chart(self, make: MakeChart) -> None:
        """The library is there."""
        self.chart = make(self.panel, self)
        self.row.replaceWidget(self.waiting, self.chart)
        self.row.setStretchFactor(self.chart, 1)
        self.waiting.hide()

    def stack_up(self, narrow: bool) -> None:
        """The figures below the plot where there is no room beside it."""
        direction = QBoxLayout.Direction.TopToBottom if narrow else QBoxLayout.Direction.LeftToRight
        if self.row.direction() != direction:
            self.row.setDirection(direction)
            self.row.setSpacing(NARROW_SPACING if narrow else SPACING)

    def wide(self) -> int:
        """The width, in pixels, from which plot and figures stand side by side."""
        return self.fontMetrics().averageCharWidth() * PLOT_LETTERS + SPACING + self.figures.width()

    def show_window(self, window: Window, span_s: float) -> None:
        """Draw the last `span_s` seconds."""
        self.figures.show_window(window, span_s)
        if self.chart is not None:
            self.chart.show_window(window, span_s)

    def restyle(self) -> None:
        """Follow theme and font."""
        font = self.font()
        font.setBold(True)
        self.title.setFont(font)
        self.figures.restyle()
        if self.chart is not None:
            self.chart.restyle()

    def _place(self) -> None:
        beside = QVBoxLayout()
        beside.setSpacing(4)
        beside.addWidget(self.figures)
        beside.addWidget(self.note)
        beside.addStretch(1)
        self.row = QHBoxLayout()
        self.row.setSpacing(SPACING)
        self.row.addWidget(self.waiting, 1)
        self.row.addLayout(beside)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.title)
        layout.addLayout(self.row, 1)
