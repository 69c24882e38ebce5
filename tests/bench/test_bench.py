"""The bench itself: its arithmetic, its order, its page, and that it leaves nothing behind."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench import report
from tests.bench.__main__ import STAGES
from tests.bench.options import read_options
from tests.bench.place import Place, line_of, stopped
from tests.bench.rows import ROWS, Pair, Result, Row, measure

ROW = Row("row", "what", "whom", "k/s", 2.0, 1.5)


def test_pairs_are_interleaved_and_their_order_swapped() -> None:
    turns: list[str] = []

    def turn(name: str, figures: list[float]) -> float:
        turns.append(name)
        return figures.pop(0)

    own, peer = [30.0, 10.0, 80.0], [10.0, 10.0, 20.0]
    result = measure(ROW, Pair(lambda: turn("own", own), lambda: turn("peer", peer)), 3)
    assert turns == ["own", "peer", "peer", "own", "own", "peer"]
    assert result.ratios == [3.0, 1.0, 4.0]
    assert (result.ratio, result.spread) == (3.0, (1.0, 4.0))


@pytest.mark.parametrize(
    ("row", "ratio", "verdict"),
    [
        (ROW, 2.0, "goal"),
        (ROW, 1.5, "floor"),
        (ROW, 1.49, "short"),
        (Row("r", "", "", "s", 0.5), 0.45, "floor"),
        (Row("r", "", "", "s", 0.5), 0.44, "short"),
        (Row("r", "", "", "s", 0.5, most=True), 0.5, "goal"),
        (Row("r", "", "", "s", 0.5, most=True), 0.51, "short"),
    ],
)
def test_a_median_is_judged_by_goal_and_floor(row: Row, ratio: float, verdict: str) -> None:
    assert row.verdict(ratio) == verdict


def test_every_row_is_measured_by_one_stage() -> None:
    assert sorted(name for names, _ in STAGES for name in names) == sorted(row.name for row in ROWS)


def test_the_page_has_a_place_for_the_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "page.md"
    page.write_text(report.PAGE.read_text())
    monkeypatch.setattr(report, "PAGE", page)
    options = read_options(["--size", "1g", "--pairs", "2", "--dir", str(tmp_path)])
    for own in (30.0, 50.0):  # a second run replaces the first
        report.publish([Result(ROW, (own, own), (10.0, 20.0))], options)
    text = page.read_text()
    assert "| row | what | whom | 50.0 k/s | 15.0 k/s | 3.75 | 2.50 to 5.00 | >= 2 | >= 1.5 | goal |" in text
    assert "30.0 k/s" not in text
    assert text.startswith("# Performance")
    assert text.rstrip().endswith(report.PAGE.read_text().rstrip()[-40:])


@pytest.mark.parametrize("words", [["--rows", "nothing"], ["--pairs", "0"], ["--seconds", "0"], ["--size", "1m"]])
def test_options_without_sense_are_refused(words: list[str]) -> None:
    with pytest.raises(SystemExit):
        read_options(words)


def crash(folder: Path, started: list[subprocess.Popen[str]]) -> None:
    """A run with files and processes, one of them stopped, that meets a defect."""
    words = [sys.executable, "-c", "import signal; print('here', flush=True); signal.pause()"]
    with Place(folder) as place:
        started += [place.start(words), place.start(words)]
        for process in started:
            line_of(process, "here")
        place.folder_for("files").joinpath("one").write_text("x")
        with stopped(started[0]):
            raise ZeroDivisionError


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    started: list[subprocess.Popen[str]] = []
    with pytest.raises(ZeroDivisionError):
        crash(tmp_path, started)
    assert list(tmp_path.iterdir()) == []
    assert [process.poll() is None for process in started] == [False, False]


def test_a_server_that_ends_at_once_is_told(tmp_path: Path) -> None:
    with Place(tmp_path) as place, pytest.raises(RuntimeError, match="ended with status 3"):
        place.start([sys.executable, "-c", "raise SystemExit(3)"], listens=place.folder / "socket")
    assert list(tmp_path.iterdir()) == []
