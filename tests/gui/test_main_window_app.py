"""The process around the windows: several of them, leaving, coming back, unexpected errors, signals."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QCoreApplication, QEvent
from PySide6.QtWidgets import QApplication, QMessageBox
from pytestqt.qtbot import QtBot

from engine.records import Record
from tests.gui import sample_lab
from tests.gui.planned_engine import PlannedEngine
from tests.gui.sample_lab import HOST, Kind, ref
from vea_gui.app import Application, Collector

CHILD = """
import sys
from pathlib import Path
from tests.gui import sample_lab
from tests.gui.planned_engine import PlannedEngine
from vea_gui import app

def ready(console):
    console.session.bridge.changed.connect(lambda change: print("ready", flush=True) if change.reset else None)

status = app.run(PlannedEngine(sample_lab.records(), sample_lab.HOST), Path(sys.argv[1]), None, ready)
print("left", status, flush=True)
"""


@pytest.fixture
def application(qtbot: QtBot, qapp: QApplication, api: PlannedEngine, tmp_path: Path) -> Iterator[Application]:
    made = Application(qapp, api, tmp_path / "state")
    made.open_window()
    qtbot.waitUntil(lambda: made.session.bridge.attached)
    yield made
    made.close()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)
    qapp.setQuitOnLastWindowClosed(True)


def question(application: Application) -> QMessageBox:
    found = [box for window in application.windows for box in window.findChildren(QMessageBox)]
    assert len(found) == 1
    return found[0]


def press(box: QMessageBox, label: str) -> None:
    next(button for button in box.buttons() if button.text() == label).click()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)


def test_a_second_window_is_closed_without_a_question(application: Application) -> None:
    application.windows[0].console.trigger("new-window")
    assert len(application.windows) == 2
    application.windows[1].close()
    assert len(application.windows) == 1


def test_cancel_keeps_everything(application: Application) -> None:
    application.windows[0].close()
    press(question(application), "Cancel")
    assert application.windows[0].isVisible()


def test_keep_serving_hides_and_another_start_shows(qtbot: QtBot, application: Application, api: PlannedEngine) -> None:
    assert application.show_again() is False
    application.windows[0].close()
    press(question(application), "Keep serving")
    assert application.windows == []
    assert not api.closed
    answers: list[bool] = []
    other = threading.Thread(target=lambda: answers.append(application.show_again()), name="control socket")
    other.start()
    other.join()
    assert answers == [True]
    qtbot.waitUntil(lambda: len(application.windows) == 1 and application.windows[0].isVisible())


def test_without_clients_and_tasks_it_just_leaves(
    qtbot: QtBot, application: Application, api: PlannedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    left: list[int] = []
    monkeypatch.setattr(application.app, "exit", left.append, raising=False)
    api.change(drops=[ref(Kind.CONNECTION, 1)])
    qtbot.waitUntil(lambda: not application.session.clients())
    application.windows[0].close()
    assert left == [0]


def test_an_unexpected_error_is_a_sentence_with_details(
    application: Application, expect_log: Callable[[str], None]
) -> None:
    expect_log("ERROR vea_gui.app: unexpected error")
    try:
        raise KeyError("row_of")
    except KeyError:
        sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]
    box = question(application)
    assert "did not expect" in box.text()
    assert "KeyError" not in box.text()
    assert "KeyError" in application.errors.entries[-1].details
    box.close()


def test_layout_is_kept_between_starts(qtbot: QtBot, qapp: QApplication, tmp_path: Path, records: list[Record]) -> None:
    def start() -> Application:
        made = Application(qapp, PlannedEngine(records, HOST), tmp_path / "kept")
        made.open_window()
        qtbot.waitUntil(lambda: made.session.bridge.attached)
        return made

    first = start()
    first.windows[0].across.setSizes([400, 600])
    width_of_tree = first.windows[0].across.sizes()[0]
    first.settings.change(theme="dark", font_points=11)
    first.close()
    second = start()
    assert second.settings.state("window/geometry") is not None
    assert second.windows[0].across.sizes()[0] == width_of_tree
    assert second.settings.preferences.theme == "dark"
    second.settings.change(theme="system", font_points=0)
    second.close()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)
    qapp.setQuitOnLastWindowClosed(True)


def test_collection_happens_on_the_gui_thread_only(qapp: QApplication) -> None:
    guard = Collector()
    guard.start()
    try:
        assert not gc.isenabled()
        cycle: list[object] = []
        cycle.append(cycle)
        del cycle
        guard.collect()
        assert gc.get_count()[0] < 700
    finally:
        guard.stop()
    assert gc.isenabled()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_in_order(tmp_path: Path, number: signal.Signals) -> None:
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen", "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", CHILD, str(tmp_path)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        child.send_signal(number)
        assert child.stdout.readline() == "left 0\n"
        assert child.wait(60) == 0


def test_thousands_of_signals_do_not_end_the_interpreter() -> None:
    """A release of the binding lost a reference for each signal that Python emits; the pin must keep it out."""
    script = """
from PySide6.QtCore import QObject, Signal
class Sender(QObject):
    sent = Signal(object)
count = []
sender = Sender()
sender.sent.connect(count.append)
for _ in range(3000):
    sender.sent.emit(None)
print(len(count))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=240, check=False)
    assert (done.returncode, done.stdout) == (0, "3000\n"), done.stderr


def test_a_damaged_settings_file_is_set_aside_with_a_note(qapp: QApplication, tmp_path: Path) -> None:
    from vea_gui.settings import Settings

    path = tmp_path / "console.ini"
    for content in (b"\x00\xff\xfe nonsense", b"no section", b"[General]\nversion=999\n", b"[General]\nversion=x\n"):
        path.write_bytes(content)
        settings = Settings(tmp_path)
        assert settings.note
        assert settings.preferences.theme == "system"
        assert path.with_suffix(".damaged").read_bytes() == content
        settings.close()
    assert Settings(tmp_path).note == ""


def test_senseless_preferences_become_defaults(qapp: QApplication, tmp_path: Path) -> None:
    from vea_gui.settings import Preferences, Settings

    (tmp_path / "console.ini").write_text(
        "[General]\nversion=1\n[preferences]\ntheme=purple\nfont_points=900\nreduced_motion=perhaps\nconfirm=true\n"
    )
    settings = Settings(tmp_path)
    assert settings.preferences == Preferences()
    settings.close()


def test_sample_lab_is_settled(api: PlannedEngine) -> None:
    assert {record.ref for record in sample_lab.records()} == {record.ref for record in api.config}
