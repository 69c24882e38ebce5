"""The main job in one process: a mirrored volume by wizard, its subdisk dragged away while a client verifies its data.

The engine is real and so are window, wizard, Disk View and client. Only Qt's own drag loop is stood in for: it needs a
display's pointer, so `Carried` brings what is dragged to its place by the events that this loop would send.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest
from PySide6.QtCore import QCoreApplication, QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import QDrag, QDragEnterEvent, QDragMoveEvent, QDropEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from engine.commands import Move, MoveSubdisks, Target
from engine.config import Config
from engine.host import OpenedHost
from engine.lab import Lab
from engine.plans import Plan, Problem
from engine.records import Disk, Kind, Plex, Ref, Subdisk, Task, TaskState, TaskType, Volume, VolumeLayout, VolumeStatus
from engine.units import MIB
from tests.e2e.fio import Fio
from tests.gui.form_driver import Driver, close_all
from tests.gui.real_host import host_fixture
from tests.gui.test_wizards_real import idle, make_group, ready
from vea_gui import theme
from vea_gui.actions.book import book
from vea_gui.block_rows import ItemKind
from vea_gui.client_lines import nbd_address
from vea_gui.console import Console
from vea_gui.sessions import Session
from vea_gui.settings import Settings
from vea_gui.views.block_view import BlockView
from vea_gui.views.disk_view import DiskView
from vea_gui.views.main_window import MainWindow
from vea_gui.wizards.dialog import FormDialog

SIZE = 64 * MIB
DEADLINE_MS = 60_000
LEFT = Qt.MouseButton.LeftButton
PLAIN = Qt.KeyboardModifier.NoModifier
ACTION = Qt.DropAction.MoveAction


class VerifyingClient(Fio):
    """fio, leaving no file that says how far it had verified."""

    def _words(self, name: str, rw: str, more: str) -> list[str]:
        return super()._words(name, rw, f"{more}\nverify_state_save=0")


class Opened(Driver):
    """A form that the window has opened by itself."""

    def __init__(self, qtbot: QtBot, window: MainWindow, title: str) -> None:
        self.qtbot = qtbot
        qtbot.waitUntil(lambda: bool(forms(window)))
        [self.dialog] = forms(window)
        assert self.dialog.windowTitle() == title
        self.settle()


class Carried(QDrag):
    """A drag whose pointer goes to `to` at once and lets go there."""

    to: ClassVar[QPoint]
    accepted: ClassVar[bool]
    verdict: ClassVar[object]

    def exec(self, *actions: Qt.DropAction) -> Qt.DropAction:
        view = self.source()
        assert isinstance(view, BlockView)
        assert view.viewport().rect().contains(self.to), "the target is out of sight"
        mime = self.mimeData()
        for kind in (QDragEnterEvent, QDragMoveEvent):
            event = kind(self.to, ACTION, mime, LEFT, PLAIN)
            QApplication.sendEvent(view.viewport(), event)
        type(self).accepted, type(self).verdict = event.isAccepted(), view.hand.verdict
        QApplication.sendEvent(view.viewport(), QDropEvent(QPointF(self.to), ACTION, mime, LEFT, PLAIN))
        self.deleteLater()
        return ACTION


host = host_fixture(Lab(arrays=2, luns=3, lun_size=192 * MIB))
"""An engine on six empty LUNs."""


@pytest.fixture
def walked(qtbot: QtBot, qapp: QApplication, host: OpenedHost, tmp_path: Path) -> Iterator[MainWindow]:
    """The main window on that engine."""
    theme.apply(qapp, "light")
    session, settings = Session.open(host.api), Settings(tmp_path / "console")
    qtbot.waitUntil(lambda: session.bridge.attached)
    window = MainWindow(Console(session, settings, book()))
    window.may_close = True
    window.show()
    qtbot.waitExposed(window)
    yield window
    close_all()
    window.close()
    window.deleteLater()
    session.bridge.close(end=False)
    settings.close()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)


def forms(window: MainWindow) -> list[FormDialog]:
    return [each for each in window.findChildren(FormDialog) if each.isVisible()]


def mirrored_by_wizard(qtbot: QtBot, window: MainWindow) -> Volume:
    """New Volume in the toolbar, its pages, Finish."""
    group = make_group(qtbot, window.console)
    window.console.show_in_tree(group.ref)
    button = next(each for each in window.buttons if each.text() == "New Volume")
    qtbot.waitUntil(button.isEnabled)
    qtbot.mouseClick(button, LEFT)
    Opened(qtbot, window, "New Volume").next(2).fill(name="walk", size="64 MiB", mirrored=True).next(3).finish()
    made = ready(qtbot, window.console, group, "walk")
    assert (made.layout, made.size, made.status) == (VolumeLayout.MIRROR, SIZE, VolumeStatus.HEALTHY)
    return made


def disk_view(qtbot: QtBot, window: MainWindow, group: Ref) -> BlockView:
    """The tab of the group."""
    window.console.show_in_tree(group)
    assert window.right.show_tab("Disk View")
    page = window.right.page()
    assert isinstance(page, DiskView)
    qtbot.waitUntil(page.view.isVisible)
    QApplication.processEvents()
    return page.view


def place(view: BlockView, disk: Ref, offset: int) -> QPoint:
    """A byte of a disk on the screen."""
    number = view.blocks.rows.band_of(disk)
    assert number is not None
    strip = view.arrangement(number).strips[0]
    return QPoint(view.bars_left + strip.bar.x_of(offset), view.band_top(number) + strip.top + 5)


def drag(view: BlockView, subdisk: Subdisk, disk: Ref, offset: int) -> None:
    """Press on a block, pull until Qt takes it for a drag, and let go over a byte of a disk."""
    start = place(view, subdisk.disk, subdisk.disk_offset) + QPoint(6, 0)
    Carried.to, Carried.verdict = place(view, disk, offset) + QPoint(6, 0), None
    QTest.mousePress(view.viewport(), LEFT, PLAIN, start)
    for step in range(1, 4):
        QTest.mouseMove(view.viewport(), start + QPoint(step * QApplication.startDragDistance(), 0))
    QTest.mouseRelease(view.viewport(), LEFT, PLAIN, start)
    assert Carried.verdict is not None, "no drag has begun"


def address(host: OpenedHost) -> str:
    return nbd_address("work", "walk", str(host.nbd))


def fill(folder: Path, host: OpenedHost) -> None:
    """No block stays zero, so that what the move forgets to copy is seen."""
    client = VerifyingClient(folder / "fill", address(host), SIZE)
    try:
        client.wait_until_it_runs()
        client.finish()
    finally:
        client.close()


def plan_of(host: OpenedHost, subdisk: Subdisk, disk: Ref) -> Plan:
    """What the planner says of a move."""
    return host.api.plan(MoveSubdisks(moves=(Move(subdisk.ref, (Target(disk),)),)))


def digest(config: Config, plex: Plex) -> str:
    """Of a concatenated plex as it lies on the LUN files."""
    found, end = hashlib.sha256(), 0
    for piece in config.subdisks_of(plex.ref):
        assert piece.plex_offset == end, "a hole in the plex"
        end += piece.length
        with open(config.disk(piece.disk).lun, "rb") as lun:
            lun.seek(piece.disk_offset)
            data = lun.read(piece.length)
        assert len(data) == piece.length
        assert any(data), "nobody has written here"
        found.update(data)
    assert end == SIZE
    return found.hexdigest()


def same_bytes(config: Config, volume: Volume) -> bool:
    """Whether all mirrors hold the same."""
    return len({digest(config, plex) for plex in config.plexes_of(volume.ref)}) == 1


def item_at(view: BlockView, disk: Ref, offset: int) -> tuple[ItemKind, Ref]:
    """What the picture shows at a byte of a disk."""
    index = view.indexAt(place(view, disk, offset) + QPoint(6, 0))
    assert index.isValid()
    item = view.blocks.item(index)
    return item.kind, item.ref


def refused(host: OpenedHost, window: MainWindow, view: BlockView, subdisk: Subdisk, disk: Disk) -> None:
    """A forbidden disk: the hover, the drop and the planner say the same, and nothing opens."""
    drag(view, subdisk, disk.ref, free_byte(window, disk))
    QApplication.processEvents()
    [problem] = plan_of(host, subdisk, disk.ref).problems
    assert f"{disk.name} holds the other mirror of walk." in problem.sentences
    assert isinstance(Carried.verdict, Problem)
    assert (Carried.verdict.sentences, Carried.accepted) == (problem.sentences, False)
    assert window.status.reason.text() == problem.sentences
    assert forms(window) == []


def free_byte(window: MainWindow, disk: Disk) -> int:
    """The first byte of the largest free region of a disk."""
    return max(window.console.config.free(disk.ref), key=lambda extent: extent.length).start


def moved_by_drag(qtbot: QtBot, window: MainWindow, view: BlockView, source: Subdisk, disk: Disk) -> None:
    """Drop on a free disk, read the plan, OK, and wait for its end."""
    config = window.console.config
    drag(view, source, disk.ref, free_byte(window, disk))
    assert Carried.accepted
    moving = Opened(qtbot, window, "Move Subdisk")
    plan = moving.dialog.plan
    assert plan is not None
    [target] = plan.allocates
    assert (target.disk, target.length) == (disk.ref, source.length)
    assert config.get(source.ref) == source, "nothing happens before OK"
    moving.finish()

    def arrived() -> bool:
        now = window.console.config.get(source.ref)
        return isinstance(now, Subdisk) and (now.disk, now.disk_offset) == (target.disk, target.offset)

    qtbot.waitUntil(arrived, timeout=DEADLINE_MS)
    idle(qtbot, window.console)


@pytest.mark.skipif(shutil.which("fio") is None, reason="fio is missing: nothing verifies the data during the move")
def test_a_subdisk_is_dragged_away_under_a_verifying_client(
    qtbot: QtBot, host: OpenedHost, walked: MainWindow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vea_gui.views.drag.QDrag", Carried)
    console = walked.console
    volume = mirrored_by_wizard(qtbot, walked)
    first, second = console.config.plexes_of(volume.ref)
    [source], [other] = console.config.subdisks_of(first.ref), console.config.subdisks_of(second.ref)
    view = disk_view(qtbot, walked, volume.group)
    empty = next(disk for disk in console.config.disks_of(volume.group) if not console.config.subdisks_on(disk.ref))
    fill(tmp_path, host)
    client = VerifyingClient(tmp_path / "fio", address(host), SIZE)
    try:
        client.wait_until_it_runs()
        qtbot.waitUntil(lambda: bool(console.config.connections_of(volume.ref)))
        connected = console.config.connections_of(volume.ref)
        refused(host, walked, view, source, console.config.disk(other.disk))
        moved_by_drag(qtbot, walked, view, source, empty)
        assert console.config.connections_of(volume.ref) == connected, "the client has been dropped"
        client.stop()
        qtbot.waitUntil(lambda: not console.config.connections_of(volume.ref))  # nothing of it is in flight any more
        check_the_move(console.config, volume, source, empty)  # before anything is written over what was copied
        client.write_all()
    finally:
        client.close()
    assert same_bytes(console.config, volume)
    assert item_at(view, source.disk, source.disk_offset)[0] is ItemKind.FREE
    moved = console.config.subdisk(source.ref)
    assert item_at(view, moved.disk, moved.disk_offset) == (ItemKind.SUBDISK, source.ref)


def check_the_move(config: Config, volume: Volume, source: Subdisk, disk: Disk) -> None:
    """The piece lies there, both mirrors have the same bytes, and where it was nothing is now."""
    assert [each.disk for each in config.subdisks_of(source.plex)] == [disk.ref]
    assert config.volume(volume.ref).status is VolumeStatus.HEALTHY
    assert same_bytes(config, volume)
    begin, end = source.disk_offset, source.disk_offset + source.length
    assert any(extent.start <= begin and end <= extent.end for extent in config.free(source.disk))
    [move] = [task for task in config.all(Kind.TASK, Task) if task.type is TaskType.MOVE_SUBDISK]
    assert move.state is TaskState.COMPLETED
    assert move.bytes_copied >= source.length
