"""Nothing is cut and nothing is nameless, in any dialog, with large type and on a screen of double density."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PySide6.QtWidgets import QLabel, QPushButton, QWidget
from pytestqt.qtbot import QtBot

from tests.gui.cut_text import cut, nameless, unsaid

ROOT = Path(__file__).parents[2]
READ_ALOUD = {"QT_LINUX_ACCESSIBILITY_ALWAYS_ON": "1"}


@pytest.mark.parametrize(("scale", "points"), [("1", 0), ("1", 14), ("2", 0), ("1.5", 11)])
def test_every_text_is_whole_and_every_control_has_its_name(qapp: object, scale: str, points: int) -> None:
    environment = {**os.environ, **READ_ALOUD, "QT_SCALE_FACTOR": scale, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "tests.gui.form_gallery", str(points)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == []


def test_what_is_cut_or_nameless_is_found(qtbot: QtBot) -> None:
    window = QWidget()
    qtbot.addWidget(window)
    for text in ("Only half of this", "Only half of this as well, over two lines or more"):
        label = QLabel(text, window)
        label.setWordWrap("two lines" in text)
        label.setFixedSize(40, 12)
    button = QPushButton("Do it", window)
    button.setFixedSize(20, 10)
    window.show()
    assert len(cut(window)) == 5
    assert "QPushButton has no name" in nameless(window)
    button.setAccessibleName("Do it")
    assert nameless(window) == []
    assert unsaid(window) == []
    twin = QPushButton("Do it", window)
    twin.show()
    assert unsaid(window) == ["2 of ('Button', 'Do it') in "]
