"""Alerts of this session: the Console tab at the bottom."""

from __future__ import annotations

from PySide6.QtWidgets import QVBoxLayout, QWidget

from engine.records import Alert, Kind
from vea_gui.console import Console
from vea_gui.models.table import Source, matching
from vea_gui.views.table_page import TablePage
from vea_gui.words import tone_of


def open_alerts() -> Source:
    """Alerts that nobody has acknowledged."""
    return matching(Kind.ALERT, lambda alert: alert.open)


class AlertPanel(QWidget):
    """What needs attention, the worst first."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self.console = console
        self.page = TablePage(console, "Console", open_alerts(), "session-alerts")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.page)

    def worst(self) -> Alert | None:
        """The alert that matters most; of equals the newest."""
        alerts = (alert for alert in self.console.config.all(Kind.ALERT, Alert) if alert.open)
        return max(alerts, key=lambda alert: (tone_of(alert), alert.time), default=None)

    def release(self) -> None:
        self.page.release()
