"""New Volume offers RAID-5: its usual columns and unit, no mirrors, and a log that can be left away."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pytestqt.qtbot import QtBot

from engine.commands import CreateVolume, LogType
from engine.units import GIB, KIB, MIB
from tests.gui import sample_lab
from tests.gui.form_driver import Driver, close_all
from tests.gui.planned_engine import PlannedEngine
from tests.gui.sample_lab import GROUP
from vea_gui.console import Console


@pytest.fixture
def records() -> list[object]:
    return sample_lab.records()


@pytest.fixture(autouse=True)
def _closed(console: Console) -> Iterator[None]:
    """Nothing stays open, whatever a test has left."""
    yield
    close_all()


def test_raid5_has_its_own_usual_columns_and_unit_and_a_log(qtbot: QtBot, console: Console, api: PlannedEngine) -> None:
    driver = Driver(qtbot, console, "new_volume", [GROUP]).next().next()
    driver.fill(name="rv", size="300 MiB", layout="RAID-5").next(3)
    driver.finish()
    expected = CreateVolume(group=GROUP, size=300 * MIB, name="rv", raid5=True, columns=3, stripe_unit=16 * KIB)
    assert api.submitted == [expected]


def test_the_log_can_be_left_away_and_mirrors_are_not_asked_for(
    qtbot: QtBot, console: Console, api: PlannedEngine
) -> None:
    driver = Driver(qtbot, console, "new_volume", [GROUP]).next().next()
    driver.fill(mirrored=True, layout="RAID-5", columns=4, logging=False).next(3)
    driver.finish()
    (command,) = api.submitted
    assert isinstance(command, CreateVolume)
    assert (command.raid5, command.columns, command.mirrors, command.log) == (True, 4, 1, LogType.NONE)
    assert command.size == GIB
