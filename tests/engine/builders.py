"""Configurations for tests: hosts with disks, enclosures and groups; commands applied; tasks ended by a small model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec
from msgspec.structs import replace

from engine.commands import Command
from engine.config import Config, Edit
from engine.geometry import geometry
from engine.planners import plan
from engine.plans import Plan
from engine.records import (
    DERIVED_FIELDS,
    Connection,
    Disk,
    Enclosure,
    Group,
    Kind,
    Plex,
    PlexState,
    Record,
    Ref,
    Subdisk,
    Task,
    TaskState,
    TaskType,
    Volume,
)
from engine.rules import other_end
from engine.states import COMPLETE, PLEX_MAY_BECOME
from engine.units import GIB

HOST = "f" * 32


class Ids:
    """New Refs in the same order each time; numbers for tasks and alerts."""

    def __init__(self) -> None:
        self._count: Counter[Kind] = Counter()

    def __call__(self, kind: Kind) -> Ref:
        self._count[kind] += 1
        number = self._count[kind]
        plain = kind in (Kind.TASK, Kind.ALERT)
        return Ref(kind, str(number) if plain else f"{number:032x}", HOST)


def disk_record(ids: Ids, number: int, group: Ref | None, enclosure: Ref | None, size: int) -> Disk:
    """`Harddisk<number>`, initialized when it has a group."""
    places = geometry(size)
    return Disk(
        ref=ids(Kind.DISK),
        name=f"Harddisk{number}",
        size=size,
        group=group,
        public_offset=places.public_offset if group else 0,
        public_length=places.public_length if group else 0,
        lun=f"/lab/lun{number}",
        enclosure=enclosure,
        present=True,
    )


class Site:
    """A host's configuration that commands are done to. `config` is always settled."""

    def __init__(
        self,
        disks: int = 6,
        *,
        enclosures: int = 2,
        sizes: Sequence[int] = (2 * GIB,),
        groups: Sequence[str] = ("dg1",),
        spare_luns: int = 0,
    ) -> None:
        """Each group gets `disks` disks, alternating between enclosures; `spare_luns` more belong to no group."""
        self.ids = Ids()
        shelves = [Enclosure(ref=self.ids(Kind.ENCLOSURE), name=f"array{n}") for n in range(enclosures)]
        made = [Group(ref=self.ids(Kind.GROUP), name=name, transaction=1) for name in groups]
        homes: list[Ref | None] = [group.ref for group in made for _ in range(disks)] + [None] * spare_luns
        records: list[Record] = [*shelves, *made]
        for number, home in enumerate(homes):
            shelf = shelves[number % enclosures].ref if shelves else None
            records.append(disk_record(self.ids, number, home, shelf, sizes[number % len(sizes)]))
        self.config = Config.of(records)

    # --- finding ---
    def group(self, name: str = "dg1") -> Ref:
        return self._named(Kind.GROUP, name)

    def disk(self, number: int) -> Ref:
        return self._named(Kind.DISK, f"Harddisk{number}")

    def volume(self, name: str) -> Volume:
        return next(volume for volume in self.config.all(Kind.VOLUME, Volume) if volume.name == name)

    def plexes(self, name: str) -> list[Plex]:
        return self.config.plexes_of(self.volume(name).ref)

    def subdisks(self, name: str) -> list[Subdisk]:
        return [subdisk for plex in self.plexes(name) for subdisk in self.config.subdisks_of(plex.ref)]

    def _named(self, kind: Kind, name: str) -> Ref:
        found = self.config.find(kind, name)
        assert found is not None, name
        return found.ref

    # --- changing ---
    def edit(self, *records: Record) -> None:
        """Put records as they are."""
        edit = Edit(self.config)
        for record in records:
            edit.put(record)
        self.config = edit.result()[0]

    def set(self, ref: Ref, **fields: object) -> None:
        """Change some fields of a record."""
        self.edit(replace(self.config[ref], **fields))

    def connect(self, volume: Ref, name: str = "fio (process 4711)") -> None:
        """A client connects."""
        self.edit(Connection(ref=self.ids(Kind.CONNECTION), name=name, volume=volume, since=1.0))

    def plan(self, command: Command) -> Plan:
        return plan(self.config, command, self.ids)

    def submit(self, command: Command) -> Plan:
        """Plan, which must be possible, and apply; its task is left running."""
        made = self.plan(command)
        assert not made.problems, made.problems
        self.apply(made)
        return made

    def apply(self, made: Plan) -> None:
        """What the engine does with a plan: the edit, the task, the group's next transaction."""
        edit = Edit(self.config)
        for ref in made.drops:
            edit.drop(ref)
        for record in made.puts:
            assert_lawful(self.config.get(record.ref), record)
            edit.put(record)
        for task in (made.task, *made.also) if made.task is not None else ():
            edit.put(replace(task, state=TaskState.RUNNING))
        group = edit.config.get(made.group)
        if isinstance(group, Group):
            edit.put(replace(group, transaction=group.transaction + 1))
        self.config = edit.result()[0]

    def do(self, command: Command) -> Plan:
        """Submit, and end what it started."""
        made = self.submit(command)
        self.finish()
        return made

    def finish(self) -> None:
        """End every running task as the engine would when all of its steps have succeeded."""
        edit = Edit(self.config)
        for task in self.config.all(Kind.TASK, Task):
            if task.state is TaskState.RUNNING:
                end_task(edit, task)
        self.config = edit.result()[0]


