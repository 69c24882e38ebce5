"""A case of each kind of task on each shape: the records before, the task, and what must hold after it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from msgspec.structs import replace

from engine.config import Config
from engine.records import AnyRecord, Kind, Plex, PlexState, Ref, Subdisk, Task, TaskType
from engine.units import MIB
from tests.engine.task_lab import HOST, VOLUME, Shape, disk_ref, make_plex, make_task, make_volume


class Case(NamedTuple):
    """`records` go in first, then the volume is filled, then `edit` (with the task in it), then the task runs."""

    records: list[AnyRecord]
    edit: list[AnyRecord]
    task: Task
    copied: int
    done: Callable[[Config], None]
    returned: Callable[[Config], None]


def _refs(records: list[AnyRecord], kind: type[AnyRecord]) -> tuple[Ref, ...]:
    return tuple(record.ref for record in records if isinstance(record, kind))


def mirror(shape: Shape) -> Case:
    volume = make_volume(shape.size)
    old = make_plex(VOLUME, "v-01", shape, 0, PlexState.ACTIVE)
    new = make_plex(VOLUME, "v-02", shape, 3, PlexState.FILLING)
    task = make_task(TaskType.ADD_MIRROR, volume=VOLUME, plexes=_refs(new, Plex), subdisks=_refs(new, Subdisk))

    def done(config: Config) -> None:
        assert [plex.state for plex in config.plexes_of(VOLUME)] == [PlexState.ACTIVE] * 2

    def returned(config: Config) -> None:
        assert [plex.name for plex in config.plexes_of(VOLUME)] == ["v-01"]
        assert all(ref not in config for ref in _refs(new, Subdisk))

    return Case([volume, *old], [*new, task], task, shape.size, done, returned)


def resync_stale(shape: Shape) -> Case:
    volume = make_volume(shape.size)
    good = make_plex(VOLUME, "v-01", shape, 0, PlexState.ACTIVE)
    stale = make_plex(VOLUME, "v-02", shape, 3, PlexState.STALE)
    task = make_task(TaskType.RESYNC, volume=VOLUME, plexes=_refs(stale, Plex))

    def done(config: Config) -> None:
        assert [plex.state for plex in config.plexes_of(VOLUME)] == [PlexState.ACTIVE] * 2

    def returned(config: Config) -> None:
        assert [plex.state for plex in config.plexes_of(VOLUME)] == [PlexState.ACTIVE, PlexState.STALE]

    filling = replace(stale[0], state=PlexState.FILLING)
    return Case([volume, *good, *stale], [filling, task], task, shape.size, done, returned)


def resync_doubt(shape: Shape) -> Case:
    """Two complete plexes, the first one written while the second was not looked at, as after a crash."""
    volume = make_volume(shape.size)
    one = make_plex(VOLUME, "v-01", shape, 0, PlexState.ACTIVE)
    two = make_plex(VOLUME, "v-02", shape, 3, PlexState.EMPTY)
    task = make_task(TaskType.RESYNC, volume=VOLUME, plexes=_refs(two, Plex))

    def done(config: Config) -> None:
        assert config.volume(VOLUME).source is None
        assert [plex.state for plex in config.plexes_of(VOLUME)] == [PlexState.ACTIVE] * 2

    def returned(config: Config) -> None:
        assert config.volume(VOLUME).source == one[0].ref

    edit = [replace(volume, source=one[0].ref), replace(two[0], state=PlexState.ACTIVE), task]
    return Case([volume, *one, *two], edit, task, shape.size, done, returned)


def _targets(old: list[Subdisk], cut: bool) -> list[Subdisk]:
    """New places, on disks 4 and 5, the first one in two parts when it is long enough."""
    targets: list[Subdisk] = []
    at = MIB
    for number, sd in enumerate(old):
        parts = [MIB, sd.length - MIB] if cut and sd.length > MIB else [sd.length]
        inside = 0
        for part, length in enumerate(parts):
            name = f"t-{number}-{part}"
            targets.append(
                replace(sd, ref=Ref(Kind.SUBDISK, name, HOST), name=name, disk=disk_ref(f"d{4 + (number + part) % 2}"),
                        disk_offset=at, plex_offset=sd.plex_offset + inside, length=length, replaces=sd.ref)
            )  # fmt: skip
            inside += length
            at += length + MIB
    return targets


def _moving(shape: Shape, kind: TaskType, choose: Callable[[Subdisk], bool], cut: bool, mirrored: bool) -> Case:
    volume = make_volume(shape.size)
    plex = make_plex(VOLUME, "v-01", shape, 0, PlexState.ACTIVE)
    other = (
        make_plex(VOLUME, "v-02", Shape("c", shape.size, pieces=(-(-shape.size // MIB),)), 3, PlexState.ACTIVE)
        if mirrored
        else []
    )
    old = [record for record in plex if isinstance(record, Subdisk) and choose(record)]
    targets = _targets(old, cut)
    refs = tuple(target.ref for target in targets)
    task = make_task(kind, volume=VOLUME, subdisks=refs, disk=old[0].disk)

    def done(config: Config) -> None:
        for number, sd in enumerate(old):
            parts = [t for t in targets if t.replaces == sd.ref]
            now = config.subdisk(sd.ref)
            assert (now.name, now.disk, now.disk_offset) == (parts[0].name, parts[0].disk, parts[0].disk_offset), number
            assert parts[0].ref not in config
            assert all(config.subdisk(part.ref).replaces is None for part in parts[1:])
        assert config.plex(plex[0].ref).length >= shape.size

    def returned(config: Config) -> None:
        moved = [sd for sd in old if config.subdisk(sd.ref) != sd]
        assert not moved or kind is TaskType.EVACUATE_DISK
        for target in targets:
            left = target.ref in config
            assert not left or config.subdisk(target.ref).replaces is None

    return Case([volume, *plex, *other], [*targets, task], task, sum(t.length for t in targets), done, returned)


def move(shape: Shape) -> Case:
    last = shape.columns - 1
    return _moving(
        shape, TaskType.MOVE_SUBDISK, lambda sd: sd.column == last and sd.plex_offset == 0, cut=True, mirrored=False
    )


def move_mirrored(shape: Shape) -> Case:
    return _moving(shape, TaskType.MOVE_SUBDISK, lambda sd: sd.column == 0, cut=False, mirrored=True)


def evacuate(shape: Shape) -> Case:
    return _moving(shape, TaskType.EVACUATE_DISK, lambda sd: sd.column == 0, cut=True, mirrored=False)


COPIES: dict[str, Callable[[Shape], Case]] = {
    "mirror": mirror,
    "resync-stale": resync_stale,
    "resync-doubt": resync_doubt,
    "move": move,
    "move-mirrored": move_mirrored,
    "evacuate": evacuate,
}
