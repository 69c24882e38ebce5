"""The Performance tab: what goes through a volume, a disk or the host, live, as curves and as figures."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QGuiApplication, QHideEvent, QResizeEvent, QShowEvent
from PySide6.QtWidgets import QComboBox, QFrame, QHBoxLayout, QLabel, QPushButton, QScrollArea, QVBoxLayout, QWidget

from engine.records import Ref
from vea_gui import theme
from vea_gui.console import Console
from vea_gui.moments import clock
from vea_gui.plots import qt_types
from vea_gui.plots.measures import note_of, panels_of
from vea_gui.plots.panel_view import PanelView
from vea_gui.plots.recorder import recorder_of
from vea_gui.plots.viewing import Viewing

if TYPE_CHECKING:
    from vea_gui.series import Window

SPANS = (("1 minute", 60), ("5 minutes", 300), ("15 minutes", 900))
SPAN_KEY = "performance/span"
MARGIN = 8
WAITING = "Figures arrive within a second."


class PerformanceTab(QWidget):
    """Panels of one object. Drawn only while it can be seen; figures are kept all the time."""

    def __init__(self, console: Console, ref: Ref) -> None:
        super().__init__()
        self.console = console
        self.ref = ref
        self.recorder = recorder_of(console.session)
        self.viewing = Viewing(self.recorder, ref)
        self.frozen: Window | None = None
        self._drawn: tuple[object, ...] = ()
        self.span = QComboBox(self)
        self.freeze = QPushButton("Freeze", self)
        self.copy = QPushButton("Copy as CSV", self)
        self.state = QLabel(WAITING, self)
        memory = self.recorder.memory_known
        self.panels = [PanelView(panel, self) for panel in panels_of(ref.kind, memory)]
        self.note = QLabel(note_of(ref.kind, memory), self)
        self.area = QScrollArea(self)
        self._build()
        self._place()
        self._line_up()
        theme.signals().changed.connect(self._restyle)
        self.recorder.beat.connect(self._beat)
        self.recorder.ready.connect(self._beat)
        self.destroyed.connect(self.viewing.end)
        qt_types.make_all()
        console.session.bridge.call(load_chart, self._take_charts, self._no_charts)

    @property
    def span_s(self) -> int:
        """Seconds that are shown."""
        return int(self.span.currentData())

    def showEvent(self, event: QShowEvent) -> None:
        self.viewing.look(True)
        self._draw()
        super().showEvent(event)

    def hideEvent(self, event: QHideEvent) -> None:
        self.viewing.look(False)
        super().hideEvent(event)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._stack_up()

    def release(self) -> None:
        """The page is about to go."""
        self.viewing.end()

    def as_csv(self) -> str:
        """What is shown, tick by tick."""
        window = self._window()
        if window is None:
            return ""
        return window.within(self.span_s).as_csv([line.measure for view in self.panels for line in view.panel.lines])

    # --- inside ---
    def _build(self) -> None:
        for text, seconds in SPANS:
            self.span.addItem(text, seconds)
        kept = self.console.settings.words(SPAN_KEY)
        self.span.setCurrentIndex(max(0, self.span.findText(kept[0]) if kept else 0))
        self.span.setAccessibleName("Time shown")
        self.span.currentTextChanged.connect(self._choose_span)
        self.freeze.setCheckable(True)
        self.freeze.setToolTip("Hold what is shown. Figures go on being kept.")
        self.freeze.toggled.connect(self._freeze)
        self.copy.setToolTip("Copy the figures of the time shown to the clipboard")
        self.copy.clicked.connect(self._copy)
        self.note.setWordWrap(True)
        self.note.setVisible(bool(self.note.text()))

    def _place(self) -> None:
        label = QLabel("Time shown:", self)
        label.setBuddy(self.span)
        bar = QHBoxLayout()
        bar.setContentsMargins(8, 4, 8, 4)
        bar.setSpacing(8)
        for widget in (label, self.span, self.freeze, self.copy):
            bar.addWidget(widget)
        bar.addStretch(1)
        bar.addWidget(self.state)
        body = QWidget(self)
        column = QVBoxLayout(body)
        column.setContentsMargins(MARGIN, 4, MARGIN, MARGIN)
        column.setSpacing(8)
        column.addWidget(self.note)
        for view in self.panels:
            column.addWidget(view, 1)
        self.area.setWidgetResizable(True)
        self.area.setFrameShape(QFrame.Shape.NoFrame)
        self.area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.area.setWidget(body)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addLayout(bar)
        layout.addWidget(self.area, 1)

    def _line_up(self) -> None:
        """All tables as wide as the widest, so that the plots end at one line."""
        widest = max(view.figures.width() for view in self.panels)
        for view in self.panels:
            view.figures.widen(widest)
        self._stack_up()

    def _stack_up(self) -> None:
        room = self.width() - 2 * MARGIN - self.area.verticalScrollBar().sizeHint().width()
        narrow = room < max(view.wide() for view in self.panels)
        for view in self.panels:
            view.stack_up(narrow)

    def _take_charts(self, module: Any) -> None:
        """One plot each turn of the event loop: making all of them at once could be felt."""
        waiting = [view for view in self.panels if view.chart is None]
        if self.viewing.ended or not waiting:
            return
        waiting[0].take_chart(module.Chart)
        self._drawn = ()
        self._draw()
        QTimer.singleShot(0, self, lambda: self._take_charts(module))

    def _no_charts(self, error: BaseException) -> None:
        """The library cannot be loaded: the figures stay, and the reason stands where the plots would."""
        if not self.viewing.ended:
            for view in self.panels:
                view.waiting.setText(f"Plots cannot be shown: {error}")

    def _window(self) -> Window | None:
        return self.frozen if self.frozen is not None else self.recorder.window(self.ref)

    def _beat(self) -> None:
        if self.isVisible():
            self._draw()

    def _draw(self) -> None:
        """Draw when there is something new to see."""
        history = self.recorder.history
        if history is None:
            return
        self.viewing.follow()
        now = self.frozen.now if self.frozen is not None else self.recorder.now()
        sight = (self.frozen is not None, history.ticks if self.frozen is None else 0, round(now), self.span_s)
        if sight == self._drawn:
            return
        self._drawn = sight
        window = self._window()
        if window is not None:
            for view in self.panels:
                view.show_window(window, self.span_s)
        self._tell_state(now)

    def _tell_state(self, now: float) -> None:
        history = self.recorder.history
        if self.frozen is not None:
            text = f"Frozen at {clock(now)}"
        elif history is None or not history.ticks:
            text = WAITING
        elif now > history.latest:
            text = f"No figures since {clock(history.latest)}"
        else:
            text = "Live"
        if self.state.text() != text:
            self.state.setText(text)

    def _choose_span(self, text: str) -> None:
        self.console.settings.keep_words(SPAN_KEY, [text])
        self._draw()

    def _freeze(self, on: bool) -> None:
        self.frozen = self.recorder.window(self.ref) if on else None
        self._draw()

    def _copy(self) -> None:
        QGuiApplication.clipboard().setText(self.as_csv())
        self.console.tell("The figures are in the clipboard, as comma-separated values.")

    def _restyle(self) -> None:
        for view in self.panels:
            view.restyle()
        self._line_up()
        self._drawn = ()
        self._beat()


def load_chart() -> Any:
    """Runs on the session's thread: the library takes too long to load for the GUI thread."""
    return importlib.import_module("vea_gui.plots.chart")
