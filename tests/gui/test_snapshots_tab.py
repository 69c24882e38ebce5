"""The Snapshots tab: what stands in the timeline, sets as one object, figures that follow, what an empty one says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import msgspec
import pytest
from PySide6.QtCore import QCoreApplication, QEvent, QItemSelectionModel, Qt
from pytestqt.qtbot import QtBot

from engine.commands import ClearSnapshots, Command, SnapBack
from engine.events import Sample
from engine.plans import Plan
from engine.records import Kind, Record, Ref
from engine.units import KIB, MIB
from tests.gui import sample_lab, snap_lab
from tests.gui.form_driver import close_all
from tests.gui.planned_engine import PlannedEngine
from tests.gui.snap_lab import BILLS_SNAP, BOOKS, BOOKS_SNAP_PLEX, ORDERS, ORDERS_SNAP
from vea_gui.console import Console
from vea_gui.views.main_window import MainWindow
from vea_gui.views.snapshots import SnapshotsTab

DEADLINE_MS = 60_000
EV = sample_lab.ref(Kind.VOLUME, 1)
GROUP = snap_lab.named(snap_lab.snap_records(), "books").group


@pytest.fixture
def records() -> list[Record]:
    return [*sample_lab.records(), *snap_lab.snap_records()]


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    yield
    close_all()


@pytest.fixture
def shown(qtbot: QtBot, console: Console) -> Iterator[Callable[[Ref], SnapshotsTab]]:
    made: list[SnapshotsTab] = []

    def show(scope: Ref) -> SnapshotsTab:
        tab = SnapshotsTab(console, scope)
        tab.resize(1000, 600)
        tab.show()
        qtbot.waitExposed(tab)
        made.append(tab)
        return tab

    yield show
    for tab in made:
        tab.close()
        tab.deleteLater()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)


def pick(tab: SnapshotsTab, *numbers: int) -> None:
    tab.view.clearSelection()
    for number in numbers:
        tab.view.selectionModel().select(tab.model.index(number), QItemSelectionModel.SelectionFlag.Select)


def titles(tab: SnapshotsTab) -> list[str]:
    return [row.title for row in tab.model.rows]


def test_a_volume_has_its_own_snapshots_below_their_set(shown: Callable[[Ref], SnapshotsTab]) -> None:
    tab = shown(ORDERS)
    assert titles(tab) == ["Set nightly", "SnapVolume07 of orders"]
    whole, own = tab.model.rows
    assert whole.refs == (ORDERS_SNAP, BILLS_SNAP)
    assert "SnapVolume07 of orders and SnapVolume08 of bills" in whole.text
    assert "crash-consistent" in whole.text
    assert "5 MiB on orders, 1 MiB on SnapVolume07" in own.text
    assert "using the original volume 6 MiB, about" in own.text
    assert own.shares == (5 / 64, 1 / 64)


def test_a_snap_plex_waits_at_the_top_and_a_group_has_all(shown: Callable[[Ref], SnapshotsTab]) -> None:
    tab = shown(GROUP)
    assert titles(tab) == [
        "books-02, snap plex of books",
        "Set nightly",
        "SnapVolume07 of orders",
        "SnapVolume08 of bills",
    ]
    assert tab.model.rows[0].refs == (BOOKS_SNAP_PLEX,)
    assert "Snap Ready" in tab.model.rows[0].text
    for number, row in enumerate(tab.model.rows):
        spoken = tab.model.index(number).data(Qt.ItemDataRole.AccessibleTextRole)
        assert all(line in spoken for line in (row.title, *row.lines))


def test_the_newest_stands_first(shown: Callable[[Ref], SnapshotsTab], api: PlannedEngine, qtbot: QtBot) -> None:
    tab = shown(GROUP)
    bills = api.config.volume(BILLS_SNAP)
    later = msgspec.structs.replace(bills.links[0], taken=bills.links[0].taken + 60, set_id="", set_name="")
    api.change([msgspec.structs.replace(bills, links=(later,))])
    wanted = ["books-02, snap plex of books", "SnapVolume08 of bills", "SnapVolume07 of orders"]
    qtbot.waitUntil(lambda: titles(tab) == wanted, timeout=DEADLINE_MS)


def test_a_picked_set_is_all_of_its_snapshots(
    shown: Callable[[Ref], SnapshotsTab], console: Console, api: PlannedEngine, qtbot: QtBot
) -> None:
    tab = shown(ORDERS)
    assert not any(button.isEnabled() for button in tab.buttons.values())
    assert all(button.accessibleDescription() for button in tab.buttons.values())
    pick(tab, 0)
    assert console.selection.refs == (ORDERS_SNAP, BILLS_SNAP)
    assert tab.buttons["snap-back"].text() == "Snap Back..."
    assert tab.buttons["snap-back"].isEnabled()
    asked: list[tuple[Ref, ...]] = []
    console.carry_out = lambda *commands: asked.extend(one.volumes for one in commands)  # type: ignore[method-assign]
    tab.buttons["snap-clear"].click()
    assert asked == [(ORDERS_SNAP, BILLS_SNAP)]
    pick(tab, 0, 1)
    assert tab.view.meant() == (ORDERS_SNAP, BILLS_SNAP)


def test_what_is_picked_stays_when_others_come(
    shown: Callable[[Ref], SnapshotsTab], console: Console, api: PlannedEngine, qtbot: QtBot
) -> None:
    tab = shown(GROUP)
    tab.view.setCurrentIndex(tab.model.index(2))
    assert tab.view.meant() == (ORDERS_SNAP,)
    api.submit(ClearSnapshots(volumes=(BILLS_SNAP,)))
    wanted = ["books-02, snap plex of books", "SnapVolume07 of orders"]
    qtbot.waitUntil(lambda: titles(tab) == wanted, timeout=DEADLINE_MS)
    assert tab.view.meant() == (ORDERS_SNAP,)
    assert tab.view.currentIndex().row() == 1


def test_who_writes_has_it_counted_and_the_figures_follow(
    shown: Callable[[Ref], SnapshotsTab], api: PlannedEngine, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Command] = []

    def plan(real: Callable[[Command], Plan], command: Command) -> Plan:
        asked.append(command)
        return real(command)

    monkeypatch.setattr(api, "plan", partial(plan, api.plan))
    tab = shown(ORDERS)
    wanted = SnapBack(snapshots=(ORDERS_SNAP,))
    qtbot.waitUntil(lambda: asked == [wanted] and not tab._counting, timeout=DEADLINE_MS)
    api.sample(Sample(EV, 1.0, 1.0, writes=5), Sample(ORDERS, 1.0, 1.0, reads=5))
    api.sample(Sample(ORDERS_SNAP, 2.0, 1.0, writes=1))
    qtbot.waitUntil(lambda: len(asked) == 2, timeout=DEADLINE_MS)
    orders = api.config.volume(ORDERS)
    generation = orders.links[0].generation
    told = msgspec.structs.replace(orders, changed=((generation, 7 * MIB + 4 * KIB),))
    api.change([told])
    qtbot.waitUntil(lambda: "7.0 MiB on orders" in tab.model.rows[1].text, timeout=DEADLINE_MS)
    assert asked == [wanted, wanted]


def test_an_empty_tab_says_what_to_do(shown: Callable[[Ref], SnapshotsTab]) -> None:
    tab = shown(EV)
    assert tab.stack.currentWidget() is tab.empty
    assert "Snap > Snap Shot" in tab.empty.text.text()
    assert tab.empty.button.text() == "Prepare..."
    tab = shown(BOOKS)
    assert titles(tab) == ["books-02, snap plex of books"]
    tab.set_filter("nobody")
    assert "“nobody”" in tab.empty.text.text()


def test_every_row_is_painted_in_its_place(shown: Callable[[Ref], SnapshotsTab]) -> None:
    """Rows have room for all of their lines, and something stands in every one."""
    tab = shown(GROUP)
    picture = tab.view.viewport().grab().toImage()
    line = tab.view.fontMetrics().height()
    for number, row in enumerate(tab.model.rows):
        rect = tab.view.visualRect(tab.model.index(number))
        assert rect.height() >= (1 + len(row.lines)) * line
        across = {picture.pixel(x, rect.center().y()) for x in range(rect.left(), rect.right())}
        assert len(across) > 2


def test_the_tab_is_there_for_volumes_and_groups(window: MainWindow, console: Console, qtbot: QtBot) -> None:
    for ref in (ORDERS, GROUP):
        console.show_in_tree(ref)
        assert window.right.show_tab("Snapshots")
        assert isinstance(window.right.page(), SnapshotsTab)
