"""The Snapshots tab: a timeline of snapshots and of what waits to be one, with the actions of what is picked."""

from __future__ import annotations

from PySide6.QtCore import QItemSelectionModel, QModelIndex, Qt
from PySide6.QtGui import QContextMenuEvent, QShowEvent
from PySide6.QtWidgets import QAbstractItemView, QHBoxLayout, QLabel, QListView, QPushButton, QVBoxLayout, QWidget
from PySide6.QtWidgets import QStackedLayout as Stack

from engine.commands import SnapBack
from engine.records import Kind, Ref, Volume
from vea_gui import snap_words, theme
from vea_gui.console import Console
from vea_gui.mirror import Change
from vea_gui.selection import Selection
from vea_gui.snap_timeline import RowKind, taken, timeline
from vea_gui.views.menus import context_menu
from vea_gui.views.snapshots_model import TimelineModel
from vea_gui.views.snapshots_paint import TimelineDelegate
from vea_gui.views.table_page import EmptyState

SHOWN = (Kind.VOLUME, Kind.PLEX, Kind.TASK)
OFFERED = ("snap-back", "refresh-snapshots", "snap-clear", "destroy-snapshot")
NO_SNAPSHOT = (
    "Snapshots of the volume would be here, by the time they were taken. Prepare the volume first; when its snap plex "
    "is complete, take a snapshot of it: Snap > Snap Shot."
)
NO_SNAPSHOTS = (
    "Snapshots and snapshot sets of the disk group would be here, by the time they were taken. Pick a volume, prepare "
    "it, and take a snapshot of it: Snap > Prepare, then Snap > Snap Shot."
)
PICK = "Pick a snapshot, or a set: what is picked goes back, is refreshed or is cleared as a whole."


class TimelineView(QListView):
    """The rows. A row of a set stands for all of its snapshots."""

    def __init__(self, console: Console, model: TimelineModel, parent: QWidget) -> None:
        super().__init__(parent)
        self.console = console
        self.rows = model
        self._syncing = False
        self.setModel(model)
        self.setItemDelegate(TimelineDelegate(self))
        self.setAccessibleName("Snapshots")
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setResizeMode(QListView.ResizeMode.Adjust)
        self.selectionModel().selectionChanged.connect(self._picked)
        self.activated.connect(self._opened)
        console.selection_changed.connect(self._follow)

    def meant(self) -> tuple[Ref, ...]:
        """What the picked rows stand for, each once."""
        chosen = sorted(index.row() for index in self.selectionModel().selectedIndexes())
        return tuple(dict.fromkeys(ref for row in chosen for ref in self.rows.rows[row].refs))

    def fill(self) -> None:
        """Show today's rows; what is picked and where the keyboard stands stays."""
        current = self.currentIndex()
        here = self.rows.rows[current.row()].key if current.isValid() else None
        picked = [self.rows.rows[index.row()].key for index in self.selectionModel().selectedIndexes()]
        self._syncing = True
        if self.rows.show(timeline(self.console.mirror, self.rows.scope)):
            self._stand(here, picked)
        self._syncing = False

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        refs = self.meant()
        if not refs:
            return
        at = event.globalPos()
        if event.reason() is QContextMenuEvent.Reason.Keyboard and self.currentIndex().isValid():
            at = self.viewport().mapToGlobal(self.visualRect(self.currentIndex()).center())
        context_menu(self.console, self.console.at(*refs), self).popup(at)

    def _stand(self, here: object, picked: list[tuple[RowKind, tuple[Ref, ...]]]) -> None:
        """After other rows have come."""
        for number, row in enumerate(self.rows.rows):
            index = self.rows.index(number)
            if row.key in picked:
                self.selectionModel().select(index, QItemSelectionModel.SelectionFlag.Select)
            if row.key == here:
                self.selectionModel().setCurrentIndex(index, QItemSelectionModel.SelectionFlag.NoUpdate)

    def _picked(self) -> None:
        if not self._syncing:
            self._syncing = True
            self.console.select(self.meant())
            self._syncing = False

    def _follow(self, selection: Selection) -> None:
        """What is picked elsewhere is picked here, too."""
        if self._syncing or not self.isVisible():
            return
        self._syncing = True
        self.clearSelection()
        for number, row in enumerate(self.rows.rows):
            if row.kind is not RowKind.SET and set(row.refs) <= set(selection.refs):
                self.selectionModel().select(self.rows.index(number), QItemSelectionModel.SelectionFlag.Select)
        self._syncing = False

    def _opened(self, index: QModelIndex) -> None:
        if index.isValid():
            self.console.trigger("properties", self.console.at(*self.rows.rows[index.row()].refs))


