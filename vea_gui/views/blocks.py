"""The Qt model behind Disk View and Volume View: one flat list of items that changes by splices, never by reset."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Collection, Iterable
from typing import TypeAlias

from PySide6.QtCore import (
    QAbstractListModel,
    QItemSelection,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    Qt,
    QTimer,
    Signal,
)

from engine.config import Config
from engine.events import Sample
from engine.records import Kind, Plex, Ref, Subdisk, Task
from vea_gui.block_names import Moving, description, item_name, movings, tooltip
from vea_gui.block_rows import (
    HEADERS,
    Band,
    Item,
    ItemKind,
    Key,
    Rows,
    laid_otherwise,
    listed_otherwise,
    splice,
)
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
FEW = 24
"""So many bands fill a screen: they are made at once."""
SLICE_S = 0.008
"""So long the others are made at a time, with a rest in between: what the operator does goes first."""
REST_MS = 4
ONE_BY_ONE = 100
"""When more bands come or go at once, all are laid anew."""


class BlockModel(QAbstractListModel):
    """Items of bands in order. Names and states are looked up when asked for; only what lies where is kept."""

    bands_changed = Signal(object)  # refs of bands whose items lie otherwise now
    bands_added = Signal(int)  # behind all others: the number of the first
    complete = Signal()  # the last of the bands that were to come is there
    bands_touched = Signal(object)  # refs of bands that look otherwise now

    def __init__(self, make: BandMaker, band_kind: Kind, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.config = Config()
        self._laid = self.config  # whose changes the bands have followed
        self.rows = Rows()
        self.moving: dict[Ref, Moving] = {}  # by source and by target
        self.traffic: dict[Ref, Sample] = {}  # of volumes and disks, the last one of each
        self._make = make
        self._band_kind = band_kind
        self.coming: deque[Ref] = deque()  # the last bands of all, still to be made
        self._builder = QTimer(self)
        self._builder.setInterval(REST_MS)
        self._builder.timeout.connect(self._build_on)
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
        if row is None and self.coming:
            self.finish()
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
    def show(self, config: Config, refs: Iterable[Ref], at_once: int = FEW) -> None:
        """Show other bands: another object's, or everything anew. The first ones at once, the others soon after."""
        self.config = self._laid = config
        self._note_tasks()
        self._begin([ref for ref in refs if ref in config], at_once)

    def _begin(self, refs: list[Ref], at_once: int) -> None:
        self.beginResetModel()
        self.coming = deque(refs)
        self.rows = Rows(self._next_bands(max(at_once, FEW), SLICE_S))
        self._mentioned.clear()
        self.endResetModel()
        if self.coming:
            self._builder.start()

    def _next_bands(self, least: int, seconds: float) -> list[Band]:
        """The next ones of those to come, as many as can be made in so long, but so many at least."""
        until = time.perf_counter() + seconds
        made: list[Band] = []
        while self.coming and (len(made) < least or time.perf_counter() < until):
            ref = self.coming.popleft()
            if ref in self.config:
                made.append(self._make(self.config, ref))
        return made

    def _build_on(self, least: int = 1) -> None:
        """More of the bands to come."""
        made = self._next_bands(least, SLICE_S)
        if made:
            start, number = len(self.rows), len(self.rows.bands)
            self.beginInsertRows(QModelIndex(), start, start + sum(len(band.items) for band in made) - 1)
            self.rows.append(made)
            self.endInsertRows()
            self.bands_added.emit(number)
        if not self.coming:
            self._builder.stop()
            self.complete.emit()

    def finish(self) -> None:
        """Have all bands now: somebody asks for what may lie in one that is to come."""
        if self.coming:
            self._build_on(len(self.coming))

    @property
    def order(self) -> list[Ref]:
        """All bands, those to come too."""
        return [*(band.ref for band in self.rows.bands), *self.coming]

    def catch_up(self, config: Config, order: list[Ref] | None, missed: Iterable[Ref]) -> None:
        """Follow what has changed while nobody looked. `order` as in `apply`."""
        stale = self._stale_bands(missed, config)
        self.config = self._laid = config
        self._mentioned.clear()
        self._note_tasks()
        if order is not None:
            self._reorder(order)
        self.bands_changed.emit([ref for ref in stale if self.remake(ref)])

    def apply(self, config: Config, change: Change, order: list[Ref] | None, visible: Collection[Ref]) -> None:
        """Follow a change. `order` has the bands to show when it may have changed; `visible` those worth repainting."""
        stale = self._stale_bands(change.records, config)
        self.config = config
        if change.records:
            self._laid = config
        for sample in change.samples:
            self.traffic[sample.ref] = sample
        touched = self._follow_tasks(ref for ref in change.records if ref.kind is Kind.TASK)
        if order is not None:
            self._reorder(order)
        changed = [ref for ref in stale if self.remake(ref)]
        if changed:
            self.bands_changed.emit(changed)
        refresh = change.refresh | touched
        repaint = [ref for ref in visible if not self._mentions(ref).isdisjoint(refresh)]
        if repaint:
            self._forget_moved_plexes(repaint, change)
            self.bands_touched.emit(repaint)

    def lists_otherwise(self, config: Config, refs: Iterable[Ref]) -> bool:
        """Whether other bands, or another order of them, can follow from changes since the last one shown."""
        return any(listed_otherwise(self._laid.get(ref), config.get(ref)) for ref in refs)

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

    def remake_all(self, at_once: int = FEW) -> None:
        """Build every band anew: for what changes all of them at once by the operator's will."""
        self._begin(self.order, at_once)

    def _stale_bands(self, refs: Iterable[Ref], config: Config) -> list[Ref]:
        """The bands that records which lie otherwise in `config` belong to there, and those that they belonged to."""
        found: dict[Ref, None] = {}
        for ref in refs:
            if not laid_otherwise(self._laid.get(ref), config.get(ref)):
                continue
            number = self.rows.band_of(ref)
            if number is not None:
                found[self.rows.bands[number].ref] = None
            home = self._home(ref, config)
            if home is not None:
                found[home] = None
        return list(found)

    def _home(self, ref: Ref, config: Config) -> Ref | None:
        record = config.get(ref)
        if isinstance(record, Subdisk):
            if self._band_kind is Kind.DISK:
                return record.disk
            record = config.get(record.plex)
        return record.volume if isinstance(record, Plex) and self._band_kind is Kind.VOLUME else None

    def _reorder(self, order: list[Ref]) -> None:
        """Make the bands those of `order`, moving as few as possible; what is to come stays at the end of it."""
        coming = set(self.coming)
        cut = next((number for number, ref in enumerate(order) if ref in coming), len(order))
        have, wanted = {band.ref for band in self.rows.bands}, set(order[:cut])
        if len(have ^ wanted) > ONE_BY_ONE:
            self._begin(order, len(have))
            return
        order, self.coming = order[:cut], deque(order[cut:])
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
