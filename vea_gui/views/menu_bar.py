"""The menu bar: File, Tools, Actions, View, Help. Actions has what is possible with what is picked."""

from __future__ import annotations

from PySide6.QtWidgets import QMenu, QMenuBar, QWidget

from vea_gui.console import Console
from vea_gui.selection import Selection
from vea_gui.views import menus
from vea_gui.views.reason_menu import ReasonMenu

MENUS = ("File", "Tools", "Actions", "View", "Help")
NOTHING = "Pick an object in the tree or in a table to see its actions."


class MenuBar(QMenuBar):
    """Menus keep their entries; what they read is brought up to date whenever one opens."""

    def __init__(self, console: Console, parent: QWidget) -> None:
        super().__init__(parent)
        self.console = console
        self.setAccessibleName("Menu")
        self._about: Selection | None = None
        self._menus: dict[str, ReasonMenu] = {}
        for name in MENUS:
            menu = ReasonMenu(f"&{name}", console, self)
            self.addMenu(menu)
            self._menus[name] = menu
            if name == "Actions":
                menu.aboutToShow.connect(self._show_actions)
            else:
                menus.fill(menu, console, console.actions.for_menu(name), self._picked)
                menu.aboutToShow.connect(lambda menu=menu: menus.refresh(menu, console, self._picked))
        self._show_actions()

    def menu(self, name: str) -> QMenu:
        return self._menus[name]

    def _picked(self) -> Selection:
        return self.console.selection

    def _show_actions(self) -> None:
        """Entries for what is picked; made anew only when something else is picked."""
        menu, selection = self._menus["Actions"], self.console.selection
        if self._about is None or selection != self._about:
            self._about = selection
            menu.clear()
            menus.fill(menu, self.console, self.console.actions.for_selection(selection), self._picked)
            if menu.isEmpty():
                menu.addAction(NOTHING).setEnabled(False)
        else:
            menus.refresh(menu, self.console, self._picked)
