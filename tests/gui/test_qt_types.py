"""Qt's classes are made on the GUI's thread, a few at a time, before another thread asks for them."""

from __future__ import annotations

import subprocess
import sys

import pytest
from PySide6.QtCore import QObject
from pytestqt.qtbot import QtBot

from vea_gui.plots import qt_types

LOOK = """
import sys
from PySide6.QtWidgets import QApplication
app = QApplication([])
from vea_gui.plots import qt_types
made = lambda: sum(len(vars(module)) for module in qt_types.MODULES)
before = made()
qt_types.make_all()
between = made()
import pyqtgraph
print(before < between, made() - between)
"""


def test_the_plot_library_finds_all_of_them_made() -> None:
    """Counted in another process: in this one earlier tests have asked for some."""
    done = subprocess.run([sys.executable, "-c", LOOK], capture_output=True, text=True, timeout=240, check=True)
    assert done.stdout.split() == ["True", "0"], done.stdout


def test_they_come_in_turns_and_then_what_waits_for_them(qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qt_types, "TURN_S", 0.0)
    turns: list[str] = []
    parent = QObject()
    qt_types.make_then(lambda: turns.append("done"), parent)
    assert not turns
    monkeypatch.setattr(qt_types, "TURN_S", 1.0)
    qtbot.waitUntil(lambda: turns == ["done"])
