"""The failing disk, in one process: a LUN dies under a verifying client, and the operator follows the alerts.

Engine, window, dialogs and client are real; the LUN is an image file that answers every request with an error from one
moment on. What the console proposes is enough: nothing is looked up, nothing is typed but Enter.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from PySide6.QtCore import QModelIndex
from pytestqt.qtbot import QtBot

from engine.engine import Engine
from engine.host import OpenedHost
from engine.lab import Lab
from engine.records import (
    Alert,
    Disk,
    DiskStatus,
    Kind,
    Ref,
    Remedy,
    Task,
    TaskState,
    Volume,
    VolumeStatus,
)
from engine.units import MIB
from tests.engine.frail_lun import FrailLun
from tests.gui.form_driver import Driver
from tests.gui.real_host import host_fixture
from tests.gui.test_walk import (
    DEADLINE_MS,
    LEFT,
    SIZE,
    Opened,
    VerifyingClient,
    address,
    fill,
    mirrored_by_wizard,
    same_bytes,
    walked,
)
from vea_gui.attention import troubles
from vea_gui.views.main_window import MainWindow
from vea_gui.views.overview import ACTION, OverviewPage

__all__ = ["walked"]

EVERY_VERB = ("read", "write", "durable", "zero", "flush")


host = host_fixture(Lab(arrays=2, luns=3, lun_size=192 * MIB), FrailLun)
"""An engine on six LUNs, each of which can die."""


def die(host: OpenedHost, disk: Ref) -> None:
    """From now on the LUN answers with errors only."""
    assert isinstance(host.api, Engine)
    device = host.api._luns.device(disk)
    assert isinstance(device, FrailLun)
    device.fail(*EVERY_VERB, persistent=True)


def volume(window: MainWindow) -> Volume:
    found = next(each for each in window.console.config.all(Kind.VOLUME, Volume) if each.name == "walk")
    assert isinstance(found, Volume)
    return found


def disk_called(window: MainWindow, name: str) -> Disk:
    group = volume(window).group
    return next(each for each in window.console.config.disks_of(group) if each.name == name)


def disks_of(window: MainWindow) -> set[Ref]:
    config = window.console.config
    plexes = config.plexes_of(volume(window).ref)
    return {piece.disk for plex in plexes for piece in config.subdisks_of(plex.ref)}


def alert_row(qtbot: QtBot, window: MainWindow, action: Remedy, about: Ref) -> int:
    """The row of the Console tab of the alert with this remedy; it stands there without anybody asking."""
    model = window.alerts.page.model
    found: list[int] = []

    def there() -> bool:
        records = [(row, model.record(row)) for row in range(model.rowCount())]
        found[:] = [
            row
            for row, record in records
            if isinstance(record, Alert) and record.action is action and record.object == about
        ]
        return bool(found)

    qtbot.waitUntil(there, timeout=DEADLINE_MS)
    return found[0]


def click_cell(qtbot: QtBot, window: MainWindow, row: int, column: str) -> None:
    view = window.alerts.page.view
    at = [each.id for each in window.alerts.page.model.columns].index(column)
    index: QModelIndex = window.alerts.page.model.index(row, at)
    view.scrollTo(index)
    qtbot.mouseClick(view.viewport(), LEFT, pos=view.visualRect(index).center())


def healthy_elsewhere(window: MainWindow, lost: Ref) -> bool:
    """Whole again, with nothing on the lost disk, and nothing at work any more."""
    tasks = window.console.config.all(Kind.TASK, Task)
    at_work = any(not task.ended for task in tasks)
    return volume(window).status is VolumeStatus.HEALTHY and lost not in disks_of(window) and not at_work


@pytest.mark.skipif(shutil.which("fio") is None, reason="fio is missing: nothing verifies the data meanwhile")
def test_a_disk_dies_under_load_and_what_the_console_proposes_brings_it_all_back(
    qtbot: QtBot, host: OpenedHost, walked: MainWindow, tmp_path: Path
) -> None:
    console = walked.console
    made = mirrored_by_wizard(qtbot, walked)
    lost = min(disks_of(walked))
    name = console.config.disk(lost).name
    home = next(piece for piece in console.config.subdisks_on(lost))
    walked.console.show_in_tree(console.host)
    fill(tmp_path, host)
    client = VerifyingClient(tmp_path / "fio", address(host), SIZE)
    try:
        client.wait_until_it_runs()
        die(host, lost)
        row = alert_row(qtbot, walked, Remedy.REPLACE_DISK, lost)
        assert walked.alerts.page.model.record(row).name == f"{name} is failing."
        relocated(qtbot, walked, made, lost)
        to_the_object(qtbot, walked, lost)
        replace(qtbot, walked, lost, name)
        fresh = moved_back(qtbot, walked, name, home.disk_offset)
        client.stop()
        qtbot.waitUntil(lambda: not console.config.connections_of(made.ref))
        assert fresh in disks_of(walked)
        assert same_bytes(console.config, volume(walked))
        client.write_all()
    finally:
        client.close()
    assert same_bytes(console.config, volume(walked))
    assert troubles(console.mirror) == []


def relocated(qtbot: QtBot, window: MainWindow, made: Volume, lost: Ref) -> None:
    """Hot relocation has run by itself; the overview says which disk still waits for the operator, and what helps."""
    qtbot.waitUntil(lambda: healthy_elsewhere(window, lost), timeout=3 * DEADLINE_MS)
    alerts = [each for each in window.console.config.all(Kind.ALERT, Alert) if each.object == made.ref]
    assert [each for each in alerts if "is relocated from" in each.name and each.action_on == lost]
    page = window.right.page()
    assert isinstance(page, OverviewPage)
    qtbot.waitUntil(lambda: [trouble.ref for trouble in page.troubles.rows] == [lost])
    assert page.troubles.item(0, ACTION).text() in ("Reactivate Disk", "Replace Disk...")


def to_the_object(qtbot: QtBot, window: MainWindow, lost: Ref) -> None:
    """One click on the alert's object: the tree stands there, and the tab shows what lies on it."""
    click_cell(qtbot, window, alert_row(qtbot, window, Remedy.REPLACE_DISK, lost), "object")
    assert window.console.path[-1] == lost
    assert window.right.tabs.tabText(window.right.tabs.currentIndex()) == "Volumes"


