"""A volume's Connections tab: lines to copy, clients live, and reasons when nobody can connect."""

from __future__ import annotations

import os
import pwd
import time
from collections.abc import Iterator

import msgspec
import pytest
from PySide6.QtCore import QCoreApplication, QEvent, QLocale, Qt
from PySide6.QtGui import QGuiApplication
from pytestqt.qtbot import QtBot

from engine.commands import StartVolumes
from engine.records import Connection, Kind, Record
from tests.gui import sample_lab
from tests.gui.planned_engine import PlannedEngine
from vea_gui import moments
from vea_gui.columns import VOLUME
from vea_gui.console import Console
from vea_gui.models import local_moments
from vea_gui.views.connections import ConnectionsTab

EV = sample_lab.ref(Kind.VOLUME, 1)
ST = sample_lab.ref(Kind.VOLUME, 2)
SOCKET = "/run/vea console/nbd.sock"


@pytest.fixture
def records() -> list[Record]:
    host, *others = sample_lab.records()
    return [msgspec.structs.replace(host, nbd_socket=SOCKET), *others]


@pytest.fixture
def tab(qtbot: QtBot, console: Console) -> Iterator[ConnectionsTab]:
    yield from opened(qtbot, console, EV)


def opened(qtbot: QtBot, console: Console, ref: object) -> Iterator[ConnectionsTab]:
    made = ConnectionsTab(console, ref)  # type: ignore[arg-type]
    made.resize(900, 700)
    made.show()
    qtbot.waitExposed(made)
    yield made
    made.release()
    made.close()
    made.deleteLater()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)


def client(number: int, **more: object) -> Connection:
    made = Connection(
        ref=sample_lab.ref(Kind.CONNECTION, number),
        name=f"qemu-system-x86 (process {number})",
        volume=EV,
        since=time.time() - 600,
        process_id=number,
        user_id=os.getuid(),
    )
    return msgspec.structs.replace(made, **more)


def rows(tab: ConnectionsTab) -> list[list[str]]:
    model = tab.clients.model
    return [
        [str(model.index(row, column).data()) for column in range(model.columnCount())]
        for row in range(model.rowCount())
    ]


def test_every_line_is_shown_whole_and_copied_as_it_is(tab: ConnectionsTab, console: Console) -> None:
    told: list[str] = []
    console.told.connect(told.append)
    assert tab.lines.address.text.toPlainText() == "nbd+unix:///dg1/ev?socket=/run/vea%20console/nbd.sock"
    fields = [tab.lines.address, *tab.lines.fields.values()]
    assert list(tab.lines.fields) == ["QEMU", "qemu-img", "nbdcopy", "nbdfuse", "mount", "umount"]
    for field in fields:
        field.button.click()
        assert QGuiApplication.clipboard().text() == field.text.toPlainText()
        assert field.what in told[-1]
    assert len({field.button.accessibleName() for field in fields}) == len(fields)
    tab.resize(420, 700)
    for field in fields:
        needed = field.text.document().documentLayout().documentSize().height() * field.text.fontMetrics().lineSpacing()
        assert field.text.height() >= needed, "a line is cut"
    assert fields[1].text.height() > 2 * fields[1].text.fontMetrics().lineSpacing()


def test_clients_come_and_go_with_user_process_and_date(qtbot: QtBot, tab: ConnectionsTab, api: PlannedEngine) -> None:
    assert [row[0] for row in rows(tab)] == ["fio (process 812)"]
    since = time.time() - 600
    api.change([client(77, since=since), client(78, volume=ST)])
    qtbot.waitUntil(lambda: len(rows(tab)) == 2)
    me = pwd.getpwuid(os.getuid()).pw_name
    qtbot.waitUntil(lambda: rows(tab)[1][1] == me)
    assert rows(tab)[1] == ["qemu-system-x86", me, "77", moments.moment(since), "10 min"]
    api.change(drops=[sample_lab.ref(Kind.CONNECTION, 1), sample_lab.ref(Kind.CONNECTION, 77)])
    qtbot.waitUntil(lambda: not rows(tab))
    assert tab.clients.empty.isVisible()
    assert "Clients would be here" in tab.clients.empty.text.text()


