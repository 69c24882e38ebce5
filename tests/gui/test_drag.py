"""Moving blocks by hand, with the mouse's events and with the keyboard, up to the plan that opens."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt
from PySide6.QtGui import QDragEnterEvent, QDragLeaveEvent, QDragMoveEvent, QDropEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLabel, QMessageBox, QRadioButton
from pytestqt.qtbot import QtBot

from engine.commands import Move
from engine.config import Config
from engine.plans import Problem
from engine.records import Kind, Ref, Subdisk
from engine.units import GIB, MIB
from tests.gui.block_lab import GROUP, Lab, close_console, open_console, push, ref, sample_lab
from vea_gui.console import Console
from vea_gui.drops import Drop
from vea_gui.views.block_view import BlockView
from vea_gui.views.disk_view import DiskView
from vea_gui.views.drag import MIME, Load, pack, unpack
from vea_gui.views.main_window import MainWindow
from vea_gui.wizards.dialog import FormDialog

EV = ref(Kind.SUBDISK, "d0-01")
LEFT = Qt.MouseButton.LeftButton
PLAIN = Qt.KeyboardModifier.NoModifier


class Scene:
    """A Disk View, what it asks and what it tells."""

    def __init__(self, console: Console, page: DiskView, monkeypatch: pytest.MonkeyPatch) -> None:
        self.console, self.page, self.view = console, page, page.view
        self.asked: list[tuple[str, tuple[Ref, ...], tuple[Any, ...]]] = []
        self.told: list[str] = []
        console.told.connect(self.told.append)
        monkeypatch.setattr(console, "ask", self._ask)

    def _ask(self, name: str, selection: Any, *more: Any) -> None:
        self.asked.append((name, selection.refs, more))

    def place(self, disk: str, offset: int) -> QPoint:
        """A byte of a disk on the screen."""
        view = self.view
        number = view.blocks.rows.band_of(ref(Kind.DISK, disk))
        assert number is not None
        strip = view.arrangement(number).strips[0]
        return QPoint(view.bars_left + strip.bar.x_of(offset), view.band_top(number) + strip.top + 5)

    def enter(self, mime: QMimeData) -> bool:
        event = QDragEnterEvent(QPoint(300, 20), Qt.DropAction.MoveAction, mime, LEFT, PLAIN)
        QApplication.sendEvent(self.view.viewport(), event)
        return event.isAccepted()

    def over(self, mime: QMimeData, at: QPoint) -> bool:
        event = QDragMoveEvent(at, Qt.DropAction.MoveAction, mime, LEFT, PLAIN)
        QApplication.sendEvent(self.view.viewport(), event)
        return event.isAccepted()

    def drop(self, mime: QMimeData, at: QPoint) -> None:
        event = QDropEvent(QPointF(at), Qt.DropAction.MoveAction, mime, LEFT, PLAIN)
        QApplication.sendEvent(self.view.viewport(), event)
        QApplication.processEvents()


@pytest.fixture
def stage(qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    opened: list[Console] = []

    def make(config: Config) -> Scene:
        console = open_console(config, tmp_path)
        opened.append(console)
        page = DiskView(console, GROUP)
        qtbot.addWidget(page)
        page.resize(1200, 760)
        page.show()
        QApplication.processEvents()
        return Scene(console, page, monkeypatch)

    yield make
    for console in opened:
        close_console(console)


def test_only_refs_travel() -> None:
    load = Load((EV,), 5 * MIB)
    assert unpack(pack(load)) == load
    foreign = QMimeData()
    foreign.setText("hello")
    assert unpack(foreign) is None
    foreign.setData(MIME, b"not ours")
    assert unpack(foreign) is None


def test_a_drop_opens_the_plan_with_its_moves(stage: Any) -> None:
    scene = stage(sample_lab())
    mime = pack(Load((EV,)))
    assert scene.enter(mime)
    assert scene.over(mime, scene.place("d4", GIB))
    verdict = scene.view.hand.verdict
    assert isinstance(verdict, Drop)
    scene.drop(mime, scene.place("d4", GIB))
    [(name, refs, (moves,))] = scene.asked
    assert name == "move_subdisk"
    assert refs == (EV,)
    [move] = moves
    assert isinstance(move, Move)
    assert move.targets[0].disk == ref(Kind.DISK, "d4")
    assert move.targets[0].offset % MIB == 0
    assert scene.view.hand.lift is None


def test_a_forbidden_target_says_why_and_takes_nothing(stage: Any) -> None:
    scene = stage(sample_lab())
    mime = pack(Load((EV,)))
    scene.enter(mime)
    assert not scene.over(mime, scene.place("d6", 1500 * MIB))
    assert scene.view.hand.verdict == Problem(
        "Harddisk6 holds the other mirror of ev.", "Choose a disk without a part of this volume.", ref(Kind.DISK, "d6")
    )
    scene.drop(mime, scene.place("d6", 1500 * MIB))
    assert scene.asked == []
    assert scene.told[-1].startswith("Harddisk6 holds the other mirror of ev.")


def test_foreign_drags_are_not_ours(stage: Any) -> None:
    scene = stage(sample_lab())
    foreign = QMimeData()
    foreign.setText("hello")
    assert not scene.enter(foreign)
    assert scene.view.hand.lift is None


def test_leaving_forgets_what_came_from_elsewhere(stage: Any) -> None:
    scene = stage(sample_lab())
    scene.enter(pack(Load((EV,))))
    QApplication.sendEvent(scene.view.viewport(), QDragLeaveEvent())
    assert scene.view.hand.lift is None


def test_a_block_that_vanished_under_the_drag_is_let_go(stage: Any) -> None:
    scene = stage(sample_lab())
    mime = pack(Load((EV,)))
    scene.enter(mime)
    push(scene.console, gone=[EV])
    assert scene.view.hand.lift is None
    assert scene.told == ["Harddisk0-01 is gone. Nothing was moved."]
    scene.drop(mime, scene.place("d4", GIB))
    assert scene.asked == []


def test_a_target_that_filled_up_under_the_drag_is_told(stage: Any) -> None:
    scene = stage(sample_lab())
    mime = pack(Load((EV,)))
    scene.enter(mime)
    at = scene.place("d4", GIB)
    assert scene.over(mime, at)
    push(
        scene.console,
        Subdisk(
            ref=ref(Kind.SUBDISK, "new"),
            name="Harddisk4-02",
            plex=ref(Kind.PLEX, "log-01"),
            disk=ref(Kind.DISK, "d4"),
            disk_offset=400 * MIB,
            plex_offset=GIB,
            length=1600 * MIB,
        ),
    )
    assert scene.view.hand.lift is None
    assert scene.told[-1].endswith("Nothing was moved.")


def split_lab() -> Config:
    lab = Lab(4, GIB)
    lab.volume("big", [[(0, 700 * MIB)]])
    for disk in (1, 2, 3):
        lab.volume(f"fill{disk}", [[(disk, 700 * MIB)]])
    return lab.config()


def test_what_fits_nowhere_asks_before_it_is_split(stage: Any) -> None:
    scene = stage(split_lab())
    mime = pack(Load((EV,)))
    scene.enter(mime)
    at = scene.place("d1", 900 * MIB)
    assert scene.over(mime, at)
    scene.drop(mime, at)
    assert scene.asked == []
    [box] = scene.page.findChildren(QMessageBox)
    assert "No free region takes all of big-01 (Harddisk0-01), 700 MiB." in box.text()
    split = next(button for button in box.buttons() if button.text() == "Split")
    split.click()
    [(_, _, (moves,))] = scene.asked
    assert sum(target.length for target in moves[0].targets) == 700 * MIB
    assert len(moves[0].targets) == 3


# --- the keyboard does all of it ---
def stand_on(view: BlockView, subdisk: Ref) -> None:
    view.setFocus()
    [row] = view.blocks.rows.rows_of(subdisk)
    view.setCurrentIndex(view.blocks.index(row))


def name(view: BlockView) -> str:
    return str(view.currentIndex().data(Qt.ItemDataRole.AccessibleTextRole))


def test_space_lifts_arrows_walk_legal_targets_enter_drops(stage: Any) -> None:
    scene = stage(sample_lab())
    view = scene.view
    stand_on(view, EV)
    QTest.keyClick(view, Qt.Key.Key_Space)
    lifted = "ev-01 (Harddisk0-01), 900 MiB lifted."
    assert scene.told[-1] == f"{lifted} Arrows choose among 8 places, Enter drops, Escape cancels."
    seen = [name(view)]
    for _ in range(7):
        QTest.keyClick(view, Qt.Key.Key_Right)
        seen.append(name(view))
    assert all(each.startswith("free, ") for each in seen)
    assert not any("Harddisk6 " in each or "Harddisk1 " in each for each in seen)
    assert len(set(seen)) == 8
    QTest.keyClick(view, Qt.Key.Key_Right)
    assert name(view) == seen[0]
    QTest.keyClick(view, Qt.Key.Key_Left)
    assert name(view) == seen[-1]
    QTest.keyClick(view, Qt.Key.Key_Return)
    QApplication.processEvents()
    [(asked, refs, (moves,))] = scene.asked
    assert asked == "move_subdisk"
    assert refs == (EV,)
    assert moves[0].targets[0].disk == ref(Kind.DISK, "d11")
    assert not view.hand.by_keyboard


def test_escape_puts_it_back_where_it_was(stage: Any) -> None:
    scene = stage(sample_lab())
    stand_on(scene.view, EV)
    QTest.keyClick(scene.view, Qt.Key.Key_Space)
    QTest.keyClick(scene.view, Qt.Key.Key_Down)
    QTest.keyClick(scene.view, Qt.Key.Key_Escape)
    assert name(scene.view).startswith("ev-01")
    assert scene.told[-1] == "Nothing was moved."
    assert scene.asked == []
    assert scene.view.hand.lift is None


def test_space_where_nothing_can_be_lifted_says_so(stage: Any) -> None:
    scene = stage(sample_lab())
    view = scene.view
    view.setFocus()
    view.setCurrentIndex(view.blocks.index(0))
    QTest.keyClick(view, Qt.Key.Key_Space)
    assert "Stand on a block" in scene.told[-1]
    assert not view.hand.by_keyboard


def test_space_without_any_legal_target_gives_the_reason(stage: Any) -> None:
    scene = stage(sample_lab())
    busy = ref(Kind.SUBDISK, "d4-01")  # its volume has a task already
    stand_on(scene.view, busy)
    QTest.keyClick(scene.view, Qt.Key.Key_Space)
    assert "is running on web" in scene.told[-1]
    assert not scene.view.hand.by_keyboard


def test_a_change_under_a_keyboard_lift_is_told(stage: Any) -> None:
    scene = stage(sample_lab())
    stand_on(scene.view, EV)
    QTest.keyClick(scene.view, Qt.Key.Key_Space)
    disk = scene.view.blocks.item(scene.view.currentIndex()).ref
    push(scene.console, msgspec.structs.replace(scene.console.config.disk(disk), present=False))
    assert scene.told[-1].endswith("is missing. Nothing was moved.")
    assert not scene.view.hand.by_keyboard


def test_menu_and_properties_by_keyboard(stage: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = stage(sample_lab())
    triggered: list[tuple[str, tuple[Ref, ...]]] = []
    monkeypatch.setattr(scene.console, "trigger", lambda action, at: triggered.append((action, at.refs)))
    stand_on(scene.view, EV)
    QTest.keyClick(scene.view, Qt.Key.Key_Return)
    assert triggered == [("properties", (ref(Kind.VOLUME, "ev"),))]


def test_a_drop_opens_the_dialog_with_the_place_that_was_meant(qtbot: QtBot, window: MainWindow) -> None:
    """The frame, the wizards and the pictures together, on records that the real planner answers for."""
    console = window.console
    subdisk = console.config.all(Kind.SUBDISK, Subdisk)[0]
    page = DiskView(console, console.config.group_of(subdisk))
    qtbot.addWidget(page)
    page.resize(1000, 600)
    page.show()
    hand = page.view.hand
    stand_on(page.view, subdisk.ref)
    QTest.keyClick(page.view, Qt.Key.Key_Space)
    target = page.console.config.disk(page.view.blocks.item(page.view.currentIndex()).ref).name
    assert hand.by_keyboard
    QTest.keyClick(page.view, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: bool(window.findChildren(FormDialog)))
    [dialog] = window.findChildren(FormDialog)
    assert dialog.windowTitle() == "Move Subdisk"
    words = [label.text() for kind in (QLabel, QRadioButton) for label in dialog.findChildren(kind)]
    assert any(f"Where it was dropped: {target} at" in each for each in words)
    dialog.reject()
