"""A table of records of one kind that keeps its own order and follows changes row by row."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import compress
from operator import itemgetter
from typing import Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt, QTimer, Signal
from PySide6.QtGui import QColor

from engine.config import natural
from engine.records import Kind, Record, Ref
from vea_gui import icons, theme
from vea_gui.column import Column
from vea_gui.columns import COLUMNS, as_csv, matches
from vea_gui.mirror import Change, Mirror
from vea_gui.snap_words import icon_name
from vea_gui.words import TONE_NAMES, Tone

READ_AT_ONCE = 200
"""So many rows a filter is held against at once, however long that takes."""
FIRST_READ_S = 0.03
READ_S = 0.008
"""Then so long at a time, with a rest in between."""
REST_MS = 4
_KEY = itemgetter(0)

Index = QModelIndex | QPersistentModelIndex
Role = Qt.ItemDataRole

REF_ROLE = Role.UserRole + 1
BAR_ROLE = Role.UserRole + 2
TONE_ROLE = Role.UserRole + 3
LINK_ROLE = Role.UserRole + 4
PATH_ROLE = Role.UserRole + 5


@dataclass(frozen=True)
class Source:
    """Which records a table shows."""

    kind: Kind
    members: Callable[[Mirror], Iterable[Record]]
    holds: Callable[[Mirror, Any], bool] = lambda _, __: True


def everything(kind: Kind) -> Source:
    """All records of a kind on the host."""
    return Source(kind, lambda mirror: mirror.config.every(kind))


def matching(kind: Kind, holds: Callable[[Any], bool]) -> Source:
    """The records of a kind of which something holds."""
    return Source(
        kind,
        lambda mirror: [record for record in mirror.config.every(kind) if holds(record)],
        lambda _, record: holds(record),
    )


class RecordTable(QAbstractTableModel):
    """Rows are refs; what is shown is read from the mirror when it is shown."""

    unsorted = Signal()  # values by which rows are ordered have changed: call `resort` when it suits
    count_changed = Signal()

    def __init__(
        self, mirror: Mirror, source: Source, columns: Sequence[Column] | None = None, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self.mirror = mirror
        self.source = source
        self.columns = tuple(columns if columns is not None else COLUMNS[source.kind])
        self.seen: Callable[[], range] | None = None  # rows that a view shows; None: all
        self.filter = ""
        self.searched: Callable[[], Sequence[Column]] = lambda: self.columns  # where a filter looks
        self._sort_column, self._descending = 0, False
        self._rows: list[Ref] = []
        self._keys: list[Any] = []
        self._row_of: dict[Ref, int] = {}
        self._moved: dict[Ref, Any] = {}  # rows that do not stand in order any more, and the keys by which they would
        self._renamed = False  # so may any other, since names of other objects are in them
        self._unread: deque[Ref] = deque()  # rows that the filter has not been held against yet
        self._reader = QTimer(self)
        self._reader.setInterval(REST_MS)
        self._reader.timeout.connect(self._read_on)
        self._fill()

    # --- what Qt asks ---
    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 - Qt's own default
        return 0 if parent.isValid() else len(self._rows)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(self.columns)

    def data(self, index: Index, role: int = Role.DisplayRole) -> Any:
        if not index.isValid() or index.row() >= len(self._rows):
            return None
        record = self.mirror.config.get(self._rows[index.row()])
        if record is None:
            return None
        column = self.columns[index.column()]
        read = _READERS.get(role)
        return read(self.mirror, column, record) if read is not None else None

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Role.DisplayRole) -> Any:
        if orientation is not Qt.Orientation.Horizontal or not 0 <= section < len(self.columns):
            return None
        column = self.columns[section]
        if role in (Role.DisplayRole, Role.AccessibleTextRole):
            return column.title
        if role == Role.TextAlignmentRole:
            side = Qt.AlignmentFlag.AlignRight if column.right else Qt.AlignmentFlag.AlignLeft
            return side | Qt.AlignmentFlag.AlignVCenter
        return None

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        wanted = max(column, 0), order == Qt.SortOrder.DescendingOrder
        if wanted != (self._sort_column, self._descending):
            self._sort_column, self._descending = wanted
            self._sort_all()

    # --- what the console asks ---
    def ref(self, row: int) -> Ref:
        return self._rows[row]

    def refs(self) -> list[Ref]:
        """All rows in their order."""
        return list(self._rows)

    def row_of(self, ref: Ref) -> int | None:
        return self._row_of.get(ref)

    def record(self, row: int) -> Record | None:
        return self.mirror.config.get(self._rows[row])

    def as_csv(self, rows: Iterable[int], columns: Iterable[int]) -> str:
        """Some rows and columns as comma-separated values."""
        records = (self.record(row) for row in rows)
        return as_csv(self.mirror, [self.columns[at] for at in columns], [each for each in records if each is not None])

    def set_filter(self, text: str) -> None:
        """Show only rows that hold every word of the text."""
        if text.split() != self.filter.split():
            narrower = text.startswith(self.filter)  # than no filter, too: what can hold it is there, or is to be read
            self.filter = text
            self.reload([*self._rows, *self._unread] if narrower else None)

    def reload(self, among: list[Ref] | None = None) -> None:
        """Take all rows anew; only those `among` a few, when no other can be one."""
        self.beginResetModel()
        self._fill(among)
        self.endResetModel()
        if self._rows or not self._unread:
            self.count_changed.emit()

    def apply(self, change: Change) -> None:
        """Follow one net change."""
        if change.reset:
            self.reload()
            return
        gone: list[int] = []
        new: list[Ref] = []
        touched: list[int] = []
        for ref in change.refresh:
            if ref.kind is not self.source.kind:
                continue
            row, member = self._row_of.get(ref), self._belongs(ref)
            if row is not None:
                (touched if member else gone).append(row)
            elif member:
                new.append(ref)
        self._renamed = self._renamed or change.renamed
        self._touch(touched, change.renamed)
        self._remove(gone)
        self._insert(new)
        if gone or new:
            self.count_changed.emit()

    def resort(self) -> None:
        """Put the rows in order; selection, current row and scroll position go with them.

        Keys are kept up to date as changes arrive: only what has another one is looked for another place.
        """
        if self._renamed:
            self._sort_all()
            return
        if not self._moved:
            return
        moved, self._moved = self._moved, {}
        stays = bytearray(b"\1") * len(self._rows)
        for ref in moved:
            stays[self._row_of[ref]] = 0
        fresh = sorted(((key, ref) for ref, key in moved.items()), key=_KEY, reverse=self._descending)
        there = compress(zip(self._keys, self._rows, strict=True), stays)
        self._take_order(merged(there, fresh, self._descending))

    def _sort_all(self) -> None:
        """The same by another column."""
        self._moved, self._renamed = {}, False
        self._take_order(self._sorted(self._rows))

    def _take_order(self, pairs: list[tuple[Any, Ref]]) -> None:
        rows = [ref for _, ref in pairs]
        self._keys = [key for key, _ in pairs]
        if rows == self._rows:
            return
        self.layoutAboutToBeChanged.emit()
        old = [(index, self._rows[index.row()]) for index in self.persistentIndexList()]
        self._rows = rows
        self._number(0)
        here = [self.index(self._row_of[ref], index.column()) for index, ref in old]
        self.changePersistentIndexList([index for index, _ in old], here)
        self.layoutChanged.emit()

    # --- inside ---
    def _fill(self, among: list[Ref] | None = None) -> None:
        if among is None:
            members = self.source.members(self.mirror)
        else:
            members = [record for ref in among if (record := self.mirror.config.get(ref)) is not None]
        rows = [record.ref for record in members]
        self._stop_reading()
        if self.filter.strip():
            # In their order, so that what is found later comes behind what is shown already.
            self._unread = deque(rows if among is not None else [ref for _, ref in self._sorted(rows)])
            rows = self._read(READ_AT_ONCE, FIRST_READ_S)
        self._moved, self._renamed = {}, False
        pairs = self._sorted(rows)
        self._keys = [key for key, _ in pairs]
        self._rows = [ref for _, ref in pairs]
        self._number(0)
        if self._unread:
            self._reader.start()

    def _sorted(self, refs: Iterable[Ref]) -> list[tuple[Any, Ref]]:
        return sorted(((self._key(ref), ref) for ref in refs), key=_KEY, reverse=self._descending)

    # --- a filter over a long list: it is read a stretch at a time, so that the operator can type on ---
    def _read(self, least: int, seconds: float) -> list[Ref]:
        """The next rows that hold the filter's words, as far as one gets in so long, `least` rows at any rate."""
        until = time.perf_counter() + seconds
        mirror, columns, found = self.mirror, self.searched(), []
        while self._unread and (least > 0 or time.perf_counter() < until):
            least -= 1
            ref = self._unread.popleft()
            record = mirror.config.get(ref)
            if record is not None and matches(mirror, columns, record, self.filter):
                found.append(ref)
        return found

    def _read_on(self) -> None:
        found = [ref for ref in self._read(1, READ_S) if ref not in self._row_of and self._belongs(ref)]
        if not self._unread:
            self._stop_reading()
        self._insert(found)
        if found or not self._unread:
            self.count_changed.emit()

    def _stop_reading(self) -> None:
        self._unread.clear()
        self._reader.stop()

    def _belongs(self, ref: Ref) -> bool:
        record = self.mirror.config.get(ref)
        if record is None or not self.source.holds(self.mirror, record):
            return False
        return not self.filter.strip() or matches(self.mirror, self.searched(), record, self.filter)

    def _key(self, ref: Ref) -> Any:
        record = self.mirror.config.get(ref)
        if record is None:
            return self._keys[self._row_of[ref]]  # it is about to go: until then it stays
        column = self.columns[self._sort_column]
        return _orderable(column.key(self.mirror, record)), natural(record.name), ref.id

    def _number(self, first: int) -> None:
        if first == 0:
            self._row_of = {ref: row for row, ref in enumerate(self._rows)}
            return
        for row in range(first, len(self._rows)):
            self._row_of[self._rows[row]] = row

    def _touch(self, rows: list[int], everything: bool) -> None:
        for row in rows:
            ref = self._rows[row]
            key = self._key(ref)
            if ref in self._moved or key != self._keys[row]:
                self._moved[ref] = key  # the old one stays where it is until the row moves: by that others are found
        seen = self.seen() if self.seen is not None else range(len(self._rows))
        shown = list(seen) if everything else [row for row in rows if row in seen]
        if shown and self._rows:
            first, last = max(0, min(shown)), min(len(self._rows) - 1, max(shown))
            self.dataChanged.emit(self.index(first, 0), self.index(last, len(self.columns) - 1))
        if self._moved or self._renamed:
            self.unsorted.emit()

    def _remove(self, rows: list[int]) -> None:
        for first, last in reversed(runs(sorted(rows))):
            self.beginRemoveRows(QModelIndex(), first, last)
            for ref in self._rows[first : last + 1]:
                del self._row_of[ref]
                self._moved.pop(ref, None)
            del self._rows[first : last + 1]
            del self._keys[first : last + 1]
            self._number(first)
            self.endRemoveRows()

    def _insert(self, refs: list[Ref]) -> None:
        pairs = self._sorted(refs)[::-1]
        places = [place_of(self._keys, key, self._descending) for key, _ in pairs]
        at = 0
        while at < len(pairs):
            end = at
            while end < len(pairs) and places[end] == places[at]:
                end += 1
            self._insert_run(places[at], pairs[at:end][::-1])
            at = end

    def _insert_run(self, first: int, pairs: list[tuple[Any, Ref]]) -> None:
        self.beginInsertRows(QModelIndex(), first, first + len(pairs) - 1)
        self._rows[first:first] = [ref for _, ref in pairs]
        self._keys[first:first] = [key for key, _ in pairs]
        self._number(first)
        self.endInsertRows()


