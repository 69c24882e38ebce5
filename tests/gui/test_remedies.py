"""From an alert to its object and to what helps: every remedy that the engine can name can be begun, and says so."""

from __future__ import annotations

import msgspec
import pytest
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from engine.config import Config
from engine.events import Upsert
from engine.records import Alert, Kind, Record, Ref, Remedy, Severity
from tests.gui import sample_lab
from tests.gui.planned_engine import PlannedEngine
from tests.gui.sample_lab import HOST_ID, ref
from vea_gui.actions.book import book
from vea_gui.mirror import Mirror
from vea_gui.remedies import WORDS, best
from vea_gui.views.main_window import MainWindow
from vea_gui.views.overview import ACTION, OverviewPage
from vea_gui.views.properties import PropertiesWindow
from vea_gui.views.table_page import TablePage
from vea_gui.wizards.dialog import FormDialog

LEFT = Qt.MouseButton.LeftButton
MISSING, ALERT = ref(Kind.DISK, 0), Ref(Kind.ALERT, "7", HOST_ID)


@pytest.fixture
def records() -> list[Record]:
    """Harddisk0, with a mirror of `ev`, is away, and an alert says so."""
    found = sample_lab.records()
    away = [msgspec.structs.replace(r, present=False, lun="") if r.ref == MISSING else r for r in found]
    alert = Alert(
        ref=ALERT,
        name="Harddisk0 is missing.",
        severity=Severity.WARNING,
        time=1.7e9,
        object=MISSING,
        remedy="Bring it back, or replace it.",
        action=Remedy.REPLACE_DISK,
    )
    return [*away, alert]


@pytest.mark.parametrize("remedy", Remedy)
def test_every_remedy_is_an_action_with_its_words(remedy: Remedy) -> None:
    row = book().row(remedy)
    text = row.text.replace("&", "")
    assert WORDS[remedy] in (text, f"{row.text.removesuffix('...')} {row.submenu}...")


def cell(window: MainWindow, column: str):  # type: ignore[no-untyped-def]
    page = window.alerts.page
    row = page.model.row_of(ALERT)
    assert row is not None
    return page.model.index(row, [each.id for each in page.model.columns].index(column))


def click(
    qtbot: QtBot, window: MainWindow, column: str, key: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier
) -> None:
    view = window.alerts.page.view
    view.scrollTo(cell(window, column))
    qtbot.mouseClick(view.viewport(), LEFT, key, view.visualRect(cell(window, column)).center())


def test_one_click_on_the_object_leads_the_tree_to_it(window: MainWindow, qtbot: QtBot) -> None:
    click(qtbot, window, "object")
    assert window.console.path[-1] == MISSING
    assert window.right.tabs.tabText(window.right.tabs.currentIndex()) == "Volumes"


def test_one_click_on_the_action_opens_its_dialog(window: MainWindow, qtbot: QtBot) -> None:
    click(qtbot, window, "action")
    [dialog] = window.findChildren(FormDialog)
    qtbot.waitUntil(dialog.isVisible)
    assert dialog.windowTitle() == "Replace Disk"
    dialog.reject()


def test_a_disk_without_volumes_says_so_and_offers_no_new_one(window: MainWindow) -> None:
    window.console.frame.show_tab(ref(Kind.DISK, 5), "", "Volumes")
    page = window.right.page()
    assert isinstance(page, TablePage)
    assert page.empty.text.text() == "No volume lies on this disk."
    assert page.empty.button.isHidden()


def test_a_click_elsewhere_only_picks(window: MainWindow, qtbot: QtBot) -> None:
    before = window.console.path
    click(qtbot, window, "name")
    assert window.console.selection.refs == (ALERT,)
    assert window.console.path == before
    assert window.findChildren(FormDialog) == []


