"""Wizards that change sizes and columns, compare mirrors, resize file systems and bring configurations back."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from engine.commands import (
    AddColumn,
    GrowVolume,
    ResizeFileSystem,
    ScrubVolume,
    ShrinkVolume,
)
from engine.records import Host, Kind
from engine.units import MIB
from tests.gui.form_driver import Driver, close_all
from tests.gui.planned_engine import PlannedEngine
from tests.gui.sample_lab import GROUP, ref
from vea_gui.console import Console

EV, ST = ref(Kind.VOLUME, 1), ref(Kind.VOLUME, 2)


@pytest.fixture(autouse=True)
def _closed(console: Console) -> Iterator[None]:
    """Nothing stays open, whatever a test has left."""
    yield
    close_all()


def test_expand_by_an_amount(qtbot: QtBot, console: Console, api: PlannedEngine) -> None:
    Driver(qtbot, console, "resize_volume", [EV]).fill(way="Expand by", more="100 MiB").finish()
    assert api.submitted == [GrowVolume(volume=EV, size=612 * MIB)]


def test_the_size_that_it_has_is_no_new_size(qtbot: QtBot, console: Console) -> None:
    driver = Driver(qtbot, console, "resize_volume", [EV]).fill(size="512 MiB")
    assert "current size" in driver.reason("size")
    assert not driver.dialog.finish.isEnabled()


def test_a_smaller_size_shrinks_and_says_what_is_lost(qtbot: QtBot, console: Console, api: PlannedEngine) -> None:
    driver = Driver(qtbot, console, "resize_volume", [EV]).fill(size="500 MiB")
    assert not driver.dialog.control("choice").isVisible()
    assert not driver.dialog.finish.isEnabled()  # somebody is connected
    driver.fill(force=True)
    assert driver.dialog.finish.text() == "Shrink Volume"
    assert "last 12 MiB of ev" in driver.dialog.plan_view.accessibleDescription()
    driver.finish()
    assert api.submitted == [ShrinkVolume(volume=EV, size=500 * MIB, force=True)]


def test_shrink_by_an_amount_by_force(qtbot: QtBot, console: Console, api: PlannedEngine) -> None:
    driver = Driver(qtbot, console, "resize_volume", [EV]).fill(way="Shrink by", less="112 MiB")
    driver.fill(force=True).finish()
    assert api.submitted == [ShrinkVolume(volume=EV, size=400 * MIB, force=True)]


def test_a_file_system_becomes_as_large_as_its_volume(qtbot: QtBot, console: Console, api: PlannedEngine) -> None:
    """Its content is what the last look has found, and the host says what it can resize."""
    host = next(iter(console.config.all(Kind.HOST, Host)))
    volume = msgspec.structs.replace(console.config.volume(ST), content="ext4 file system", content_size=64 * MIB)
    api.change([volume, msgspec.structs.replace(host, resizable=("ext4 file system",), nbd_socket="/run/nbd")])
    qtbot.waitUntil(lambda: bool(console.config.volume(ST).content))
    driver = Driver(qtbot, console, "resize_file_system", [ST])
    assert any("Check the ext4 file system" in step for step in driver.steps())
    driver.finish()
    assert api.submitted == [ResizeFileSystem(volume=ST)]


def test_a_saved_configuration_is_chosen_from_a_list(qtbot: QtBot, console: Console, api: PlannedEngine) -> None:
    driver = Driver(qtbot, console, "restore_configuration", [GROUP])
    shown = driver.dialog.control("backup").rows.item(0).text()
    assert "4 volumes on 6 disks, before: Delete Volume old" in shown
    assert "not there any more" in driver.reason("backup")  # this engine keeps no files


def test_a_column_is_added_to_a_chosen_disk(qtbot: QtBot, console: Console, api: PlannedEngine) -> None:
    driver = Driver(qtbot, console, "add_column", [ST]).fill(choice="Manually", disks=["Harddisk4"])
    assert "Copy 512 MiB to 3 columns" in driver.steps()
    driver.finish()
    assert api.submitted == [AddColumn(volume=ST, disks=(ref(Kind.DISK, 4),))]


def test_verify_and_repair_asks_which_mirror_is_right(qtbot: QtBot, console: Console, api: PlannedEngine) -> None:
    driver = Driver(qtbot, console, "repair_mirrors", [EV]).fill(source="ev-02")
    assert "Make what differs equal to ev-02" in driver.steps()
    driver.finish()
    assert api.submitted == [ScrubVolume(volume=EV, source=ref(Kind.PLEX, 2))]


def test_a_unit_that_is_typed_goes_where_units_stand(qtbot: QtBot, console: Console) -> None:
    driver = Driver(qtbot, console, "new_volume", [GROUP]).next(2)
    size = driver.dialog.control("size")
    size.line.setFocus()
    size.line.selectAll()
    qtbot.keyClicks(size.line, "400 MiB")
    qtbot.keyClick(size.line, Qt.Key.Key_Tab)
    assert (size.line.text(), size.unit.currentText()) == ("400", "MiB")
    driver.settle()
    assert driver.dialog.inquiry.answers["size"] == 400 * MIB