def runs(rows: Iterable[int]) -> list[tuple[int, int]]:
    """Ascending rows as unbroken stretches, each with its first and last."""
    found: list[tuple[int, int]] = []
    for row in rows:
        if found and found[-1][1] == row - 1:
            found[-1] = (found[-1][0], row)
        else:
            found.append((row, row))
    return found


def place_of(keys: Sequence[Any], key: Any, descending: bool) -> int:
    """Where a key goes in a list that is in order."""
    if not descending:
        return bisect_left(keys, key)
    low, high = 0, len(keys)
    while low < high:
        middle = (low + high) // 2
        if key < keys[middle]:
            low = middle + 1
        else:
            high = middle
    return low


def merged(there: Iterable[tuple[Any, Ref]], fresh: list[tuple[Any, Ref]], descending: bool) -> list[tuple[Any, Ref]]:
    """Two lists that are in order as one: sorting finds that out, and copies stretches instead of comparing them."""
    return sorted([*there, *fresh], key=_KEY, reverse=descending)


def _orderable(key: Any) -> Any:
    return (0, ()) if key is None else key


# --- how a cell is shown, by role ---
def _text(mirror: Mirror, column: Column, record: Record) -> str:
    return column.text(mirror, record)


def _tip(mirror: Mirror, column: Column, record: Record) -> str:
    return (column.tip(mirror, record) if column.tip is not None else "") or column.text(mirror, record)


