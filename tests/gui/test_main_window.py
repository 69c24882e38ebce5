"""The main window on a lab: what it shows, follows and asks."""

from __future__ import annotations

import msgspec
import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QMessageBox, QWidget
from pytestqt.qtbot import QtBot

from engine.records import DiskStatus, Kind, Task, TaskState, TaskType
from tests.gui import sample_lab
from tests.gui.planned_engine import PlannedEngine
from tests.gui.sample_lab import GROUP, HOST, ref
from vea_gui.tree_shape import AGENT, DISK_GROUPS, DISKS, VOLUMES, Folder, Key, Path
from vea_gui.views.address_bar import NOWHERE
from vea_gui.views.legend import Legend
from vea_gui.views.main_window import MainWindow
from vea_gui.views.object_tree import LEAST_LETTERS
from vea_gui.views.properties import PropertiesWindow
from vea_gui.views.search import SearchWindow
from vea_gui.views.table_page import TablePage


def at(*keys: Key) -> Path:
    return (HOST, Folder(HOST.id, AGENT), *keys)


IN_GROUP = at(Folder(HOST.id, DISK_GROUPS), GROUP)


def front(window: MainWindow) -> TablePage:
    page = window.right.page()
    assert isinstance(page, TablePage)
    return page


def column(page: TablePage, name: str) -> list[str]:
    at = [each.id for each in page.model.columns].index(name)
    return [page.model.index(row, at).data() for row in range(page.model.rowCount())]


def test_opens_on_the_agent(window: MainWindow) -> None:
    assert window.windowTitle() == "VEA - localhost (administrator)"
    assert window.address.field.text() == "vea://localhost/StorageAgent"


def test_group_has_its_volumes_and_disks(window: MainWindow) -> None:
    window.go(IN_GROUP)
    assert column(front(window), "name") == ["ev", "st"]
    assert column(front(window), "clients") == ["fio (process 812)", ""]
    window.right.show_tab("Disks")
    assert column(front(window), "name") == [f"Harddisk{number}" for number in range(6)]


@pytest.mark.parametrize("width", [900, 1280])
def test_the_page_leaves_room_for_the_tree(qtbot: QtBot, window: MainWindow, width: int) -> None:
    window.resize(width, 780)
    window.across.setSizes([10, width])  # as small as it gets
    window.go(IN_GROUP)
    for number in range(window.right.tabs.count()):
        window.right.tabs.setCurrentIndex(number)
        QApplication.processEvents()
        assert window.tree.width() >= LEAST_LETTERS * window.tree.fontMetrics().averageCharWidth()
        assert window.width() == width
        for legend in window.right.findChildren(Legend):
            if legend.isVisible():
                assert all(legend.rect().contains(entry.geometry()) for entry in legend.entries)


def test_changes_arrive_by_themselves(qtbot: QtBot, window: MainWindow, api: PlannedEngine) -> None:
    window.go(IN_GROUP)
    api.change([msgspec.structs.replace(api.config.volume(ref(Kind.VOLUME, 2)), name="striped")])
    qtbot.waitUntil(lambda: column(front(window), "name") == ["ev", "striped"])
    api.change([sample_lab.volume(3, "a-new-one", 0)])
    qtbot.waitUntil(lambda: column(front(window), "name") == ["a-new-one", "ev", "striped"])
    assert column(front(window), "status")[0] == "Initializing"


def test_picking_moves_nothing(window: MainWindow) -> None:
    window.go(IN_GROUP)
    front(window).view.selectRow(1)
    assert window.console.selection.refs == (ref(Kind.VOLUME, 2),)
    assert window.console.path == IN_GROUP
    assert "1 volume, 512 MiB, 1 mirror on 2 disks picked" in front(window).summary.text()


def test_nothing_picked_means_the_place(window: MainWindow) -> None:
    window.go(IN_GROUP)
    front(window).view.selectRow(0)
    front(window).view.clearSelection()
    assert window.console.selection.refs == (GROUP,)


