"""Enter presses the button that has the focus, and destroys no data where none has it. The wheel scrolls a page and
changes none of its fields."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from msgspec.structs import replace
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QWheelEvent
from PySide6.QtWidgets import QApplication, QPushButton, QSpinBox, QWidget
from pytestqt.qtbot import QtBot

from engine.commands import ShrinkVolume
from engine.plans import Plan
from engine.records import Kind
from engine.units import MIB
from tests.gui.form_driver import Driver, close_all
from tests.gui.planned_engine import PlannedEngine
from tests.gui.sample_lab import ref
from vea_gui.console import Console
from vea_gui.views.event_notification import EventNotification
from vea_gui.views.main_window import MainWindow
from vea_gui.views.message import confirm
from vea_gui.views.settings_page import SettingsPage
from vea_gui.views.table_page import TablePage

ST = ref(Kind.VOLUME, 2)
ENTER = Qt.Key.Key_Return


@pytest.fixture
def resize(qtbot: QtBot, console: Console) -> Iterator[Driver]:
    """Resize Volume of `st`, which nobody uses."""
    driver = Driver(qtbot, console, "resize_volume", [ST])
    qtbot.waitExposed(driver.dialog)
    driver.dialog.activateWindow()
    qtbot.waitUntil(driver.dialog.isActiveWindow)
    yield driver
    close_all()


def put_focus(qtbot: QtBot, on: QWidget) -> None:
    on.setFocus()
    qtbot.waitUntil(on.hasFocus)


def test_enter_in_the_size_does_not_cut_data_off(qtbot: QtBot, resize: Driver, api: PlannedEngine) -> None:
    line = resize.dialog.control("size").line  # type: ignore[attr-defined]
    resize.fill(size="256 MiB")
    finish = resize.dialog.finish
    assert (finish.text(), finish.accessibleName()) == ("Shrink Volume", "Shrink Volume")
    put_focus(qtbot, line)
    qtbot.keyClick(line, ENTER)
    assert not resize.dialog.isVisible()
    assert api.submitted == []


def test_enter_on_its_button_does(qtbot: QtBot, resize: Driver, api: PlannedEngine) -> None:
    resize.fill(size="256 MiB")
    put_focus(qtbot, resize.dialog.finish)
    with qtbot.waitSignal(resize.dialog.accepted):
        qtbot.keyClick(resize.dialog.finish, ENTER)
    [command] = api.submitted
    assert isinstance(command, ShrinkVolume)
    assert command.size == 256 * MIB


def test_enter_in_the_size_grows_the_volume(qtbot: QtBot, resize: Driver, api: PlannedEngine) -> None:
    line = resize.dialog.control("size").line  # type: ignore[attr-defined]
    resize.fill(size="1024 MiB")
    put_focus(qtbot, line)
    with qtbot.waitSignal(resize.dialog.accepted):
        qtbot.keyClick(line, ENTER)
    assert len(api.submitted) == 1


@pytest.mark.parametrize("name", ["cancel", "help"])
def test_enter_presses_the_button_that_has_the_focus(
    name: str, qtbot: QtBot, resize: Driver, api: PlannedEngine
) -> None:
    resize.fill(size="1024 MiB")
    button = getattr(resize.dialog, name)
    put_focus(qtbot, button)
    with qtbot.waitSignal(button.clicked):
        qtbot.keyClick(button, ENTER)
    assert api.submitted == []


def test_enter_on_cancel_keeps_the_rules_of_notification(
    window: MainWindow, console: Console, api: PlannedEngine, qtbot: QtBot
) -> None:
    console.trigger("event-notification")
    [dialog] = window.findChildren(EventNotification)
    qtbot.waitExposed(dialog)
    dialog.activateWindow()
    dialog.server.selectAll()
    qtbot.keyClicks(dialog.server, "mail.example.org")
    qtbot.waitUntil(dialog.ok.isEnabled)
    put_focus(qtbot, dialog.cancel)
    qtbot.keyClick(dialog.cancel, ENTER)
    qtbot.waitUntil(lambda: not dialog.isVisible())
    assert api.submitted == []


def turn(qtbot: QtBot, field: QWidget) -> QWheelEvent:
    """One notch of the wheel over a field."""
    at = QPointF(field.rect().center())
    whole = QPointF(field.mapToGlobal(field.rect().center()))
    none, keys = Qt.MouseButton.NoButton, Qt.KeyboardModifier.NoModifier
    event = QWheelEvent(at, whole, QPoint(), QPoint(0, 120), none, keys, Qt.ScrollPhase.NoScrollPhase, False)
    QApplication.sendEvent(field, event)
    return event


def test_the_wheel_changes_a_number_only_where_the_keyboard_is(window: MainWindow, qtbot: QtBot) -> None:
    qtbot.mouseClick(window.perspectives.buttons["control"], Qt.MouseButton.LeftButton)
    window.control.open("Task Throttling")
    shown = window.control.page()
    assert isinstance(shown, SettingsPage)
    first, second = shown.findChildren(QSpinBox)[:2]
    put_focus(qtbot, first)
    before = second.value()
    assert not turn(qtbot, second).isAccepted()  # so that what is around it scrolls
    assert (second.value(), second.hasFocus()) == (before, False)
    turn(qtbot, first)
    assert first.value() == 1


def test_what_is_picked_is_counted_anew_when_it_changes(
    window: MainWindow, console: Console, api: PlannedEngine, qtbot: QtBot
) -> None:
    console.show_in_tree(api.config.volume(ST).group)
    page = window.right.page()
    assert isinstance(page, TablePage)
    console.select((ST,))
    qtbot.waitUntil(lambda: "512 MiB" in page.summary.text())
    api.change([replace(api.config.volume(ST), size=3 << 30)])
    qtbot.waitUntil(lambda: "3.0 GiB" in page.summary.text())


def test_close_is_what_enter_does_in_properties(window: MainWindow, console: Console, qtbot: QtBot) -> None:
    console.properties(ST)
    button = next(
        each for each in QApplication.allWidgets() if isinstance(each, QPushButton) and each.text() == "Close"
    )
    assert button.isDefault()
    button.window().close()


def test_a_question_says_once_what_is_lost(qtbot: QtBot) -> None:
    once = "All data of web (200 MiB) is lost"
    lost = Plan(title="Delete", confirm=f"Delete web? {once} and cannot be had back.", irreversible=f"{once}.")
    kept = Plan(title="Stop", confirm="Stop web?", irreversible="Its clients lose their connections.")
    for plan, more in ((lost, ""), (kept, "Cannot be undone: Its clients lose their connections.")):
        box = confirm(None, [plan], lambda: None)
        assert box.informativeText() == more
        box.close()
