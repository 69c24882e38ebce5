"""The tree at the left: its current place alone decides what the right side shows."""

from __future__ import annotations

from PySide6.QtCore import QModelIndex, QPoint, Qt
from PySide6.QtGui import QContextMenuEvent, QFocusEvent, QKeyEvent
from PySide6.QtWidgets import QAbstractItemView, QTreeView

from vea_gui import theme
from vea_gui.console import Console
from vea_gui.mirror import Change
from vea_gui.models.tree import ObjectTree
from vea_gui.selection import Selection
from vea_gui.tree_shape import AGENT, Folder, Path

LEAST_LETTERS = 26
"""So many letters of a name are seen at least, however wide the page beside it would like to be."""


class ObjectTreeView(QTreeView):
    """Follows the console; keeps what is open by key, also when everything is taken anew."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self.console = console
        self.tree = ObjectTree(console.mirror, self)
        self._opened: set[Path] = set()
        self._restoring = False
        self.tree.seen = self.seen_places
        self.setModel(self.tree)
        self.setAccessibleName("Objects")
        self.setHeaderHidden(True)
        self.setMinimumWidth(LEAST_LETTERS * self.fontMetrics().averageCharWidth())
        self.setUniformRowHeights(True)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setExpandsOnDoubleClick(True)
        self.setAnimated(False)
        self.expanded.connect(lambda index: self._opened.add(self.tree.path(index)))
        self.collapsed.connect(lambda index: self._opened.discard(self.tree.path(index)))
        self.selectionModel().currentChanged.connect(self._moved)
        console.changed.connect(self._changed)
        theme.signals().changed.connect(self.viewport().update)

    def seen_places(self) -> set[int]:
        """The model's numbers of the places that can be seen now."""
        seen: set[int] = set()
        index, bottom = self.indexAt(QPoint(0, 0)), self.viewport().height()
        while index.isValid() and self.visualRect(index).top() < bottom:
            seen.add(index.internalId())
            index = self.indexBelow(index)
        return seen

    def go(self, path: Path) -> bool:
        """Make a place current, opening branches on the way. False when it is gone."""
        index = self.tree.index_at(path)
        if not index.isValid():
            return False
        parent = index.parent()
        while parent.isValid():
            self.expand(parent)
            parent = parent.parent()
        self.setCurrentIndex(index)
        self.scrollTo(index)
        return True

    def start(self) -> None:
        """Open the host and stand on the agent: where work begins."""
        host = self.console.host
        agent = (host, Folder(host.id, AGENT))
        for depth in range(1, len(agent) + 1):
            self.expand(self.tree.index_at(agent[:depth]))
        self.go(agent)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and not event.modifiers():
            index = self.currentIndex()
            self.setExpanded(index, not self.isExpanded(index))
        elif event.key() == Qt.Key.Key_Menu or (
            event.key() == Qt.Key.Key_F10 and event.modifiers() & Qt.KeyboardModifier.ShiftModifier
        ):
            self._menu_at_current()
        else:
            super().keyPressEvent(event)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        if event.reason() is QContextMenuEvent.Reason.Keyboard:
            self._menu_at_current()
        elif self.indexAt(event.pos()).isValid():
            self._menu(event.globalPos())
        event.accept()

    def focusInEvent(self, event: QFocusEvent) -> None:
        super().focusInEvent(event)
        self.console.select(())

    def _changed(self, change: Change) -> None:
        self._restoring = True
        self.tree.apply(change)
        if change.reset or change.renamed:
            self._open_again()
        self._restoring = False
        self._stand_again()

    def _open_again(self) -> None:
        """Branches that were open are open, wherever a new name has put them."""
        for path in sorted(self._opened, key=len):
            index = self.tree.index_at(path)
            if index.isValid() and not self.isExpanded(index):
                self.expand(index)

    def _stand_again(self) -> None:
        """Still at the same place; when that is gone, at what it belonged to."""
        path = self.console.path
        if path and self.tree.path(self.currentIndex()) == path:
            return
        while path and not self.tree.index_at(path).isValid():
            path = path[:-1]
        if len(path) < 2:
            self.start()
        elif self.tree.path(self.currentIndex()) != path:
            self.go(path)

    def _moved(self, current: QModelIndex, _: QModelIndex) -> None:
        path = self.tree.path(current)
        if path and not self._restoring and path != self.console.path:
            self.console.stand_at(path)

    def _menu_at_current(self) -> None:
        rect = self.visualRect(self.currentIndex())
        self._menu(self.viewport().mapToGlobal(rect.bottomLeft() if rect.isValid() else QPoint(8, 8)))

    def _menu(self, at: QPoint) -> None:
        path = self.tree.path(self.currentIndex())
        if not path:
            return
        key = path[-1]
        config = self.console.config
        selection = Selection(config, folder=key.name) if isinstance(key, Folder) else Selection(config, (key,))
        self.console.menu_for(selection, self).popup(at)