def test_trouble_rolls_up_with_its_cause(qtbot: QtBot, window: MainWindow, api: PlannedEngine) -> None:
    disk = api.config.disk(ref(Kind.DISK, 3))
    api.change([msgspec.structs.replace(disk, failing=True)])
    tree = window.tree.tree
    group = tree.index_at(IN_GROUP)
    qtbot.waitUntil(lambda: bool(tree.data(group, Qt.ItemDataRole.ToolTipRole)))
    assert f"Harddisk3: {DiskStatus.FAILING}." in tree.data(group, Qt.ItemDataRole.ToolTipRole)
    assert "Harddisk3" in tree.data(tree.index_at((HOST,)), Qt.ItemDataRole.ToolTipRole)


def test_back_forward_up(window: MainWindow) -> None:
    window.go(IN_GROUP)
    window.go(at(Folder(HOST.id, DISKS)))
    window.go_back()
    assert window.console.path == IN_GROUP
    window.go_forward()
    assert window.console.path == at(Folder(HOST.id, DISKS))
    window.go_up()
    assert window.console.path == at()


def test_where_no_way_leads_the_menu_is_grey_and_says_so(window: MainWindow) -> None:
    menu = window.menus.menu("View")

    def possible(way: str) -> bool:
        menu.aboutToShow.emit()
        entry = next(entry for entry in menu.actions() if entry.data() == way)
        assert entry.isEnabled() or entry.toolTip() == NOWHERE[way]
        return entry.isEnabled()

    window.go((HOST,))
    assert not possible("up")
    window.go(IN_GROUP)
    assert possible("back")
    assert possible("up")
    assert not possible("forward")
    assert not window.console.trigger("forward")
    window.go_back()
    assert possible("forward")


def test_what_matters_of_volumes_is_seen_without_scrolling(window: MainWindow) -> None:
    window.resize(1280, 780)
    window.go(IN_GROUP)
    QApplication.processEvents()
    view = front(window).view
    first = view.shown_columns()[:5]
    assert [view.table.columns[section].id for section in first] == ["name", "status", "layout", "size", "clients"]
    assert view.columnViewportPosition(first[-1]) + view.columnWidth(first[-1]) <= view.viewport().width()


def test_logs_are_counted_as_logs(window: MainWindow) -> None:
    window.go((*IN_GROUP, ref(Kind.VOLUME, 1)))
    window.right.show_tab("Logs")
    assert front(window).summary.text() == "0 logs in all"


def test_search_puts_first_what_is_called_so(qtbot: QtBot, window: MainWindow, api: PlannedEngine) -> None:
    api.change([sample_lab.volume(3, "best", 0), sample_lab.volume(4, "a-st-2", 0)])
    qtbot.waitUntil(lambda: ref(Kind.VOLUME, 4) in window.console.config)
    window.search()
    [found] = window.findChildren(SearchWindow)
    found.words.setText("ST")
    found.look()
    names = [found.found.item(row).text() for row in range(found.found.count())]
    assert names[0] == "st   (volume)"
    assert names.index("st-01   (mirror)") < names.index("a-st-2   (volume)")


def test_a_dialog_that_grows_stays_where_it_was_opened(qtbot: QtBot, window: MainWindow) -> None:
    dialog = window.console.ask("evacuate_disk", window.console.at(ref(Kind.DISK, 0)))
    assert dialog is not None
    opened_at = dialog.pos()
    dialog.move(0, 0)  # what is told of its place while a window manager puts its frame around it
    dialog.resize(dialog.width(), 200)
    qtbot.waitUntil(lambda: dialog.height() > 200)
    assert dialog.x() == opened_at.x()
    assert dialog.frameGeometry().bottom() <= dialog.screen().availableGeometry().bottom()
    dialog.reject()


