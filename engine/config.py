"""The configuration: an immutable value of records with its indexes, and edits that make a new one."""

from __future__ import annotations

import functools
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from operator import attrgetter
from typing import NamedTuple, TypeVar, cast

from engine.records import AnyRecord, Disk, Group, Kind, Plex, PlexLayout, Record, Ref, Subdisk, Task, Volume

R = TypeVar("R", bound=Record)

_DIGITS = re.compile("([0-9]+)")
Index = TypeVar("Index")
Key = TypeVar("Key")

# kind -> fields by which its records hang under another record
PARENT_FIELDS: dict[Kind, tuple[str, ...]] = {
    Kind.DISK: ("group", "enclosure"),
    Kind.VOLUME: ("group",),
    Kind.PLEX: ("volume",),
    Kind.SUBDISK: ("plex", "disk", "replaces"),
    Kind.TASK: ("group",),
    Kind.CONNECTION: ("volume",),
}


_BY_PLACE = attrgetter("disk_offset", "ref")


class Extent(NamedTuple):
    """A range of a disk, from the first byte of the LUN."""

    start: int
    end: int

    @property
    def length(self) -> int:
        return self.end - self.start


class Config:
    """All records of a host with lookups. Never changed: `Edit` makes the next one, sharing what it does not touch."""

    __slots__ = ("_children", "_free", "_kinds", "_names")

    def __init__(self) -> None:
        self._kinds: dict[Kind, dict[Ref, Record]] = {kind: {} for kind in Kind}
        self._children: dict[tuple[Kind, str], dict[Ref, set[Ref]]] = {
            (kind, field): {} for kind, fields in PARENT_FIELDS.items() for field in fields
        }
        self._names: dict[Kind, dict[str, set[Ref]]] = {kind: {} for kind in Kind}
        self._free: dict[Ref, tuple[Extent, ...]] = {}

    @classmethod
    def of(cls, records: Iterable[Record]) -> Config:
        """A settled configuration of these records."""
        edit = Edit(cls())
        for record in records:
            edit.put(record)
        return edit.result()[0]

    def get(self, ref: Ref | None) -> AnyRecord | None:
        """The record, or None when there is none (any more)."""
        return None if ref is None else cast("AnyRecord | None", self._kinds[ref.kind].get(ref))

    def __getitem__(self, ref: Ref) -> AnyRecord:
        return cast(AnyRecord, self._kinds[ref.kind][ref])

    def __contains__(self, ref: Ref) -> bool:
        return ref in self._kinds[ref.kind]

    def __iter__(self) -> Iterator[AnyRecord]:
        for kind in Kind:
            yield from cast("Iterable[AnyRecord]", self._kinds[kind].values())

    def __len__(self) -> int:
        return sum(len(records) for records in self._kinds.values())

    def every(self, kind: Kind) -> Collection[AnyRecord]:
        """Every record of a kind, unordered and at no cost."""
        return cast("Collection[AnyRecord]", self._kinds[kind].values())

    def all(self, kind: Kind, record_type: type[R]) -> list[R]:
        """Every record of a kind, in order of name."""
        return _by_name(list(cast("Iterable[R]", self._kinds[kind].values())))

    # --- by reference, checked ---
    def disk(self, ref: Ref) -> Disk:
        return cast(Disk, self._kinds[Kind.DISK][ref])

    def group(self, ref: Ref) -> Group:
        return cast(Group, self._kinds[Kind.GROUP][ref])

    def volume(self, ref: Ref) -> Volume:
        return cast(Volume, self._kinds[Kind.VOLUME][ref])

    def plex(self, ref: Ref) -> Plex:
        return cast(Plex, self._kinds[Kind.PLEX][ref])

    def subdisk(self, ref: Ref) -> Subdisk:
        return cast(Subdisk, self._kinds[Kind.SUBDISK][ref])

    def task(self, ref: Ref) -> Task:
        return cast(Task, self._kinds[Kind.TASK][ref])

    # --- what hangs under what ---
    def children(self, parent: Ref, kind: Kind, field: str) -> list[Record]:
        """Records of `kind` whose `field` is `parent`, unordered."""
        records = self._kinds[kind]
        return [records[ref] for ref in self._children[kind, field].get(parent, ())]

    def count(self, kind: Kind) -> int:
        """How many records of a kind there are."""
        return len(self._kinds[kind])

    def count_children(self, parent: Ref, kind: Kind, field: str) -> int:
        """How many records `children` would answer."""
        return len(self._children[kind, field].get(parent, ()))

    def disks_of(self, group: Ref) -> list[Disk]:
        return _by_name(cast("list[Disk]", self.children(group, Kind.DISK, "group")))

    def disks_in(self, enclosure: Ref) -> list[Disk]:
        return _by_name(cast("list[Disk]", self.children(enclosure, Kind.DISK, "enclosure")))

    def volumes_of(self, group: Ref) -> list[Volume]:
        return _by_name(cast("list[Volume]", self.children(group, Kind.VOLUME, "group")))

    def plexes_of(self, volume: Ref) -> list[Plex]:
        """The plexes that hold the volume's data; logs are no copies of it."""
        found = cast("list[Plex]", self.children(volume, Kind.PLEX, "volume"))
        return _by_name([plex for plex in found if plex.layout is not PlexLayout.LOG])

    def logs_of(self, volume: Ref) -> list[Plex]:
        """The log plexes of a RAID-5 volume."""
        found = cast("list[Plex]", self.children(volume, Kind.PLEX, "volume"))
        return _by_name([plex for plex in found if plex.layout is PlexLayout.LOG])

    def subdisks_of(self, plex: Ref) -> list[Subdisk]:
        """All subdisks of a plex, those being moved to included, by column and offset."""
        found = cast("list[Subdisk]", self.children(plex, Kind.SUBDISK, "plex"))
        return sorted(found, key=lambda sd: (sd.column, sd.plex_offset, sd.replaces is not None, sd.ref.id))

    def subdisks_on(self, disk: Ref) -> list[Subdisk]:
        """By offset on the disk."""
        found = cast("list[Subdisk]", self.children(disk, Kind.SUBDISK, "disk"))
        return sorted(found, key=_BY_PLACE)

    def replacements_of(self, subdisk: Ref) -> list[Subdisk]:
        """Where a subdisk is being moved to, by offset in its column; empty when it is not."""
        found = cast("list[Subdisk]", self.children(subdisk, Kind.SUBDISK, "replaces"))
        return sorted(found, key=lambda sd: (sd.plex_offset, sd.ref))

    def tasks_of(self, group: Ref) -> list[Task]:
        found = cast("list[Task]", self.children(group, Kind.TASK, "group"))
        return sorted(found, key=lambda task: int(task.ref.id))

    def connections_of(self, volume: Ref) -> list[Record]:
        return _by_name(self.children(volume, Kind.CONNECTION, "volume"))

    def volume_of(self, subdisk: Subdisk) -> Volume:
        return self.volume(self.plex(subdisk.plex).volume)

    def find(self, kind: Kind, name: str, group: Ref | None = None) -> AnyRecord | None:
        """By name: within a group for what belongs to one (volumes, plexes, subdisks), else on the host."""
        found = [ref for ref in self._names[kind].get(name, ()) if self._scope(ref) == group]
        return self.get(min(found)) if found else None

    def _scope(self, ref: Ref) -> Ref | None:
        """The group within which a name is unique; None for what is named on the host."""
        match self.get(ref):
            case Volume(group=group):
                return group
            case Plex(volume=volume):
                return self._scope(volume)
            case Subdisk(disk=disk):
                holder = self.get(disk)
                return holder.group if isinstance(holder, Disk) else None
        return None

    def group_of(self, record: Record) -> Ref | None:
        """The group whose configuration holds this record; the group's own Ref for a group."""
        match record:
            case Group():
                return record.ref
            case Disk() | Volume() | Task():
                return record.group
            case Plex():
                volume = self.get(record.volume)
                return self.group_of(volume) if volume is not None else None
            case Subdisk():
                plex = self.get(record.plex)
                return self.group_of(plex) if plex is not None else None
        return None

    def free(self, disk: Ref) -> tuple[Extent, ...]:
        """The unallocated ranges of a disk's public region, ascending; empty for a disk of no group."""
        known = self._free.get(disk)
        if known is None:
            known = self._free[disk] = tuple(self._gaps(disk))
        return known

    def _gaps(self, disk: Ref) -> Iterator[Extent]:
        record = self.disk(disk)
        if record.group is None:
            return
        position, end = record.public_offset, record.public_offset + record.public_length
        for subdisk in self.subdisks_on(disk):
            if subdisk.disk_offset > position:
                yield Extent(position, subdisk.disk_offset)
            position = max(position, subdisk.disk_offset + subdisk.length)
        if position < end:
            yield Extent(position, end)


