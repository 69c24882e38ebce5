"""One plot: some curves over the last minutes. The only module that loads pyqtgraph."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QWheelEvent
from PySide6.QtWidgets import QWidget

from vea_gui import theme
from vea_gui.plots import ink
from vea_gui.plots.measures import READ_INK, SINGLE_INK, Panel, top_of_scale
from vea_gui.series import Window

STEPS_OF_SCALE = {1.0: 4, 2.0: 4, 2.5: 5, 5.0: 5}
STEPS_OF_TIME = {60: (15, 30, 60), 300: (60, 300), 900: (180, 300, 900)}
"""For each span the steps between labels, in seconds; the first that leaves room is taken."""
FILL_ALPHA = 36
GRID_ALPHA = 46
LINES_HIGH = 6
TEXT_OFFSET = 5
LETTERS_WIDE = 30
SCALE_LETTERS = "0,000,000"


class EvenAxis(pg.AxisItem):
    """An axis whose first and last label are shown as well: they may stand out over its ends."""

    def __init__(self, orientation: str) -> None:
        super().__init__(orientation=orientation)
        self.enableAutoSIPrefix(False)
        self.over = 0.0  # pixels at each end

    def boundingRect(self) -> QRectF:
        rect: QRectF = super().boundingRect()
        sideways = self.over if self.orientation == "bottom" else 0.0
        upwards = self.over - sideways
        return rect.adjusted(-sideways, -upwards, sideways, upwards)


class TimeAxis(EvenAxis):
    """Ages below the plot: `-30 s`, `-2 min`, `now`."""

    def __init__(self) -> None:
        super().__init__("bottom")

    def tickSpacing(self, minVal: float, maxVal: float, size: float) -> list[tuple[float, float]]:
        span = round(maxVal - minVal)
        steps = STEPS_OF_TIME.get(span, (span,))
        room = size / max(1.0, self.over * 1.25)
        return [(next((step for step in steps if span / step <= room), steps[-1]), 0)]

    def tickStrings(self, values: Sequence[float], scale: float, spacing: float) -> list[str]:
        return [age(value) for value in values]


class ScaleAxis(EvenAxis):
    """Figures at the left, in steps that divide the scale evenly."""

    def __init__(self) -> None:
        super().__init__("left")
        self.top = 1.0

    def tickSpacing(self, minVal: float, maxVal: float, size: float) -> list[tuple[float, float]]:
        lead = float(f"{self.top:e}".partition("e")[0])
        return [(self.top / STEPS_OF_SCALE.get(lead, 4), 0)]

    def tickStrings(self, values: Sequence[float], scale: float, spacing: float) -> list[str]:
        return [f"{value:,.10g}" if value < 1e6 else f"{value:,.0f}" for value in values]


class Chart(pg.PlotWidget):
    """The curves of one panel. It takes no focus and no mouse: there is nothing in it to do."""

    def __init__(self, panel: Panel, parent: QWidget | None = None) -> None:
        self.scale_axis, self.time_axis = ScaleAxis(), TimeAxis()
        super().__init__(parent, axisItems={"left": self.scale_axis, "bottom": self.time_axis})
        self.panel = panel
        self.curves = [pg.PlotCurveItem() for _ in panel.lines]
        self._range = (0.0, 0.0)
        for curve in self.curves:
            self.addItem(curve, ignoreBounds=True)
        self.setAccessibleName(f"{panel.title} plot")
        self.setAccessibleDescription("The table beside it has the same in figures.")
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.viewport().setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.NoContextMenu)
        self.setMenuEnabled(False)
        self.hideButtons()
        self.setMouseEnabled(False, False)
        self.getViewBox().disableAutoRange()
        self.showGrid(x=True, y=True)
        self.restyle()

    def restyle(self) -> None:
        """Take colours and font from the theme."""
        chosen = theme.current()
        self.setBackground(chosen.color("base"))
        metrics = self.fontMetrics()
        for axis in (self.scale_axis, self.time_axis):
            axis.setPen(chosen.color("muted"))
            axis.setTextPen(chosen.color("text"))
            axis.setStyle(tickFont=self.font(), tickLength=-4)
            axis.setGrid(GRID_ALPHA)
        self.scale_axis.over = self.time_axis.over = float(metrics.horizontalAdvance(" −15 min"))
        self.scale_axis.setWidth(metrics.horizontalAdvance(SCALE_LETTERS) + 16)
        self.time_axis.setStyle(tickTextOffset=TEXT_OFFSET)
        self.time_axis.setHeight(metrics.height() + TEXT_OFFSET)
        edge = metrics.height() // 2
        self.getPlotItem().layout.setContentsMargins(0, edge, metrics.horizontalAdvance("now"), 2)
        for line, curve in zip(self.panel.lines, self.curves, strict=True):
            curve.setPen(ink.pen(line))
            if line.ink in (READ_INK, SINGLE_INK):
                fill = ink.color(line.ink)
                fill.setAlpha(FILL_ALPHA)
                curve.setFillLevel(0.0)
                curve.setBrush(fill)
        self.setMinimumSize(self.minimumSizeHint())

    def show_window(self, window: Window, span_s: float) -> None:
        """Draw the last `span_s` seconds."""
        shown = window.last(span_s)
        highest = 0.0
        for line, curve in zip(self.panel.lines, self.curves, strict=True):
            figures = line.measure.of(shown.values)
            unknown = np.isnan(figures)
            known = figures[~unknown]
            highest = max(highest, float(known.max(initial=0.0)))
            curve.setData(shown.ages, figures, connect="finite" if unknown.any() else "all", skipFiniteCheck=True)
        self._scale(span_s, top_of_scale(highest, self.panel.floor))

    def minimumSizeHint(self) -> QSize:
        metrics = self.fontMetrics()
        return QSize(metrics.averageCharWidth() * LETTERS_WIDE, metrics.height() * LINES_HIGH)

    def sizeHint(self) -> QSize:
        return self.minimumSizeHint()

    def wheelEvent(self, event: QWheelEvent) -> None:
        event.ignore()  # scrolls the page

    def _scale(self, span_s: float, top: float) -> None:
        if (span_s, top) != self._range:
            self._range = (span_s, top)
            self.scale_axis.top = top
            self.getViewBox().setRange(xRange=(-span_s, 0), yRange=(0, top), padding=0)


def age(seconds: float) -> str:
    """How long ago, for an axis."""
    back = round(-seconds)
    if back <= 0:
        return "now"
    return f"−{back // 60} min" if back % 60 == 0 else f"−{back} s"