def end_task(edit: Edit, task: Task) -> None:
    """The changes to the configuration that the end of a task brings."""
    params = task.params
    if params.volume is not None and task.type in (TaskType.CREATE_VOLUME, TaskType.GROW_VOLUME):
        for ref in params.plexes:
            edit.put(replace(edit.config.plex(ref), state=PlexState.CLEAN))
        edit.put(replace(edit.config.volume(params.volume), size=params.size))
    if params.volume is not None and task.type in (TaskType.ADD_MIRROR, TaskType.RESYNC):
        for ref in params.plexes:
            edit.put(replace(edit.config.plex(ref), state=PlexState.ACTIVE))
        edit.put(replace(edit.config.volume(params.volume), source=None))
    if params.volume is not None and task.type is TaskType.ADD_COLUMN:
        for old, new in zip(params.leaving, params.plexes, strict=True):
            for subdisk in edit.config.subdisks_of(old):
                edit.drop(subdisk.ref)
            name = edit.config.plex(old).name
            edit.drop(old)
            edit.put(replace(edit.config.plex(new), name=name, state=PlexState.ACTIVE))
    if task.type in (TaskType.MOVE_SUBDISK, TaskType.EVACUATE_DISK):
        _take_over(edit, params.subdisks)
    if task.type is TaskType.SNAP_SHOT:
        for ref in params.volumes:
            volume = edit.config.volume(ref)
            links = tuple(replace(link, settled=True) for link in volume.links)
            edit.put(replace(volume, started=True, links=links))
    edit.put(replace(task, state=TaskState.COMPLETED))


def _take_over(edit: Edit, targets: Iterable[Ref]) -> None:
    waiting = sorted(map(edit.config.subdisk, targets), key=lambda target: target.plex_offset)
    for target in waiting:
        assert target.replaces is not None
        old = edit.config.subdisk(target.replaces)
        if old.plex_offset == target.plex_offset:
            edit.drop(target.ref)
            edit.put(replace(target, ref=old.ref, replaces=None))
        else:
            edit.put(replace(target, replaces=None))


# --- what must always hold ---
def assert_lawful(before: Record | None, after: Record) -> None:
    """A plex goes from one state to another only as the table of states allows."""
    if isinstance(before, Plex) and isinstance(after, Plex) and before.state is not after.state:
        assert after.state in PLEX_MAY_BECOME[before.state], f"{after.name}: {before.state} -> {after.state}"


def bare(record: Record) -> Record:
    """A record with its derived fields at their defaults."""
    kind = record.ref.kind
    defaults = {field.name: field.default for field in msgspec.structs.fields(record)}
    return replace(record, **{name: defaults[name] for name in DERIVED_FIELDS.get(kind, ())})


def assert_same(found: Config, wanted: Config) -> None:
    """Equal in records, in every index and in free space."""
    assert found._kinds == wanted._kinds
    assert found._children == wanted._children
    assert found._names == wanted._names
    for disk in found.all(Kind.DISK, Disk):
        assert found.free(disk.ref) == wanted.free(disk.ref), disk.name


def assert_settled(config: Config) -> None:
    """Equal to what a full settle of the bare records makes."""
    assert_same(config, Config.of(bare(record) for record in config))


