"""Another font size while windows are open: rows, columns, the bar of perspectives and the status bar make room."""

from __future__ import annotations

import pytest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from engine.records import Alert, Kind, Record, Ref, Severity
from tests.gui import sample_lab
from vea_gui import theme
from vea_gui.views.main_window import MainWindow
from vea_gui.views.overview import OverviewPage

ALERT = Alert(
    ref=Ref(Kind.ALERT, "7", sample_lab.HOST_ID),
    name="Harddisk0 of the disk group dg1 is missing.",
    severity=Severity.ERROR,
    time=1.7e9,
    object=sample_lab.ref(Kind.DISK, 0),
    remedy="Bring its LUN back, rescan and reactivate it. Gone for good: replace the disk.",
)


@pytest.fixture
def records() -> list[Record]:
    return [*sample_lab.records(), ALERT]


@pytest.fixture
def large(window: MainWindow, qapp: QApplication, qtbot: QtBot) -> MainWindow:
    """A window that was small when it was opened, with a large font since."""
    window.resize(860, 700)
    qtbot.waitUntil(lambda: window.status.alert.text() == ALERT.name)
    theme.apply(qapp, "light", 16)
    qtbot.waitUntil(lambda: window.fontInfo().pointSize() == 16)
    QApplication.processEvents()
    return window


def test_rows_and_columns_are_as_large_as_their_words(large: MainWindow, qtbot: QtBot) -> None:
    view = large.alerts.page.view
    line = view.fontMetrics().height()
    assert view.rowHeight(0) >= 2 * line
    columns = [column.id for column in view.table.columns]
    for name in ("severity", "time", "object"):  # what can't be wrapped
        section = columns.index(name)
        words = view.table.index(0, section).data()
        assert view.columnWidth(section) >= view.fontMetrics().horizontalAdvance(words), name


def test_the_perspectives_are_read_whole(large: MainWindow) -> None:
    for button in large.perspectives.buttons.values():
        assert button.width() >= button.sizeHint().width()


def test_the_alert_stays_in_sight(large: MainWindow, qtbot: QtBot) -> None:
    status = large.status
    assert sum(part.sizeHint().width() for part in (status.host, status.engine, status.alert)) > status.width()
    qtbot.waitUntil(lambda: status.alert.geometry().right() <= status.width())
    assert status.alert.width() >= status.alert.sizeHint().width()


def test_what_to_do_has_as_much_room_as_what_is_wrong(window: MainWindow, qtbot: QtBot) -> None:
    """Both are sentences."""
    window.console.show_in_tree(window.console.host)
    page = window.right.page()
    assert isinstance(page, OverviewPage)
    table = page.table
    for width in (1000, 1100, 1600):
        window.resize(width, 700)
        QApplication.processEvents()
        for row in range(table.rowCount()):
            table.put(row, 2, "many words that would go on for half of the width of this table, or more")
        table.fit()
        widths = [table.columnWidth(column) for column in range(table.columnCount())]
        assert sum(widths) <= table.viewport().width() + 1
        assert widths[-1] >= widths[2] - 1, (width, widths)
