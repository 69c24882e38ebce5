"""Actions of alerts."""

from __future__ import annotations

from engine.commands import AcknowledgeAlerts
from engine.plans import Problem
from engine.records import Alert, Kind
from vea_gui.action_rows import Action, Reason
from vea_gui.console import Console
from vea_gui.selection import Selection

ALERT = (Kind.ALERT.value,)


def _acknowledge(console: Console, selection: Selection) -> None:
    console.submit(AcknowledgeAlerts(alerts=tuple(alert.ref for alert in selection.of(Alert))))


def _any_alert(selection: Selection) -> Reason:
    is_open = any(alert.open for alert in selection.config.all(Kind.ALERT, Alert))
    return None if is_open else Problem("There are no open alerts.", "")


ROWS = (
    Action(
        "acknowledge-alert",
        "Acknowledge",
        _acknowledge,
        ALERT,
        shortcut="Del",
        section=20,
        plural="Acknowledge {} Alerts",
    ),
    Action(
        "acknowledge-alerts",
        "Acknowledge All",
        lambda console, _: console.submit(AcknowledgeAlerts()),
        ALERT,
        _any_alert,
        section=20,
        plural="Acknowledge All",
    ),
)
