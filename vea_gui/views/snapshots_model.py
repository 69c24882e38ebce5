"""The timeline's rows as Qt wants them."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QAbstractListModel, QModelIndex, QObject, QPersistentModelIndex, Qt

from engine.records import Ref
from vea_gui.snap_timeline import Row

Index = QModelIndex | QPersistentModelIndex
Role = Qt.ItemDataRole
ROW_ROLE = Role.UserRole + 1


class TimelineModel(QAbstractListModel):
    """`rows` are those that hold the words of the filter."""

    def __init__(self, scope: Ref, parent: QObject) -> None:
        super().__init__(parent)
        self.scope = scope
        self.words = ""  # of the filter, in small letters
        self.rows: list[Row] = []

    def show(self, rows: list[Row]) -> bool:
        """Show these; answers whether there are others than before, not only other figures."""
        wanted = [row for row in rows if self.words in row.text.casefold()]
        before, same = self.rows, [row.key for row in wanted] == [row.key for row in self.rows]
        if not same or any(len(new.lines) != len(old.lines) for new, old in zip(wanted, before, strict=True)):
            self.beginResetModel()
            self.rows = wanted
            self.endResetModel()
            return True
        self.rows = wanted
        for number, (new, old) in enumerate(zip(wanted, before, strict=True)):
            if new != old:
                self.dataChanged.emit(self.index(number), self.index(number))
        return False

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 - Qt's own default
        return 0 if parent.isValid() else len(self.rows)

    def data(self, index: Index, role: int = Role.DisplayRole) -> Any:
        if not index.isValid() or index.row() >= len(self.rows):
            return None
        row = self.rows[index.row()]
        match role:
            case Role.DisplayRole:
                return row.title
            case Role.ToolTipRole:
                return row.text
            case Role.AccessibleTextRole:
                return row.text.replace("\n", ", ")
            case _ if role == ROW_ROLE:
                return row
        return None