def replace(qtbot: QtBot, window: MainWindow, lost: Ref, name: str) -> None:
    """One click on the alert's action: the dialog has chosen a LUN that fits, and its button is the verb."""
    click_cell(qtbot, window, alert_row(qtbot, window, Remedy.REPLACE_DISK, lost), "action")
    dialog = Opened(qtbot, window, "Replace Disk")
    assert dialog.dialog.finish.text() == "Replace Disk"
    assert dialog.dialog.plan is not None
    dialog.finish()

    def replaced() -> bool:
        found = disk_called(window, name)
        return found.ref != lost and found.status is DiskStatus.IMPORTED

    qtbot.waitUntil(replaced, timeout=DEADLINE_MS)


def moved_back(qtbot: QtBot, window: MainWindow, name: str, offset: int) -> Ref:
    """Undo Hot Relocation on the new disk: everything lies again where the operator had put it."""
    console = window.console
    disk = disk_called(window, name)
    Driver(qtbot, console, "undo_relocation", [disk.ref]).finish()

    def home() -> bool:
        pieces = [piece for piece in console.config.subdisks_on(disk.ref) if piece.replaces is None]
        tasks = console.config.all(Kind.TASK, Task)
        assert not [task for task in tasks if task.state is TaskState.FAILED and "Undo" in task.name]
        return [piece.disk_offset for piece in pieces] == [offset] and all(task.ended for task in tasks)

    qtbot.waitUntil(home, timeout=3 * DEADLINE_MS)
    assert volume(window).status is VolumeStatus.HEALTHY
    return disk.ref
