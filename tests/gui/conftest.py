"""A console on records of a lab, without devices: what most tests of the frame need."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from PySide6.QtCore import QCoreApplication, QEvent
from pytestqt.qtbot import QtBot

from engine.records import Record
from tests.gui import sample_lab
from tests.gui.planned_engine import PlannedEngine
from vea_gui import theme
from vea_gui.actions.book import book
from vea_gui.console import Console
from vea_gui.sessions import Session
from vea_gui.settings import Settings
from vea_gui.views.main_window import MainWindow

PATIENCE_MS = 60_000
"""What a busy machine may take for what is awaited; a test that waits in vain waits so long once."""


@pytest.fixture
def qtbot(qtbot: QtBot) -> QtBot:
    """As everywhere, but patient: by itself it waits for five seconds."""
    for name in ("waitUntil", "waitSignal", "waitSignals", "waitExposed", "waitActive"):
        setattr(qtbot, name, partial(getattr(qtbot, name), timeout=PATIENCE_MS))
    return qtbot


@pytest.fixture
def records() -> list[Record]:
    """The lab; override in a test module for another."""
    return sample_lab.records()


@pytest.fixture
def api(records: list[Record]) -> PlannedEngine:
    return PlannedEngine(records, sample_lab.HOST)


@pytest.fixture
def session(qtbot: QtBot, api: PlannedEngine) -> Iterator[Session]:
    """Attached: its records are there."""
    opened = Session.open(api)
    qtbot.waitUntil(lambda: opened.bridge.attached)
    yield opened
    opened.close()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)


@pytest.fixture
def settings(qapp: object, tmp_path: Path) -> Iterator[Settings]:
    made = Settings(tmp_path / "state")
    yield made
    made.close()


@pytest.fixture
def console(session: Session, settings: Settings) -> Console:
    return Console(session, settings, book())


@pytest.fixture
def window(qtbot: QtBot, qapp: object, console: Console) -> Iterator[MainWindow]:
    """A main window that shows the lab."""
    theme.apply(qapp, "light")  # type: ignore[arg-type]
    shown = MainWindow(console)
    shown.may_close = True
    shown.show()
    qtbot.waitExposed(shown)
    yield shown
    shown.close()
    shown.deleteLater()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)
