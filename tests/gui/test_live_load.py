"""Ten thousand volumes, five thousand changes a second, a running task, a live plot: each movement is answered.

What is measured, and how, is said in test_bridge_load.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator

import msgspec
import pytest
from PySide6.QtCore import QCoreApplication, QEvent, QPoint, Qt
from PySide6.QtGui import QCursor, QDragEnterEvent, QDragLeaveEvent, QDragMoveEvent
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from engine.events import Event, Sample, Upsert
from engine.records import (
    Disk,
    Kind,
    Plex,
    PlexState,
    Ref,
    Subdisk,
    Task,
    TaskParams,
    TaskState,
    TaskType,
    Volume,
    VolumeStatus,
)
from engine.units import GIB, MIB
from tests.gui.planned_engine import PlannedEngine
from tests.gui.sample_lab import GROUP, HOST, PUBLIC, ref
from tests.gui.test_bridge_load import (
    BURST,
    CHANGES_A_SECOND,
    DISKS,
    VOLUMES_IN_ALL,
    OwnStalls,
    answered,
    api,
    check,
    check_stalls,
    collector,
    records,
)
from vea_gui.actions.book import book
from vea_gui.block_rows import ItemKind, Key
from vea_gui.console import Console
from vea_gui.plots.performance import PerformanceTab
from vea_gui.sessions import Session
from vea_gui.settings import Settings
from vea_gui.tree_shape import AGENT, DISK_GROUPS, Folder
from vea_gui.views.block_view import BlockView
from vea_gui.views.disk_view import DiskView
from vea_gui.views.drag import Load, pack
from vea_gui.views.main_window import MainWindow
from vea_gui.views.table_page import TablePage
from vea_gui.views.table_view import RecordTableView

__all__ = ["api", "collector", "records"]  # fixtures

SECONDS = 3
IN_GROUP = (HOST, Folder(HOST.id, AGENT), Folder(HOST.id, DISK_GROUPS), GROUP)
TASK = Ref(Kind.TASK, "77", HOST.id)
WATCHED = ref(Kind.VOLUME, 4_000)
LEFT, PLAIN = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier


class LiveEngine:
    """A thread that plays an engine at work: states, progress, traffic, rows and blocks that come and go."""

    def __init__(self, api: PlannedEngine) -> None:
        self.api = api
        self.sent = 0
        self._random = random.Random(11)
        self._stop = threading.Event()
        self._volumes = [api.config.volume(ref(Kind.VOLUME, number)) for number in range(VOLUMES_IN_ALL)]
        self._task = Task(
            ref=TASK,
            name="Move Harddisk0-0",
            type=TaskType.MOVE_SUBDISK,
            object=WATCHED,
            group=GROUP,
            params=TaskParams(volume=WATCHED),
            bytes_total=GIB,
            state=TaskState.RUNNING,
        )
        self._thread = threading.Thread(target=self._run, name="engine stream")

    def __enter__(self) -> LiveEngine:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        start = time.monotonic()
        while not self._stop.wait(max(start + (self.sent + BURST) / CHANGES_A_SECOND - time.monotonic(), 0.0)):
            number = self.sent // BURST
            events = [*self._rows(number), *self._progress(number), *self._traffic(number)]
            events += [self._volume() for _ in range(BURST - len(events))]
            self.api.publish(events)
            self.sent += BURST

    def _volume(self) -> Event:
        volume = self._random.choice(self._volumes)
        return Upsert(msgspec.structs.replace(volume, status=self._random.choice(list(VolumeStatus))))

    def _progress(self, number: int) -> Iterator[Event]:
        done = number * MIB % GIB
        yield Upsert(msgspec.structs.replace(self._task, bytes_done=done, bytes_copied=done))
        plex = self.api.config.plex(ref(Kind.PLEX, self._random.randrange(2 * VOLUMES_IN_ALL)))
        yield Upsert(msgspec.structs.replace(plex, state=self._random.choice((PlexState.ACTIVE, PlexState.FILLING))))

    def _traffic(self, number: int) -> Iterator[Event]:
        """Once a second, for all that are busy."""
        if number % (CHANGES_A_SECOND // BURST) == 0:
            for who in (WATCHED, HOST, *(ref(Kind.DISK, disk) for disk in range(40))):
                reads = self._random.randrange(5_000)
                yield Sample(who, time.time(), 1.0, reads=reads, writes=9, read_bytes=reads * 4096, busy_s=0.2)

    def _rows(self, number: int) -> Iterator[Event]:
        """Ten times a second a subdisk changes its length, and once a second a disk with a volume on it is new."""
        if number % 10 == 0:
            subdisk = self.api.config.subdisk(ref(Kind.SUBDISK, self._random.randrange(4 * VOLUMES_IN_ALL)))
            yield Upsert(msgspec.structs.replace(subdisk, length=self._random.randrange(5, 11) * MIB))
        if number % 100 == 50:
            yield from (Upsert(record) for record in newcomers(number))


def newcomers(number: int) -> Iterator[Disk | Volume | Plex | Subdisk]:
    """A disk before all others, and a volume before all others on it."""
    disk, volume, plex = (ref(kind, 1_000_000 + number) for kind in (Kind.DISK, Kind.VOLUME, Kind.PLEX))
    template = Disk(ref=disk, name=f"A{number}", size=2048 * GIB, group=GROUP, present=True)
    offset, length = PUBLIC.public_offset, 2000 * GIB
    yield msgspec.structs.replace(
        template, public_offset=offset, public_length=length, enclosure=ref(Kind.ENCLOSURE, 0)
    )
    yield Volume(ref=volume, name=f"A{number}", group=GROUP, size=20 * MIB, copies=1)
    yield Plex(ref=plex, name=f"A{number}-01", volume=volume, state=PlexState.ACTIVE, complete=True)
    yield Subdisk(
        ref=ref(Kind.SUBDISK, 1_000_000 + number),
        name=f"A{number}-01",
        plex=plex,
        disk=disk,
        disk_offset=offset,
        plex_offset=0,
        length=20 * MIB,
    )


@pytest.fixture
def plot(qtbot: QtBot, session: Session, settings: Settings, window: MainWindow) -> Iterator[PerformanceTab]:
    """A second window on the same session, with the live plot of a volume and the tasks below."""
    shown = MainWindow(Console(session, settings, book()))
    shown.may_close = True
    shown.show()
    qtbot.waitExposed(shown)
    shown.bottom.setCurrentWidget(shown.tasks)
    shown.show_tab(WATCHED, "", "Performance")
    page = shown.right.page()
    assert isinstance(page, PerformanceTab)
    qtbot.waitUntil(lambda: all(view.chart is not None for view in page.panels), timeout=60_000)
    yield page
    shown.close()
    shown.deleteLater()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)


@pytest.fixture
def live(
    qtbot: QtBot, window: MainWindow, plot: PerformanceTab, api: PlannedEngine, collector: object
) -> Iterator[LiveEngine]:
    """The engine at work, and everything open; it has run for a moment."""
    window.go(IN_GROUP)
    window.right.show_tab("Volumes")
    with LiveEngine(api) as engine:
        qtbot.waitUntil(lambda: engine.sent >= CHANGES_A_SECOND // 2, timeout=60_000)
        yield engine


def table(window: MainWindow) -> RecordTableView:
    page = window.right.page()
    assert isinstance(page, TablePage)
    return page.view


def blocks(window: MainWindow) -> BlockView:
    page = window.right.page()
    assert isinstance(page, DiskView)
    return page.view


def run_on(qtbot: QtBot, engine: LiveEngine, seconds: float) -> None:
    """Let so many seconds of changes arrive."""
    until = engine.sent + seconds * CHANGES_A_SECOND
    qtbot.waitUntil(lambda: engine.sent >= until, timeout=60_000)


def test_lists_trees_and_menus_answer(qtbot: QtBot, window: MainWindow, live: LiveEngine) -> None:
    page, view, right = window.right.page(), table(window), window.right
    assert isinstance(page, TablePage)
    down, up = Qt.SortOrder.DescendingOrder, Qt.SortOrder.AscendingOrder
    view.selectRow(40)
    menus = []
    group = window.tree.currentIndex()

    def menu() -> None:
        menus.append(window.console.menu_for(window.console.selection, view))
        menus[-1].popup(view.mapToGlobal(view.rect().center()))

    acts: dict[str, Callable[[], object]] = {
        "sort by what changes": lambda: view.sortByColumn(1, down),
        "sort by name": lambda: view.sortByColumn(0, up),
        "filter": lambda: right.filter.setText("Volume77"),
        "another letter": lambda: right.filter.setText("Volume771"),
        "no filter": lambda: right.filter.clear(),
        "to the end": view.scrollToBottom,
        "expand": lambda: window.tree.expand(group),
        "collapse": lambda: window.tree.collapse(group),
        "menu of a row": menu,
        "no menu": lambda: menus[0].close(),
        "menu bar": lambda: window.menus.menu("Actions").aboutToShow.emit(),
        "disks": lambda: right.show_tab("Disks"),
        "disk view": lambda: right.show_tab("Disk View"),
        "volume view": lambda: right.show_tab("Volume View"),
        "another object": lambda: window.go((*IN_GROUP, ref(Kind.VOLUME, 5_000))),
        "back": lambda: window.go(IN_GROUP),
    }
    took = {}
    for name, act in acts.items():
        took[name] = answered(act)
        run_on(qtbot, live, 0.1)
    check(took)


def test_a_drag_in_disk_view_answers(qtbot: QtBot, window: MainWindow, live: LiveEngine) -> None:
    window.right.show_tab("Disk View")
    run_on(qtbot, live, 0.5)
    view = blocks(window)
    mime = pack(Load((ref(Kind.SUBDISK, 0),)))
    viewport = view.viewport()

    def enter() -> None:
        QApplication.sendEvent(viewport, QDragEnterEvent(QPoint(400, 60), Qt.DropAction.MoveAction, mime, LEFT, PLAIN))

    def over(x: int, y: int) -> Callable[[], object]:
        event = QDragMoveEvent(QPoint(x, y), Qt.DropAction.MoveAction, mime, LEFT, PLAIN)
        return lambda: QApplication.sendEvent(viewport, event)

    took = {"begin": answered(enter)}
    assert view.hand.lift is not None
    for step in range(12):
        x, y = 300 + 40 * step, 40 + viewport.height() * step // 14
        took[f"move {step}"] = answered(over(x, y))
        run_on(qtbot, live, 0.05)
    took["leave"] = answered(lambda: QApplication.sendEvent(viewport, QDragLeaveEvent()))
    assert view.hand.lift is None
    keyboard = view.blocks.index_of((ItemKind.SUBDISK, ref(Kind.SUBDISK, 0), 0))
    view.setCurrentIndex(keyboard)
    took["lift by keyboard"] = answered(view._lift_current)
    assert view.hand.by_keyboard
    took["next target"] = answered(lambda: view.hand.walk(1))
    view.hand.cancel("")
    check(took)


def test_nothing_stalls_and_everything_stays(qtbot: QtBot, window: MainWindow, live: LiveEngine) -> None:
    """Current row, what is picked, scrolling, and an open menu with the entry that the pointer stands on."""
    window.tree.expand(window.tree.currentIndex())
    view = table(window)
    current = view.table.row_of(ref(Kind.VOLUME, 5_000))
    assert current is not None
    view.selectRow(current)
    view.scrollTo(view.table.index(current, 0), view.ScrollHint.PositionAtCenter)
    branch, tree_top = window.tree.currentIndex(), window.tree.verticalScrollBar().value()
    menu = window.console.menu_for(window.console.selection, view)
    menu.popup(view.mapToGlobal(view.rect().center()))
    entry = next(action for action in menu.actions() if not action.isSeparator())
    menu.setActiveAction(entry)
    place, texts = menu.pos(), [action.iconText() for action in menu.actions()]
    qtbot.wait(300)
    before = window.console.selection.refs, _top_of_current(view), window.tree.verticalScrollBar().value()
    with OwnStalls() as stalls:
        run_on(qtbot, live, SECONDS)
    check_stalls("tables", stalls)
    assert (window.console.selection.refs, _top_of_current(view), window.tree.verticalScrollBar().value()) == before
    assert view.selected_refs() == [ref(Kind.VOLUME, 5_000)] == [view.table.ref(view.currentIndex().row())]
    assert window.tree.currentIndex() == branch
    assert tree_top == before[2]
    assert menu.isVisible()
    assert menu.pos() == place
    assert menu.activeAction() is entry
    assert [action.iconText() for action in menu.actions()] == texts
    menu.close()


def _top_of_current(view: RecordTableView) -> int:
    """Where the current row is on the screen."""
    return view.visualRect(view.currentIndex()).top()


def test_the_block_under_the_pointer_stays(qtbot: QtBot, window: MainWindow, live: LiveEngine) -> None:
    """While disks come before it and blocks around it change their length; nothing stalls meanwhile."""
    window.right.show_tab("Disk View")
    view = blocks(window)
    view.verticalScrollBar().setValue(view.verticalScrollBar().maximum() // 2)
    qtbot.wait(100)
    point, key = _some_block(view)
    QCursor.setPos(view.viewport().mapToGlobal(point))
    disks = len(view.blocks.rows.bands)
    with OwnStalls() as stalls:
        run_on(qtbot, live, SECONDS)
    check_stalls("blocks", stalls)
    assert len(view.blocks.rows.bands) >= disks + SECONDS - 1
    index = view.indexAt(point)
    assert index.isValid()
    assert view.blocks.item(index).key == key


def _some_block(view: BlockView) -> tuple[QPoint, Key]:
    """The middle of a subdisk that can be seen, of a disk in the middle."""
    for y in range(view.viewport().height() // 2, view.viewport().height(), 4):
        for x in range(view.bars_left, view.viewport().width(), 3):
            index = view.indexAt(QPoint(x, y))
            if index.isValid() and view.blocks.item(index).kind is ItemKind.SUBDISK:
                return view.visualRect(index).center(), view.blocks.item(index).key
    raise AssertionError("no subdisk is in sight")


def test_plot_and_task_live_meanwhile(qtbot: QtBot, window: MainWindow, plot: PerformanceTab, live: LiveEngine) -> None:
    """What moves on the screen does move: the curve has grown, the task's bar has advanced, disks are new."""
    shown = plot.console.window
    assert isinstance(shown, MainWindow)
    run_on(qtbot, live, 2.2)
    assert plot.isVisible()
    operations = plot.panels[0].chart
    assert operations is not None
    assert len(operations.curves[0].getData()[1]) >= 2
    assert window.console.mirror.work_on(WATCHED)[0].ref == TASK
    assert shown.tasks.isVisible()
    first = window.console.config.task(TASK).bytes_done
    run_on(qtbot, live, 0.3)
    assert window.console.config.task(TASK).bytes_done != first
    assert window.console.config.count(Kind.DISK) > DISKS
