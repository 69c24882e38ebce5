"""The main window: builds its parts and places them. Rules live elsewhere."""

from __future__ import annotations

import functools
from collections.abc import Callable

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QCloseEvent, QKeySequence, QShortcut
from PySide6.QtWidgets import QHBoxLayout, QMainWindow, QSplitter, QStackedWidget, QTabWidget, QToolBar, QWidget

from engine.records import Kind, Ref
from vea_gui import icons
from vea_gui.console import Console
from vea_gui.location import History
from vea_gui.mirror import Change
from vea_gui.selection import Selection
from vea_gui.tree_shape import Folder, Path, path_to
from vea_gui.views import windows
from vea_gui.views.address_bar import NOWHERE, AddressBar
from vea_gui.views.alert_panel import AlertPanel
from vea_gui.views.control_panel import ControlPanel
from vea_gui.views.log_view import LogView
from vea_gui.views.menu_bar import MenuBar
from vea_gui.views.object_tabs import ObjectTabs
from vea_gui.views.object_tree import ObjectTreeView
from vea_gui.views.perspectives import PERSPECTIVES, PerspectiveBar
from vea_gui.views.status_bar import ConsoleStatusBar
from vea_gui.views.tab_order import step, stops
from vea_gui.views.table_view import RecordTableView
from vea_gui.views.task_panel import ActionButton, TaskPanel

SMALLEST = (900, 560)
BOTTOM_LINES = 14
TITLE_BAR = 32  # pixels that a window manager may need above the window


