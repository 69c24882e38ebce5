"""The book of actions: every row on every kind of object does something or says why not."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import msgspec
import pytest
from PySide6.QtCore import QCoreApplication, QEvent, Qt
from PySide6.QtGui import QKeySequence
from PySide6.QtWidgets import QMenu
from pytestqt.qtbot import QtBot

from engine.commands import Command, Rescan, encode
from engine.config import Config
from engine.planners import plan
from engine.records import (
    Alert,
    AnyRecord,
    Connection,
    DirtyLog,
    DiskStatus,
    Group,
    GroupState,
    Kind,
    LogPlace,
    Origin,
    PlexState,
    Record,
    Ref,
    Remedy,
    Severity,
    Task,
    TaskState,
    TaskType,
    backup_ref,
)
from tests.engine.builders import Ids
from tests.gui import sample_lab
from tests.gui.planned_engine import PlannedEngine
from tests.gui.sample_lab import GROUP, HOST, HOST_ID, ref
from tests.gui.snap_lab import snap_records
from vea_gui import icons
from vea_gui.action_rows import Action
from vea_gui.actions.book import book
from vea_gui.console import Console
from vea_gui.selection import FreeSpace, Selection
from vea_gui.tree_shape import FOLDER_NAMES
from vea_gui.views.main_window import MainWindow

PLACES = {*(kind.value for kind in Kind), *FOLDER_NAMES, "free"}
FORBIDDEN = ("None", "Traceback", "_", "0x")
replace = msgspec.structs.replace


LOGGED = DirtyLog(1 << 20, tuple(LogPlace(ref(Kind.DISK, n), 0, 1, f"{n:032x}") for n in range(2)))


def more_records() -> list[Record]:
    """The lab with one of everything that an action may meet."""
    found: dict[Ref, Record] = {record.ref: record for record in sample_lab.records()}
    volume = ref(Kind.VOLUME, 1)
    found[ref(Kind.DISK, 4)] = replace(sample_lab.disk(4), failing=True)
    found[ref(Kind.DISK, 5)] = replace(sample_lab.disk(5), present=False, lun="")
    found[ref(Kind.DISK, 11)] = replace(sample_lab.disk(11), content="ext4 file system", status=DiskStatus.FOREIGN)
    found[ref(Kind.DISK, 6)] = replace(sample_lab.disk(0), ref=ref(Kind.DISK, 6), name="Harddisk6")
    in_group = replace(sample_lab.disk(0), ref=ref(Kind.DISK, 7), name="Harddisk7", failing=True)
    found[in_group.ref] = in_group  # nothing lies on it, so that another may take its place
    away = Group(ref=ref(Kind.GROUP, 2), name="away", state=GroupState.DEPORTED)
    found.update({away.ref: away, ref(Kind.GROUP, 3): Group(ref=ref(Kind.GROUP, 3), name="empty")})
    found[ref(Kind.DISK, 10)] = replace(sample_lab.disk(10), group=ref(Kind.GROUP, 3), public_length=1 << 30)
    saved = replace(sample_lab.backup(), ref=backup_ref(ref(Kind.GROUP, 3), 1), group=ref(Kind.GROUP, 3))
    found[saved.ref] = saved
    once = replace(sample_lab.schedule(), ref=ref(Kind.SCHEDULE, 2), name="sometimes", enabled=False)
    found[once.ref] = replace(once, volumes=(ref(Kind.VOLUME, 2),), prepares=True)
    first_half = sample_lab.subdisk(20, 8, 5, 64 << 20)
    second_half = replace(
        sample_lab.subdisk(21, 8, 5, 64 << 20, skip=64 << 20), plex_offset=first_half.length, column=0
    )
    extra: list[AnyRecord] = [
        *snap_records(),
        sample_lab.plex(9, 1, "ev-03", state=PlexState.STALE),
        sample_lab.subdisk(9, 9, 4, 512 << 20),
        replace(sample_lab.volume(3, "halves", 128 << 20), started=False),
        sample_lab.plex(8, 3, "halves-01", state=PlexState.CLEAN),
        first_half,
        second_half,
        sample_lab.volume(4, "twin", 32 << 20),
        *(sample_lab.plex(10 + n, 4, f"twin-0{n + 1}") for n in range(2)),
        *(
            replace(
                sample_lab.subdisk(30 + n, 10 + n, n, 32 << 20, skip=1 << 30),
                origin=Origin(ref(Kind.DISK, 3), 1 << 30) if n else None,
            )
            for n in range(2)
        ),
        sample_lab.plex(12, 4, "twin-03", state=PlexState.STALE),
        sample_lab.subdisk(32, 12, 2, 32 << 20, skip=1 << 30),
        replace(sample_lab.volume(5, "logged", 16 << 20), dirty_log=LOGGED),
        *(sample_lab.plex(13 + n, 5, f"logged-0{n + 1}") for n in range(2)),
        *(sample_lab.subdisk(40 + n, 13 + n, n, 16 << 20, skip=(1 << 30) + (64 << 20)) for n in range(2)),
        Connection(ref=ref(Kind.CONNECTION, 9), name="qemu", volume=ref(Kind.VOLUME, 4), since=1.7e9),
        task(1, "Copy", TaskType.RESYNC, object=volume, group=GROUP, state=TaskState.RUNNING),
        task(2, "Move", TaskType.MOVE_SUBDISK, state=TaskState.COMPLETED, undo=encode(Rescan())),
        task(3, "Verify", TaskType.VERIFY, state=TaskState.FAILED, result="No."),
        task(4, "Rest", TaskType.VERIFY, state=TaskState.PAUSED, paused=True),
        Alert(
            ref=Ref(Kind.ALERT, "1", HOST_ID), name="A disk fails", severity=Severity.WARNING, time=1.7e9, object=volume
        ),
        Alert(
            ref=Ref(Kind.ALERT, "2", HOST_ID),
            name="A disk is missing",
            severity=Severity.ERROR,
            time=1.7e9,
            object=ref(Kind.DISK, 5),
            cause="Its LUN is not there.",
            remedy="Bring its LUN back and rescan.",
            action=Remedy.RESCAN,
        ),
    ]
    found.update({record.ref: record for record in extra})
    return list(found.values())


def task(number: int, name: str, kind: TaskType, **more: object) -> Task:
    return Task(ref=Ref(Kind.TASK, str(number), HOST_ID), name=name, type=kind, **more)  # type: ignore[arg-type]


def selections(config: Config) -> Iterator[Selection]:
    """Each object alone, each pair of a kind, each folder, free space, nothing."""
    for kind in Kind:
        refs = [record.ref for record in config.all(kind, Record)]
        yield from (Selection(config, (each,)) for each in refs)
        yield from (Selection(config, (refs[at], refs[at + 1])) for at in range(len(refs) - 1))
    yield from (Selection(config, folder=name) for name in FOLDER_NAMES)
    yield Selection(config, free=(FreeSpace(ref(Kind.DISK, 0), 600 << 20, 100 << 20),))
    yield Selection(config)


CONFIG = Config.of(more_records())


def test_ids_labels_and_places_make_sense() -> None:
    for row in book().rows:
        assert row.places or row.menu, f"{row.id} stands in no menu"
        assert set(row.places) <= PLACES, row.id
        assert not row.icon or row.icon in icons.NAMES, row.id
        assert row.menu in ("", "File", "Tools", "View", "Help"), row.id
        assert "..." not in row.text or row.text.endswith("..."), row.id


def test_labels_are_unique_in_each_menu() -> None:
    for selection in selections(CONFIG):
        labels = [(row.submenu, row.label(selection)) for row in book().for_selection(selection)]
        assert len(labels) == len(set(labels)), (selection.place, labels)


def test_shortcuts_are_unique_where_they_count() -> None:
    owners: dict[str, list[Action]] = defaultdict(list)
    for row in book().with_shortcut():
        assert not QKeySequence(row.shortcut).isEmpty(), row.id
        owners[row.shortcut].append(row)
    for key, rows in owners.items():
        everywhere = [row for row in rows if row.menu or row.toolbar]
        assert not everywhere or len(rows) == 1, key
        places = [place for row in rows for place in row.places]
        assert len(places) == len(set(places)) or everywhere, key


def test_every_kind_has_actions() -> None:
    for kind in Kind:
        if kind.value in ("connection", "host", "enclosure", "settings", "backup"):
            continue
        one = next(selection for selection in selections(CONFIG) if selection.place == kind.value)
        assert len(book().for_selection(one)) >= 3, kind


@pytest.mark.parametrize("row", book().rows, ids=lambda row: row.id)
def test_reasons_are_sentences(row: Action) -> None:
    for selection in selections(CONFIG):
        if not row.offered_for(selection):
            continue
        reason = row.reason(selection)
        if reason:
            assert reason[0].isupper() or reason[0] == "“" or reason.split()[0] in names(selection), (row.id, reason)
            assert reason.endswith("."), (row.id, reason)
            assert not any(bad in reason for bad in FORBIDDEN), (row.id, reason)


def names(selection: Selection) -> set[str]:
    return {record.name for record in selection.config}


@pytest.mark.parametrize("row", book().rows, ids=lambda row: row.id)
def test_a_row_survives_selections_that_are_gone(row: Action) -> None:
    empty = Config()
    for selection in selections(CONFIG):
        row.reason(selection.on(empty))


def test_several_rows_name_their_count() -> None:
    pair = Selection(CONFIG, (ref(Kind.VOLUME, 1), ref(Kind.VOLUME, 2)))
    labels = [row.label(pair) for row in book().for_selection(pair)]
    assert "Delete 2 Volumes..." in labels
    assert "Resize Volume..." not in labels


class Commands:
    """Stands in for the console, and keeps the commands that it is asked to carry out."""

    def __init__(self) -> None:
        self.asked: list[Command] = []

    def carry_out(self, *commands: Command) -> None:
        self.asked += commands

    submit = carry_out


STRICTER = {"prefer-mirror", "stop-volume-force", "destroy-snapshot"}
"""Rows that are grey where the engine would do it, because it would be of no use."""


@pytest.mark.parametrize("row", book().rows, ids=lambda row: row.id)
def test_grey_rows_say_what_the_engine_says(row: Action) -> None:
    """For every row that needs no dialog: grey exactly where the plan is refused, and with its sentence."""
    for selection in selections(CONFIG):
        commands = Commands()
        try:
            if row.offered_for(selection) and selection.refs:
                row.run(commands, selection)  # type: ignore[arg-type]
        except AttributeError:
            return  # it asks for a dialog or for the window: nothing to compare
        if not commands.asked:
            continue
        plans = [plan(CONFIG, command, Ids()) for command in commands.asked]
        refusals = [plan.problems[0].sentences for plan in plans if plan.problems]
        reason = row.reason(selection)
        if refusals or row.id not in STRICTER:
            assert reason == (refusals[0] if refusals else ""), (row.id, selection.refs)


class Recorder:
    """Stands in for what an action may ask of the console and its window, and writes it down."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.done: list[str] = []

    @property
    def frame(self) -> Recorder:
        return self

    def __getattr__(self, name: str) -> object:
        return lambda *_, **__: self.done.append(name)


