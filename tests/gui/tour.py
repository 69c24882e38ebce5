"""A tour through one main window: every place with every tab, every menu that differs, every dialog that one opens."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from PySide6.QtCore import QCoreApplication, QEvent, QModelIndex, QPoint
from PySide6.QtGui import QContextMenuEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QApplication,
    QDialog,
    QHeaderView,
    QMenu,
    QMessageBox,
    QPushButton,
    QTabBar,
    QWidget,
)

from tests.e2e.inventory import complaints, unreasoned
from tests.gui.cut_text import cut
from tests.gui.form_variants import variants
from tests.gui.planned_engine import PlannedEngine
from tests.gui.spoken import entries_of, menu_nodes, spoken
from vea_gui.selection import Selection
from vea_gui.tree_shape import AGENT, VOLUMES, Folder, Path, children, title
from vea_gui.views.block_page import BlockPage
from vea_gui.views.main_window import MainWindow
from vea_gui.views.menu_bar import MENUS, NOTHING
from vea_gui.views.perspectives import PERSPECTIVES
from vea_gui.views.table_page import TablePage
from vea_gui.wizards.control import Control
from vea_gui.wizards.dialog import FormDialog

DEADLINE_S = 60.0
OF_EACH_STATE = frozenset({"properties"})
"""Actions whose dialog is opened for every menu that differs; all others once for each kind of object."""
HEAD_PIXELS, MARK_PIXELS = 8, 16
"""Around a column's title, and for the arrow that says by which column rows are sorted."""
EXCUSED = frozenset({"/lab/"})
"""Paths in narrow columns are shortened; their tooltips are whole."""