class Edit:
    """Changes to a configuration. Remembers what was touched, so that its cost is that of the change."""

    def __init__(self, base: Config) -> None:
        self.base = base
        self._next = _fork(base)
        self._owned: set[Kind] = set()
        self._owned_indexes: set[object] = set()
        self._owned_entries: set[tuple[object, object]] = set()
        self.touched: dict[Ref, None] = {}  # in order of touching

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


def _by_name(records: list[R]) -> list[R]:
    return sorted(records, key=lambda record: (natural(record.name), record.ref))


@functools.lru_cache(maxsize=1 << 17)
def natural(name: str) -> str:
    """Sort key that puts Harddisk10 behind Harddisk9. Kept, because long lists are put in order often.

    A number is written with how many digits it has before them, so that comparing text compares numbers; they come
    before letters. One flat text is compared ten times faster than a tuple of parts.
    """
    parts = [part for part in _DIGITS.split(name.casefold()) if part]
    return "".join(_number(part.lstrip("0")) if part[0] in "0123456789" else f"\2{part}" for part in parts)


def _number(digits: str) -> str:
    return f"\1{chr(len(digits))}{digits}"


def difference(old: Config, new: Config) -> Mapping[Ref, AnyRecord | None]:
    """Every record that differs, None for those gone: the full comparison that tests hold an edit's events against."""
    refs = {record.ref for record in old} | {record.ref for record in new}
    return {ref: new.get(ref) for ref in sorted(refs) if old.get(ref) != new.get(ref)}
