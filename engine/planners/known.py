"""The check before every planner: all objects that a command names exist and are of the right kind."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from engine.commands import (
    AcknowledgeAlerts,
    AddColumn,
    AddLog,
    AddMirrors,
    ChangeSettings,
    ClearTasks,
    Command,
    CreateVolume,
    EvacuateDisk,
    GrowVolume,
    PrepareSnapshot,
    RepairVolumes,
)
from engine.config import Config
from engine.plans import Problem
from engine.records import Kind, Ref

_KIND_OF: dict[str, frozenset[Kind]] = {
    "group": frozenset({Kind.GROUP}),
    "joined": frozenset({Kind.GROUP}),
    "objects": frozenset({Kind.DISK, Kind.VOLUME}),
    "disk": frozenset({Kind.DISK}),
    "disks": frozenset({Kind.DISK}),
    "by": frozenset({Kind.DISK}),
    "targets": frozenset({Kind.DISK}),
    "volume": frozenset({Kind.VOLUME}),
    "volumes": frozenset({Kind.VOLUME}),
    "plex": frozenset({Kind.PLEX}),
    "plexes": frozenset({Kind.PLEX}),
    "snapshots": frozenset({Kind.VOLUME}),
    "preferred": frozenset({Kind.PLEX}),
    "source": frozenset({Kind.PLEX}),
    "subdisk": frozenset({Kind.SUBDISK}),
    "first": frozenset({Kind.SUBDISK}),
    "second": frozenset({Kind.SUBDISK}),
    "task": frozenset({Kind.TASK}),
    "tasks": frozenset({Kind.TASK}),
    "alerts": frozenset({Kind.ALERT}),
    "backup": frozenset({Kind.BACKUP}),
    "schedule": frozenset({Kind.SCHEDULE}),
    "schedules": frozenset({Kind.SCHEDULE}),
    "object": frozenset(Kind),
}
_MAY_BE_EMPTY = (
    AcknowledgeAlerts,
    AddColumn,
    AddLog,
    AddMirrors,
    ChangeSettings,
    ClearTasks,
    CreateVolume,
    EvacuateDisk,
    GrowVolume,
    PrepareSnapshot,
)
"""Commands for which no object at all has a meaning: the engine chooses, or all of them."""
_WORDS = {Kind.GROUP: "disk group", Kind.PLEX: "mirror"}


def unknown_object(config: Config, command: Command) -> Problem | None:
    """The first object that isn't there, is of a wrong kind, or should have been named."""
    for field, ref in _refs(command):
        if ref.kind not in _KIND_OF[field]:
            wanted = " or ".join(sorted(_word(kind) for kind in _KIND_OF[field]))
            return Problem(f"This is no {wanted}.", f"Choose a {wanted}.", ref, field)
        if ref not in config:
            return Problem(f"The {_word(ref.kind)} is not there any more.", "Choose another one.", ref, field)
    for field in command.__struct_fields__:
        if getattr(command, field) != () or field == "paths" or isinstance(command, _MAY_BE_EMPTY):
            continue
        if field != "disks" or not isinstance(command, RepairVolumes):
            return Problem("Nothing was chosen.", f"Choose at least one of the {field}.", field=field)
    return None


def _word(kind: Kind) -> str:
    return _WORDS.get(kind, kind.value)


def _refs(struct: msgspec.Struct) -> Iterator[tuple[str, Ref]]:
    """Every Ref that a command carries, with the name of its field."""
    for field in struct.__struct_fields__:
        value = getattr(struct, field)
        for item in value if isinstance(value, tuple) else (value,):
            if isinstance(item, Ref):
                yield field, item
            elif isinstance(item, msgspec.Struct):
                yield from _refs(item)
