"""Tables fit their windows until their operator sets a width."""

from __future__ import annotations

import random

import pytest
from msgspec.structs import replace
from PySide6.QtCore import QPoint, Qt
from pytestqt.qtbot import QtBot

from tests.gui import sample_lab
from tests.gui.planned_engine import PlannedEngine
from tests.gui.sample_lab import HOST
from vea_gui.tree_shape import AGENT, DISKS, VOLUMES, Folder
from vea_gui.views.column_fit import MARK, Wish, fitted
from vea_gui.views.main_window import MainWindow
from vea_gui.views.table_view import RecordTableView

LEFT = Qt.MouseButton.LeftButton


@pytest.mark.parametrize("seed", range(20))
def test_widths_fill_no_more_than_there_is_and_take_from_what_can_give(seed: int) -> None:
    random_ = random.Random(seed)
    wishes = []
    for _ in range(random_.randrange(1, 12)):
        least = random_.randrange(20, 100)
        needed = least + random_.randrange(100)
        wanted = needed + random_.randrange(100)
        wishes.append(Wish(wanted + random_.randrange(100), wanted, needed, least))
    for width in (0, 100, 400, 700, 1000, 3000):
        found = fitted(wishes, width)
        assert all(wish.least <= one <= wish.whole for wish, one in zip(wishes, found, strict=True))
        assert sum(found) <= max(width, sum(wish.least for wish in wishes))
        if sum(wish.needed for wish in wishes) <= width:
            assert all(one >= wish.needed for wish, one in zip(wishes, found, strict=True))
            assert sum(found) >= min(width, sum(wish.whole for wish in wishes)) - len(wishes)


def table(window: MainWindow, folder: str, qtbot: QtBot) -> RecordTableView:
    window.resize(1280, 800)
    window.go((HOST, Folder(HOST.id, AGENT), Folder(HOST.id, folder)))
    page = window.right.page()
    assert page is not None
    view = page.findChild(RecordTableView)
    assert view is not None
    qtbot.waitUntil(view.isVisible)
    return view


@pytest.mark.parametrize("folder", [DISKS, VOLUMES])
def test_a_usual_window_shows_every_column_and_no_word_cut(window: MainWindow, qtbot: QtBot, folder: str) -> None:
    view = table(window, folder, qtbot)
    qtbot.waitUntil(lambda: view.horizontalScrollBar().maximum() == 0)
    for section in view.shown_columns():
        column = view.table.columns[section]
        title = view.fontMetrics().horizontalAdvance(column.title)
        assert view.columnWidth(section) > title, column.id
        if not (column.is_path or column.wraps):
            texts = [str(view.table.index(row, section).data() or "") for row in range(view.table.rowCount())]
            widest = max(view.fontMetrics().horizontalAdvance(text) for text in texts)
            assert view.columnWidth(section) > min(widest, column.width * view.fontMetrics().averageCharWidth())


def test_a_width_that_was_set_by_hand_stays(window: MainWindow, qtbot: QtBot) -> None:
    view = table(window, DISKS, qtbot)
    header = view.horizontalHeader()
    edge = QPoint(header.sectionViewportPosition(0) + header.sectionSize(0) - 2, header.height() // 2)
    qtbot.mouseMove(header.viewport(), edge)
    qtbot.mousePress(header.viewport(), LEFT, pos=edge)
    qtbot.mouseMove(header.viewport(), edge + QPoint(90, 0))
    qtbot.mouseRelease(header.viewport(), LEFT, pos=edge + QPoint(90, 0))
    width = view.columnWidth(0)
    window.resize(1000, 700)
    window.resize(1400, 700)
    assert view.columnWidth(0) == width


def test_a_state_that_gets_longer_words_is_read_whole(window: MainWindow, api: PlannedEngine, qtbot: QtBot) -> None:
    view = table(window, VOLUMES, qtbot)
    window.resize(1000, 700)
    state = [column.id for column in view.table.columns].index("status")
    qtbot.waitUntil(lambda: view.viewport().width() < 700)
    narrow = view.columnWidth(state)
    api.change([replace(sample_lab.disk(2), failing=True)])
    qtbot.waitUntil(lambda: "Healthy (At Risk)" in [view.table.index(row, state).data() for row in range(2)])
    words = view.fontMetrics().horizontalAdvance("Healthy (At Risk)")
    assert words > narrow - MARK
    qtbot.waitUntil(lambda: view.columnWidth(state) > words + MARK, timeout=60_000)
