"""Alerts of this session: the Console tab at the bottom."""

from __future__ import annotations

from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QVBoxLayout, QWidget

from engine.records import Alert, Kind
from vea_gui.console import Console
from vea_gui.models.table import Source, matching
from vea_gui.views.remedy_bar import RemedyBar
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
        self.bar = RemedyBar(console, self.meant, self, "Pick an alert first.", any_row=self.any_open)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.bar)
        layout.addWidget(self.page, 1)
        console.selection_changed.connect(self._refresh)
        console.changed.connect(self._refresh)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._refresh()

    def any_open(self) -> bool:
        """Whether there is an alert to pick."""
        return any(alert.open for alert in self.console.config.all(Kind.ALERT, Alert))

    def worst(self) -> Alert | None:
        """The alert that matters most; of equals the newest."""
        alerts = (alert for alert in self.console.config.all(Kind.ALERT, Alert) if alert.open)
        return max(alerts, key=lambda alert: (tone_of(alert), alert.time), default=None)

    def meant(self) -> Alert | None:
        """The alert that is picked; when none is, the only one there is."""
        picked = self.console.selection.of(Alert)
        if picked:
            return picked[0] if len(picked) == 1 else None
        alone = [alert for alert in self.console.config.all(Kind.ALERT, Alert) if alert.open]
        return alone[0] if len(alone) == 1 else None

    def _refresh(self, _: object = None) -> None:
        if self.isVisible():
            self.bar.update_ways()

    def release(self) -> None:
        self.page.release()
