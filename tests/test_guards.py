"""The guards of guards.py and the strict settings of pyproject.toml each go red on a test that deserves it.

One inner pytest runs all the specimens under this project's own settings and conftest; each specimen has one test here.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.weights import SECONDS

ROOT = Path(__file__).parents[1]


class Specimen(NamedTuple):
    """The body of a test, and what its failure must say; None for a test that must pass."""

    body: str
    says: str | None


PREAMBLE = """
import logging, os, random, socket, subprocess, threading, time, warnings
import pytest

kept = []

def timer(name, parent=None):
    from PySide6.QtCore import QCoreApplication, QTimer
    kept.append(QCoreApplication.instance() or QCoreApplication([]))
    made = QTimer(parent)
    made.setObjectName(name)
    made.start(60_000)
    return made

"""

SPECIMENS = {
    "thread_left": Specimen(
        "    wake = threading.Event()\n    threading.Thread(target=wake.wait, name='resync dg1', daemon=True).start()",
        "thread 'resync dg1', now at",
    ),
    "thread_that_is_ending": Specimen(
        "    wake = threading.Event()\n    threading.Thread(target=wake.wait, args=(0.3,), name='short').start()",
        None,
    ),
    "timer_left": Specimen("    kept.append(timer('blink'))", "QTimer 'blink' every 60000 ms, owned by nobody"),
    "timer_stopped": Specimen("    kept.append(timer('calm'))\n    kept[-1].stop()", None),
    "timer_deleted_later": Specimen("    kept.append(timer('late'))\n    kept[-1].deleteLater()", None),
    "socket_left": Specimen("    kept.append(socket.socket())", "to socket:"),
    "pipe_left": Specimen("    kept.append(os.pipe())", "to pipe:"),
    "file_left": Specimen("    kept.append(open(tmp_path / 'lun0', 'wb'))\n    kept[-1].write(b'x')", "/lun0"),
    "socket_lost": Specimen("    socket.socket()", "unclosed <socket"),
    "socket_closed": Specimen("    a, b = socket.socketpair()\n    a.close()\n    b.close()", None),
    "child_left": Specimen("    kept.append(subprocess.Popen(['cat'], stdin=-1))", ": cat"),
    "child_not_waited_for": Specimen(
        "    pid = os.posix_spawn('/bin/true', ['true'], {})\n    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)",
        "(ended, but nobody waited for it)",
    ),
    "child_waited_for": Specimen("    subprocess.run(['true'], check=True)", None),
    "warning_logged": Specimen("    logging.getLogger('engine.x').warning('odd: %d', 7)", "WARNING engine.x: odd: 7"),
    "warning_logged_in_thread": Specimen(
        "    t = threading.Thread(target=logging.getLogger('engine.y').error, args=('bad',))\n"
        "    t.start()\n"
        "    t.join()",
        "ERROR engine.y: bad",
    ),
    "info_logged": Specimen("    logging.getLogger('engine.x').info('fine')", None),
    "expected_log_absent": Specimen("    expect_log('disk .* failed')", "never logged: disk .* failed"),
    "expected_log_comes": Specimen(
        "    expect_log('disk .* failed')\n    logging.getLogger('e').warning('disk 3 failed')", None
    ),
    "python_warning": Specimen("    warnings.warn('old habit', DeprecationWarning)", "old habit"),
    "qt_warning": Specimen(
        "    from PySide6.QtCore import qWarning\n    qWarning('layout in a knot')", "layout in a knot"
    ),
    "thread_raises": Specimen(
        "    t = threading.Thread(target=lambda: 1 / 0)\n    t.start()\n    t.join()", "ZeroDivisionError"
    ),
    "seed_shown": Specimen("    assert seed < 0", "seed: VEA_SEED="),
    "hang": Specimen("    threading.Event().wait()", "Timeout"),
}

MARKED = {
    "kept_for_a_reason": ("keeps('descriptors', reason='shared by the session')", "    kept.append(socket.socket())"),
    "log_allowed": ("allow_log('^WARNING e: disk')", "    logging.getLogger('e').warning('disk 3 failed')"),
}

REFUSED = {
    "test_marker_with_a_slip": "@pytest.mark.alow_log('x')\ndef test_it():\n    pass\n",
    "test_xfail_that_passes": "@pytest.mark.xfail\ndef test_it():\n    pass\n",
}

REPORTER = """
import json, os
import tests.guards