def assert_sound(config: Config, *, shared_disks: bool = False) -> None:
    """Space, mapping, names and links are as they must be after every commit."""
    assert_settled(config)
    for disk in config.all(Kind.DISK, Disk):
        _assert_no_overlap(config, disk)
    for volume in config.all(Kind.VOLUME, Volume):
        _assert_volume(config, volume, shared_disks)
    _assert_unique_names(config)
    _assert_links(config)


def _assert_links(config: Config) -> None:
    """Each link leads to a volume that has the other end."""
    for volume in config.all(Kind.VOLUME, Volume):
        for link in volume.links:
            assert other_end(config, volume.ref, link) is not None, f"{volume.name} has a link to nothing"


def _assert_no_overlap(config: Config, disk: Disk) -> None:
    position = disk.public_offset
    for subdisk in config.subdisks_on(disk.ref):
        assert subdisk.disk_offset >= position, f"{subdisk.name} overlaps on {disk.name}"
        assert subdisk.length > 0
        position = subdisk.disk_offset + subdisk.length
    assert position <= disk.public_offset + disk.public_length, f"beyond the end of {disk.name}"


def _assert_volume(config: Config, volume: Volume, shared_disks: bool) -> None:
    assert volume.group in config
    used: set[Ref] = set()
    plexes = config.plexes_of(volume.ref)
    assert plexes, f"{volume.name} has no plex"
    for plex in plexes:
        spared = _disks_taken_over(config, plex)
        for column in _columns(config, plex):
            disks = {subdisk.disk for subdisk in column}
            assert shared_disks or not disks & used - spared, f"{volume.name} uses a disk twice"
            used |= disks
        assert plex.length >= volume.size, f"{plex.name} is shorter than its volume"


def _disks_taken_over(config: Config, plex: Plex) -> set[Ref]:
    """The disks of the plex that this one takes over from, or is taken over by: they may be on the same."""
    found: set[Ref] = set()
    for task in config.tasks_of(config.volume(plex.volume).group):
        for pair in zip(task.params.leaving, task.params.plexes, strict=False):
            if plex.ref in pair and not task.ended:
                found |= {sd.disk for ref in pair if ref != plex.ref for sd in config.subdisks_of(ref)}
    return found


def _columns(config: Config, plex: Plex) -> list[list[Subdisk]]:
    """The subdisks of each column with their replacements; gapless, and all columns of one length."""
    everything = config.subdisks_of(plex.ref)
    lengths = set()
    for column in range(plex.columns):
        own = [subdisk for subdisk in everything if subdisk.column == column and subdisk.replaces is None]
        lengths.add(_assert_gapless(own, 0))
        for subdisk in own:
            replacing = config.replacements_of(subdisk.ref)
            if replacing:
                end = _assert_gapless(replacing, subdisk.plex_offset)
                assert end == subdisk.plex_offset + subdisk.length
    assert len(lengths) == 1, f"{plex.name} has columns of lengths {lengths}"
    return [[subdisk for subdisk in everything if subdisk.column == column] for column in range(plex.columns)]


def _assert_gapless(subdisks: Sequence[Subdisk], position: int) -> int:
    for subdisk in subdisks:
        assert subdisk.plex_offset == position, f"gap or overlap before {subdisk.name}"
        position += subdisk.length
    return position


def _assert_unique_names(config: Config) -> None:
    seen: set[tuple[Kind, Ref | None, str]] = set()
    for record in config:
        if record.ref.kind in (Kind.GROUP, Kind.DISK, Kind.VOLUME, Kind.PLEX, Kind.SUBDISK):
            scoped = record.ref.kind in (Kind.VOLUME, Kind.PLEX, Kind.SUBDISK)
            key = record.ref.kind, config.group_of(record) if scoped else None, record.name
            assert key not in seen, f"two {key}"
            seen.add(key)


Place = tuple[Ref, int, Ref, int]


def placement(config: Config) -> dict[Place, int]:
    """Where each column lies, however it is cut: (plex, column, disk, disk offset - plex offset) -> bytes."""
    found: dict[Place, int] = {}
    for subdisk in config.all(Kind.SUBDISK, Subdisk):
        key = subdisk.plex, subdisk.column, subdisk.disk, subdisk.disk_offset - subdisk.plex_offset
        found[key] = found.get(key, 0) + subdisk.length
    return found


def complete(config: Config, volume: Ref) -> int:
    """How many plexes of a volume are in a state in which they hold all bytes."""
    return sum(plex.state in COMPLETE for plex in config.plexes_of(volume))
