"""Actions of alerts."""

from __future__ import annotations

from engine.commands import AcknowledgeAlerts
from engine.plans import Problem
from engine.records import Alert, Host, Kind, Ref
from vea_gui.action_rows import Action, Reason
from vea_gui.console import Console
from vea_gui.mirror import Mirror
from vea_gui.remedies import TABS, Way, best
from vea_gui.selection import Selection
from vea_gui.tree_shape import path_to

ALERT = (Kind.ALERT.value,)


def _acknowledge(console: Console, selection: Selection) -> None:
    console.submit(AcknowledgeAlerts(alerts=tuple(alert.ref for alert in selection.of(Alert))))


def _any_alert(selection: Selection) -> Reason:
    is_open = any(alert.open for alert in selection.config.all(Kind.ALERT, Alert))
    return None if is_open else Problem("There are no open alerts.", "")


def _object(selection: Selection) -> Ref | None:
    alert = selection.one(Alert)
    record = selection.config.get(alert.object) if alert is not None else None
    return record.ref if record is not None else None


def _no_object(selection: Selection) -> Reason:
    alert, ref = selection.one(Alert), _object(selection)
    if ref is None:
        gone = alert is not None and alert.object is not None
        return Problem("Its object is not there any more." if gone else "This alert is about no single object.", "")
    hosts = selection.config.all(Kind.HOST, Host)
    if hosts and path_to(selection.config, hosts[0].ref, ref) is None:
        return Problem("The tree does not show this object.", "")
    return None


def _go(console: Console, selection: Selection) -> None:
    ref = _object(selection)
    if ref is not None:
        console.frame.show_tab(ref, "", TABS.get(ref.kind, "Alerts"))
        console.select((ref,))


def _way(selection: Selection) -> Way | None:
    """What the alert names as its remedy, or what helps its object as it is now."""
    alert = selection.one(Alert)
    return best(Mirror.of(selection.config), alert) if alert is not None else None


def _on(selection: Selection, way: Way) -> Selection:
    return Selection(selection.config, (way.on,) if way.on is not None else ())


def _no_remedy(selection: Selection) -> Reason:
    from vea_gui.actions.book import book  # this row is in the book itself

    way = _way(selection)
    if way is None:
        return Problem("Nothing can be begun from this alert.", "Read what to do in its row.")
    row = book().get(way.action)
    return row.reason(_on(selection, way)) or None if row is not None else Problem("This console cannot begin it.", "")


def _begin(console: Console, selection: Selection) -> None:
    way = _way(selection)
    if way is not None:
        console.trigger(way.action, _on(selection, way))


def _remedy_words(selection: Selection) -> str:
    way = _way(selection)
    return way.words if way is not None else ""


ROWS = (
    Action("go-to-object", "Go to Object", _go, ALERT, _no_object, icon="forward", section=10),
    Action("begin-remedy", "Begin Remedy", _begin, ALERT, _no_remedy, names=_remedy_words, section=10),
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
