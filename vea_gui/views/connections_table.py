"""Who uses a volume: the table of its clients, with how long each has been there."""

from __future__ import annotations

import pwd
import time
from collections.abc import Callable

from PySide6.QtCore import QTimer
from PySide6.QtGui import QHideEvent, QShowEvent

from engine.records import Connection, Kind, Ref
from engine.units import format_seconds
from vea_gui.column import Column, moment
from vea_gui.console import Console
from vea_gui.mirror import Mirror
from vea_gui.models.table import Source
from vea_gui.views.table_page import TablePage

AGE_MS = 1_000
FEWEST_ROWS, MOST_ROWS = 3, 8
EMPTY = "Clients would be here, with who they are and since when: virtual machines, mounted file systems, tools."


class UserNames:
    """Names of users. A name service may be slow: the session's thread asks it, and until then a number stands."""

    def __init__(self, console: Console, found: Callable[[], None]) -> None:
        self._console = console
        self._found = found
        self._names: dict[int, str] = {}

    def name(self, user_id: int) -> str:
        """`root`; `user 1000` while, or when, nobody knows its name; empty for nobody."""
        if user_id < 0:
            return ""
        if user_id not in self._names:
            self._names[user_id] = f"user {user_id}"
            self._console.session.bridge.call(lambda: _name_of(user_id), lambda name: self._learn(user_id, name), None)
        return self._names[user_id]

    def _learn(self, user_id: int, name: str) -> None:
        if name:
            self._names[user_id] = name
            self._found()


def _name_of(user_id: int) -> str:
    try:
        return pwd.getpwuid(user_id).pw_name
    except KeyError:
        return ""


class ConnectionsTable(TablePage):
    """The clients of one volume, live."""

    def __init__(self, console: Console, volume: Ref) -> None:
        self._ended = False
        self.users = UserNames(console, self._repaint)
        source = Source(
            Kind.CONNECTION,
            lambda mirror: mirror.config.connections_of(volume),
            lambda _, connection: connection.volume == volume,
        )
        super().__init__(console, "Clients", source, "clients of volume", self._columns(), (EMPTY, ""))
        self.summary.setVisible(False)  # a heading says it
        self.model.count_changed.connect(self.fit)
        self._ages = QTimer(self)
        self._ages.setInterval(AGE_MS)
        self._ages.timeout.connect(self._repaint)
        self.fit()

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._ages.start()

    def hideEvent(self, event: QHideEvent) -> None:
        self._ages.stop()
        super().hideEvent(event)

    def release(self) -> None:
        self._ended = True
        self._ages.stop()
        super().release()

    def _columns(self) -> tuple[Column, ...]:
        def user(_: Mirror, connection: Connection) -> str:
            return self.users.name(connection.user_id)

        return (
            Column("name", "Client", lambda _, c: program(c), width=19),
            Column("user", "User", user, width=9),
            Column(
                "process",
                "Process",
                lambda _, c: str(c.process_id) if c.process_id else "",
                lambda _, c: c.process_id,
                right=True,
                width=9,
            ),
            moment("since", "Since", lambda c: c.since),
            Column("for", "Connected for", lambda _, c: duration(c), lambda _, c: -c.since, width=12),
        )

    def fit(self) -> None:
        """As high as its rows, within reason; the empty state is as high as the fewest."""
        header = self.view.horizontalHeader().sizeHint().height()
        rows = min(max(self.model.rowCount(), FEWEST_ROWS), MOST_ROWS)
        row = self.view.verticalHeader().defaultSectionSize()
        self.setFixedHeight(header + rows * row + 2 * self.view.frameWidth() + self.fontMetrics().height())

    def _repaint(self) -> None:
        rows = self.model.rowCount() if not self._ended else 0
        if rows:
            last = self.model.columnCount() - 1
            self.model.dataChanged.emit(self.model.index(0, 0), self.model.index(rows - 1, last))


def program(connection: Connection) -> str:
    """The client's name without its process, which has a column of its own."""
    return connection.name.removesuffix(f" (process {connection.process_id})")


def duration(connection: Connection) -> str:
    """How long a client has been there."""
    return format_seconds(max(0.0, time.time() - connection.since))