def test_address_leads_there_or_says_what_is_wrong(qtbot: QtBot, window: MainWindow) -> None:
    told: list[str] = []
    window.console.told.connect(told.append)
    field = window.address.field
    field.setText("vea://localhost/StorageAgent/DiskGroups/dg1/ev")
    qtbot.keyClick(field, Qt.Key.Key_Return)
    assert window.console.path == (*IN_GROUP, ref(Kind.VOLUME, 1))
    field.setText("vea://localhost/StorageAgent/Nonsense")
    qtbot.keyClick(field, Qt.Key.Key_Return)
    assert told[-1] == "StorageAgent has nothing named Nonsense."


def test_a_mistyped_address_can_be_corrected(qtbot: QtBot, window: MainWindow) -> None:
    field = window.address.field
    window.activateWindow()
    field.setFocus()
    qtbot.waitUntil(field.hasFocus)
    field.setText("vea://localhost/StorageAgent/Volume")
    qtbot.keyClick(field, Qt.Key.Key_Return)
    assert field.text() == "vea://localhost/StorageAgent/Volume"
    qtbot.keyClicks(field, "s")
    qtbot.keyClick(field, Qt.Key.Key_Return)
    assert window.console.path == at(Folder(HOST.id, VOLUMES))
    field.setText("vea://nowhere")
    window.tree.setFocus()
    qtbot.waitUntil(lambda: field.text() == "vea://localhost/StorageAgent/Volumes")


def test_what_is_gone_leads_to_its_parent(qtbot: QtBot, window: MainWindow, api: PlannedEngine) -> None:
    window.go((*IN_GROUP, ref(Kind.VOLUME, 2)))
    api.change(drops=[ref(Kind.SUBDISK, 3), ref(Kind.SUBDISK, 4), ref(Kind.PLEX, 3), ref(Kind.VOLUME, 2)])
    qtbot.waitUntil(lambda: window.console.path == IN_GROUP)
    assert column(front(window), "name") == ["ev"]


def test_a_tab_stays_when_the_next_place_has_it(window: MainWindow) -> None:
    window.go(IN_GROUP)
    window.right.show_tab("Disks")
    window.go(at(Folder(HOST.id, DISKS)))
    assert window.right.tabs.tabText(window.right.tabs.currentIndex()) == "Disks"


def test_filter_keeps_rows_with_every_word(window: MainWindow) -> None:
    window.go(at(Folder(HOST.id, VOLUMES)))
    window.right.filter.setText("mirr heal")
    assert column(front(window), "name") == ["ev"]
    window.right.filter.setText("nothing like it")
    assert front(window).empty.text.text() == "No row holds “nothing like it”."
    assert not front(window).view.isVisible()


@pytest.mark.parametrize("running", [0, 1, 3])
def test_tasks_tab_counts_what_runs(qtbot: QtBot, window: MainWindow, api: PlannedEngine, running: int) -> None:
    api.change([task(number) for number in range(1, running + 1)])
    title = f"Tasks ({running})" if running else "Tasks"
    qtbot.waitUntil(lambda: window.bottom.tabText(1) == title)
    late = MainWindow(window.console)  # as when windows are shown again
    qtbot.addWidget(late)
    late.may_close = True
    assert late.bottom.tabText(1) == title


def test_buttons_mean_the_only_task_when_none_is_picked(qtbot: QtBot, window: MainWindow, api: PlannedEngine) -> None:
    window.bottom.setCurrentIndex(1)
    pause = window.tasks.buttons[0]
    assert not pause.isEnabled()
    api.change([task(1)])
    qtbot.waitUntil(pause.isEnabled)
    pause.click()
    qtbot.waitUntil(lambda: bool(api.submitted))
    api.change([task(2), task(3)])
    qtbot.waitUntil(lambda: not pause.isEnabled())