def test_picking_moves_no_row_under_the_pointer(window: MainWindow, qtbot: QtBot) -> None:
    """Buttons that came with a pick would push the table away between press and release."""
    view = window.alerts.page.view
    before = view.mapToGlobal(view.rect().topLeft())
    click(qtbot, window, "name")
    assert view.mapToGlobal(view.rect().topLeft()) == before
    window.console.select(())
    assert view.mapToGlobal(view.rect().topLeft()) == before


def test_the_buttons_above_the_alerts_do_the_same(window: MainWindow, qtbot: QtBot) -> None:
    click(qtbot, window, "name")
    bar = window.alerts.bar
    assert (bar.remedy.text(), bar.remedy.isEnabled()) == ("Replace Disk...", True)
    qtbot.mouseClick(bar.go, LEFT)
    assert window.console.path[-1] == MISSING


def test_the_overview_offers_what_is_possible(window: MainWindow, api: PlannedEngine, qtbot: QtBot) -> None:
    window.console.show_in_tree(window.console.host)
    page = window.right.page()
    assert isinstance(page, OverviewPage)
    by_name = {page.troubles.item(row, 0).text(): row for row in range(page.troubles.rowCount())}
    assert page.troubles.item(by_name["Harddisk0"], ACTION).text() == "Replace Disk..."
    assert page.troubles.item(by_name["ev"], ACTION).text() == "Repair Volume..."
    item = page.troubles.item(by_name["ev"], ACTION)
    qtbot.mouseClick(page.troubles.viewport(), LEFT, pos=page.troubles.visualItemRect(item).center())
    [dialog] = window.findChildren(FormDialog)
    assert dialog.windowTitle() == "Repair Volume"
    dialog.reject()


def test_properties_of_an_alert_and_of_its_object_offer_it_too(window: MainWindow, qtbot: QtBot) -> None:
    for shown in (ALERT, MISSING):
        window.console.properties(shown)
        [properties] = [each for each in window.findChildren(PropertiesWindow) if each.ref == shown]
        qtbot.waitUntil(properties.isVisible)
        assert properties.remedies.remedy.text() == "Replace Disk..."
        assert properties.remedies.go.isVisible() == (shown == ALERT)
        properties.close()


def test_what_cannot_be_begun_says_why(window: MainWindow, api: PlannedEngine, qtbot: QtBot) -> None:
    back = msgspec.structs.replace(sample_lab.disk(0))
    api.change([back])
    qtbot.waitUntil(lambda: window.console.config.disk(MISSING).present)
    click(qtbot, window, "name")
    bar = window.alerts.bar
    qtbot.waitUntil(lambda: not bar.remedy.isEnabled())
    why, told = bar.reason.text().split("\n")
    assert why == "Harddisk0 is neither missing nor failing. Evacuate it and remove it from the disk group instead."
    alert = window.console.config[ALERT]
    assert all(part in told for part in (alert.name, alert.cause, alert.remedy))  # type: ignore[union-attr]
    click(qtbot, window, "action")
    assert window.findChildren(FormDialog) == []
    assert "neither missing nor failing" in window.status.reason.text()