def _alignment(_: Mirror, column: Column, __: Record) -> Qt.AlignmentFlag:
    side = Qt.AlignmentFlag.AlignRight if column.right else Qt.AlignmentFlag.AlignLeft
    return side | Qt.AlignmentFlag.AlignVCenter


def _decoration(mirror: Mirror, column: Column, record: Record) -> Any:
    if column.tone is not None:
        tone = column.tone(mirror, record)
        return icons.icon(f"state-{TONE_NAMES[tone]}") if tone is not Tone.NONE else None
    if column.id == "name" and record.ref.kind is not Kind.ALERT:
        return icons.icon(icon_name(record))
    return None


def _accessible(mirror: Mirror, column: Column, record: Record) -> str:
    return column.text(mirror, record) or "empty"


def _ref(_: Mirror, __: Column, record: Record) -> Ref:
    return record.ref


def _bar(mirror: Mirror, column: Column, record: Record) -> float | None:
    return column.bar(mirror, record) if column.bar is not None else None


def _tone(mirror: Mirror, column: Column, record: Record) -> int:
    return int(column.tone(mirror, record)) if column.tone is not None else 0


def _link(mirror: Mirror, column: Column, record: Record) -> bool:
    return bool(column.go and column.text(mirror, record))


def _foreground(mirror: Mirror, column: Column, record: Record) -> QColor | None:
    tone = column.tone(mirror, record) if column.tone is not None else Tone.NONE
    return theme.current().state(tone) if tone >= Tone.WARNING else None


_READERS: dict[int, Callable[[Mirror, Column, Record], Any]] = {
    Role.DisplayRole: _text,
    Role.ToolTipRole: _tip,
    Role.TextAlignmentRole: _alignment,
    Role.DecorationRole: _decoration,
    Role.AccessibleTextRole: _accessible,
    Role.ForegroundRole: _foreground,
    REF_ROLE: _ref,
    BAR_ROLE: _bar,
    TONE_ROLE: _tone,
    LINK_ROLE: _link,
    PATH_ROLE: lambda mirror, column, record: column.is_path,
}
