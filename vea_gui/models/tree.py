"""The object tree as a Qt model: branches are made when they are opened, and follow changes by key."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from operator import attrgetter
from typing import Any

from PySide6.QtCore import QAbstractItemModel, QModelIndex, QObject, QPersistentModelIndex, Qt

from engine.records import Record, Ref
from vea_gui import icons, tree_shape
from vea_gui.mirror import Change, Mirror
from vea_gui.models.table import runs
from vea_gui.snap_words import icon_name
from vea_gui.tree_shape import Folder, Key, Path
from vea_gui.words import TONE_NAMES, Tone

Index = QModelIndex | QPersistentModelIndex
Role = Qt.ItemDataRole
KEY_ROLE = Role.UserRole + 1
ONE_BY_ONE = 8
"""When more places look otherwise, it counts which of them can be seen."""
_ORDER = attrgetter("order")


class Node:
    """A place that the tree has shown so far. `children` is None until somebody opens it."""

    __slots__ = ("children", "id", "key", "leaf", "order", "parent", "row")

    def __init__(self, number: int, key: Key, parent: Node | None, order: Any) -> None:
        self.id = number
        self.key = key
        self.leaf = tree_shape.is_leaf(key)
        self.parent = parent
        self.order = order
        self.row = 0
        self.children: list[Node] | None = None


class ObjectTree(QAbstractItemModel):
    """localhost > StorageAgent > folders > objects. Indexes carry a number, never a pointer."""

    def __init__(self, mirror: Mirror, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.mirror = mirror
        self.seen: Callable[[], Collection[int]] | None = None  # numbers of places that a view shows; None: all
        self._nodes: dict[int, Node] = {}
        self._by_key: dict[Key, list[Node]] = {}
        self._last = 0
        self._roots: list[Node] = []
        self._changing = False  # while a change is told, no branch may be opened
        self._fill()

    # --- what Qt asks ---
    def index(self, row: int, column: int, parent: Index = QModelIndex()) -> QModelIndex:  # noqa: B008 - Qt's default
        above = self._nodes.get(parent.internalId())  # an invalid index has the number 0, which no place has
        siblings = self._roots if above is None else above.children or ()
        if column or not 0 <= row < len(siblings) or (above is None and parent.isValid()):
            return QModelIndex()
        return self.createIndex(row, 0, siblings[row].id)

    def parent(self, index: Index = QModelIndex()) -> Any:  # noqa: B008
        node = self.node(index)
        if node is None or node.parent is None:
            return QModelIndex()
        return self.createIndex(node.parent.row, 0, node.parent.id)

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        return len(self._children_at(parent))

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        return 1

    def hasChildren(self, parent: Index = QModelIndex()) -> bool:  # noqa: B008
        node = self._nodes.get(parent.internalId())
        if node is None:
            return bool(self._roots) and not parent.isValid()
        if node.leaf:
            return False
        if node.children is not None:
            return bool(node.children)
        return tree_shape.has_children(self.mirror.config, node.key)

    def canFetchMore(self, parent: Index) -> bool:
        node = self.node(parent)
        if node is None or node.children is not None or self._changing:
            return False
        return tree_shape.has_children(self.mirror.config, node.key)

    def fetchMore(self, parent: Index) -> None:
        node = self.node(parent)
        if node is not None and node.children is None and not self._changing:
            made = self._make_all(tree_shape.children(self.mirror.config, node.key), node)
            with self._inserting(node, 0, len(made) - 1):
                node.children = made
                _number(made)

    def data(self, index: Index, role: int = Role.DisplayRole) -> Any:
        node = self.node(index)
        if node is None:
            return None
        if role in (Role.DisplayRole, Role.EditRole):
            return tree_shape.title(self.mirror.config, node.key)
        if role == Role.AccessibleTextRole:
            return tree_shape.title(self.mirror.config, node.key)
        if role in (Role.ToolTipRole, Role.AccessibleDescriptionRole):
            return "\n".join(self.mirror.health.causes(node.key)) or None
        if role == Role.DecorationRole:
            return self._icon(node.key)
        return node.key if role == KEY_ROLE else None

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Role.DisplayRole) -> Any:
        return "Objects" if role == Role.DisplayRole and section == 0 else None

    # --- what the console asks ---
    def node(self, index: Index) -> Node | None:
        """The place behind an index; None for an index of the past."""
        return self._nodes.get(index.internalId()) if index.isValid() else None

    def path(self, index: Index) -> Path:
        """All keys from the root to a place."""
        keys: list[Key] = []
        node = self.node(index)
        while node is not None:
            keys.append(node.key)
            node = node.parent
        return tuple(reversed(keys))

    def index_at(self, path: Path) -> QModelIndex:
        """The index of a place, branches opened as far as needed; invalid when it is gone."""
        found: Node | None = None
        for key in path:
            if found is not None:
                self.fetchMore(self._index_of(found))
            siblings: Iterable[Node] = self._roots if found is None else found.children or ()
            found = next((node for node in siblings if node.key == key), None)
            if found is None:
                return QModelIndex()
        return self._index_of(found) if found is not None else QModelIndex()

    def apply(self, change: Change) -> None:
        """Follow one net change."""
        if change.reset:
            self.beginResetModel()
            self._fill()
            self.endResetModel()
            return
        wanted = self._wanted(change)
        for parent, (gone, new) in wanted.items():
            if parent.id in self._nodes:  # else it has gone itself, to come anew elsewhere, unopened
                self._remove(parent, gone)
                self._insert(parent, new)
        self._tell_looks({*change.overlays, *(ref for ref in change.records if ref in self._by_key)})

    # --- inside ---
    def _fill(self) -> None:
        self._nodes.clear()
        self._by_key.clear()
        self._roots = []
        if self.mirror.host in self.mirror.config:
            root = self._make(self.mirror.host, None)
            self._roots = [root]
            agent = self._make(Folder(self.mirror.host.id, tree_shape.AGENT), root)
            root.children = [agent]

    def _tell_looks(self, keys: Collection[Key]) -> None:
        """Places look otherwise. Of many only those in sight are told: a view asks a lot about each that it is told."""
        nodes = [node for key in keys for node in self._by_key.get(self._of_host(key), ())]
        if self.seen is not None and len(nodes) > ONE_BY_ONE:
            seen = self.seen()
            nodes = [node for node in nodes if node.id in seen]
        for node in nodes:
            at = self._index_of(node)
            self.dataChanged.emit(at, at)

    def _of_host(self, key: Key) -> Key:
        return self.mirror.host if isinstance(key, Folder) and not key.name else key

    def _wanted(self, change: Change) -> dict[Node, tuple[list[Node], list[Ref]]]:
        """For each opened branch: what leaves it (also to be sorted in anew), and what enters it."""
        wanted: dict[Node, tuple[list[Node], list[Ref]]] = {}
        for ref, record in change.records.items():
            after = set(tree_shape.parents(record, self.mirror.host.id)) if record is not None else set()
            kept: set[Key] = set()
            for node in self._by_key.get(ref, ()):
                if node.parent is None:
                    continue
                if node.parent.key in after and self._in_order(node, record):
                    kept.add(node.parent.key)
                else:
                    wanted.setdefault(node.parent, ([], []))[0].append(node)
            for key in after - kept:
                for parent in self._by_key.get(key, ()):
                    if parent.children is not None:
                        wanted.setdefault(parent, ([], []))[1].append(ref)
        return wanted

    def _in_order(self, node: Node, record: Record | None) -> bool:
        return record is not None and node.order == tree_shape.sort_key(self.mirror.config, node.key)

    def _remove(self, parent: Node, gone: list[Node]) -> None:
        for first, last in reversed(runs(sorted(node.row for node in gone))):
            assert parent.children is not None
            self._changing = True
            self.beginRemoveRows(self._index_of(parent), first, last)
            for node in parent.children[first : last + 1]:
                self._forget(node)
            del parent.children[first : last + 1]
            _number(parent.children)
            self.endRemoveRows()
            self._changing = False

    def _insert(self, parent: Node, refs: list[Ref]) -> None:
        made = sorted((self._make(ref, parent) for ref in refs), key=lambda node: node.order)
        for node in made:
            assert parent.children is not None
            row = bisect_left(parent.children, node.order, key=lambda each: each.order)
            with self._inserting(parent, row, row):
                parent.children.insert(row, node)
                _number(parent.children)

    @contextmanager
    def _inserting(self, parent: Node, first: int, last: int) -> Iterator[None]:
        self._changing = True
        self.beginInsertRows(self._index_of(parent), first, last)
        yield
        self.endInsertRows()
        self._changing = False

    def _make(self, key: Key, parent: Node | None) -> Node:
        self._last += 1
        node = Node(self._last, key, parent, tree_shape.sort_key(self.mirror.config, key))
        self._nodes[node.id] = node
        self._by_key.setdefault(key, []).append(node)
        return node

    def _make_all(self, keys: Iterable[Key], parent: Node) -> list[Node]:
        """All places of a branch in their order: of ten thousand each part of a microsecond counts."""
        config, order, nodes, same = self.mirror.config, tree_shape.sort_key, self._nodes, self._by_key
        made = [Node(number, key, parent, order(config, key)) for number, key in enumerate(keys, self._last + 1)]
        self._last += len(made)
        for node in made:
            nodes[node.id] = node
            if node.key in same:
                same[node.key].append(node)
            else:
                same[node.key] = [node]
        made.sort(key=_ORDER)
        return made

    def _forget(self, node: Node) -> None:
        for child in node.children or ():
            self._forget(child)
        del self._nodes[node.id]
        same = self._by_key[node.key]
        same.remove(node)
        if not same:
            del self._by_key[node.key]

    def _children_at(self, parent: Index) -> list[Node]:
        if not parent.isValid():
            return self._roots
        node = self.node(parent)
        return node.children or [] if node is not None else []

    def _index_of(self, node: Node) -> QModelIndex:
        return self.createIndex(node.row, 0, node.id)

    def _icon(self, key: Key) -> Any:
        record = None if isinstance(key, Folder) else self.mirror.config.get(key)
        name = icon_name(record) if record is not None else "folder" if isinstance(key, Folder) else key.kind.value
        worst = self.mirror.health.worst(key)
        return icons.icon(name, TONE_NAMES[worst] if worst >= Tone.WARNING else "")


def _number(nodes: list[Node]) -> None:
    for row, node in enumerate(nodes):
        node.row = row
