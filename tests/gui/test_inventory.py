"""No text of the main window is cut at 1280x720, at double density or with large type, whatever it shows."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
AT_LEAST = 60


@pytest.mark.parametrize(("scale", "points"), [("1", 0), ("2", 14)])
def test_every_place_shows_whole_texts(scale: str, points: int) -> None:
    environment = {**os.environ, "QT_SCALE_FACTOR": scale, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "tests.gui.window_gallery", str(points)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert sorted({line.partition(": ")[2] for line in told["cut"]}) == [], told["cut"][:5]
    assert len(told["sights"]) >= AT_LEAST
