"""The Qt model behind Disk View and Volume View: one flat list of items that changes by splices, never by reset."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import TypeAlias

from PySide6.QtCore import QAbstractListModel, QItemSelection, QModelIndex, QObject, QPersistentModelIndex, Qt, Signal

from engine.config import Config
from engine.events import Sample
from engine.records import Kind, Plex, Ref, Subdisk, Task
from vea_gui.block_names import Moving, description, item_name, movings, tooltip
from vea_gui.block_rows import HEADERS, Band, Item, ItemKind, Key, Rows, splice
from vea_gui.mirror import Change
from vea_gui.models.table import runs

Index: TypeAlias = QModelIndex | QPersistentModelIndex
BandMaker: TypeAlias = Callable[[Config, Ref], Band]

FIXED = Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable | Qt.ItemFlag.ItemNeverHasChildren
MOVABLE = FIXED | Qt.ItemFlag.ItemIsDragEnabled
NAME_ROLE = int(Qt.ItemDataRole.AccessibleTextRole)
DESCRIPTION_ROLE = int(Qt.ItemDataRole.AccessibleDescriptionRole)
DISPLAY_ROLE = int(Qt.ItemDataRole.DisplayRole)
TOOLTIP_ROLE = int(Qt.ItemDataRole.ToolTipRole)


class BlockModel(QAbstractListModel):
    """Items of bands in order. Names and states are looked up when asked for; only what lies where is kept."""

    bands_changed = Signal(object)  # refs of bands whose items lie otherwise now
    bands_touched = Signal(object)  # refs of bands that look otherwise now

    def __init__(self, make: BandMaker, band_kind: Kind, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.config = Config()
        self.rows = Rows()
        self.moving: dict[Ref, Moving] = {}  # by source and by target
        self.traffic: dict[Ref, Sample] = {}  # of volumes and disks, the last one of each
        self._make = make
        self._band_kind = band_kind
        self._by_task: dict[Ref, list[Moving]] = {}
        self._mentioned: dict[Ref, frozenset[Ref]] = {}

    @property
    def of_disks(self) -> bool:
        """Whether the bands are disks; else they are volumes."""
        return self._band_kind is Kind.DISK

    # --- what views ask ---
    def rowCount(self, parent: Index | None = None) -> int:
        return 0 if parent is not None and parent.isValid() else len(self.rows)

    def data(self, index: Index, role: int = DISPLAY_ROLE) -> object:
        if not index.isValid() or index.row() >= len(self.rows):
            return None
        band_number, number = self.rows.place(index.row())
        band = self.rows.bands[band_number]
        item = band.items[number]
        if role in (DISPLAY_ROLE, NAME_ROLE):
            return item_name(self.config, band, item)
        if role == DESCRIPTION_ROLE:
            return description(self.config, item, self.moving.get(item.ref)) or None
        if role == TOOLTIP_ROLE:
            return tooltip(self.config, band, item, self.moving.get(item.ref), self._traffic_of(item))
        return None

    def flags(self, index: Index) -> Qt.ItemFlag:
        if not index.isValid():
            return Qt.ItemFlag.NoItemFlags
        return MOVABLE if self.item(index).kind is ItemKind.SUBDISK else FIXED

    def item(self, index: Index) -> Item:
        """What an index shows."""
        return self.rows.item(index.row())

    def band(self, index: Index) -> Band:
        """The band that an index lies in."""
        return self.rows.bands[self.rows.place(index.row())[0]]

    def index_of(self, key: Key) -> QModelIndex:
        """Where an item is shown; an invalid index when it is not."""
        row = self.rows.find(key)
        return self.index(row) if row is not None else QModelIndex()

    def selection_of(self, refs: Collection[Ref]) -> QItemSelection:
        """Where objects are shown, as ranges."""
        chosen = QItemSelection()
        rows = sorted(row for ref in refs for row in self.rows.rows_of(ref)) if len(refs) < 100 else self._all_of(refs)
        for first, last in runs(rows):
            chosen.select(self.index(first), self.index(last))
        return chosen

    def _all_of(self, refs: Collection[Ref]) -> list[int]:
        wanted = set(refs)
        items = (item for band in self.rows.bands for item in band.items)
        return [row for row, item in enumerate(items) if item.ref in wanted and item.kind is not ItemKind.FREE]

    def _traffic_of(self, item: Item) -> Sample | None:
        if item.kind is ItemKind.SUBDISK:
            subdisk = self.config.get(item.ref)
            plex = self.config.get(subdisk.plex) if isinstance(subdisk, Subdisk) else None
            return self.traffic.get(plex.volume) if isinstance(plex, Plex) else None
        return self.traffic.get(item.ref)

    # --- what changes it ---
    def show(self, config: Config, refs: Iterable[Ref]) -> None:
        """Show other bands: another object's, or everything anew."""
        self.beginResetModel()
        self.config = config
        self.rows = Rows(self._make(config, ref) for ref in refs if ref in config)
        self._mentioned.clear()
        self._note_tasks()
        self.endResetModel()

    def catch_up(self, config: Config, order: list[Ref]) -> None:
        """Follow everything that has changed while nobody looked."""
        self.config = config
        self._mentioned.clear()
        self._note_tasks()
        self._reorder(order)
        self.bands_changed.emit([ref for ref in order if self.remake(ref)])

    def apply(self, config: Config, change: Change, order: Collection[Ref] | None, visible: Collection[Ref]) -> None:
        """Follow a change. `order` has the bands to show when it may have changed; `visible` those worth repainting."""
        self.config = config
        for sample in change.samples:
            self.traffic[sample.ref] = sample
        touched = self._follow_tasks(ref for ref in change.records if ref.kind is Kind.TASK)
        stale = self._stale_bands(change.records)
        if order is not None:
            self._reorder(list(order))
        changed = [ref for ref in stale if self.remake(ref)]
        if changed:
            self.bands_changed.emit(changed)
        refresh = change.refresh | touched
        repaint = [ref for ref in visible if not self._mentions(ref).isdisjoint(refresh)]
        if repaint:
            self._forget_moved_plexes(repaint, change)
            self.bands_touched.emit(repaint)

    def remake(self, ref: Ref) -> bool:
        """Build a band anew and splice in what differs. Answers whether anything lies otherwise."""
        number = self.rows.band_of(ref)
        if number is None or ref not in self.config:
            return False
        old, new = self.rows.bands[number], self._make(self.config, ref)
        if old == new:
            return False
        cut = splice(old.items, new.items)
        start = self.rows.row(number) + cut.first
        kept = old.items[: cut.first] + old.items[cut.first + cut.removed :]
        if cut.removed:
            self.beginRemoveRows(QModelIndex(), start, start + cut.removed - 1)
            self.rows.replace(number, old._replace(items=kept))
            self.endRemoveRows()
        if cut.inserted:
            fresh = new.items[cut.first : cut.first + cut.inserted]
            self.beginInsertRows(QModelIndex(), start, start + cut.inserted - 1)
            self.rows.replace(number, old._replace(items=kept[: cut.first] + fresh + kept[cut.first :]))
            self.endInsertRows()
        self.rows.replace(number, new)  # what stayed may have another size now
        first = self.rows.row(number)
        self.dataChanged.emit(self.index(first), self.index(first + len(new.items) - 1))
        self._mentioned.pop(ref, None)
        return True

    def remake_all(self) -> None:
        """Build every band anew: for what changes all of them at once by the operator's will."""
        self.beginResetModel()
        self.rows = Rows(self._make(self.config, band.ref) for band in self.rows.bands)
        self._mentioned.clear()
        self.endResetModel()

    def _stale_bands(self, refs: Iterable[Ref]) -> list[Ref]:
        """The bands that changed records belong to now, and those that they belonged to."""
        found: dict[Ref, None] = {}
        for ref in refs:
            if ref.kind not in (Kind.DISK, Kind.VOLUME, Kind.PLEX, Kind.SUBDISK):
                continue
            number = self.rows.band_of(ref)
            if number is not None:
                found[self.rows.bands[number].ref] = None
            home = self._home(ref)
            if home is not None:
                found[home] = None
        return list(found)

    def _home(self, ref: Ref) -> Ref | None:
        record = self.config.get(ref)
        if isinstance(record, Subdisk):
            if self._band_kind is Kind.DISK:
                return record.disk
            record = self.config.get(record.plex)
        return record.volume if isinstance(record, Plex) and self._band_kind is Kind.VOLUME else None

    def _reorder(self, order: list[Ref]) -> None:
        """Make the bands those of `order`, moving as few as possible."""
        wanted = set(order)
        for number in reversed(range(len(self.rows.bands))):
            if self.rows.bands[number].ref not in wanted:
                self._take_out(number)
        for number, ref in enumerate(order):
            if number < len(self.rows.bands) and self.rows.bands[number].ref == ref:
                continue
            present = self.rows.band_of(ref)
            if present is not None:
                self._take_out(present)
            self._put_in(number, ref)

    def _take_out(self, number: int) -> None:
        band = self.rows.bands[number]
        start = self.rows.row(number)
        self.beginRemoveRows(QModelIndex(), start, start + len(band.items) - 1)
        self.rows.remove(number)
        self.endRemoveRows()
        self._mentioned.pop(band.ref, None)

    def _put_in(self, number: int, ref: Ref) -> None:
        band = self._make(self.config, ref)
        start = self.rows.row(number)
        self.beginInsertRows(QModelIndex(), start, start + len(band.items) - 1)
        self.rows.insert(number, band)
        self.endInsertRows()

    # --- what is on its way ---
    def _follow_tasks(self, refs: Iterable[Ref]) -> set[Ref]:
        """Take in changed tasks; answers the subdisks whose progress differs."""
        touched: set[Ref] = set()
        for ref in refs:
            for moving in [*self._by_task.get(ref, ()), *self._note_task(ref)]:
                touched |= {moving.source, moving.target}
        return touched

    def _note_tasks(self) -> None:
        self._by_task, self.moving = {}, {}
        for task in self.config.all(Kind.TASK, Task):
            self._note_task(task.ref)

    def _note_task(self, ref: Ref) -> list[Moving]:
        for moving in self._by_task.pop(ref, ()):
            self.moving.pop(moving.source, None)
            self.moving.pop(moving.target, None)
        task = self.config.get(ref)
        found = movings(self.config, task) if isinstance(task, Task) else []
        if found:
            self._by_task[ref] = found
            for moving in found:
                self.moving[moving.source] = self.moving[moving.target] = moving
        return found

    @property
    def all_moving(self) -> list[Moving]:
        """Every piece that is on its way."""
        return [moving for found in self._by_task.values() for moving in found]

    # --- what a band shows ---
    def _mentions(self, band: Ref) -> frozenset[Ref]:
        """The objects whose change can be seen in a band."""
        known = self._mentioned.get(band)
        if known is None:
            number = self.rows.band_of(band)
            items = self.rows.bands[number].items if number is not None else ()
            known = self._mentioned[band] = frozenset(self._seen_in(items))
        return known

    def _seen_in(self, items: Iterable[Item]) -> Iterable[Ref]:
        for item in items:
            yield item.ref
            subdisk = self.config.get(item.ref) if item.kind not in HEADERS else None
            plex = self.config.get(subdisk.plex) if isinstance(subdisk, Subdisk) else None
            if isinstance(subdisk, Subdisk) and isinstance(plex, Plex):
                yield from (subdisk.disk, plex.ref, plex.volume)

    def _forget_moved_plexes(self, bands: Iterable[Ref], change: Change) -> None:
        plexes = [plex for plex in change.records.values() if isinstance(plex, Plex)]
        for band in bands if plexes else ():
            mentioned = self._mentions(band)
            if any(plex.ref in mentioned and plex.volume not in mentioned for plex in plexes):
                del self._mentioned[band]