@pytest.mark.parametrize("row", book().rows, ids=lambda row: row.id)
def test_every_possible_row_does_something(row: Action) -> None:
    tried = 0
    for selection in selections(CONFIG):
        if (row.offered_for(selection) or row.menu) and not row.reason(selection):
            recorder = Recorder(CONFIG)
            row.run(recorder, selection)  # type: ignore[arg-type]
            assert recorder.done, (row.id, selection.place)
            tried += 1
    assert tried, f"{row.id} is never possible on the lab of this test"


@pytest.fixture
def records() -> list[Record]:
    return more_records()


def test_menus_grey_what_is_impossible_and_tell_why_when_stood_on(
    qtbot: QtBot, window: MainWindow, console: Console
) -> None:
    told: list[str] = []
    console.told.connect(told.append)
    menu = console.menu_for(Selection(console.config, (ref(Kind.VOLUME, 1),)), window)
    entries = {entry.text(): entry for entry in menu.actions() if entry.text()}
    delete = entries["Delete Volume..."]
    assert not delete.isEnabled()
    delete.hover()
    assert "is in use by fio (process 812)" in told[-1] or "The task" in told[-1]
    assert isinstance(entries["Mirror"].menu(), QMenu)
    menu.close()


def test_keys_reach_disabled_entries(qtbot: QtBot, window: MainWindow, console: Console) -> None:
    """Arrow down stands on a grey entry, too, and the status bar has the reason."""
    menu = console.menu_for(Selection(console.config, (ref(Kind.VOLUME, 1),)), window)
    menu.popup(window.pos())
    qtbot.waitUntil(menu.isVisible)
    for _ in range(len(menu.actions())):
        qtbot.keyClick(menu, Qt.Key.Key_Down)
        if menu.activeAction() is not None and menu.activeAction().text() == "Delete Volume...":
            break
    assert menu.activeAction().text() == "Delete Volume..."
    assert window.status.reason.text()
    assert window.status.reason.isVisible()  # nothing covers it
    qtbot.keyClick(menu, Qt.Key.Key_Escape)
    qtbot.waitUntil(lambda: not window.status.reason.text())  # the menu is gone, and its reason with it


