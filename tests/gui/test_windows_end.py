"""A window that was closed is gone: neither the session nor the application keeps any part of it."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QEvent
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from engine.errors import ConnectionLost
from tests.gui import sample_lab
from tests.gui.planned_engine import PlannedEngine
from tests.gui.tour import PERSPECTIVES, Tour, places
from vea_gui.app import Application
from vea_gui.views.main_window import MainWindow


@pytest.fixture
def console(qtbot: QtBot, qapp: QApplication, tmp_path: Path) -> Iterator[Application]:
    """The console with its first window."""
    api = PlannedEngine(sample_lab.records(), sample_lab.HOST)
    made = Application(qapp, api, tmp_path)
    made.open_window()
    qtbot.waitUntil(lambda: made.session.bridge.attached, timeout=60_000)
    yield made
    made.close()
    api.close()


def look_at_everything(window: MainWindow, api: PlannedEngine) -> None:
    tour = Tour(window, api, whole_tabs=False)
    for path in places(window, (window.console.host,)):
        tour.place(path)
    for name in PERSPECTIVES:
        window.show_perspective(name)
        tour.perspective(name)


def close(console: Application, window: MainWindow) -> None:
    window.wants_close.emit(window)
    QApplication.processEvents()
    QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)


LOOKS: dict[str, Callable[[MainWindow, PlannedEngine], None]] = {
    "at once": lambda window, api: None,
    "after a look at everything": look_at_everything,
}


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
def test_nothing_keeps_a_window_that_was_closed(
    console: Application, qtbot: QtBot, look: Callable[[MainWindow, PlannedEngine], None]
) -> None:
    api = console.session.bridge.api
    assert isinstance(api, PlannedEngine)
    window = console.open_window()
    look(window, api)
    left = [weakref.ref(each) for each in (window, window.console, window.right, window.tree.model())]
    close(console, window)
    del window

    def gone() -> bool:
        QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)
        gc.collect()
        return all(each() is None for each in left)

    qtbot.waitUntil(gone, timeout=60_000)  # answers to what it had asked may still be on their way


def test_a_lost_engine_is_told_of_in_the_windows_that_are_left(console: Application) -> None:
    close(console, console.open_window())
    console.session.bridge.lost.emit(ConnectionLost("The engine has ended."))
    assert "No answer since" in console.windows[0].status.engine.text()
    assert not console.errors.entries