def test_dates_are_the_desktops(qapp: object) -> None:
    when = time.mktime((2026, 3, 4, 15, 6, 0, 0, 0, -1))
    shown = {}
    try:
        for name in ("C", "de_DE", "en_US", "ja_JP"):
            local_moments.follow(QLocale(name))
            # A narrow no-break space stands before the PM of some versions.
            shown[name] = moments.moment(when).replace("\u202f", " "), moments.clock(when).replace("\u202f", " ")
    finally:
        moments.write_as()
    assert shown == {
        "C": ("2026-03-04 15:06:00", "15:06:00"),
        "de_DE": ("04.03.2026 15:06:00", "15:06:00"),
        "en_US": ("3/4/2026 3:06:00 PM", "3:06:00 PM"),
        "ja_JP": ("2026/03/04 15時06分00秒", "15時06分00秒"),
    }


def test_programs_read_the_same_dates_everywhere(tab: ConnectionsTab) -> None:
    try:
        local_moments.follow(QLocale("de_DE"))
        written = tab.clients.model.as_csv([0], range(5)).splitlines()[1]
    finally:
        moments.write_as()
    assert moments.iso_moment(1.7e9) in written


def test_how_long_goes_on_while_seen_and_its_timer_stops_when_not(
    qtbot: QtBot, tab: ConnectionsTab, api: PlannedEngine
) -> None:
    api.change([client(77, since=time.time() - 3)])
    qtbot.waitUntil(lambda: len(rows(tab)) == 2)
    first = rows(tab)[1][4]
    for _ in range(2):  # it goes on, and goes on
        with qtbot.waitSignal(tab.clients.model.dataChanged):
            pass
    assert rows(tab)[1][4] != first
    assert all(shown.endswith((" s", " min")) for shown in (first, rows(tab)[1][4]))
    tab.hide()
    assert not tab.clients._ages.isActive()
    tab.show()
    assert tab.clients._ages.isActive()


def test_a_stopped_volume_says_so_and_can_be_started_here(
    qtbot: QtBot, console: Console, api: PlannedEngine, tab: ConnectionsTab
) -> None:
    assert not tab.why_not.isVisible()
    api.change([msgspec.structs.replace(api.config.volume(EV), started=False)])
    qtbot.waitUntil(tab.why_not.isVisible)
    assert not tab.lines.isVisible()
    assert tab.why_not.why.text() == "Volume ev is stopped."
    assert tab.why_not.help.text()
    qtbot.mouseClick(tab.why_not.button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: StartVolumes(volumes=(EV,)) in api.submitted)
    qtbot.waitUntil(tab.lines.isVisible)
    assert not tab.why_not.isVisible()


def test_a_new_name_is_in_every_line(qtbot: QtBot, tab: ConnectionsTab, api: PlannedEngine) -> None:
    api.change([msgspec.structs.replace(api.config.volume(EV), name="renamed")])
    qtbot.waitUntil(lambda: "/dg1/renamed?" in tab.lines.address.text.toPlainText())
    texts = [field.text.toPlainText() for field in tab.lines.fields.values()]
    assert all("renamed" in text for text in texts)
    assert not any("/ev" in text for text in texts)


def test_a_deleted_volume_leaves_a_sentence(qtbot: QtBot, tab: ConnectionsTab, api: PlannedEngine) -> None:
    plexes = api.config.plexes_of(EV)
    subdisks = [subdisk.ref for plex in plexes for subdisk in api.config.subdisks_of(plex.ref)]
    api.change(drops=[sample_lab.ref(Kind.CONNECTION, 1), *subdisks, *(plex.ref for plex in plexes), EV])
    qtbot.waitUntil(tab.why_not.isVisible)
    assert "not there any more" in tab.why_not.why.text()


def test_writes_that_fail_are_told(qtbot: QtBot, tab: ConnectionsTab, api: PlannedEngine) -> None:
    api.change([msgspec.structs.replace(api.config.volume(EV), fenced="the log disk is gone")])
    qtbot.waitUntil(tab.fenced.isVisible)
    assert "the log disk is gone" in tab.fenced.text()


def test_the_volumes_table_says_who_uses_what(console: Console, api: PlannedEngine, qtbot: QtBot) -> None:
    column = next(column for column in VOLUME if column.title == "In use by")
    assert column.shown
    assert column.text(console.mirror, console.config.volume(EV)) == "fio (process 812)"
    api.change([client(77)])
    qtbot.waitUntil(lambda: "qemu" in column.text(console.mirror, console.config.volume(EV)))
    assert column.text(console.mirror, console.config.volume(ST)) == ""
