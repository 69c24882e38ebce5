"""All that one console can show, inside one process: nothing cut, nameless, unreadable, or grey without a reason."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QPoint
from PySide6.QtWidgets import QLabel, QMenu, QPushButton, QTreeView, QVBoxLayout, QWidget
from pytestqt.qtbot import QtBot

from tests.gui.planned_engine import PlannedEngine
from tests.gui.tour import Tour
from vea_gui.actions.book import book
from vea_gui.views.main_window import MainWindow

ROOT = Path(__file__).parents[2]
READ_ALOUD = {"QT_LINUX_ACCESSIBILITY_ALWAYS_ON": "1"}
SCREEN = (1280, 720)
WAYS = {"plain": (1, 0), "double density and large type": (2, 14)}
AT_LEAST_SIGHTS, AT_LEAST_MENUS = 800, 70
"""Fewer mean that the tour has gone blind."""
SECONDS = 580


@pytest.fixture(scope="module")
def tours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, subprocess.Popen[str]]]:
    """One process for each way, all at once: the scale holds for a whole process."""
    started = {way: tour(tmp_path_factory.mktemp("screen"), *numbers) for way, numbers in WAYS.items()}
    yield started
    for process in started.values():
        process.kill()
        process.communicate()


def tour(folder: Path, scale: int, points: int) -> subprocess.Popen[str]:
    """The program on a screen of 1280x720 points."""
    screen = {"name": "screen", "x": 0, "y": 0, "logicalDpi": 96, "dpr": 1}
    screens = {"screens": [{**screen, "width": SCREEN[0] * scale, "height": SCREEN[1] * scale}]}
    (folder / "screens.json").write_text(json.dumps(screens))
    environment = {
        **os.environ,
        **READ_ALOUD,
        "QT_QPA_PLATFORM": f"offscreen:configfile={folder / 'screens.json'}",
        "QT_SCALE_FACTOR": str(scale),
        "PYTHONPATH": str(ROOT),
    }
    words = [sys.executable, "-m", "tests.gui.window_gallery", str(points)]
    with (folder / "told").open("w") as told, (folder / "errors").open("w") as errors:
        process = subprocess.Popen(words, cwd=ROOT, env=environment, stdout=told, stderr=errors, text=True)
    process.folder = folder  # type: ignore[attr-defined]
    return process


def told(process: subprocess.Popen[str]) -> dict[str, Any]:
    """What a tour has found, once it has ended in order."""
    code = process.wait(SECONDS)
    folder: Path = process.folder  # type: ignore[attr-defined]
    errors = [line for line in (folder / "errors").read_text().splitlines() if not line.startswith("This plugin does")]
    assert (code, errors[:20]) == (0, [])
    return dict(json.loads((folder / "told").read_text()))


@pytest.mark.timeout(600)
@pytest.mark.parametrize("way", WAYS)
def test_everything_can_be_read_and_every_action_was_opened(tours: dict[str, subprocess.Popen[str]], way: str) -> None:
    found = told(tours[way])
    assert found["wrong"] == []
    assert {row.id for row in book().rows} - set(found["acted"]) == set()
    assert len(found["sights"]) >= AT_LEAST_SIGHTS
    assert found["menus"] >= AT_LEAST_MENUS


# --- the tour sees what is wrong ---
@pytest.fixture
def toured(window: MainWindow, api: PlannedEngine) -> Tour:
    return Tour(window, api, whole_tabs=True)


@pytest.fixture
def sheet(qtbot: QtBot) -> QWidget:
    made = QWidget()
    qtbot.addWidget(made)
    made.setLayout(QVBoxLayout())
    return made


def test_a_button_without_a_name_is_found(toured: Tour, sheet: QWidget) -> None:
    button = QPushButton(sheet)
    sheet.layout().addWidget(button)
    sheet.show()
    toured.look(sheet, "here")
    assert [line for line in toured.found if "has no name" in line]
    button.setAccessibleName("Do it")
    toured.found.clear()
    toured.look(sheet, "here")
    assert toured.found == {}


def test_a_text_that_is_cut_is_found(toured: Tour, sheet: QWidget) -> None:
    label = QLabel("Half of these words cannot be seen", sheet)
    label.setFixedSize(60, 20)
    sheet.layout().addWidget(label)
    sheet.show()
    toured.look(sheet, "here")
    assert [line for line in toured.found if "60 of" in line]


@pytest.mark.parametrize("text", ["a_b", "at 0xfe", "None", "Traceback", "1234567890123"])
def test_a_text_that_nobody_can_read_is_found(toured: Tour, sheet: QWidget, text: str) -> None:
    sheet.layout().addWidget(QLabel(text, sheet))
    sheet.show()
    toured.look(sheet, "here")
    assert [line for line in toured.found if repr(text) in line]


def test_what_is_grey_without_a_reason_is_found(toured: Tour, sheet: QWidget) -> None:
    group = QWidget(sheet)
    button = QPushButton("Do it", group)
    group.setEnabled(False)
    sheet.layout().addWidget(group)
    sheet.show()
    toured.look(sheet, "here")
    assert list(toured.found) == ["'Do it' is grey and does not say why"]
    toured.found.clear()
    button.setAccessibleDescription("There is nothing to do.")
    toured.look(sheet, "here")
    assert toured.found == {}


def test_a_menu_entry_that_tells_nothing_is_found(toured: Tour, sheet: QWidget) -> None:
    menu = QMenu("Work", sheet)
    menu.addAction("Do it").setEnabled(False)
    menu.popup(QPoint(0, 0))
    toured.menu(menu, toured.console.selection, "here", "work")
    assert list(toured.found) == ["'Do it' is grey and nothing is told of it"]


def test_siblings_of_one_name_and_a_narrow_column_are_found(toured: Tour, sheet: QWidget) -> None:
    for _ in range(2):
        sheet.layout().addWidget(QPushButton("Do it", sheet))
    tree = QTreeView(sheet)
    tree.setAccessibleName("Rows")
    tree.setModel(toured.window.logs.tasks.model)
    tree.setColumnWidth(1, 5)
    sheet.layout().addWidget(tree)
    sheet.show()
    toured.look(sheet, "here")
    assert [line for line in toured.found if line.startswith("2 times push button 'Do it'")]
    assert [line for line in toured.found if line.startswith("the column")]
