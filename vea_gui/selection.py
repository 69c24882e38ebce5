"""What the operator has picked: refs, never rows or widgets, looked up in today's records."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from engine.config import Config
from engine.records import Connection, Disk, Group, Kind, Plex, Record, Ref, Subdisk, Task, Volume

R = TypeVar("R", bound=Record)

MIXED = "mixed"
NOTHING = ""


class FreeSpace(NamedTuple):
    """A picked stretch of free space; `offset` from the first byte of the LUN."""

    disk: Ref
    offset: int
    length: int


@dataclass(frozen=True)
class Selection:
    """Picked objects, or picked free space, or a folder of the tree, against one configuration."""

    config: Config = field(default_factory=Config, compare=False)
    refs: tuple[Ref, ...] = ()
    folder: str = NOTHING  # of the tree: "disks", "volumes", ...
    free: tuple[FreeSpace, ...] = ()

    @property
    def place(self) -> str:
        """One word for what is picked: a kind, a folder, `free`, `mixed`, or nothing."""
        if self.free and not self.refs:
            return "free"
        kinds = {ref.kind.value for ref in self.refs}
        if not kinds:
            return self.folder
        return kinds.pop() if len(kinds) == 1 else MIXED

    @property
    def count(self) -> int:
        return len(self.refs)

    def of(self, record_type: type[R]) -> list[R]:
        """The picked records of a type that are still there, in the order of picking."""
        found = (self.config.get(ref) for ref in self.refs)
        return [record for record in found if isinstance(record, record_type)]

    def one(self, record_type: type[R]) -> R | None:
        """The picked record, when exactly one object is picked and it is of this type."""
        found = self.of(record_type)
        return found[0] if len(found) == 1 and len(self.refs) == 1 else None

    def on(self, config: Config) -> Selection:
        """The same against newer records; what is gone falls out."""
        refs = tuple(ref for ref in self.refs if ref in config)
        free = tuple(space for space in self.free if space.disk in config)
        return Selection(config, refs, self.folder, free)

    @property
    def groups(self) -> list[Group]:
        """The disk groups that hold what is picked, each once."""
        found: dict[Ref, Group] = {}
        for record in (*self.of(Record), *(self.config.get(space.disk) for space in self.free)):
            ref = self.config.group_of(record) if record is not None else None
            group = self.config.get(ref)
            if isinstance(group, Group):
                found[group.ref] = group
        return list(found.values())

    @property
    def group(self) -> Group | None:
        """The one disk group that holds all that is picked."""
        found = self.groups
        return found[0] if len(found) == 1 else None

    @property
    def volumes(self) -> list[Volume]:
        """Picked volumes, and those that picked mirrors, subdisks and clients belong to; each once."""
        found: dict[Ref, Volume] = {}
        for record in self.of(Record):
            volume = self._volume_of(record)
            if volume is not None:
                found[volume.ref] = volume
        return list(found.values())

    @property
    def disks(self) -> list[Disk]:
        """Picked disks, and those of picked free space and subdisks; each once."""
        refs = [*self.refs, *(space.disk for space in self.free)]
        refs += [subdisk.disk for subdisk in self.of(Subdisk)]
        found = (self.config.get(ref) for ref in dict.fromkeys(refs) if ref.kind is Kind.DISK)
        return [record for record in found if isinstance(record, Disk)]

    def _volume_of(self, record: Record) -> Volume | None:
        owner: Record | None = record
        if isinstance(owner, Subdisk):
            owner = self.config.get(owner.plex)
        if isinstance(owner, (Plex, Connection)):
            owner = self.config.get(owner.volume)
        if isinstance(owner, Task):
            ref = owner.params.volume
            owner = self.config.get(ref if ref is not None else owner.object)
        return owner if isinstance(owner, Volume) else None