def task(number: int, **more: object) -> Task:
    values: dict[str, object] = {
        "type": TaskType.RESYNC,
        "object": ref(Kind.VOLUME, 1),
        "state": TaskState.RUNNING,
        "bytes_total": 1000,
        "bytes_done": 410,
        **more,
    }
    return Task(ref=sample_lab.Ref(Kind.TASK, str(number), HOST.id), name="Resynchronize ev", **values)


def test_closing_with_clients_asks_and_cancel_is_the_default(qtbot: QtBot, window: MainWindow) -> None:
    from vea_gui.views.leaving import Leaving, ask_to_leave

    done: list[str] = []
    ask_to_leave(window.console, Leaving(lambda: done.append("keep"), lambda: done.append("stop")))
    box = window.findChild(QMessageBox)
    assert isinstance(box, QMessageBox)
    assert [button.text() for button in box.buttons()] == ["Keep serving", "Stop serving and close", "Cancel"]
    assert box.defaultButton().text() == "Cancel"
    assert "fio (process 812) on ev" in box.informativeText()
    box.defaultButton().click()
    assert done == []


def test_properties_stay_live(qtbot: QtBot, window: MainWindow, api: PlannedEngine) -> None:
    window.console.properties(ref(Kind.VOLUME, 1))
    shown = window.findChild(PropertiesWindow)
    assert isinstance(shown, PropertiesWindow)
    api.change([msgspec.structs.replace(api.config.volume(ref(Kind.VOLUME, 1)), name="renamed")])
    qtbot.waitUntil(lambda: shown.windowTitle() == "Properties of volume renamed")
    assert "512 MiB (536,870,912 bytes)" in shown.as_text()
    shown.close()


def test_every_showing_control_has_a_name(window: MainWindow) -> None:
    window.go(IN_GROUP)
    nameless = [
        widget
        for widget in window.findChildren(QWidget)
        if widget.isVisible() and widget.focusPolicy() != Qt.FocusPolicy.NoFocus and not _name(widget)
    ]
    assert nameless == []


def _name(widget: QWidget) -> str:
    from PySide6.QtGui import QAccessible

    interface = QAccessible.queryAccessibleInterface(widget)
    return interface.text(QAccessible.Text.Name) if interface is not None else ""


def test_several_are_asked_about_once_and_refused_as_one(qtbot: QtBot, window: MainWindow, api: PlannedEngine) -> None:
    tasks = [task(number, group=GROUP) for number in (1, 2)]
    api.change(tasks)
    qtbot.waitUntil(lambda: window.console.config.count(Kind.TASK) == 2)
    window.console.trigger("abort-task", window.console.at(*(each.ref for each in tasks)))
    qtbot.waitUntil(lambda: bool(window.findChildren(QMessageBox)))
    (box,) = window.findChildren(QMessageBox)
    assert box.text().count("Abort “Resynchronize ev”?") == 2
    assert box.defaultButton().text() == "Cancel"
    assert api.submitted == []
    next(button for button in box.buttons() if button.text() == "Abort Task").click()
    qtbot.waitUntil(lambda: len(api.submitted) == 2)


def test_both_themes_show_while_it_runs(qtbot: QtBot, window: MainWindow, qapp: object) -> None:
    from vea_gui import theme

    window.go(IN_GROUP)
    pictures = []
    for name in ("light", "dark"):
        theme.apply(qapp, name)  # type: ignore[arg-type]
        qtbot.wait(10)
        picture = window.grab().toImage()
        pictures.append(picture.pixelColor(picture.width() // 2, picture.height() // 2).lightness())
    assert pictures[0] > 200
    assert pictures[1] < 60


def test_a_long_reason_has_the_room_to_be_read(window: MainWindow) -> None:
    status = window.status
    window.resize(window.minimumSize())
    window.console.tell("A reason of many words, which says why, and what would help. " * 2)
    assert not status.engine.isVisibleTo(status)
    window.console.tell("")
    assert status.engine.isVisibleTo(status)
