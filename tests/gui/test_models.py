"""Models under random changes: Qt's own tester watches, and each model equals one made anew."""

from __future__ import annotations

import msgspec
import pytest
from PySide6.QtCore import QAbstractItemModel, QModelIndex, QPersistentModelIndex, Qt
from PySide6.QtTest import QAbstractItemModelTester
from pytestqt.qtbot import QtBot

from engine.config import Config, natural
from engine.events import Remove, Upsert
from engine.records import Kind, Ref
from tests.gui import sample_lab
from tests.gui.random_lab import RandomLab
from tests.gui.sample_lab import GROUP, HOST, ref
from vea_gui import health, tree_shape
from vea_gui.mirror import Mirror
from vea_gui.models import table as table_module
from vea_gui.models.table import RecordTable, Source, everything
from vea_gui.models.tree import Node, ObjectTree
from vea_gui.views import object_tabs

ROUNDS = 60
SOURCES: dict[str, Source] = {
    **{kind.value: everything(kind) for kind in Kind},
    "volumes of a group": object_tabs._volumes_of_group(GROUP),
    "disks of a group": object_tabs._disks_of_group(GROUP),
    "subdisks of a disk": object_tabs._subdisks_of_disk(ref(Kind.DISK, 0)),
    "volumes on a disk": object_tabs._volumes_on_disk(ref(Kind.DISK, 0)),
    "mirrors of a volume": object_tabs._plexes(ref(Kind.VOLUME, 1)),
    "subdisks of a volume": object_tabs._subdisks_of_volume(ref(Kind.VOLUME, 1)),
}


@pytest.fixture
def mirror() -> Mirror:
    made = Mirror()
    made.reset(HOST, Config.of(sample_lab.records()))
    return made


def watched(model: QAbstractItemModel) -> QAbstractItemModelTester:
    return QAbstractItemModelTester(model, QAbstractItemModelTester.FailureReportingMode.Fatal)


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize("descending", [False, True])
def test_table_equals_one_made_anew(qapp: object, mirror: Mirror, seed: int, name: str, descending: bool) -> None:
    source = SOURCES[name]
    table = RecordTable(mirror, source)
    tester = watched(table)
    order = Qt.SortOrder.DescendingOrder if descending else Qt.SortOrder.AscendingOrder
    lab = RandomLab(mirror.config, seed)
    for turn in range(ROUNDS):
        sort_column = turn % table.columnCount()
        table.sort(sort_column, order)
        kept = {table.ref(row): QPersistentModelIndex(table.index(row, 0)) for row in range(0, table.rowCount(), 2)}
        for _ in range(1 + turn % 3):  # rows change twice, and go, before they have moved
            table.apply(mirror.fold(lab.events(lab.random.randrange(12))))
        table.resort()
        fresh = RecordTable(mirror, source)
        fresh.sort(sort_column, order)
        assert table.refs() == fresh.refs()
        assert {table.row_of(each) for each in table.refs()} == set(range(table.rowCount()))
        for each, index in kept.items():
            if index.isValid() or turn % 3 == 0:  # what went may have come back since, as another row
                assert (index.row() if index.isValid() else None) == table.row_of(each)
    assert tester.model() is table


def test_a_row_may_go_before_it_has_moved(qapp: object, mirror: Mirror) -> None:
    table = RecordTable(mirror, everything(Kind.VOLUME))
    first, last = table.refs()
    small = msgspec.structs.replace(mirror.config.volume(first), size=1)
    table.sort([column.id for column in table.columns].index("size"))
    table.apply(mirror.fold([Upsert(msgspec.structs.replace(small, size=1 << 60))]))
    table.apply(mirror.fold([Remove(first)]))
    table.resort()
    assert table.refs() == [last]
    table.apply(mirror.fold([Upsert(small)]))
    table.resort()
    assert table.refs() == [first, last]


def test_rows_that_a_change_concerns_are_repainted(qapp: object, mirror: Mirror) -> None:
    """A client that connects changes a cell of its volume's row, though the volume's record is the same."""
    table = RecordTable(mirror, everything(Kind.VOLUME))
    painted: list[int] = []
    table.dataChanged.connect(lambda first, last: painted.extend(range(first.row(), last.row() + 1)))
    table.apply(mirror.fold([Remove(ref(Kind.CONNECTION, 1))]))
    assert painted == [table.row_of(ref(Kind.VOLUME, 1))]