class SnapshotsTab(QWidget):
    """Follows a volume or a disk group while it can be seen; what has changed is counted anew when somebody writes."""

    def __init__(self, console: Console, scope: Ref) -> None:
        super().__init__()
        self.console = console
        self.scope = scope
        self.model = TimelineModel(scope, self)
        self.view = TimelineView(console, self.model, self)
        self.empty = EmptyState(console, self)
        self.buttons = {name: QPushButton(self) for name in OFFERED}
        self.hint = QLabel(PICK, self)
        self.hint.setWordWrap(True)
        self._counting = False
        self._watched: frozenset[Ref] = frozenset()
        self._build()
        self.view.selectionModel().selectionChanged.connect(self._offer)
        console.changed.connect(self._changed)
        theme.signals().changed.connect(self.view.doItemsLayout)
        self._fill()

    def set_filter(self, text: str) -> None:
        """Show only rows with these words."""
        self.model.words = text.strip().casefold()
        self._fill()

    def release(self) -> None:
        """The page is about to go: nothing is kept."""

    def showEvent(self, event: QShowEvent) -> None:
        self._fill()
        self._count()
        super().showEvent(event)

    def _build(self) -> None:
        bar = QHBoxLayout()
        bar.setContentsMargins(8, 4, 8, 4)
        bar.setSpacing(8)
        for name, button in self.buttons.items():
            text = self.console.actions.row(name).text  # that of the menu for one: all that is picked is meant
            button.setText(text)
            button.setAccessibleName(text)
            button.setAutoDefault(False)
            button.clicked.connect(lambda _=False, action=name: self._begin(action))
            bar.addWidget(button)
        bar.addWidget(self.hint, 100)
        bar.addStretch(1)  # buttons keep their size when the hint has gone
        self.rows_page = QWidget(self)
        column = QVBoxLayout(self.rows_page)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addLayout(bar)
        column.addWidget(self.view, 1)
        holder = QWidget(self)
        self.stack = Stack(holder)
        self.stack.addWidget(self.rows_page)
        self.stack.addWidget(self.empty)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(holder)

    # --- following ---
    def _changed(self, change: Change) -> None:
        if not self.isVisible():
            return
        if change.renamed or change.touches(*SHOWN):
            self._fill()
        if any(sample.writes and sample.ref in self._watched for sample in change.samples):
            self._count()

    def _fill(self) -> None:
        config = self.console.config
        snapshots = taken(config, self.scope)
        links = (snap_words.link_of(one) for one in snapshots)
        self._watched = frozenset({*(one.ref for one in snapshots), *(link.peer for link in links if link is not None)})
        self.view.fill()
        if not self.model.rows:
            self._say_empty()
        self.stack.setCurrentIndex(0 if self.model.rows else 1)
        self._offer()

    def _say_empty(self) -> None:
        if self.model.words:
            self.empty.show_for(f"No row holds “{self.model.words}”.", "")
        elif isinstance(self.console.config.get(self.scope), Volume):
            self.empty.show_for(NO_SNAPSHOT, "prepare-snapshot")
        else:
            self.empty.show_for(NO_SNAPSHOTS, "")

    def _count(self) -> None:
        """Ask the engine what a Snap Back would copy now: its records tell it to everybody."""
        refs = tuple(one.ref for one in taken(self.console.config, self.scope))
        if refs and not self._counting:
            self._counting = True
            self.console.plan(SnapBack(snapshots=refs), self._counted, self._counted)

    def _counted(self, _: object) -> None:
        self._counting = False

    # --- doing ---
    def _selection(self) -> Selection:
        return self.console.at(*self.view.meant())

    def _offer(self, *_: object) -> None:
        """What can be done with what is picked, and why the rest cannot."""
        selection = self._selection()
        for name, button in self.buttons.items():
            row = self.console.actions.row(name)
            reason = row.reason(selection) if selection.refs else PICK
            button.setEnabled(not reason)
            button.setToolTip(reason)
            button.setAccessibleDescription(reason)
        self.hint.setVisible(not selection.refs)

    def _begin(self, name: str) -> None:
        self.console.trigger(name, self._selection())