def face_of(menu: QMenu, text: str) -> set[str]:
    """The colours along the left edge of an entry."""
    image = menu.grab().toImage()
    entry = next(entry for entry in menu.actions() if entry.text() == text)
    rect = menu.actionGeometry(entry)
    return {image.pixelColor(rect.left() + 1, y).name() for y in range(rect.top() - 2, rect.bottom() + 2)}


def test_a_grey_entry_is_seen_to_be_stood_on(qtbot: QtBot, window: MainWindow, console: Console) -> None:
    menu = console.menu_for(Selection(console.config, (ref(Kind.VOLUME, 1),)), window)
    menu.popup(window.pos())
    qtbot.waitUntil(menu.isVisible)
    entry = next(entry for entry in menu.actions() if entry.text() == "Delete Volume...")
    before = face_of(menu, entry.text())
    menu.setActiveAction(entry)
    after = face_of(menu, entry.text())
    assert not entry.isEnabled()
    assert after - before, "nothing marks the grey entry"
    menu.close()


def test_what_is_told_later_stays_when_the_menu_closes(qtbot: QtBot, window: MainWindow, console: Console) -> None:
    menu = console.menu_for(Selection(console.config, (ref(Kind.VOLUME, 1),)), window)
    menu.popup(window.pos())
    qtbot.waitUntil(menu.isVisible)
    menu.setActiveAction(next(entry for entry in menu.actions() if entry.text() == "Delete Volume..."))
    console.tell("Copied as CSV.")
    menu.close()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)
    assert window.status.reason.text() == "Copied as CSV."


def test_delete_key_asks_for_what_is_picked(qtbot: QtBot, window: MainWindow, api: PlannedEngine) -> None:
    api.change(drops=[ref(Kind.CONNECTION, 1), ref(Kind.CONNECTION, 9)])
    qtbot.waitUntil(lambda: not window.console.session.clients())
    asked: list[object] = []
    window.console.carry_out = asked.append  # type: ignore[method-assign]
    window.console.select([ref(Kind.VOLUME, 2)])
    window._pressed("Del")
    assert [type(command).__name__ for command in asked] == ["DeleteVolumes"]
    window.console.select([GROUP])
    window._pressed("Del")
    assert len(asked) == 1
    assert "holds" in window.status.reason.text()


def test_actions_menu_follows_what_is_picked(window: MainWindow, console: Console) -> None:
    menu = window.menus.menu("Actions")
    console.select([ref(Kind.SUBDISK, 3)])
    menu.aboutToShow.emit()
    assert "Move Subdisk..." in [entry.text() for entry in menu.actions()]
    console.select([HOST])
    menu.aboutToShow.emit()
    assert "Move Subdisk..." not in [entry.text() for entry in menu.actions()]
