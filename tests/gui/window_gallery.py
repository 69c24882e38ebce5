"""Every place and tab of the main window on a lab in trouble, at 1280x720. As a program: tells what is cut, as JSON."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from PySide6.QtWidgets import QApplication, QTabBar

from tests.gui import sample_lab
from tests.gui.cut_text import cut
from tests.gui.planned_engine import PlannedEngine
from tests.gui.test_actions import more_records
from vea_gui import theme
from vea_gui.actions.book import book
from vea_gui.console import Console
from vea_gui.sessions import Session
from vea_gui.settings import Settings
from vea_gui.tree_shape import Path as TreePath
from vea_gui.tree_shape import children, title
from vea_gui.views.main_window import MainWindow
from vea_gui.views.perspectives import PERSPECTIVES

SIZE = (1280, 720)
DEADLINE_S = 20.0
EXCUSED = "/lab/"
"""Paths in narrow columns are shortened; their tooltips are whole."""


def places(console: Console, path: TreePath) -> Iterator[TreePath]:
    """Every place of the tree, parents first."""
    yield path
    for key in children(console.config, path[-1]):
        yield from places(console, (*path, key))


def cut_tabs(window: MainWindow) -> list[str]:
    """Tabs that are scrolled out of sight. With large type some are, and arrows lead to them."""
    found = []
    for bar in window.findChildren(QTabBar):
        if bar.isVisibleTo(window):
            needed = sum(bar.tabSizeHint(number).width() for number in range(bar.count()))
            if needed > bar.width():
                found.append(f"tabs {[bar.tabText(number) for number in range(bar.count())]} need {needed} pixels")
    return found


def walk(window: MainWindow, settle: Callable[[], None]) -> Iterator[str]:
    """Shows each sight once, and answers what it is."""
    console = window.console
    for path in places(console, (console.host,)):
        window.go(path)
        bar = window.right.tabs.tabBar()
        for number in range(bar.count()):
            window.right.show_number(number + 1)
            window.bottom.setCurrentIndex(number % window.bottom.count())
            settle()
            yield f"{title(console.config, path[-1])} > {bar.tabText(number)}"
    for name in PERSPECTIVES:
        window.show_perspective(name)
        settle()
        yield name


def main(points: int) -> dict[str, list[str]]:
    """Sights, and what is cut in them."""
    app = QApplication(sys.argv[:1])
    theme.apply(app, "light", points)
    session = Session.open(PlannedEngine(more_records(), sample_lab.HOST))
    end = time.monotonic() + DEADLINE_S
    while not session.bridge.attached:
        if time.monotonic() > end:
            raise TimeoutError("the console does not attach")
        app.processEvents()
    sights, found = [], []
    with tempfile.TemporaryDirectory() as state:
        settings = Settings(Path(state))
        window = MainWindow(Console(session, settings, book()))
        window.may_close = True
        window.resize(*SIZE)
        window.show()
        for sight in walk(window, lambda: [app.processEvents() for _ in range(4)] and None):
            sights.append(sight)
            found += [
                f"{sight}: {text}"
                for text in (*cut(window), *([] if points else cut_tabs(window)))
                if EXCUSED not in text
            ]
        size = window.size().toTuple()
        found += [f"the window needs {size} of {SIZE}"] if size != SIZE else []
        window.close()
        settings.close()
    session.close()
    return {"sights": sights, "cut": found}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(int(sys.argv[1]))))