def pytest_runtest_setup(item):
    # What is left on purpose needs no patience.
    tests.guards.GRACE_SECONDS = 30.0 if item.name == "test_thread_that_is_ending" else 0.8

def pytest_runtest_logreport(report):
    with open(os.environ["SPECIMEN_REPORT"], "a") as out:
        text = report.longreprtext + "".join(content for _, content in report.sections)
        print(json.dumps([report.nodeid.split("::")[-1], report.outcome, text]), file=out)
"""


def run_inner(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    (folder / "conftest.py").write_text((ROOT / "tests/conftest.py").read_text() + REPORTER)
    command = [sys.executable, "-m", "pytest", "-c", str(ROOT / "pyproject.toml"), f"--rootdir={folder}", "-q"]
    environment = {**os.environ, "SPECIMEN_REPORT": str(folder / "report"), "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [*command, "--no-xvfb", "-p", "no:cacheprovider", *arguments, str(folder)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
    )


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[tuple[str, str]]]:
    """Specimen -> outcome and text of its phases."""
    folder = tmp_path_factory.mktemp("specimens")
    marks = "".join(f"@pytest.mark.{mark}\ndef test_{name}():\n{body}\n" for name, (mark, body) in MARKED.items())
    tests = "".join(
        f"{'@pytest.mark.timeout(1)' if name == 'hang' else ''}\n"
        f"def test_{name}(tmp_path, expect_log, seed):\n{specimen.body}\n"
        for name, specimen in SPECIMENS.items()
    )
    (folder / "test_specimens.py").write_text(PREAMBLE + marks + tests)
    run = run_inner(folder)
    report = folder / "report"
    assert report.exists(), run.stdout + run.stderr
    found: dict[str, list[tuple[str, str]]] = {}
    for name, outcome, text in map(json.loads, report.read_text().splitlines()):
        found.setdefault(name.removeprefix("test_"), []).append((outcome, text))
    return found


@pytest.mark.parametrize("name", SPECIMENS)
def test_guard(name: str, outcomes: dict[str, list[tuple[str, str]]]) -> None:
    failures = [text for outcome, text in outcomes[name] if outcome == "failed"]
    says = SPECIMENS[name].says
    if says is None:
        assert failures == []
    else:
        assert any(says in text for text in failures), outcomes[name]


@pytest.mark.parametrize("name", MARKED)
def test_excuse(name: str, outcomes: dict[str, list[tuple[str, str]]]) -> None:
    assert [outcome for outcome, _ in outcomes[name]] == ["passed"] * 3, outcomes[name]


@pytest.mark.parametrize("name", REFUSED)
def test_strict(name: str, tmp_path: Path) -> None:
    (tmp_path / f"{name}.py").write_text("import pytest\n\n" + REFUSED[name])
    run = run_inner(tmp_path)
    assert run.returncode in (1, 2), run.stdout
    assert "alow_log" in run.stdout or "[XPASS(strict)]" in run.stdout


def test_same_seed_each_time_and_the_one_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "test_seed.py").write_text("def test_it(seed):\n    print('got', seed)\n    assert False\n")
    monkeypatch.delenv("VEA_SEED", raising=False)
    monkeypatch.delenv("VEA_SOAK", raising=False)

    def drawn() -> str:
        lines = run_inner(tmp_path).stdout.splitlines()
        return next(line.removeprefix("got ") for line in lines if line.startswith("got "))

    assert drawn() == drawn()
    monkeypatch.setenv("VEA_SEED", "4711")
    assert drawn() == "4711"


def test_files_that_begin_first_are_there() -> None:
    assert not [name for name in SECONDS if not (ROOT / name).is_file()]
