"""Menus made from action rows. Standing on a disabled entry tells the reason."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import QMenu, QWidget

from vea_gui import icons
from vea_gui.action_rows import Action
from vea_gui.selection import Selection
from vea_gui.views.reason_menu import ReasonMenu

if TYPE_CHECKING:
    from vea_gui.console import Console

Pick = Callable[[], Selection]


def context_menu(console: Console, selection: Selection, parent: QWidget) -> QMenu:
    """The menu of what is picked; it deletes itself when it has closed."""
    menu = ReasonMenu("", console, parent)
    menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    menu.setAccessibleName("Actions")
    fill(menu, console, console.actions.for_selection(selection), lambda: selection)
    return menu


def fill(menu: ReasonMenu, console: Console, rows: Iterable[Action], pick: Pick) -> None:
    """Put rows into a menu, with lines between sections and submenus as the rows say."""
    submenus: dict[str, ReasonMenu] = {}
    section: int | None = None
    for row in rows:
        if section is not None and row.section != section:
            menu.addSeparator()
        section = row.section
        into = menu
        if row.submenu:
            if row.submenu not in submenus:
                submenus[row.submenu] = ReasonMenu(row.submenu, console, menu)
                menu.addMenu(submenus[row.submenu])
            into = submenus[row.submenu]
        _add(into, console, row, pick)
    refresh(menu, console, pick)


def refresh(menu: QMenu, console: Console, pick: Pick) -> None:
    """Bring labels, marks and greyness of a menu, open or not, up to today's records."""
    selection = pick().on(console.config)
    for entry in menu.actions():
        submenu = entry.menu()
        row = entry.data()
        if isinstance(submenu, QMenu):
            refresh(submenu, console, pick)
        elif isinstance(row, str) and row:
            _update(entry, console, console.actions.row(row), selection)


def _add(menu: ReasonMenu, console: Console, row: Action, pick: Pick) -> None:
    entry = QAction(menu)
    entry.setData(row.id)
    if row.shortcut:
        entry.setShortcut(QKeySequence(row.shortcut))
        entry.setShortcutContext(Qt.ShortcutContext.WidgetShortcut)  # shown here; the window's shortcut does the work
    entry.setCheckable(row.checked is not None)
    entry.triggered.connect(lambda: console.trigger(row.id, pick()))
    entry.hovered.connect(lambda: menu.say(row.hindrance(console, pick().on(console.config))))
    menu.addAction(entry)


def _update(entry: QAction, console: Console, row: Action, selection: Selection) -> None:
    reason = row.hindrance(console, selection)
    entry.setText(row.label(selection))
    if row.icon:
        entry.setIcon(icons.icon(row.icon))
    entry.setEnabled(not reason)
    entry.setToolTip(reason or row.label(selection).replace("&", ""))
    if row.checked is not None:
        entry.setChecked(row.checked(console))
