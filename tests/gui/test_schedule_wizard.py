"""Schedule Snapshots: the wizard with its calendar, and the table of schedules."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import msgspec
import pytest
from PySide6.QtCore import QLocale, Qt
from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from engine.commands import AddSchedule, ChangeSchedule
from engine.records import LAST_DAY, Kind, Outcome, Pattern, Quiesce, RunWay, Schedule
from tests.gui import sample_lab
from tests.gui.form_driver import Driver, close_all
from tests.gui.planned_engine import PlannedEngine
from tests.gui.sample_lab import ref
from vea_gui import moments
from vea_gui.columns import COLUMNS
from vea_gui.console import Console
from vea_gui.models import local_moments
from vea_gui.wizards.calendar_control import CalendarControl, MonthView
from vea_gui.words import Tone

EV = ref(Kind.VOLUME, 1)
NIGHTLY = ref(Kind.SCHEDULE, 1)


@pytest.fixture(autouse=True)
def _closed(console: Console) -> Iterator[None]:
    yield
    close_all()
    moments.write_as()


def marked(month: MonthView) -> list[str]:
    """The days that stand out, as they are read out."""
    items = [month.item(row, column) for row in range(month.rowCount()) for column in range(month.columnCount())]
    return [item.data(Qt.ItemDataRole.AccessibleTextRole) for item in items if item is not None and item.font().bold()]


def calendar_of(driver: Driver) -> CalendarControl:
    control: QWidget = driver.dialog.control("runs")
    assert isinstance(control, CalendarControl)
    return control


def test_everything_that_is_answered_arrives(qtbot: QtBot, console: Console, api: PlannedEngine) -> None:
    driver = Driver(qtbot, console, "schedule_snapshots", [EV])
    assert driver.dialog.title.text() == "Welcome to the Schedule Snapshots wizard"
    driver.next().fill(name="workdays", volumes=["st"]).next()
    driver.fill(times="2 pm, 2:00", monday=True, friday=True, days="last, 1", last="2099-12-31", zone="Europe/Berlin")
    driver.next().fill(keep=5, way="New", late=True, quiesce="Not at all").next()
    driver.next()
    assert any(step.startswith("Take a set of ev and st: Monday and Friday and day 1") for step in driver.steps())
    driver.finish()
    when = Pattern((120, 840), (0, 4), (LAST_DAY, 1), last="2099-12-31", zone="Europe/Berlin")
    volumes = (EV, ref(Kind.VOLUME, 2))
    wanted = AddSchedule(name="workdays", volumes=volumes, when=when, keep=5, way=RunWay.NEW, prepares=True, late=True)
    assert api.submitted == [msgspec.structs.replace(wanted, quiesce=Quiesce.NONE)]


def test_the_calendar_marks_the_runs_of_two_months(qtbot: QtBot, console: Console) -> None:
    driver = Driver(qtbot, console, "schedule_snapshots", [EV]).next(2).fill(times="23:59", days="15", sunday=True)
    shown = calendar_of(driver)
    today = dt.date.today()
    first, second = today.replace(day=1), (today.replace(day=1) + dt.timedelta(days=32)).replace(day=1)
    assert [title.text() for title in shown.titles] == [f"{day:%B %Y}" for day in (first, second)]
    for month, view in zip((first, second), shown.months, strict=True):
        days = [month + dt.timedelta(days=number) for number in range(31)]
        days = [day for day in days if day.month == month.month and day > today]
        coming = [day for day in days if (day - today).days < 60 and (day.day == 15 or day.weekday() == 6)]
        texts = marked(view)
        said = [f"{day:%A, %-d %B %Y}" for day in coming]
        assert {text for text in texts if any(text.startswith(day) for day in said)} == {
            f"{day}, run at 23:59" for day in said
        }
    driver.fill(times="later")
    assert "is no time of the day" in driver.reason("times")
    assert not driver.dialog.next.isEnabled()


def test_days_are_read_with_the_keyboard(qtbot: QtBot, console: Console) -> None:
    driver = Driver(qtbot, console, "schedule_snapshots", [EV]).next(4)
    month, following = calendar_of(driver).months
    assert [each.currentItem().text() for each in (month, following)] == [str(dt.date.today().day), "1"]
    month.setFocus()
    month.setCurrentCell(1, 1)
    qtbot.keyClick(month, Qt.Key.Key_Right)
    assert (month.currentRow(), month.currentColumn()) == (1, 2)
    qtbot.keyClick(month, Qt.Key.Key_Down)
    assert month.currentRow() == 2
    assert month.accessibleName() == calendar_of(driver).titles[0].text()
    everything = [month.item(row, column) for row in range(6) for column in range(7)]
    texts = [item.data(Qt.ItemDataRole.AccessibleTextRole) for item in everything if item is not None]
    assert len(set(texts)) == 42


def test_a_schedule_is_changed_from_what_it_is(qtbot: QtBot, console: Console, api: PlannedEngine) -> None:
    driver = Driver(qtbot, console, "change_schedule", [NIGHTLY])
    driver.next().fill(times="3:15").next().fill(keep=4).next().next().finish()
    (sent,) = api.submitted
    before = sample_lab.schedule()
    assert isinstance(sent, ChangeSchedule)
    assert (sent.schedule, sent.name, sent.volumes, sent.keep) == (NIGHTLY, "nightly", before.volumes, 4)
    assert sent.when == Pattern(
        (195,), before.when.weekdays, before.when.days, last=before.when.last, zone=before.when.zone
    )


def test_a_group_has_its_schedules_in_the_desktops_way(console: Console) -> None:
    record = console.config[NIGHTLY]
    assert isinstance(record, Schedule)
    column = {each.id: each for each in COLUMNS[Kind.SCHEDULE]}
    local_moments.follow(QLocale(QLocale.Language.English, QLocale.Country.UnitedStates))
    words = column["when"].text(console.mirror, record)
    assert words.startswith("Monday to Friday and the last day of the month at 2:00")
    assert "2:30" in words
    assert column["last"].text(console.mirror, record).startswith(f"{Outcome.FAILED}, ")
    assert column["last"].tone is not None
    assert column["last"].tone(console.mirror, record) is Tone.ERROR
    assert column["kept"].text(console.mirror, record) == "0 of 3, oldest is refreshed"
