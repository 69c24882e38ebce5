"""The Snap sub-menu and its dialogs on planned records: what is possible, why the rest is not, which commands come."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from msgspec.structs import replace
from PySide6.QtWidgets import QMenu, QMessageBox, QPushButton
from pytestqt.qtbot import QtBot

from engine.commands import (
    AbortSnapshot,
    ChangeSettings,
    ClearSnapshots,
    Master,
    PrepareSnapshot,
    Quiesce,
    RefreshSnapshots,
    SnapBack,
    TakeSnapshots,
)
from engine.config import Config
from engine.records import Consistency, Freezable, FreezeBy, Kind, Quiescing, Record, Ref
from engine.units import MIB
from tests.gui import sample_lab, snap_lab
from tests.gui.form_driver import Driver, close_all
from tests.gui.planned_engine import PlannedEngine
from tests.gui.sample_lab import ref
from tests.gui.snap_lab import BILLS_SNAP, BOOKS, BOOKS_SNAP_PLEX, ORDERS, ORDERS_SNAP
from vea_gui import snap_words
from vea_gui.actions.book import book
from vea_gui.console import Console
from vea_gui.selection import Selection
from vea_gui.views.main_window import MainWindow
from vea_gui.wizards.list_controls import ListControl
from vea_gui.wizards.snap_controls import LinesControl, MendedControl

EV, ST = ref(Kind.VOLUME, 1), ref(Kind.VOLUME, 2)


@pytest.fixture
def records() -> list[Record]:
    return [*sample_lab.records(), *snap_lab.snap_records()]


@pytest.fixture(autouse=True)
def closed() -> None:
    yield
    close_all()


CONFIG = Config.of([*sample_lab.records(), *snap_lab.snap_records()])


def snap_rows(*refs: Ref) -> dict[str, str]:
    """Label -> why it is grey, of the Snap sub-menu."""
    selection = Selection(CONFIG, refs)
    rows = [row for row in book().for_selection(selection) if row.submenu == "Snap"]
    return {row.label(selection): row.reason(selection) for row in rows}


def test_the_menu_has_the_entries_of_the_reference_in_their_order() -> None:
    wanted = ["Prepare...", "Snap Shot...", "Snap Back...", "Snap Clear...", "Snap Abort..."]
    assert [label for label in snap_rows(BOOKS) if label in wanted] == wanted


@pytest.mark.parametrize(
    ("refs", "possible"),
    [
        ([EV], {"Prepare..."}),
        ([BOOKS], {"Prepare...", "Snap Shot...", "Snap Abort..."}),
        ([ORDERS], {"Prepare...", "Snap Back...", "Snap Clear..."}),
        ([ORDERS_SNAP], {"Prepare...", "Snap Back...", "Snap Clear...", "Destroy..."}),
        ([BOOKS_SNAP_PLEX], {"Snap Shot...", "Snap Abort..."}),
        ([ref(Kind.PLEX, 2)], {"Prepare..."}),
        (
            [ORDERS_SNAP, BILLS_SNAP],
            {"Prepare 2 Volumes...", "Snap Back 2 Volumes...", "Snap Clear 2 Volumes...", "Destroy 2 Snapshots..."},
        ),
    ],
)
def test_what_is_possible(refs: Sequence[Ref], possible: set[str]) -> None:
    others = ("Refresh", "Schedule", "Quiesce")
    ours = {label: why for label, why in snap_rows(*refs).items() if not any(word in label for word in others)}
    assert {label for label, why in ours.items() if not why} == possible
    assert all(why.endswith(".") for why in ours.values() if why)


def test_what_is_grey_says_what_would_help() -> None:
    rows = snap_rows(EV)
    assert rows["Snap Shot..."] == "ev is not prepared. Prepare it first: Snap > Prepare."
    assert rows["Snap Back..."] == "ev is no snapshot and has none. Take a snapshot first: Snap > Snap Shot."
    assert rows["Destroy..."].startswith("ev is in use")


def test_the_context_menu_has_the_sub_menu(window: MainWindow, console: Console) -> None:
    menu = console.menu_for(Selection(console.config, (BOOKS,)), window)
    snap = next(entry.menu() for entry in menu.actions() if entry.text() == "Snap")
    assert isinstance(snap, QMenu)
    assert {entry.text(): entry.isEnabled() for entry in snap.actions()}["Snap Shot..."]
    menu.close()


# --- Prepare and Abort ---
def test_prepare_adds_a_mirror_or_converts_one(qtbot: QtBot, console: Console) -> None:
    driver = Driver(qtbot, console, "prepare_snapshot", [EV])
    assert driver.dialog.inquiry.command == PrepareSnapshot(volume=EV)
    assert any("snap plex" in step for step in driver.steps())
    driver.fill(choice="Manually", disks=["Harddisk4"])
    assert driver.dialog.inquiry.command == PrepareSnapshot(volume=EV, disks=(ref(Kind.DISK, 4),))
    driver.fill(way="Use a mirror", plex="ev-01")
    assert driver.dialog.inquiry.command == PrepareSnapshot(volume=EV, plex=ref(Kind.PLEX, 1))
    assert driver.dialog.finish.text() == "Prepare"


def test_a_picked_mirror_is_the_one_to_convert(qtbot: QtBot, console: Console) -> None:
    driver = Driver(qtbot, console, "prepare_snapshot", [ref(Kind.PLEX, 1)])
    assert driver.dialog.inquiry.command == PrepareSnapshot(volume=EV, plex=ref(Kind.PLEX, 1))


def test_a_volume_with_one_mirror_says_why_it_cannot_be_converted(qtbot: QtBot, console: Console) -> None:
    driver = Driver(qtbot, console, "prepare_snapshot", [ST])
    own = driver.dialog.control("way").group.buttons()[1]
    assert not own.isEnabled()
    assert "no complete mirror beside" in own.accessibleDescription()


def test_abort_has_the_snap_plexes_selected(qtbot: QtBot, console: Console) -> None:
    driver = Driver(qtbot, console, "abort_snapshot", [BOOKS])
    assert driver.dialog.inquiry.command == AbortSnapshot(plexes=(BOOKS_SNAP_PLEX,))
    assert driver.dialog.finish.text() == "Snap Abort"


def test_several_volumes_are_prepared_one_after_the_other(
    qtbot: QtBot, window: MainWindow, console: Console, api: PlannedEngine
) -> None:
    console.trigger("prepare-snapshot", Selection(console.config, (EV, ST)))
    qtbot.waitUntil(lambda: bool(window.findChildren(QMessageBox)))
    (box,) = window.findChildren(QMessageBox)
    assert box.text().startswith("Prepare ev and st for Snap Shot?")
    next(each for each in box.buttons() if each.text() == "Prepare").click()
    qtbot.waitUntil(lambda: len(api.submitted) == 2)
    assert api.submitted == [PrepareSnapshot(volume=EV), PrepareSnapshot(volume=ST)]
    qtbot.waitUntil(lambda: bool(snap_plexes(api, EV)) and bool(snap_plexes(api, ST)))


# --- the wizard ---
def test_the_wizard_begins_with_its_welcome_always(qtbot: QtBot, console: Console) -> None:
    console.settings.change(welcome_pages=False)
    driver = Driver(qtbot, console, "snap_shot", [BOOKS])
    assert driver.dialog.title.text() == "Welcome to the Snap Shot Volume Wizard"
    driver.next()
    assert driver.dialog.title.text() == "Select Volumes"
    driver.next()
    assert driver.dialog.title.text() == "Change Attributes"
    driver.next()
    assert driver.dialog.finish.isEnabled()


def test_an_unprepared_volume_is_prepared_from_the_wizard_and_becomes_eligible(
    qtbot: QtBot, console: Console, api: PlannedEngine
) -> None:
    driver = Driver(qtbot, console, "snap_shot", [BOOKS]).next()
    control = driver.dialog.control("volumes")
    assert isinstance(control, MendedControl)
    assert not control.mend.isEnabled()
    stand_on(control, "st")
    assert "(not prepared)" in control.available.currentItem().text()
    press(control, "Add")
    assert control.answer() == (BOOKS,)
    assert control.mend.isEnabled()
    driver.click(control.mend)
    inner = next(each for each in dialogs() if each.windowTitle() == "Prepare for Snap Shot")
    qtbot.waitUntil(lambda: inner.finish.isEnabled())
    driver.click(inner.finish)
    qtbot.waitUntil(lambda: bool(snap_plexes(api, ST)))
    finish_filling(api, ST)
    qtbot.waitUntil(lambda: "not" not in text_of(control, "st"))
    stand_on(control, "st")
    press(control, "Add")
    qtbot.waitUntil(lambda: control.answer() == (BOOKS, ST))
    assert not control.mend.isEnabled()


def test_what_cannot_be_prepared_says_why_beside_the_button(qtbot: QtBot, console: Console) -> None:
    driver = Driver(qtbot, console, "snap_shot", [BOOKS]).next()
    control = driver.dialog.control("volumes")
    assert control.why.text() == "Pick a volume on the left that is not prepared."
    stand_on(control, "ev")
    assert control.mend.isEnabled()
    assert control.why.text() == ""


def test_names_and_plexes_of_the_set_are_chosen(qtbot: QtBot, console: Console, api: PlannedEngine) -> None:
    driver = Driver(qtbot, console, "snap_shot", [BOOKS]).next(2)
    control = driver.dialog.control("attributes")
    assert isinstance(control, LinesControl)
    (row,) = control.rows
    name = row[2]
    assert name.text() == "SnapVolume01"
    name.selectAll()
    qtbot.keyClicks(name, "ev")
    driver.settle()
    assert "ev" in driver.reason("attributes")
    assert not driver.dialog.next.isEnabled()
    name.selectAll()
    qtbot.keyClicks(name, "books-monday")
    driver.settle()
    letter, path = row[3], row[4]
    assert letter.currentText() == "none"
    letter.setCurrentIndex(letter.findText("J:"))
    letter.activated.emit(letter.currentIndex())
    qtbot.keyClicks(path, "no folder")
    driver.settle()
    assert "full path" in driver.reason("attributes")
    path.clear()
    path.textEdited.emit("")
    driver.next()
    driver.finish()
    (command,) = [each for each in api.submitted if isinstance(each, TakeSnapshots)]
    assert [(choice.volume, choice.plex, choice.name, choice.letter) for choice in command.choices] == [
        (BOOKS, BOOKS_SNAP_PLEX, "books-monday", "J")
    ]


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("hyperbackup.xml", "whole path"),
        ("/nowhere/hyperbackup", "no name that ends in .xml"),
        ("/nowhere/hyperbackup.xml", "no folder /nowhere"),
    ],
)
def test_a_file_that_could_not_be_written_is_told_at_once(qtbot: QtBot, console: Console, path: str, says: str) -> None:
    driver = Driver(qtbot, console, "snap_shot", [BOOKS]).next(2)
    line = driver.dialog.control("file").line
    line.setFocus()
    qtbot.keyClicks(line, path)
    driver.settle()
    assert says in driver.reason("file")
    assert not driver.dialog.next.isEnabled()


# --- Snap Back and Clear ---
def test_snap_back_using_the_original_asks_nothing_more(qtbot: QtBot, console: Console, api: PlannedEngine) -> None:
    driver = Driver(qtbot, console, "snap_back", [ORDERS_SNAP])
    assert driver.dialog.finish.text() == "OK"
    assert [each.text() for each in driver.dialog.control("master").group.buttons()] == [
        "Resynchronize using the original volume",
        "Resynchronize using the snapshot",
    ]
    driver.finish()
    assert api.submitted[-1] == SnapBack(snapshots=(ORDERS_SNAP,), master=Master.ORIGINAL)


@pytest.mark.parametrize("answer", ["Yes", "No"])
def test_snap_back_using_the_snapshot_warns_first(
    qtbot: QtBot, console: Console, api: PlannedEngine, answer: str
) -> None:
    driver = Driver(qtbot, console, "snap_back", [ORDERS_SNAP])
    driver.fill(master="Resynchronize using the snapshot")
    driver.click(driver.dialog.finish)
    (box,) = driver.dialog.findChildren(QMessageBox)
    assert [each.text() for each in box.buttons()] == ["Yes", "No"]
    assert box.defaultButton().text() == "No"
    assert "existing data of orders will be overwritten" in box.text()
    next(each for each in box.buttons() if each.text() == answer).click()
    if answer == "Yes":
        qtbot.waitUntil(lambda: bool(api.submitted))
        assert api.submitted == [SnapBack(snapshots=(ORDERS_SNAP,), master=Master.SNAPSHOT)]
    else:
        qtbot.waitUntil(lambda: not box.isVisible())
        assert api.submitted == []
        assert driver.dialog.isVisible()


def test_the_whole_set_goes_back(qtbot: QtBot, console: Console) -> None:
    driver = Driver(qtbot, console, "snap_back", [ORDERS_SNAP])
    driver.fill(whole="The whole snapshot set")
    assert driver.dialog.inquiry.command == SnapBack(snapshots=(ORDERS_SNAP, BILLS_SNAP))


def test_on_an_original_one_of_its_snapshots_is_chosen(qtbot: QtBot, console: Console) -> None:
    driver = Driver(qtbot, console, "snap_back", [ORDERS])
    control = driver.dialog.control("snapshot")
    assert isinstance(control, ListControl)
    assert [control.rows.item(row).text().split(" ")[0] for row in range(control.rows.count())] == ["SnapVolume07"]
    assert driver.dialog.inquiry.command == SnapBack(snapshots=(ORDERS_SNAP,))


def test_the_amount_is_told_for_both_directions(qtbot: QtBot, console: Console) -> None:
    driver = Driver(qtbot, console, "snap_back", [ORDERS_SNAP])
    both, _ = snap_words.to_copy(console.config, console.config.volume(ORDERS_SNAP), Master.ORIGINAL)
    assert both == snap_lab.CHANGED + MIB
    told = driver.dialog.control("amount").text.text().splitlines()
    assert [line.split(", about")[0] for line in told] == [
        "Using the original volume: 6 MiB",
        "Using the snapshot: 6 MiB",
    ]


def test_clear_is_confirmed(qtbot: QtBot, window: MainWindow, console: Console, api: PlannedEngine) -> None:
    console.trigger("snap-clear", Selection(console.config, (ORDERS_SNAP,)))
    qtbot.waitUntil(lambda: bool(window.findChildren(QMessageBox)))
    (box,) = window.findChildren(QMessageBox)
    next(each for each in box.buttons() if each.text() == "Snap Clear").click()
    qtbot.waitUntil(lambda: bool(api.submitted))
    assert api.submitted == [ClearSnapshots(volumes=(ORDERS_SNAP,))]


# --- Refresh, and what is kept still ---
def test_refresh_keeps_the_name_of_the_set(qtbot: QtBot, console: Console) -> None:
    driver = Driver(qtbot, console, "refresh_snapshots", [ORDERS_SNAP])
    assert driver.dialog.inquiry.command == RefreshSnapshots(snapshots=(ORDERS_SNAP,), set_name="nightly")
    driver.fill(whole="The whole", quiesce="Not at all")
    wanted = RefreshSnapshots(snapshots=(ORDERS_SNAP, BILLS_SNAP), set_name="nightly", quiesce=Quiesce.NONE)
    assert driver.dialog.inquiry.command == wanted


def test_what_can_be_kept_still_is_told_with_its_level(qtbot: QtBot, console: Console, api: PlannedEngine) -> None:
    driver = Driver(qtbot, console, "snap_shot", [BOOKS]).next(2)
    found = driver.dialog.control("found").text
    assert found.text() == "books: nothing that can be kept still; the snapshot is crash-consistent"
    mount = Freezable(FreezeBy.MOUNT, "the ext4 file system at /srv/books", Consistency.FILE_SYSTEM)
    api.change([replace(api.config.volume(BOOKS), freezers=(mount,))])
    told = "books: the ext4 file system at /srv/books; the snapshot is file-system-consistent"
    qtbot.waitUntil(lambda: found.text() == told)
    driver.fill(quiesce="Not at all")
    assert found.text() == "books: the snapshot is crash-consistent"


# --- words ---
def test_tables_tell_what_a_volume_is_a_snapshot_of(console: Console) -> None:
    from vea_gui.columns import VOLUME

    record = console.config.volume(ORDERS_SNAP)
    told = {column.id: column.text(console.mirror, record) for column in VOLUME}
    assert (told["snapshot"], told["set"]) == ("orders", "nightly")
    assert told["taken"]
    plain = {column.id: column.text(console.mirror, console.config.volume(EV)) for column in VOLUME}
    assert (plain["snapshot"], plain["taken"], plain["set"]) == ("", "", "")


def test_snapshots_and_snap_plexes_have_icons_of_their_own() -> None:
    icons = [snap_words.icon_name(CONFIG[each]) for each in (ORDERS_SNAP, ORDERS, BOOKS_SNAP_PLEX)]
    assert icons == ["snapshot", "volume", "snap-plex"]


# --- hands ---
def dialogs() -> list[object]:
    from PySide6.QtWidgets import QApplication

    from vea_gui.wizards.dialog import FormDialog

    return [each for each in QApplication.topLevelWidgets() if isinstance(each, FormDialog) and each.isVisible()]


def text_of(control: MendedControl, name: str) -> str:
    texts = [control.available.item(row).text() for row in range(control.available.count())]
    return next(text for text in texts if text.split(",")[0] == name)


def stand_on(control: MendedControl, name: str) -> None:
    texts = [control.available.item(row).text().split(",")[0] for row in range(control.available.count())]
    control.available.setCurrentRow(texts.index(name))


def press(control: MendedControl, name: str) -> None:
    next(each for each in control.findChildren(QPushButton) if each.accessibleName() == name).click()


def snap_plexes(api: PlannedEngine, volume: Ref) -> list[object]:
    return [plex for plex in api.config.plexes_of(volume) if plex.snap is not None]


def finish_filling(api: PlannedEngine, volume: Ref) -> None:
    """What the task of Prepare does in the end."""
    from engine.records import PlexState, Task, TaskState

    plexes = [replace(plex, state=PlexState.ACTIVE) for plex in api.config.plexes_of(volume)]
    tasks = [replace(task, state=TaskState.COMPLETED) for task in api.config.all(Kind.TASK, Task)]
    api.change([*plexes, *tasks])


def test_a_guests_agent_and_a_deadline_are_chosen_for_one_set(
    qtbot: QtBot, console: Console, api: PlannedEngine
) -> None:
    driver = Driver(qtbot, console, "snap_shot", [BOOKS]).next(2)
    (row,) = driver.dialog.control("attributes").rows
    agent = row[5]
    assert agent.accessibleName() == "Guest agent's socket of books"
    qtbot.keyClicks(agent, "books.sock")
    driver.settle()
    assert "no whole path" in driver.reason("attributes")
    agent.clear()
    qtbot.keyClicks(agent, "/run/books.sock")
    driver.fill(limit_s=25)
    command = driver.dialog.inquiry.command
    assert isinstance(command, TakeSnapshots)
    assert ([choice.agent for choice in command.choices], command.limit_s) == (["/run/books.sock"], 25)
    driver.fill(quiesce="Not at all")
    assert not driver.dialog.control("limit_s").isEnabled()


def test_what_is_refused_is_said_in_the_words_of_the_dialog(qtbot: QtBot, console: Console) -> None:
    driver = Driver(qtbot, console, "snap_shot", [BOOKS]).next(2)
    driver.fill(quiesce="By the guests")
    assert driver.reason("quiesce") == "No guest agent is known for books. Name its socket, or let it be automatic."


def test_who_keeps_a_volume_still_is_set_for_the_host(qtbot: QtBot, console: Console, api: PlannedEngine) -> None:
    other = Quiescing("other", agent="/run/other")
    settings = console.config.settings
    assert settings is not None
    api.change([replace(settings, quiesce=(other,))])
    driver = Driver(qtbot, console, "quiesce_settings", [BOOKS])
    assert not driver.dialog.finish.isEnabled()
    driver.fill(agent="run/books.sock", program="hold --all")
    assert "whole path" in driver.reason("agent")
    assert "whole path" in driver.reason("program")
    driver.fill(agent="/run/books.sock", program="/opt/hold '--name=my books'", limit_s=20)
    driver.finish()
    mine = Quiescing(BOOKS.id, "/run/books.sock", ("/opt/hold", "--name=my books"))
    assert api.submitted == [ChangeSettings(quiesce=(other, mine), freeze_limit_s=20)]
