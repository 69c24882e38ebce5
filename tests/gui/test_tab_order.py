"""Tab, Enter and Escape in the main window and in the New Volume wizard: first what is worked on, as it is read."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QWidget
from pytestqt.qtbot import QtBot

from tests.gui.form_driver import Driver, close_all
from tests.gui.planned_engine import PlannedEngine
from tests.gui.sample_lab import GROUP
from vea_gui.console import Console
from vea_gui.views.main_window import MainWindow

PAGES = {
    "Assign Disks": ["Group name", "Auto select disks", "Back", "Next", "Cancel", "Help"],
    "Volume Attributes": [
        "Volume name", "Size", "Size unit", "Max Size", "Concatenated", "Mirrored", "Back", "Next", "Cancel", "Help",
    ],
    "Drive Letter and Path": ["Drive letter", "Mount in the folder", "Back", "Next", "Cancel", "Help"],
    "Format": ["Format this volume", "Back", "Next", "Cancel", "Help"],
}  # fmt: skip


def focused() -> QWidget:
    found = QApplication.focusWidget()
    assert found is not None
    return found


def called(widget: QWidget) -> str:
    return widget.accessibleName() or type(widget).__name__


def way(qtbot: QtBot, key: Qt.Key) -> list[str]:
    """The names of all that the key comes to, until it is back where it began."""
    first, found = focused(), []
    for _ in range(60):
        found.append(called(focused()))
        qtbot.keyClick(focused(), key)
        if focused() is first:
            return found
    raise AssertionError(f"{key} never comes back: {found}")


@pytest.fixture
def wizard(qtbot: QtBot, console: Console) -> Iterator[Driver]:
    driver = Driver(qtbot, console, "new_volume", [GROUP])
    qtbot.waitExposed(driver.dialog)
    driver.dialog.activateWindow()
    qtbot.waitUntil(lambda: QApplication.focusWidget() is driver.dialog.next)
    yield driver
    close_all()


def test_each_page_begins_at_its_first_field_and_goes_as_it_is_read(qtbot: QtBot, wizard: Driver) -> None:
    for title, names in PAGES.items():
        wizard.next()
        assert wizard.dialog.title.text() == title
        assert called(focused()) == names[0]
        assert way(qtbot, Qt.Key.Key_Tab) == names
        assert way(qtbot, Qt.Key.Key_Backtab) == [names[0], *names[:0:-1]]


def test_choices_that_come_up_later_stand_in_their_place(qtbot: QtBot, wizard: Driver) -> None:
    wizard.next().fill(choice="Manually")
    wizard.dialog.control("group").combo.setFocus()  # type: ignore[attr-defined]
    assert way(qtbot, Qt.Key.Key_Tab) == [
        "Group name", "Manually select disks", "Available disks", "Add", "Add All", "Remove", "Remove All",
        "Selected disks", "Back", "Cancel", "Help",
    ]  # fmt: skip
    wizard.fill(disks=["Harddisk4", "Harddisk5"]).next().fill(layout="Striped", mirrored=True)
    wizard.dialog.control("name").line.setFocus()  # type: ignore[attr-defined]
    fields = [name for name in way(qtbot, Qt.Key.Key_Tab) if name not in PAGES["Assign Disks"]]
    assert fields == [
        "Volume name", "Size", "Size unit", "Max Size", "Striped", "Columns", "Stripe unit size", "Mirrored",
        "Total mirrors", "Enclosure", "Enable logging",
    ]  # fmt: skip


def test_enter_is_the_default_button_and_escape_leaves(qtbot: QtBot, wizard: Driver, api: PlannedEngine) -> None:
    for _ in range(wizard.dialog.stack.count() - 1):
        wizard.settle()
        qtbot.keyClick(focused(), Qt.Key.Key_Return)
    assert wizard.dialog.title.text() == "Plan"
    assert wizard.dialog.finish.isDefault()
    qtbot.keyClick(focused(), Qt.Key.Key_Escape)
    assert not wizard.dialog.isVisible()
    assert api.submitted == []


def test_enter_in_a_list_of_disks_takes_them_and_stays(qtbot: QtBot, wizard: Driver) -> None:
    wizard.next().fill(choice="Manually")
    disks = wizard.dialog.control("disks")
    disks.available.setFocus()  # type: ignore[attr-defined]
    qtbot.keyClick(focused(), Qt.Key.Key_Home)
    qtbot.keyClick(focused(), Qt.Key.Key_Space)
    qtbot.keyClick(focused(), Qt.Key.Key_Return)
    wizard.settle()
    assert len(disks.answer()) == 1  # type: ignore[attr-defined]
    assert wizard.dialog.title.text() == "Assign Disks"


def test_the_plan_begins_at_finish(wizard: Driver) -> None:
    wizard.next(wizard.dialog.stack.count() - 1)
    assert called(focused()) == "Finish"


def test_the_main_window_begins_at_the_tree_and_goes_on_to_what_it_shows(qtbot: QtBot, window: MainWindow) -> None:
    window.activateWindow()
    qtbot.waitUntil(lambda: QApplication.focusWidget() is window.tree)
    window.console.show_in_tree(GROUP)
    qtbot.waitUntil(lambda: window.right.page() is not None and window.right.page().isVisible())
    window.tree.setFocus()
    names = way(qtbot, Qt.Key.Key_Tab)
    assert names[:4] == ["Objects", "QTabBar", "filter", "Volumes"]
    assert names.index("Volumes") < names.index("System") < names.index("New Volume") < names.index("Address")
    window.tree.setFocus()
    assert way(qtbot, Qt.Key.Key_Backtab) == [names[0], *names[:0:-1]]
