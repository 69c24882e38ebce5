"""The Logs perspective: the task log and the alert log of the host."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QLabel, QLineEdit, QTabWidget, QVBoxLayout, QWidget

from engine.records import Kind, Severity
from vea_gui.columns import ALERT, TASK_LOG
from vea_gui.console import Console
from vea_gui.models.table import Source, matching
from vea_gui.views.table_page import TablePage

EVERYTHING = "All"
NO_SEVERITY = "Tasks have no severity. The Alert Log can be narrowed to one."


def finished_tasks() -> Source:
    """Tasks that have ended."""
    return matching(Kind.TASK, lambda task: task.ended)


def alerts_of(severity: str) -> Source:
    """Alerts of one severity, or all."""
    return matching(Kind.ALERT, lambda alert: severity in (EVERYTHING, str(alert.severity)))


class LogView(QWidget):
    """Two tables with a filter; alerts can be narrowed to one severity."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self.console = console
        self.tabs = QTabWidget(self)
        self.tabs.setDocumentMode(True)
        self.tabs.setAccessibleName("Logs")
        nothing_done = ("Finished tasks would be here.", "")
        self.tasks = TablePage(console, "Task Log", finished_tasks(), "task-log", TASK_LOG, nothing_done, "finished")
        self.alerts = TablePage(console, "Alert Log", alerts_of(EVERYTHING), "alert-log", ALERT, newest_first="time")
        self.tabs.addTab(self.tasks, "Task Log")
        self.tabs.addTab(self.alerts, "Alert Log")
        self.filter = QLineEdit(self)
        self.filter.setClearButtonEnabled(True)
        self.filter.setAccessibleName("filter")
        self.filter.setPlaceholderText("words to look for")
        self.severity = QComboBox(self)
        self.severity.addItems([EVERYTHING, *(str(severity) for severity in Severity)])
        self.severity.setAccessibleName("severity")
        self.tabs.setCornerWidget(self._corner(), Qt.Corner.TopRightCorner)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.tabs)
        self.filter.textChanged.connect(self._filter)
        self.tabs.currentChanged.connect(lambda _: self._filter(self.filter.text()))
        self.severity.currentTextChanged.connect(self._narrow)
        self._filter("")

    def page(self) -> TablePage:
        return self.tasks if self.tabs.currentIndex() == 0 else self.alerts

    def release(self) -> None:
        self.tasks.release()
        self.alerts.release()

    def _corner(self) -> QWidget:
        area = QWidget(self)
        row = QHBoxLayout(area)
        row.setContentsMargins(8, 0, 4, 0)  # the tab bar's height is all there is
        row.setSpacing(4)
        for text, widget in (("severity:", self.severity), ("filter:", self.filter)):
            label = QLabel(text, area)
            label.setBuddy(widget)
            row.addWidget(label)
            row.addWidget(widget)
        return area

    def _filter(self, text: str) -> None:
        of_alerts = self.page() is self.alerts
        self.severity.setEnabled(of_alerts)
        self.severity.setToolTip("" if of_alerts else NO_SEVERITY)
        self.severity.setAccessibleDescription("severity" if of_alerts else NO_SEVERITY)
        self.page().set_filter(text)

    def _narrow(self, severity: str) -> None:
        self.alerts.model.source = alerts_of(severity)
        self.alerts.model.reload()