class Tour:
    """`found` has what is wrong and where it was seen first; `acted` the actions that were opened."""

    def __init__(self, window: MainWindow, api: PlannedEngine, whole_tabs: bool) -> None:
        self.window, self.console, self.api = window, window.console, api
        self.whole_tabs = whole_tabs
        self.found: dict[str, str] = {}
        self.sights: list[str] = []
        self.menus: set[object] = set()
        self.acted: set[str] = set()
        self._opened: set[tuple[object, ...]] = set()
        self._waiting: list[tuple[str, Selection, object, str]] = []
        self._told: list[str] = []
        self.console.told.connect(self._told.append)

    def all(self) -> None:
        """Everything, once."""
        for path in places(self.window, (self.console.host,)):
            self.place(path)
            self.act_all()
        for name in PERSPECTIVES:
            self.window.show_perspective(name)
            self.perspective(name)
            self.act_all()
        self.stand_at_a_table()
        self.come_back()
        self.fixed_menus()
        self.act_all()

    # --- looking ---
    def look(self, widget: QWidget, where: str, node: dict[str, Any] | None = None) -> None:
        """Hold a sight to every rule."""
        self.sights.append(where)
        seen = node or spoken(widget)
        lines = [line.removeprefix(": ") for line in complaints(seen, "") if not foreign(widget) or "no name" in line]
        lines += mute(widget)
        lines += [f"{name!r} is grey and does not say why" for name in unreasoned(seen) if not foreign(widget)]
        lines += [line for line in cut(widget) if not any(each in line for each in EXCUSED)]
        lines += [*heads(widget), *(tabs(widget) if self.whole_tabs else ()), *too_large(widget)]
        for line in lines:
            self.found.setdefault(line, where)

    def settle(self) -> None:
        """What is on its way inside the process arrives."""
        for _ in range(4):
            QApplication.processEvents()

    def until(self, done: Callable[[], object], what: str) -> None:
        end = time.monotonic() + DEADLINE_S
        while not done():
            if time.monotonic() > end:
                raise TimeoutError(f"{what}: {self.sights[-1:]}")
            QApplication.processEvents()

    # --- places ---
    def place(self, path: Path) -> None:
        """Every tab of a place of the tree, and the menus in it."""
        window = self.window
        window.go(path)
        name = title(self.console.config, path[-1])
        self.row_menu(window.tree, window.tree.currentIndex(), self.console.selection, f"tree > {name}")
        bar = window.right.tabs.tabBar()
        for number in range(bar.count()):
            window.right.show_number(number + 1)
            window.bottom.setCurrentIndex(number % window.bottom.count())
            self.settle()
            where = f"{name} > {bar.tabText(number)}"
            self.look(window, where)
            self.menus_of(window.right.page(), where)

    def perspective(self, name: str) -> None:
        """The tabs of the logs, and the panels below."""
        bars = [each for each in self.window.findChildren(QTabBar) if each.isVisibleTo(self.window)]
        for bar in bars:
            for number in range(bar.count()):
                bar.setCurrentIndex(number)
                self.settle()
                self.look(self.window, f"{name} > {bar.tabText(number)}")
        pages = self.window.findChildren(TablePage)
        for page in pages:
            bars[-1].setCurrentIndex(0)
            if page.isVisibleTo(self.window):
                self.menus_of(page, f"{name} > {page.view.name}")
        for number in range(self.window.bottom.count()):
            self.window.bottom.setCurrentIndex(number)
            self.settle()
            self.menus_of(self.window.bottom.currentWidget(), f"{name} > {self.window.bottom.tabText(number)}")

    # --- menus ---
    def menus_of(self, page: QWidget | None, where: str) -> None:
        """A menu for each row and block of a page whose actions or reasons differ from all before."""
        if page is None:
            return
        for table in [page] if isinstance(page, TablePage) else page.findChildren(TablePage):
            for row in range(table.model.rowCount()):
                record = self.console.config[table.model.ref(row)]
                about = Selection(self.console.config, (record.ref,))
                table.view.setCurrentIndex(table.model.index(row, 0))
                self.row_menu(table.view, table.model.index(row, 0), about, f"{where} > {record.name}")
            if table.model.rowCount() > 1:
                table.view.selectAll()
                refs = tuple(table.view.selected_refs())
                self.row_menu(table.view, QModelIndex(), Selection(self.console.config, refs), f"{where} > all rows")
                table.view.clearSelection()
        if isinstance(page, BlockPage):
            self.block_menus(page, where)

    def block_menus(self, page: BlockPage, where: str) -> None:
        view = page.view
        for row in range(view.model().rowCount()):
            index = view.model().index(row, 0)
            view.setCurrentIndex(index)
            self.row_menu(view, index, self.console.selection, f"{where} > {index.data()}")

    def row_menu(self, view: QAbstractItemView, index: QModelIndex, about: Selection, where: str) -> None:
        """Open the context menu by its key, unless one just like it has been seen."""
        about = about.on(self.console.config)
        rows = self.console.actions.for_selection(about)
        key = (about.place, about.count > 1, tuple((row.id, said(row.reason(about), about)) for row in rows))
        if not rows or key in self.menus:
            return
        self.menus.add(key)
        place = view.visualRect(index).center() if index.isValid() else QPoint(8, 8)
        event = QContextMenuEvent(QContextMenuEvent.Reason.Keyboard, place, view.viewport().mapToGlobal(place))
        QApplication.sendEvent(view, event)
        self.settle()
        menus = [each for each in QApplication.topLevelWidgets() if isinstance(each, QMenu) and each.isVisible()]
        if not menus:
            self.found.setdefault("a context menu does not open", where)
            return
        self.menu(menus[-1], about, where, key)

    def fixed_menus(self) -> None:
        """The menu bar, with nothing picked."""
        for name in MENUS:
            menu = self.window.menus.menu(name)
            menu.popup(self.window.mapToGlobal(QPoint(40, 40)))
            self.settle()
            self.menu(menu, self.console.selection, f"menu {name}", name)

    def menu(self, menu: QMenu, about: Selection, where: str, key: object) -> None:
        """Look at a menu, stand on what is grey, and open what is possible."""
        self.look(menu, f"{where} > menu", menu_nodes(menu))
        possible: list[str] = []
        for entry in entries_of(menu):
            inner = entry.menu()
            if isinstance(inner, QMenu):
                inner.popup(menu.pos())
                self.menu(inner, about, f"{where} > {inner.title()}", (key, inner.title()))
            elif not entry.isEnabled():
                self._told.clear()
                entry.hover()
                if entry.text() != NOTHING and not any(self._told):
                    self.found.setdefault(f"{entry.text()!r} is grey and nothing is told of it", where)
            elif isinstance(entry.data(), str) and entry.data():
                possible.append(entry.data())
        menu.close()
        self.settle()
        self._waiting += [(action, about, key, where) for action in possible]

    # --- what actions open ---
    def act_all(self) -> None:
        """Choose what the menus of a place have offered; some of it leads away from there."""
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            self.act(*each)

    def stand_at_a_table(self) -> None:
        host = self.console.host
        self.window.go((host, Folder(host.id, AGENT), Folder(host.id, VOLUMES)))
        self.window.right.show_number(1)
        self.settle()

    def come_back(self) -> None:
        """There is something ahead, so that Forward leads somewhere."""
        self.window.go_up()
        self.window.go_back()
        self.settle()

    def act(self, action: str, about: Selection, key: object, where: str) -> None:
        """Choose an entry once for each kind of object, and look at whatever comes."""
        mark = (action, about.place, about.count > 1, key if action in OF_EACH_STATE else "")
        if mark in self._opened:
            return
        self._opened.add(mark)
        self.stand_at_a_table()
        if action == "forward":
            self.come_back()
        self._told.clear()
        if not self.console.trigger(action, about):
            self.found.setdefault(f"{action} was possible and is not: {self._told}", where)
            return
        self.answered()
        row = self.console.actions.row(action)
        if row.text.endswith("...") and not self.windows():
            self.found.setdefault(f"{row.text!r} opens nothing", where)
        self.acted.add(action)
        for opened in self.windows():
            self.opened(opened, f"{where} > {row.label(about).replace('&', '')}")
        self.put_back()

    def answered(self) -> None:
        """Until the engine has answered what it was asked, and what follows from that."""
        for _ in range(2):
            done: list[object] = []
            self.console.session.bridge.call(lambda: None, done.append, self.console.show_error)
            self.until(lambda done=done: done, "the engine does not answer")
        self.settle()

    def windows(self) -> list[QWidget]:
        """Dialogs and menus above the window."""
        tops = [each for each in QApplication.topLevelWidgets() if each.isVisible() and each is not self.window]
        return [each for each in tops if isinstance(each, QDialog | QMenu)]

    def opened(self, top: QWidget, where: str) -> None:
        """Every page and variant of a dialog; then it is left."""
        if isinstance(top, QMenu):
            self.look(top, where, menu_nodes(top))
        elif isinstance(top, FormDialog):
            for name in variants(top, self.until):
                self.look(top, f"{where} > {name}")
            self.inner(top, where, [each for each in top.findChildren(QPushButton) if asks_more(each)])
        else:
            self.settle()
            self.look(top, where)
            self.inner(top, where, [each for each in top.findChildren(QPushButton) if "Details" in each.text()])
        top.close()
        QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)
        self.settle()

    def inner(self, top: QWidget, where: str, buttons: Sequence[QPushButton]) -> None:
        """What the buttons of a dialog open in turn: its help, the file chooser, details."""
        for button in buttons:
            mark = (type(top).__name__, top.windowTitle(), button.text())
            if mark in self._opened:
                continue
            self._opened.add(mark)
            before = self.windows()
            button.click()
            self.settle()
            above = [each for each in self.windows() if each not in before]
            for each in above or [top]:
                self.look(each, f"{where} > {button.text()}")
            for each in above:
                each.close()
            self.settle()

    def put_back(self) -> None:
        """As it was before: the first perspective, nothing hidden, no menu open."""
        for part in ("toolbar", "address", "perspectives", "bottom"):
            if not self.window.is_shown(part):
                self.window.toggle(part)
        for each in self.windows():
            each.close()
        self.settle()


