"""The Control Panel: a page shows what is set, changes nothing before Apply, and what it sets holds for new tasks."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QSpinBox
from pytestqt.qtbot import QtBot

from engine.commands import ChangeSettings, Move, MoveSubdisks, Target
from engine.records import Kind, RelocationMode, Settings, TaskDelay, TaskType
from tests.gui import sample_lab
from tests.gui.planned_engine import PlannedEngine
from tests.gui.sample_lab import ref
from vea_gui.views.control_panel import ControlPanel
from vea_gui.views.main_window import MainWindow
from vea_gui.views.settings_page import NOTHING_CHANGED, SettingsPage
from vea_gui.wizards.host_settings import ITEMS

LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def panel(window: MainWindow, qtbot: QtBot) -> ControlPanel:
    qtbot.mouseClick(window.perspectives.buttons["control"], LEFT)
    assert window.control.isVisible()
    return window.control


def page(panel: ControlPanel, name: str, qtbot: QtBot) -> SettingsPage:
    panel.open(name)
    shown = panel.page()
    assert isinstance(shown, SettingsPage)
    qtbot.waitUntil(lambda: shown.isVisible() and not shown.inquiry.asking)
    return shown


def spin(shown: SettingsPage, name: str) -> QSpinBox:
    found = shown.page.controls[name].findChild(QSpinBox)
    assert isinstance(found, QSpinBox)
    return found


def settings(api: PlannedEngine) -> Settings:
    return api.config.all(Kind.SETTINGS, Settings)[0]


def test_every_item_is_a_page_that_shows_what_is_set(panel: ControlPanel, qtbot: QtBot) -> None:
    assert [panel.list.item(row).text() for row in range(panel.list.count())] == [item.name for item in ITEMS]
    for item in ITEMS:
        shown = page(panel, item.name, qtbot)
        assert shown.page.controls
        assert not shown.apply.isEnabled()
        assert shown.apply.toolTip() == NOTHING_CHANGED
        assert not shown.notice.isVisible()


def test_a_default_is_given_to_new_tasks(panel: ControlPanel, api: PlannedEngine, qtbot: QtBot) -> None:
    shown = page(panel, "Task Throttling", qtbot)
    spin(shown, "move_subdisk").setValue(7)
    qtbot.waitUntil(shown.apply.isEnabled)
    assert settings(api).iodelay_ms == ()
    qtbot.mouseClick(shown.apply, LEFT)
    qtbot.waitUntil(lambda: settings(api).iodelay_ms == (TaskDelay(TaskType.MOVE_SUBDISK, 7),))
    qtbot.waitUntil(lambda: shown.said.text() == "Applied." and not shown.apply.isEnabled())
    move = MoveSubdisks(moves=(Move(ref(Kind.SUBDISK, 1), (Target(ref(Kind.DISK, 4)),)),))
    task = api.plan(move).task
    assert task is not None
    assert task.iodelay_ms == 7


def test_manual_mode_needs_no_wait(panel: ControlPanel, api: PlannedEngine, qtbot: QtBot) -> None:
    shown = page(panel, "Hot Relocation", qtbot)
    manual = next(each for each in shown.page.controls["hot_relocation"].group.buttons() if "Manual" in each.text())
    qtbot.mouseClick(manual, LEFT)
    qtbot.waitUntil(shown.apply.isEnabled)
    wait = shown.page.controls["relocation_wait_s"]
    assert not wait.isEnabled()
    assert wait.toolTip()
    qtbot.mouseClick(shown.apply, LEFT)
    qtbot.waitUntil(lambda: settings(api).hot_relocation is RelocationMode.MANUAL)


def test_revert_drops_what_was_typed(panel: ControlPanel, api: PlannedEngine, qtbot: QtBot) -> None:
    shown = page(panel, "Monitoring Interval", qtbot)
    spin(shown, "monitoring_interval_s").setValue(30)
    qtbot.waitUntil(shown.apply.isEnabled)
    qtbot.mouseClick(shown.revert, LEFT)
    qtbot.waitUntil(lambda: spin(shown, "monitoring_interval_s").value() == 1)
    assert not shown.apply.isEnabled()
    assert not api.submitted


def test_a_page_follows_what_others_set(panel: ControlPanel, api: PlannedEngine, qtbot: QtBot) -> None:
    shown = page(panel, "Configuration Backup", qtbot)
    api.submit(ChangeSettings(backups_kept=5))
    qtbot.waitUntil(lambda: spin(shown, "backups_kept").value() == 5)
    spin(shown, "backups_kept").setValue(9)
    qtbot.waitUntil(shown.apply.isEnabled)
    api.submit(ChangeSettings(backups_kept=6))
    qtbot.waitUntil(lambda: not shown.inquiry.asking)
    assert spin(shown, "backups_kept").value() == 9  # what somebody is at is left alone


def test_the_menu_leads_there_and_the_tree_back(window: MainWindow, qtbot: QtBot) -> None:
    window.console.trigger("perspective-control")
    assert window.perspective() == "control"
    assert window.perspectives.buttons["control"].isChecked()
    window.console.show_in_tree(sample_lab.GROUP)
    assert window.perspective() == "system"
