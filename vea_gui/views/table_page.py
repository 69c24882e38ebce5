"""A table as a page: filter, a line on what is picked, and a way to make the first row when there is none."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QLabel, QPushButton, QStackedLayout, QVBoxLayout, QWidget

from engine.records import Disk, Kind, Record, Ref, Subdisk, Volume
from engine.units import format_size
from vea_gui.column import Column
from vea_gui.console import Console
from vea_gui.mirror import Change
from vea_gui.models.table import RecordTable, Source
from vea_gui.selection import Selection
from vea_gui.views.table_view import RecordTableView
from vea_gui.words import KIND_NAMES, count_of

EMPTY: dict[Kind, tuple[str, str]] = {
    Kind.GROUP: ("Disk groups would be here. A disk group joins disks, and volumes are made in it.", "new-group"),
    Kind.VOLUME: ("Volumes would be here. A volume is what virtual machines and file systems use.", "new-volume"),
    Kind.DISK: ("Disks would be here: LUNs, as image files or devices of this host.", "add-lun"),
    Kind.ENCLOSURE: ("Enclosures would be here, as soon as there are LUNs.", "add-lun"),
    Kind.PLEX: ("Mirrors of the volume would be here.", ""),
    Kind.BACKUP: ("Backups of configurations would be here. One is saved before a disk group changes.", ""),
    Kind.SCHEDULE: (
        "Schedules would be here. A schedule takes snapshots of volumes again and again.",
        "schedule-snapshots",
    ),
    Kind.SUBDISK: ("Subdisks would be here: the pieces of volumes that lie on disks.", ""),
    Kind.TASK: ("Nothing runs, and nothing has run. Tasks appear here when something is changed.", ""),
    Kind.ALERT: ("No alerts. What needs attention appears here.", ""),
    Kind.CONNECTION: ("No client is connected.", ""),
}
SIZED: dict[type[Record], str] = {Volume: "size", Disk: "size", Subdisk: "length"}


class EmptyState(QWidget):
    """What would be here, and the action that makes the first one."""

    def __init__(self, console: Console, parent: QWidget) -> None:
        super().__init__(parent)
        self.console = console
        self.action = ""
        self.text = QLabel(self)
        self.text.setWordWrap(True)
        self.text.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.button = QPushButton(self)
        self.button.clicked.connect(lambda: console.trigger(self.action))
        self.reason = QLabel(self)
        self.reason.setWordWrap(True)
        self.reason.setAlignment(Qt.AlignmentFlag.AlignCenter)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(16, 16, 16, 16)
        layout.setSpacing(8)
        layout.addStretch(2)
        for widget in (self.text, self.button, self.reason):
            layout.addWidget(widget, 0, Qt.AlignmentFlag.AlignCenter if widget is self.button else Qt.AlignmentFlag(0))
        layout.addStretch(3)

    def show_for(self, text: str, action: str) -> None:
        """Say `text`; offer the action of this id, when there is one, or why it is not possible."""
        self.action = action
        self.text.setText(text)
        self.button.setVisible(bool(action))
        reason = ""
        if action:
            row = self.console.actions.row(action)
            reason = row.reason(self.console.selection.on(self.console.config))
            self.button.setText(row.text)
            self.button.setEnabled(not reason)
            self.button.setAccessibleDescription(reason)
        self.reason.setText(reason)
        self.reason.setVisible(bool(reason))


class TablePage(QWidget):
    """One tab that is a table."""

    def __init__(
        self,
        console: Console,
        title: str,
        source: Source,
        key: str,
        columns: tuple[Column, ...] | None = None,
        empty: tuple[str, str] | None = None,
        newest_first: str = "",
        noun: tuple[str, str] | None = None,
    ) -> None:
        super().__init__()
        self.console = console
        self.source = source
        self._picked: frozenset[Ref] = frozenset()
        self.noun = noun if noun is not None else KIND_NAMES[source.kind]
        self.empty_words = empty if empty is not None else EMPTY[source.kind]
        self.model = RecordTable(console.mirror, source, columns)
        self.view = RecordTableView(console, self.model, title, self)
        self.view.page = self
        if newest_first:
            by = [column.id for column in self.model.columns].index(newest_first)
            self.view.sortByColumn(by, Qt.SortOrder.DescendingOrder)
        self.view.restore(key)
        self.empty = EmptyState(console, self)
        self.summary = QLabel(self)
        self.summary.setTextFormat(Qt.TextFormat.PlainText)
        self._build()
        self.model.count_changed.connect(self._show_empty_or_rows)
        self.view.selectionModel().selectionChanged.connect(self._summarise)
        console.changed.connect(self._changed)
        self._show_empty_or_rows()
        self._summarise()

    def set_filter(self, text: str) -> None:
        """Show only rows with these words."""
        self.model.set_filter(text)

    def release(self) -> None:
        """Keep the columns before the page goes."""
        self.view.keep()

    def showEvent(self, event: QShowEvent) -> None:
        self.view.catch_up()
        super().showEvent(event)

    def _build(self) -> None:
        holder = QWidget(self)
        self.stack = QStackedLayout(holder)
        self.stack.addWidget(self.view)
        self.stack.addWidget(self.empty)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(holder, 1)
        layout.addWidget(self.summary)
        self.summary.setContentsMargins(8, 0, 8, 4)

    def _show_empty_or_rows(self) -> None:
        rows = self.model.rowCount()
        if rows == 0:
            filtered = bool(self.model.filter.strip())
            words = (f"No row holds “{self.model.filter.strip()}”.", "") if filtered else self.empty_words
            self.empty.show_for(*words)
        self.stack.setCurrentIndex(0 if rows else 1)
        self._summarise()

    def _changed(self, change: Change) -> None:
        """What is picked has become another size, say."""
        if not self._picked.isdisjoint(change.records):
            self._summarise()

    def _summarise(self) -> None:
        picked = Selection(self.console.config, tuple(self.view.selected_refs()))
        self._picked = frozenset(picked.refs)
        self.summary.setText(summary(picked, self.model.rowCount(), self.noun))


def summary(selection: Selection, rows: int, noun: tuple[str, str]) -> str:
    """`1 volume, 2.0 GiB, 2 mirrors on 2 disks`; what there is in all when nothing is picked."""
    config = selection.config
    if not selection.refs:
        return f"{rows:,} {noun[rows != 1]} in all"
    words = [f"{selection.count:,} {noun[selection.count != 1]}"]
    records = selection.of(Record)
    field = SIZED.get(type(records[0])) if records else None
    if field is not None:
        words.append(format_size(sum(getattr(record, field) for record in records)))
    volumes = selection.of(Volume)
    if volumes:
        plexes = [plex for volume in volumes for plex in config.plexes_of(volume.ref)]
        disks = {subdisk.disk for plex in plexes for subdisk in config.subdisks_of(plex.ref)}
        words.append(f"{count_of(len(plexes), Kind.PLEX)} on {count_of(len(disks), Kind.DISK)}")
    return ", ".join(words) + " picked"
