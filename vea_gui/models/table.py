"""A table of records of one kind that keeps its own order and follows changes row by row."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt, Signal
from PySide6.QtGui import QColor

from engine.config import natural
from engine.records import Kind, Record, Ref
from vea_gui import icons, theme
from vea_gui.columns import COLUMNS, Column, as_csv, matches
from vea_gui.mirror import Change, Mirror
from vea_gui.words import KIND_ICONS, TONE_NAMES, Tone

Index = QModelIndex | QPersistentModelIndex
Role = Qt.ItemDataRole

REF_ROLE = Role.UserRole + 1
BAR_ROLE = Role.UserRole + 2
TONE_ROLE = Role.UserRole + 3


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


class Down:
    """A sort key turned round."""

    __slots__ = ("key",)

    def __init__(self, key: Any) -> None:
        self.key = key

    def __lt__(self, other: Down) -> bool:
        return bool(other.key < self.key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Down) and other.key == self.key

    def __hash__(self) -> int:
        return hash(self.key)


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
            self.resort()

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
            narrower = bool(self.filter.strip()) and text.startswith(self.filter)
            self.filter = text
            self.reload(self._rows if narrower else None)

    def reload(self, among: list[Ref] | None = None) -> None:
        """Take all rows anew; only those `among` a few, when no other can be one."""
        self.beginResetModel()
        self._fill(among)
        self.endResetModel()
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
        self._touch(touched, change.renamed)
        self._remove(gone)
        self._insert(new)
        if gone or new:
            self.count_changed.emit()

    def resort(self) -> None:
        """Put the rows in order; selection, current row and scroll position go with them."""
        keys = [self._key(ref) for ref in self._rows]
        order = sorted(range(len(keys)), key=keys.__getitem__)
        self._keys = [keys[at] for at in order]
        if all(at == to for to, at in enumerate(order)):
            return
        self.layoutAboutToBeChanged.emit()
        old = self.persistentIndexList()
        rows = [self._rows[at] for at in order]
        moved = {at: to for to, at in enumerate(order)}
        self._rows = rows
        self._number(0)
        self.changePersistentIndexList(old, [self.index(moved[each.row()], each.column()) for each in old])
        self.layoutChanged.emit()

    # --- inside ---
    def _fill(self, among: list[Ref] | None = None) -> None:
        if among is None:
            members = self.source.members(self.mirror)
        else:
            members = [record for ref in among if (record := self.mirror.config.get(ref)) is not None]
        if self.filter.strip():
            columns = self.searched()
            members = [record for record in members if matches(self.mirror, columns, record, self.filter)]
        rows = [record.ref for record in members]
        pairs = sorted(((self._key(ref), ref) for ref in rows), key=lambda pair: pair[0])
        self._keys = [key for key, _ in pairs]
        self._rows = [ref for _, ref in pairs]
        self._number(0)

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
        key = (_orderable(column.key(self.mirror, record)), natural(record.name), ref.id)
        return Down(key) if self._descending else key

    def _number(self, first: int) -> None:
        if first == 0:
            self._row_of = {ref: row for row, ref in enumerate(self._rows)}
            return
        for row in range(first, len(self._rows)):
            self._row_of[self._rows[row]] = row

    def _touch(self, rows: list[int], everything: bool) -> None:
        out_of_order = False
        for row in rows:
            key = self._key(self._rows[row])
            if key != self._keys[row]:
                self._keys[row] = key
                out_of_order = True
        seen = self.seen() if self.seen is not None else range(len(self._rows))
        shown = list(seen) if everything else [row for row in rows if row in seen]
        if shown and self._rows:
            first, last = max(0, min(shown)), min(len(self._rows) - 1, max(shown))
            self.dataChanged.emit(self.index(first, 0), self.index(last, len(self.columns) - 1))
        if out_of_order:
            self.unsorted.emit()

    def _remove(self, rows: list[int]) -> None:
        for first, last in reversed(runs(sorted(rows))):
            self.beginRemoveRows(QModelIndex(), first, last)
            for ref in self._rows[first : last + 1]:
                del self._row_of[ref]
            del self._rows[first : last + 1]
            del self._keys[first : last + 1]
            self._number(first)
            self.endRemoveRows()

    def _insert(self, refs: list[Ref]) -> None:
        pairs = sorted(((self._key(ref), ref) for ref in refs), key=lambda pair: pair[0], reverse=True)
        places = [bisect_left(self._keys, key) for key, _ in pairs]
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
        return icons.icon(KIND_ICONS[record.ref.kind])
    return None


def _accessible(mirror: Mirror, column: Column, record: Record) -> str:
    return column.text(mirror, record) or "empty"


def _ref(_: Mirror, __: Column, record: Record) -> Ref:
    return record.ref


def _bar(mirror: Mirror, column: Column, record: Record) -> float | None:
    return column.bar(mirror, record) if column.bar is not None else None


def _tone(mirror: Mirror, column: Column, record: Record) -> int:
    return int(column.tone(mirror, record)) if column.tone is not None else 0


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
}
