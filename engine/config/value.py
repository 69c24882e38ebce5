"""The configuration: an immutable value of records with its indexes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from operator import attrgetter
from typing import NamedTuple, TypeVar, cast

from engine.config.order import by_name
from engine.records import (
    AnyRecord,
    Disk,
    Group,
    Kind,
    Plex,
    PlexLayout,
    Record,
    Ref,
    Schedule,
    Settings,
    Subdisk,
    Task,
    TaskType,
    Volume,
)

R = TypeVar("R", bound=Record)

# kind -> fields by which its records hang under another record
PARENT_FIELDS: dict[Kind, tuple[str, ...]] = {
    Kind.DISK: ("group", "enclosure"),
    Kind.VOLUME: ("group",),
    Kind.PLEX: ("volume",),
    Kind.SUBDISK: ("plex", "disk", "replaces"),
    Kind.TASK: ("group",),
    Kind.CONNECTION: ("volume",),
    Kind.SCHEDULE: ("group",),
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
        from engine.config.edit import Edit  # an edit needs Config's type, and nothing else of this module needs edits

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
        return by_name(list(cast("Iterable[R]", self._kinds[kind].values())))

    @property
    def settings(self) -> Settings | None:
        """What the host's operator has set; None until the host is known."""
        return next(iter(cast("Iterable[Settings]", self._kinds[Kind.SETTINGS].values())), None)

    def delay_of(self, type_: TaskType) -> int:
        """How many milliseconds new tasks of a type rest after each mebibyte."""
        settings = self.settings
        return settings.delay_of(type_) if settings is not None else 0

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
        return by_name(cast("list[Disk]", self.children(group, Kind.DISK, "group")))

    def disks_in(self, enclosure: Ref) -> list[Disk]:
        return by_name(cast("list[Disk]", self.children(enclosure, Kind.DISK, "enclosure")))

    def volumes_of(self, group: Ref) -> list[Volume]:
        return by_name(cast("list[Volume]", self.children(group, Kind.VOLUME, "group")))

    def plexes_of(self, volume: Ref) -> list[Plex]:
        """The plexes that hold the volume's data; logs are no copies of it."""
        found = cast("list[Plex]", self.children(volume, Kind.PLEX, "volume"))
        return by_name([plex for plex in found if plex.layout is not PlexLayout.LOG])

    def logs_of(self, volume: Ref) -> list[Plex]:
        """The log plexes of a RAID-5 volume."""
        found = cast("list[Plex]", self.children(volume, Kind.PLEX, "volume"))
        return by_name([plex for plex in found if plex.layout is PlexLayout.LOG])

    def parts_of(self, volume: Ref) -> list[Plex]:
        """Everything that belongs to a volume: its plexes, then its logs."""
        return [*self.plexes_of(volume), *self.logs_of(volume)]

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

    def schedules_of(self, group: Ref) -> list[Schedule]:
        """The schedules of snapshot sets of a group."""
        return by_name(cast("list[Schedule]", self.children(group, Kind.SCHEDULE, "group")))

    def connections_of(self, volume: Ref) -> list[Record]:
        return by_name(self.children(volume, Kind.CONNECTION, "volume"))

    def volume_of(self, subdisk: Subdisk) -> Volume:
        return self.volume(self.plex(subdisk.plex).volume)

    def find(self, kind: Kind, name: str, group: Ref | None = None) -> AnyRecord | None:
        """By name: within a group for what belongs to one (volumes, plexes, subdisks), else on the host."""
        found = [ref for ref in self._names[kind].get(name, ()) if self._scope(ref) == group]
        return self.get(min(found)) if found else None

    def _scope(self, ref: Ref) -> Ref | None:
        """The group within which a name is unique; None for what is named on the host."""
        match self.get(ref):
            case Volume(group=group) | Schedule(group=group):
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
            case Disk() | Volume() | Task() | Schedule():
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
