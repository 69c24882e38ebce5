"""A console with 10,000 volumes and 40,000 subdisks: how long clicks take, and how far changes hold the loop up."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QEventLoop, Qt, QTimer

from engine.records import Kind
from tests.gui.sample_lab import GROUP, HOST, ref
from tests.gui.test_bridge_load import (
    CHANGES_A_SECOND,
    ReadyRecords,
    Stalls,
    Stream,
    many_records,
    timed,
)
from vea_gui import theme
from vea_gui.actions.book import book
from vea_gui.app import Collector, make_qt_application
from vea_gui.console import Console
from vea_gui.sessions import Session
from vea_gui.settings import Settings
from vea_gui.tree_shape import AGENT, DISK_GROUPS, VOLUMES, Folder
from vea_gui.views.main_window import MainWindow

SECONDS = 4
_TOP = (HOST, Folder(HOST.id, AGENT))
_GROUP = (*_TOP, Folder(HOST.id, DISK_GROUPS), GROUP)


def figures() -> str:
    """JSON: seconds of each click, and of the longest stall."""
    app = make_qt_application(["bench"])
    theme.apply(app, "light")
    api = ReadyRecords(list(many_records()))
    with tempfile.TemporaryDirectory() as folder:
        session, settings = Session.open(api), Settings(Path(folder))
        collector = Collector()
        collector.start()
        window = MainWindow(Console(session, settings, book()))
        window.may_close = True
        window.show()
        _until(lambda: session.bridge.attached)
        _until(_once_later())
        clicks = {name: timed(act) for name, act in _clicks(window).items()}
        stall = _stall(window, api)
        window.close()
        collector.stop()
        session.close()
        settings.close()
    return json.dumps({"clicks": clicks, "stall": stall})


def _clicks(window: MainWindow) -> dict[str, Callable[[], object]]:
    right = window.right
    return {
        "open the group": lambda: window.go(_GROUP),
        "expand the group": lambda: window.tree.expand(window.tree.currentIndex()),
        "disks tab": lambda: right.show_tab("Disks"),
        "volumes tab": lambda: right.show_tab("Volumes"),
        "one volume": lambda: window.go((*_GROUP, ref(Kind.VOLUME, 5000))),
        "subdisks tab": lambda: right.show_tab("Subdisks"),
        "all volumes": lambda: window.go((*_TOP, Folder(HOST.id, VOLUMES))),
        "sort": lambda: right.page().view.sortByColumn(1, Qt.SortOrder.DescendingOrder),  # type: ignore[union-attr]
        "filter": lambda: right.page().set_filter("Volume77"),  # type: ignore[union-attr]
        "no filter": lambda: right.page().set_filter(""),  # type: ignore[union-attr]
        "menu": lambda: window.menus.menu("Actions").aboutToShow.emit(),
    }


def _stall(window: MainWindow, api: ReadyRecords) -> float:
    window.go(_GROUP)
    window.tree.expand(window.tree.currentIndex())
    _until(_once_later())
    with Stream(api) as stream, Stalls() as stalls:
        _until(lambda: stream.sent >= SECONDS * CHANGES_A_SECOND)
    return max(stalls.gaps)


def _once_later() -> Callable[[], bool]:
    """True a little later: what opening has left to do is done then."""
    over: list[bool] = []
    QTimer.singleShot(200, lambda: over.append(True))
    return lambda: bool(over)


def _until(done: Callable[[], bool]) -> None:
    """Let the event loop run until it is so."""
    loop, timer = QEventLoop(), QTimer()
    timer.timeout.connect(lambda: loop.quit() if done() else None)
    timer.start(10)
    loop.exec()