class MainWindow(QMainWindow):
    """One window on a session. It is the `Frame` of its console."""

    wants_new_window = Signal()
    wants_close = Signal(object)  # this window, before it closes
    wants_leave = Signal()

    def __init__(self, console: Console) -> None:
        super().__init__()
        self.console = console
        self.may_close = False  # set when leaving has been settled
        self.history = History()
        self.tree = ObjectTreeView(console)
        self.right = ObjectTabs(console)
        self.tasks = TaskPanel(console)
        self.alerts = AlertPanel(console)
        self.logs = LogView(console)
        self.control = ControlPanel(console)
        self.address = AddressBar(console, self.history)
        self.perspectives = PerspectiveBar()
        self.bottom = QTabWidget()
        self.views = QStackedWidget()
        console.settle_in(self, self)
        self._place()
        self._wire()
        self._restore()
        self._retitle()
        self._count_tasks()
        self.tree.setFocus()

    # --- Frame ---
    def go(self, path: Path) -> None:
        self.show_perspective("system")
        self.tree.go(path)

    def go_back(self) -> None:
        self._step(self.history.back(self.console.config), NOWHERE["back"])

    def go_forward(self) -> None:
        self._step(self.history.forward(self.console.config), NOWHERE["forward"])

    def go_up(self) -> None:
        above = self.console.path[:-1]
        if above:
            self.go(above)
        else:
            self.console.tell(NOWHERE["up"])

    def nowhere(self, way: str) -> str:
        return self.address.nowhere(way)

    def show_tab(self, ref: Ref | None, folder: str, title: str) -> None:
        host = self.console.host
        if ref is not None:
            path = path_to(self.console.config, host, ref)
        else:
            path = next((each for each in (self.console.path,) if each), None)
            key = path[-1] if path else None
            if not isinstance(key, Folder) or key.name != folder:
                path = (host, Folder(host.id, "agent"), Folder(host.id, folder))
        if path is not None:
            self.go(path)
            self.right.show_tab(title)

    def toggle(self, part: str) -> None:
        widget = self._parts()[part]
        widget.setVisible(widget.isHidden())

    def is_shown(self, part: str) -> bool:
        return not self._parts()[part].isHidden()

    def show_perspective(self, name: str) -> None:
        self.views.setCurrentIndex(list(PERSPECTIVES).index(name))
        self.perspectives.show_chosen(name)

    def perspective(self) -> str:
        return list(PERSPECTIVES)[self.views.currentIndex()]

    def focus_address(self) -> None:
        self.address.setVisible(True)
        self.address.field.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self.address.field.selectAll()

    def focus_filter(self) -> None:
        field = self.logs.filter if self.perspective() == "logs" else self.right.filter
        if field.isVisible():
            field.setFocus(Qt.FocusReason.ShortcutFocusReason)
            field.selectAll()
        else:
            self.console.tell("This view has no filter.")

    def choose_columns(self) -> None:
        view = self._table()
        if view is None:
            self.console.tell("This view has no columns.")
            return
        menu = view.column_menu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.popup(view.mapToGlobal(view.rect().topLeft()))

    def copy_table(self) -> None:
        view = self._table()
        if view is None:
            self.console.tell("This view is no table.")
            return
        view.copy()
        self.console.tell("Copied as CSV.")

    def properties(self, selection: Selection) -> None:
        windows.properties(self.console, selection)

    def new_window(self) -> None:
        self.wants_new_window.emit()

    def close_window(self) -> None:
        self.close()

    def leave(self) -> None:
        self.wants_leave.emit()

    def search(self) -> None:
        windows.search(self.console)

    def error_console(self) -> None:
        windows.error_console(self.console)

    def control_panel(self, page: str) -> None:
        self.show_perspective("control")
        self.control.open(page)

    def event_notification(self) -> None:
        windows.event_notification(self.console)

    def preferences(self) -> None:
        windows.preferences(self.console)

    def shortcuts(self) -> None:
        windows.shortcuts(self.console)

    def about(self) -> None:
        windows.about(self.console)

    # --- Qt's events ---
    def focusNextPrevChild(self, forward: bool) -> bool:
        """Tab goes where an operator works: tree, tabs and their page, what is below; then the bars around it."""
        parts = [self.down, self.perspectives, *self.buttons, self.address, self.status.alert]
        order = [stop for part in parts for stop in stops(part)]
        return step(order, self.focusWidget(), forward) or super().focusNextPrevChild(forward)

    def closeEvent(self, event: QCloseEvent) -> None:
        if not self.may_close:
            event.ignore()
            self.wants_close.emit(self)
            return
        self.keep()
        event.accept()

    def keep(self) -> None:
        """Write down where everything is."""
        settings = self.console.settings
        settings.keep_state("window/geometry", self.saveGeometry())
        settings.keep_state("window/across", self.across.saveState())
        settings.keep_state("window/down", self.down.saveState())
        for panel in (self.right, self.tasks, self.alerts, self.logs):
            panel.release()

    # --- building ---
    def _place(self) -> None:
        self.bottom.setDocumentMode(True)
        self.bottom.setAccessibleName("Console and Tasks")
        self.bottom.addTab(self.alerts, "Console")
        self.bottom.addTab(self.tasks, "Tasks")
        self.across = QSplitter(Qt.Orientation.Horizontal)
        self.across.addWidget(self.tree)
        self.across.addWidget(self.right)
        self.across.setStretchFactor(1, 1)
        self.across.setSizes([240, 860])
        self.views.addWidget(self.across)
        self.views.addWidget(self.control)
        self.views.addWidget(self.logs)
        self.down = QSplitter(Qt.Orientation.Vertical)
        self.down.addWidget(self.views)
        self.down.addWidget(self.bottom)
        self.down.setStretchFactor(0, 1)
        self.down.setSizes([480, BOTTOM_LINES * self.fontMetrics().height()])
        for splitter in (self.across, self.down):
            splitter.setChildrenCollapsible(False)
        middle = QWidget()
        row = QHBoxLayout(middle)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(0)
        row.addWidget(self.perspectives)
        row.addWidget(self.down, 1)
        self.setCentralWidget(middle)
        self._place_bars()

    def _place_bars(self) -> None:
        self.toolbar = QToolBar("Toolbar", self)
        self.toolbar.setMovable(False)
        self.toolbar.toggleViewAction().setVisible(False)
        self.buttons = [
            ActionButton(self.console, row.id, self.toolbar, words=True) for row in self.console.actions.on_toolbar()
        ]
        for button in self.buttons:
            self.toolbar.addWidget(button)
        self.toolbar.addSeparator()
        self.toolbar.addWidget(self.address)
        self.addToolBar(self.toolbar)
        self.status = ConsoleStatusBar(self.console, self.tasks, self.alerts, self)
        self.setStatusBar(self.status)
        self.menus = MenuBar(self.console, self)
        self.setMenuBar(self.menus)
        self.setWindowIcon(icons.icon("vea"))
        self.setMinimumSize(*SMALLEST)
        room = self.screen().availableSize()
        self.resize(QSize(1280, 780).boundedTo(QSize(room.width(), room.height() - TITLE_BAR)))

    def _wire(self) -> None:
        console = self.console
        self.perspectives.chosen.connect(self.show_perspective)
        self.status.alert_pressed.connect(lambda: self._show_bottom(0))
        console.place_changed.connect(self._stands)
        console.selection_changed.connect(self._refresh_buttons)
        console.changed.connect(self._changed)
        keys: dict[str, None] = {row.shortcut: None for row in console.actions.with_shortcut()}
        for key in keys:
            self._shortcut(key, functools.partial(self._pressed, key))
        for number in range(1, 10):
            self._shortcut(f"Ctrl+{number}", functools.partial(self.right.show_number, number))
        self.show_perspective("system")
        if console.session.bridge.attached:
            self.tree.start()

    def _shortcut(self, key: str, run: Callable[[], object]) -> None:
        shortcut = QShortcut(QKeySequence(key), self)
        shortcut.setContext(Qt.ShortcutContext.WindowShortcut)
        shortcut.activated.connect(run)

    def _restore(self) -> None:
        settings = self.console.settings
        geometry = settings.state("window/geometry")
        if geometry is not None:
            self.restoreGeometry(geometry)
        for name, splitter in (("across", self.across), ("down", self.down)):
            state = settings.state(f"window/{name}")
            if state is not None:
                splitter.restoreState(state)
        if settings.note:
            self.console.tell(settings.note)

    # --- following ---
    def _pressed(self, key: str) -> None:
        """A key of the book: of rows with one key, the one that is meant for what is picked."""
        rows = [row for row in self.console.actions.with_shortcut() if row.shortcut == key]
        selection = self.console.selection.on(self.console.config)
        fitting = [row for row in rows if row.menu or row.toolbar or row.offered_for(selection)]
        if fitting:
            self.console.trigger(fitting[0].id, selection)
        else:
            self.console.tell("This key does nothing for what is picked.")

    def _stands(self, path: Path) -> None:
        self.history.visit(path)
        self.address.show_place()
        self._refresh_buttons()

    def _step(self, path: Path | None, otherwise: str) -> None:
        if path is None:
            self.console.tell(otherwise)
            return
        self.go(path)

    def _changed(self, change: Change) -> None:
        if change.touches(Kind.TASK):
            self._count_tasks()
        if change.touches(Kind.HOST):
            self._retitle()
        if change.touches(Kind.GROUP, Kind.DISK):
            self._refresh_buttons()

    def _count_tasks(self) -> None:
        unfinished = len(self.tasks.unfinished())
        self.bottom.setTabText(1, f"Tasks ({unfinished})" if unfinished else "Tasks")

    def _retitle(self) -> None:
        host = self.console.config.get(self.console.host)
        title = f"VEA - {host.name} (administrator)" if host is not None else "VEA"
        if self.windowTitle() != title:
            self.setWindowTitle(title)

    def _refresh_buttons(self, _: object = None) -> None:
        for button in self.buttons:
            button.update_reason()

    def _show_bottom(self, tab: int) -> None:
        self.bottom.show()
        self.bottom.setCurrentIndex(tab)
        self.bottom.currentWidget().setFocus()

    def _parts(self) -> dict[str, QWidget]:
        return {
            "toolbar": self.toolbar,
            "address": self.address,
            "perspectives": self.perspectives,
            "bottom": self.bottom,
        }

    def _table(self) -> RecordTableView | None:
        pages = {"logs": self.logs.page, "control": self.control.page}
        page = pages.get(self.perspective(), self.right.page)()
        return windows.table_of(page)