def test_only_what_is_seen_is_repainted(qapp: object, mirror: Mirror) -> None:
    import msgspec

    from engine.events import Upsert

    table = RecordTable(mirror, everything(Kind.DISK))
    table.seen = lambda: range(3)
    painted: list[tuple[int, int]] = []
    table.dataChanged.connect(lambda first, last: painted.append((first.row(), last.row())))
    last = msgspec.structs.replace(mirror.config.disk(ref(Kind.DISK, 11)), paths=2)
    table.apply(mirror.fold([Upsert(last)]))
    assert painted == []


def shape(tree: ObjectTree, node: Node) -> object:
    """An opened branch as nested keys."""
    if node.children is None:
        return node.key
    return (node.key, [shape(tree, child) for child in node.children])


def expected(mirror: Mirror, node: Node) -> object:
    if node.children is None:
        return node.key
    keys = sorted(tree_shape.children(mirror.config, node.key), key=lambda k: tree_shape.sort_key(mirror.config, k))
    by_key = {child.key: child for child in node.children}
    return (node.key, [expected(mirror, by_key[key]) if key in by_key else key for key in keys])


def open_some(tree: ObjectTree, random: object, parent: QModelIndex) -> None:
    for row in range(tree.rowCount(parent)):
        index = tree.index(row, 0, parent)
        if random.random() < 0.7:  # type: ignore[attr-defined]
            if tree.canFetchMore(index):
                tree.fetchMore(index)
            open_some(tree, random, index)


def test_tree_equals_its_shape(qapp: object, mirror: Mirror, seed: int) -> None:
    tree = ObjectTree(mirror)
    tester = watched(tree)
    lab = RandomLab(mirror.config, seed)
    for _ in range(ROUNDS * 2):
        open_some(tree, lab.random, QModelIndex())
        tree.apply(mirror.fold(lab.events(lab.random.randrange(12))))
        root = tree.node(tree.index(0, 0))
        assert root is not None
        assert shape(tree, root) == expected(mirror, root)
    assert tester.model() is tree


def test_tree_indexes_of_the_past_are_harmless(qapp: object, mirror: Mirror) -> None:
    tree = ObjectTree(mirror)
    stale = tree.index(0, 0, tree.index(0, 0))
    tree._fill()
    assert tree.data(stale) is None
    assert tree.rowCount(stale) == 0


def test_roll_up_equals_one_counted_anew(mirror: Mirror, seed: int) -> None:
    lab = RandomLab(mirror.config, seed)
    for _ in range(ROUNDS):
        mirror.fold(lab.events(15))
        fresh = health.Health()
        for record in mirror.config:
            fresh.note(None, record)
        keys = {key for key, under in [*fresh._under.items(), *mirror.health._under.items()] if under}
        assert {key: mirror.health.causes(key) for key in keys} == {key: fresh.causes(key) for key in keys}


def test_refs_are_found_by_role(qapp: object, mirror: Mirror) -> None:
    from vea_gui.models.table import REF_ROLE

    table = RecordTable(mirror, everything(Kind.VOLUME))
    found: Ref = table.index(0, 0).data(REF_ROLE)
    assert mirror.config.volume(found).name == "ev"


@pytest.mark.parametrize("descending", [False, True])
def test_a_long_filter_finds_in_slices_what_one_look_would(
    qtbot: QtBot, mirror: Mirror, seed: int, descending: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While rows come, change and go between the slices; the order is that of a table made anew."""
    monkeypatch.setattr(table_module, "READ_AT_ONCE", 3)
    monkeypatch.setattr(table_module, "FIRST_READ_S", 0.0)
    monkeypatch.setattr(table_module, "READ_S", 0.0)
    mirror.fold([Upsert(sample_lab.volume(500 + number, f"long{number % 7}-{number}", 1)) for number in range(60)])
    table = RecordTable(mirror, everything(Kind.VOLUME))
    tester = watched(table)
    table.sort(0, Qt.SortOrder.DescendingOrder if descending else Qt.SortOrder.AscendingOrder)
    lab = RandomLab(mirror.config, seed)
    table.set_filter("long3")
    assert table.rowCount() < 8
    for _ in range(5):
        table.apply(mirror.fold(lab.events(lab.random.randrange(12))))
        table._read_on()
    qtbot.waitUntil(lambda: not table._unread)
    table.resort()
    wanted = [each.ref for each in mirror.config.every(Kind.VOLUME) if table._belongs(each.ref)]
    wanted.sort(key=lambda each: (natural(mirror.config.volume(each).name), each.id), reverse=descending)
    assert table.refs() == wanted
    assert tester.model() is table
