"""From a trouble to its object and to what helps, in one click each."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QSizePolicy, QWidget

from engine.records import Alert, Record
from vea_gui.console import Console
from vea_gui.remedies import Way, ways

GO = "Go to Object"
BEGIN = "Begin Remedy"
NOTHING_HELPS = "Nothing can be begun from here."
READ_ON = "Nothing can be begun from here. Read what to do in the row."
LINES = 2
NO_OBJECT = "There is no object to go to."


def best_way(console: Console, record: Record) -> Way | None:
    """The first way that is possible now; the first of all when none is."""
    found = [way for way in ways(console.mirror, record) if console.actions.get(way.action) is not None]
    return next((way for way in found if not why_not(console, way)), found[0] if found else None)


def why_not(console: Console, way: Way) -> str:
    """Why an action cannot be begun now; empty when it can."""
    on = console.at(way.on) if way.on is not None else console.at()
    return console.actions.row(way.action).reason(on)


def _refused(console: Console, record: Record | None, way: Way | None) -> str:
    """Why what an alert proposes is not what is offered."""
    first = next(iter(ways(console.mirror, record)), None) if isinstance(record, Alert) else None
    return why_not(console, first) if first is not None and way is not None and first != way else ""


def _told(record: Record | None) -> str:
    """What an alert says, in full: a table may have to cut it."""
    return " ".join(filter(None, (record.name, record.cause, record.remedy))) if isinstance(record, Alert) else ""


def _no_way(record: Record | None) -> str:
    """An alert that says what to do is pointed to; one that does not is not."""
    return READ_ON if isinstance(record, Alert) and record.remedy else NOTHING_HELPS


def begin(console: Console, way: Way) -> None:
    """Begin it as the menu would."""
    console.trigger(way.action, console.at(way.on) if way.on is not None else console.at())


class RemedyBar(QWidget):
    """Buttons for one record: to the object of an alert, and to what helps.

    Gone while there is nothing to offer, but above a table, where `pick_first` says what is to be picked: a bar that
    came with the pick would move the row away under the pointer. All that an alert says stands beside the buttons.
    """

    def __init__(
        self,
        console: Console,
        meant: Callable[[], Record | None],
        parent: QWidget,
        pick_first: str = "",
        goes: bool = True,
        any_row: Callable[[], bool] = lambda: True,
    ) -> None:
        """`any_row`: whether the table below has a row to pick; without one the bar is gone, too."""
        super().__init__(parent)
        self._any_row = any_row
        self._pick_first, self._goes = pick_first, goes
        self.console = console
        self._meant = meant
        self._way: Way | None = None
        self.go = QPushButton(GO, self)
        self.go.setAccessibleName(GO)
        self.go.clicked.connect(self._go)
        self.remedy = QPushButton(self)
        self.remedy.clicked.connect(self._begin)
        self.reason = QLabel(self)  # why the remedy is not possible: seen, not only a tip
        self.reason.setTextFormat(Qt.TextFormat.PlainText)
        self.reason.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.reason.setWordWrap(True)
        self.reason.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        row = QHBoxLayout(self)
        row.setContentsMargins(8, 2, 8, 2)
        row.setSpacing(8)
        row.addWidget(self.go)
        row.addWidget(self.remedy)
        row.addWidget(self.reason, 1)
        for button in (self.go, self.remedy):
            button.setAutoDefault(False)
        self.update_ways()

    def update_ways(self) -> None:
        """Follow what is meant and what is possible."""
        record = self._meant()
        self._way = best_way(self.console, record) if record is not None else None
        self.go.setVisible(isinstance(record, Alert) and self.console.config.get(record.object) is not None)
        words = self._way.words if self._way is not None else ""
        reason = why_not(self.console, self._way) if self._way is not None else ""
        refused = _refused(self.console, record, self._way)
        if self._pick_first:
            none = self._pick_first if record is None else ""
            self._say(self.go, "" if not self.go.isHidden() else none or NO_OBJECT)
            self.go.setVisible(self._goes)
            words, reason = words or BEGIN, reason or (none or _no_way(record) if self._way is None else "")
        self.remedy.setVisible(bool(words))
        if self.remedy.text() != words:
            self.remedy.setText(words)
            self.remedy.setAccessibleName(words)
        self._say(self.remedy, reason)
        self.reason.setText("\n".join(filter(None, (reason or refused, _told(record) if self._pick_first else ""))))
        offers = bool(self._pick_first) or not self.go.isHidden() or not self.remedy.isHidden()
        self.setVisible(offers and self._any_row())

    def showEvent(self, event: QShowEvent) -> None:
        """Room for what most alerts say: the table below stays where it is, whichever is picked."""
        lines = LINES if self._pick_first and self._goes else 1
        self.reason.setMinimumHeight(lines * self.reason.fontMetrics().lineSpacing())
        super().showEvent(event)

    def _say(self, button: QPushButton, reason: str) -> None:
        """A button that is grey says why."""
        button.setEnabled(not reason)
        button.setToolTip(reason)
        button.setAccessibleDescription(reason)

    def _go(self) -> None:
        record = self._meant()
        if record is not None:
            self.console.trigger("go-to-object", self.console.at(record.ref))

    def _begin(self) -> None:
        if self._way is not None:
            begin(self.console, self._way)
