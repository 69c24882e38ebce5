"""Edits: what makes the next configuration of one, at the cost of the change."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TypeVar

from engine.config.value import PARENT_FIELDS, Config
from engine.records import AnyRecord, Disk, Kind, Record, Ref, Subdisk

Index = TypeVar("Index")
Key = TypeVar("Key")


class Edit:
    """Changes to a configuration. Remembers what was touched, so that its cost is that of the change."""

    def __init__(self, base: Config) -> None:
        self.base = base
        self._next = _fork(base)
        self._owned: set[Kind] = set()
        self._owned_indexes: set[object] = set()
        self._owned_entries: set[tuple[object, object]] = set()
        self.touched: dict[Ref, None] = {}  # in order of touching
        self.settled: dict[Ref, Record] = {}  # touched plexes as they were last settled

    @property
    def config(self) -> Config:
        """What the edit has made so far, not yet settled."""
        return self._next

    def put(self, record: Record) -> None:
        """Add a record, or replace the one with the same `Ref`."""
        ref = record.ref
        old = self._next._kinds[ref.kind].get(ref)
        if old == record:
            return
        self._relink(ref, old, record)
        self._own_kind(ref.kind)[ref] = record
        self.touched[ref] = None

    def drop(self, ref: Ref) -> None:
        """Remove a record. Its children are the caller's business."""
        old = self._own_kind(ref.kind).pop(ref)
        self._relink(ref, old, None)
        self.touched[ref] = None

    def result(self) -> tuple[Config, frozenset[Ref]]:
        """The new configuration, settled upwards from what was touched, and everything that differs."""
        from engine.states import settle  # settle needs Edit's type, and nothing else of this module does

        settle(self)
        old, new = self.base, self._next
        return new, frozenset(ref for ref in self.touched if old.get(ref) != new.get(ref))

    def touched_in(self, wanted: Collection[Ref]) -> list[Ref]:
        """Those of `wanted` in the order in which they were touched: the order of events."""
        return [ref for ref in self.touched if ref in wanted]

    def unsettled(self) -> Config:
        """The new configuration as it is: for a mirror whose records arrive settled."""
        return self._next

    def _own_kind(self, kind: Kind) -> dict[Ref, Record]:
        if kind not in self._owned:
            self._owned.add(kind)
            self._next._kinds[kind] = dict(self._next._kinds[kind])
        return self._next._kinds[kind]

    def _relink(self, ref: Ref, old: Record | None, new: Record | None) -> None:
        """Bring the indexes from the old record (None: it is new) to the new one (None: it goes)."""
        for field in PARENT_FIELDS.get(ref.kind, ()):
            index = self._next._children
            self._move(index, (ref.kind, field), getattr(old, field, None), getattr(new, field, None), ref)
        before, after = (old.name if old else None), (new.name if new else None)
        self._move(self._next._names, ref.kind, before, after, ref)
        if _space(old) != _space(new):
            for disk in filter(None, (_disk_of(old), _disk_of(new))):
                self._next._free.pop(disk, None)

    def _move(
        self, indexes: dict[Index, dict[Key, set[Ref]]], index: Index, old: Key | None, new: Key | None, ref: Ref
    ) -> None:
        if old == new:
            return
        if old is not None:
            entry = self._own_entry(indexes, index, old)
            entry.discard(ref)
            if not entry:
                del indexes[index][old]
        if new is not None:
            self._own_entry(indexes, index, new).add(ref)

    def _own_entry(self, indexes: dict[Index, dict[Key, set[Ref]]], index: Index, key: Key) -> set[Ref]:
        """The set under a key, copied at its first change in this edit: what `base` sees never changes."""
        if index not in self._owned_indexes:
            self._owned_indexes.add(index)
            indexes[index] = dict(indexes[index])
        entries = indexes[index]
        if (index, key) not in self._owned_entries or key not in entries:
            self._owned_entries.add((index, key))
            entries[key] = set(entries.get(key, ()))
        return entries[key]


def _disk_of(record: Record | None) -> Ref | None:
    return record.disk if isinstance(record, Subdisk) else record.ref if isinstance(record, Disk) else None


def _space(record: Record | None) -> tuple[object, ...]:
    """What the free ranges of a disk depend on."""
    match record:
        case Subdisk():
            return record.disk, record.disk_offset, record.length
        case Disk():
            return record.group, record.public_offset, record.public_length
    return ()


def _fork(base: Config) -> Config:
    config = Config.__new__(Config)
    config._kinds = dict(base._kinds)
    config._children = dict(base._children)
    config._names = dict(base._names)
    config._free = dict(base._free)
    return config


def difference(old: Config, new: Config) -> Mapping[Ref, AnyRecord | None]:
    """Every record that differs, None for those gone: the full comparison that tests hold an edit's events against."""
    refs = {record.ref for record in old} | {record.ref for record in new}
    return {ref: new.get(ref) for ref in sorted(refs) if old.get(ref) != new.get(ref)}