def test_where_a_disk_may_not_be_replaced_what_helps_instead_is_offered(
    window: MainWindow, api: PlannedEngine, qtbot: QtBot
) -> None:
    """Harddisk2 has a column of `st`, which is nowhere else."""
    only = ref(Kind.DISK, 2)
    alert = msgspec.structs.replace(window.console.config[ALERT], object=only)  # type: ignore[type-var]
    api.change([msgspec.structs.replace(sample_lab.disk(2), failing=True), alert])
    qtbot.waitUntil(lambda: window.console.config.disk(only).failing)
    assert cell(window, "action").data() == "Evacuate Disk..."
    click(qtbot, window, "name")
    bar = window.alerts.bar
    assert (bar.remedy.text(), bar.remedy.isEnabled()) == ("Evacuate Disk...", True)
    assert bar.reason.text().startswith("Harddisk2 holds the only complete copy of st.")
    click(qtbot, window, "action")
    [dialog] = window.findChildren(FormDialog)
    qtbot.waitUntil(dialog.isVisible)
    assert dialog.windowTitle() == "Evacuate Disk"
    dialog.reject()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"present": False, "lun": ""}, "Rescan"),  # what is nowhere else is not given up while it may come back
        ({"failing": True}, "Evacuate Disk..."),
        ({"size": sample_lab.LUN_SIZE // 2}, "Evacuate Disk..."),
        ({"errors": 3}, "Reactivate Disk"),
        ({}, "Replace Disk..."),  # nothing helps, nothing is wrong: what was proposed says why not
    ],
)
def test_each_state_of_a_disk_that_may_not_be_replaced_has_its_way(change: dict[str, object], words: str) -> None:
    only = msgspec.structs.replace(sample_lab.disk(2), **change)
    alert = Alert(
        ref=ALERT, name="It fails.", severity=Severity.ERROR, time=0.0, object=only.ref, action=Remedy.REPLACE_DISK
    )
    kept = [only if record.ref == only.ref else record for record in sample_lab.records()]
    mirror = Mirror.of(Config.of([*kept, alert]))
    found = best(mirror, mirror.config[ALERT])
    assert found is not None
    assert found.words == words


def test_of_equal_alerts_the_newest_comes_first(window: MainWindow, api: PlannedEngine, qtbot: QtBot) -> None:
    first = window.console.config[ALERT]
    assert isinstance(first, Alert)
    newer = Ref(Kind.ALERT, "8", HOST_ID)
    api.change([msgspec.structs.replace(first, ref=newer, name="Zebra.", time=first.time + 60)])
    model = window.alerts.page.model
    qtbot.waitUntil(lambda: model.rowCount() == 2)
    assert [model.ref(row) for row in range(2)] == [newer, ALERT]


def test_an_alert_whose_object_has_gone_leads_nowhere(window: MainWindow, api: PlannedEngine, qtbot: QtBot) -> None:
    gone = msgspec.structs.replace(window.console.config[ALERT], object=ref(Kind.DISK, 99))
    api.publish([Upsert(gone)])
    qtbot.waitUntil(lambda: window.console.config[ALERT] == gone)
    before = window.console.path
    click(qtbot, window, "object")
    click(qtbot, window, "action")
    assert window.console.path == before
    assert window.findChildren(FormDialog) == []


def test_without_alerts_there_is_nothing_to_press(window: MainWindow, api: PlannedEngine, qtbot: QtBot) -> None:
    bar = window.alerts.bar
    assert bar.isVisible()
    api.change([msgspec.structs.replace(window.console.config[ALERT], acknowledged=True)])  # type: ignore[type-var]
    qtbot.waitUntil(bar.isHidden)


def test_an_alert_of_a_schedule_leads_to_it_and_to_what_helps(
    window: MainWindow, api: PlannedEngine, qtbot: QtBot
) -> None:
    nightly, ev = ref(Kind.SCHEDULE, 1), ref(Kind.VOLUME, 1)
    changes = {"object": nightly, "action": Remedy.PREPARE_SNAPSHOT, "action_on": ev}
    api.publish([Upsert(msgspec.structs.replace(window.console.config[ALERT], **changes))])
    qtbot.waitUntil(lambda: window.console.config[ALERT].object == nightly)  # type: ignore[union-attr]
    click(qtbot, window, "object")
    assert window.console.path[-1] == sample_lab.GROUP
    assert window.right.tabs.tabText(window.right.tabs.currentIndex()) == "Schedules"
    assert window.console.selection.refs == (nightly,)
    click(qtbot, window, "action")
    [dialog] = window.findChildren(FormDialog)
    qtbot.waitUntil(dialog.isVisible)
    assert dialog.windowTitle() == "Prepare for Snap Shot"
    dialog.reject()
