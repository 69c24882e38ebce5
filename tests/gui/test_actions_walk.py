"""The walk: every possible action on every kind of object, opened for real. Something must happen each time."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from PySide6.QtCore import QCoreApplication, QEvent, QTimer
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QApplication, QDialog, QMenu, QWidget
from pytestqt.qtbot import QtBot

from engine.records import Record
from tests.gui.planned_engine import PlannedEngine
from tests.gui.test_actions import more_records, selections
from vea_gui import tree_shape
from vea_gui.action_rows import Action
from vea_gui.actions.book import book
from vea_gui.console import Console
from vea_gui.selection import Selection
from vea_gui.tree_shape import AGENT, Folder
from vea_gui.views.main_window import MainWindow
from vea_gui.wizards import REGISTRY


@pytest.fixture
def records() -> list[Record]:
    return more_records()


class Watch:
    """What can be seen of a window and its engine, so that a difference shows that something happened."""

    def __init__(self, window: MainWindow, api: PlannedEngine) -> None:
        self.window, self.api = window, api
        self.told: list[str] = []
        self.signals = 0
        window.console.told.connect(self.told.append)
        window.wants_new_window.connect(self._count)
        window.wants_leave.connect(self._count)
        window.wants_close.connect(self._count)

    def _count(self, *_: object) -> None:
        self.signals += 1

    def picture(self) -> object:
        window = self.window
        shown = [part for part in ("toolbar", "address", "perspectives", "bottom") if window.is_shown(part)]
        return (
            len(self.api.submitted),
            len(self.told),
            self.signals,
            window.console.path,
            window.right.tabs.currentIndex(),
            window.perspective(),
            tuple(shown),
            QGuiApplication.clipboard().text(),
            len(open_windows(window)),
            QApplication.focusWidget(),
        )


def open_windows(window: MainWindow) -> list[QWidget]:
    found: list[QWidget] = [*window.findChildren(QDialog), *window.findChildren(QMenu)]
    return [each for each in found if each.isVisible()]


def close_all(window: MainWindow) -> None:
    for each in open_windows(window):
        each.close()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)


def chosen_for(row: Action, console: Console) -> Iterator[Selection]:
    """One possible selection for each kind of place that the row stands in, one and several objects."""
    seen: set[tuple[str, bool]] = set()
    for selection in selections(console.config):
        key = (selection.place, selection.count > 1)
        if row.offered_for(selection) and not row.reason(selection) and key not in seen:
            seen.add(key)
            yield selection
    if row.menu and not seen and not row.reason(console.selection):
        yield console.selection


@pytest.mark.parametrize("row", [row for row in book().rows if row.id not in ("close", "exit")], ids=lambda row: row.id)
def test_something_happens(qtbot: QtBot, window: MainWindow, api: PlannedEngine, row: Action) -> None:
    watch = Watch(window, api)
    for selection in chosen_for(row, window.console):
        begin(window, row)
        before = watch.picture()
        window.console.trigger(row.id, selection)
        qtbot.waitUntil(lambda before=before: watch.picture() != before)
        settle(qtbot, window)
        close_all(window)


def begin(window: MainWindow, row: Action) -> None:
    """A table at the front, somewhere to go back to, and nothing that the row would only do again."""
    host = window.console.host
    agent = (host, Folder(host.id, AGENT))
    for path in (agent, (*agent, Folder(host.id, tree_shape.VOLUMES))):
        window.go(path)
    if row.id == "forward":
        window.go_back()
    if row.id == "perspective-system":
        window.show_perspective("logs")


def settle(qtbot: QtBot, window: MainWindow) -> None:
    """Until answers of the engine that were asked for have come."""
    done: list[object] = []
    window.console.session.bridge.call(lambda: None, done.append, None)
    qtbot.waitUntil(lambda: bool(done))
    QTimer.singleShot(0, lambda: done.append(None))
    qtbot.waitUntil(lambda: len(done) == 2)


def test_dialogs_that_rows_ask_for_exist() -> None:
    class Asking:
        def __init__(self) -> None:
            self.names: set[str] = set()

        def ask(self, name: str, *_: object) -> None:
            self.names.add(name)

        def __getattr__(self, name: str) -> object:
            if name == "frame":
                return self
            return lambda *_, **__: None

    asking = Asking()
    from engine.config import Config

    for selection in selections(Config.of(more_records())):
        for row in book().for_selection(selection):
            row.run(asking, selection)  # type: ignore[arg-type]
    assert asking.names
    assert asking.names <= set(REGISTRY)


def test_every_tab_of_every_place_opens(qtbot: QtBot, window: MainWindow) -> None:
    """All tabs of one place of each kind, twice over, without an error and with a page that has words."""
    from tests.gui.test_location import places

    seen: set[str] = set()
    for path in places(window.console.config, (window.console.host,)):
        place = tree_shape.place_of(path[-1])
        if place in seen:
            continue
        seen.add(place)
        window.go(path)
        for index in range(window.right.tabs.count()):
            window.right.tabs.setCurrentIndex(index)
            settle(qtbot, window)
            page = window.right.page()
            assert page is not None
            assert page.isVisible()
    assert {"host", "agent", "group", "disk", "volume", "enclosure"} <= seen
