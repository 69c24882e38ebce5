"""The bottom line: host, role, engine, tasks, the worst alert, and reasons as they are asked for."""

from __future__ import annotations

import time

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QLabel, QPushButton, QSizePolicy, QStatusBar, QWidget

from engine.records import Kind, TaskState
from vea_gui import icons, moments, theme
from vea_gui.console import Console
from vea_gui.mirror import Change
from vea_gui.views.alert_panel import AlertPanel
from vea_gui.views.task_panel import TaskPanel
from vea_gui.words import TONE_NAMES, count_of, tone_of

NO_ALERTS = "No alerts"
LONGEST_ALERT = 60


class ConsoleStatusBar(QStatusBar):
    """Lives on the console's changes."""

    alert_pressed = Signal()

    def __init__(self, console: Console, tasks: TaskPanel, alerts: AlertPanel, parent: QWidget) -> None:
        super().__init__(parent)
        self.console, self.tasks, self.alerts = console, tasks, alerts
        self.reason = QLabel("", self)
        self.reason.setTextFormat(Qt.TextFormat.PlainText)
        self.reason.setAccessibleName("Status")
        self.reason.setWordWrap(True)
        self.reason.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.host = QLabel("", self)
        self.engine = QLabel("", self)
        self.running = QLabel("", self)
        self.alert = QPushButton(NO_ALERTS, self)
        self.alert.setFlat(True)
        self.alert.clicked.connect(self.alert_pressed)
        self.addWidget(self.reason, 1)
        for part in (self.host, self.engine, self.running, self.alert):
            self.addPermanentWidget(part)
        self.setSizeGripEnabled(False)
        console.told.connect(self._tell)
        console.taken_back.connect(self._take_back)
        console.changed.connect(self._changed)
        bridge = console.session.bridge
        bridge.lost.connect(self._lost)  # methods, not lambdas: the session outlives the window, and would keep it
        bridge.silent.connect(self._silent)
        bridge.answered.connect(self._update)
        theme.signals().changed.connect(self._restyle)
        self._restyle()
        self._update()

    def _restyle(self) -> None:
        """Reasons have two sentences: room for two lines, so that nothing jumps when one is told."""
        self.reason.setMinimumHeight(2 * self.fontMetrics().lineSpacing() + 2)
        self._make_room()

    def _tell(self, text: str) -> None:
        self.reason.setText(text)
        self.reason.setToolTip(text)
        self._make_room()

    def _take_back(self, text: str) -> None:
        if text == self.reason.text():
            self._tell("")

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._make_room()

    def _make_room(self) -> None:
        """In a narrow window host and engine stand back: a reason must be read whole, and the alert be in sight."""
        text = self.reason.text()
        taken = sum(part.sizeHint().width() for part in (self.host, self.engine, self.running, self.alert))
        room = self.width() - taken
        narrow = room < 0 or (bool(text) and self.fontMetrics().horizontalAdvance(text) > 1.6 * room)
        for part in (self.host, self.engine):
            part.setHidden(narrow)

    def _changed(self, change: Change) -> None:
        if change.touches(Kind.HOST, Kind.TASK, Kind.ALERT):
            self._update()

    def _update(self) -> None:
        host = self.console.config.get(self.console.host)
        role = "administrator"
        self._set(self.host, f"{host.name} ({role})" if host is not None else "Connecting")
        mine = "This window carries the engine" if self.console.session.owned else "Engine of another process"
        self._set(self.engine, mine if host is not None else "")
        states = [task.state for task in self.tasks.unfinished()]
        paused = states.count(TaskState.PAUSED)
        running = f"{count_of(states.count(TaskState.RUNNING), Kind.TASK)} running"
        self._set(self.running, f"{running}, {paused} paused" if paused else running)
        worst = self.alerts.worst()
        text = worst.name if worst is not None else NO_ALERTS
        short = text if len(text) <= LONGEST_ALERT else text[: LONGEST_ALERT - 3].rstrip() + "..."
        if self.alert.text() != short:
            self.alert.setText(short)
            self.alert.setToolTip(text)
            self.alert.setIcon(icons.icon(f"state-{TONE_NAMES[tone_of(worst)]}" if worst is not None else "state-good"))
        self._make_room()

    def _lost(self, error: Exception) -> None:
        self._silent(time.time(), str(error))

    def _silent(self, since: float, why: str = "") -> None:
        when = moments.clock(since)
        self._set(self.engine, f"No answer since {when}. What is shown may be old.")
        self.engine.setToolTip(why)

    def _set(self, label: QLabel, text: str) -> None:
        if label.text() != text:
            label.setText(text)