def places(window: MainWindow, path: Path) -> Iterator[Path]:
    """Every place of the tree, parents first."""
    yield path
    for key in children(window.console.config, path[-1]):
        yield from places(window, (*path, key))


def said(reason: str, about: Selection) -> str:
    """A reason without the names in it: the same for each object in the same state."""
    names = sorted({record.name for record in about.config}, key=len, reverse=True)
    for name in names:
        reason = reason.replace(name, "*")
    return reason


def mute(widget: QWidget) -> Iterator[str]:
    """Fields of forms that are grey, where the hint stands in the reason's place."""
    for control in widget.findChildren(Control):
        if control.isVisibleTo(widget) and not control.isEnabledTo(control.parentWidget()):
            said = (control.focusProxy() or control).accessibleDescription()
            if not control.field.off or said != control.field.off or control.toolTip() != said:
                yield f"the field {control.field.label!r} is grey and does not say why"


def foreign(widget: QWidget) -> bool:
    """Qt's own dialogs show names of files as they are, and grey what they will."""
    return type(widget).__name__ == "QFileDialog"


def asks_more(button: QPushButton) -> bool:
    return button.isVisible() and button.isEnabled() and button.text().replace("&", "") in ("Help", "Browse...")


def heads(widget: QWidget) -> Iterator[str]:
    """Titles of columns that are narrower than their words."""
    for header in widget.findChildren(QHeaderView):
        if not header.isVisibleTo(widget) or header.model() is None:
            continue
        for section in range(header.count()):
            text = str(header.model().headerData(section, header.orientation()))
            marked = header.isSortIndicatorShown() and header.sortIndicatorSection() == section
            need = header.fontMetrics().horizontalAdvance(text) + (MARK_PIXELS if marked else 0)
            if not header.isSectionHidden(section) and header.sectionSize(section) < need + HEAD_PIXELS:
                yield f"the column {text!r} has {header.sectionSize(section)} of {need} pixels"


def tabs(widget: QWidget) -> Iterator[str]:
    """Tabs that are scrolled out of sight. With large type some are, and arrows lead to them."""
    for bar in widget.findChildren(QTabBar):
        needed = sum(bar.tabSizeHint(number).width() for number in range(bar.count()))
        if bar.isVisibleTo(widget) and needed > bar.width():
            yield f"tabs {[bar.tabText(number) for number in range(bar.count())]} need {needed} pixels"


def too_large(widget: QWidget) -> Iterator[str]:
    """Windows that do not fit the screen."""
    screen, size = widget.screen().size(), widget.size()
    if size.width() > screen.width() or size.height() > screen.height():
        yield f"{type(widget).__name__} {widget.windowTitle()!r} needs {size.toTuple()} of {screen.toTuple()}"
    if isinstance(widget, QMessageBox) and widget.sizeHint().height() > screen.height():
        yield f"{widget.windowTitle()!r} needs {widget.sizeHint().toTuple()} of {screen.toTuple()}"
