"""Which objects hang under which in the tree: localhost > StorageAgent > Disk Groups, Disks, Enclosures, Volumes."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

from engine.config import Config, natural
from engine.records import Disk, Enclosure, Group, Kind, Plex, Record, Ref, Schedule, Subdisk, Volume

AGENT = "agent"
DISK_GROUPS = "disk-groups"
DISKS = "disks"
ENCLOSURES = "enclosures"
VOLUMES = "volumes"

FOLDERS = (DISK_GROUPS, DISKS, ENCLOSURES, VOLUMES)
FOLDER_NAMES = {
    AGENT: "StorageAgent",
    DISK_GROUPS: "Disk Groups",
    DISKS: "Disks",
    ENCLOSURES: "Enclosures",
    VOLUMES: "Volumes",
}
FOLDER_KINDS: dict[str, Kind] = {
    DISK_GROUPS: Kind.GROUP,
    DISKS: Kind.DISK,
    ENCLOSURES: Kind.ENCLOSURE,
    VOLUMES: Kind.VOLUME,
}


class Folder(NamedTuple):
    """A place in the tree that is no object of its own."""

    host: str
    name: str


_BRANCHES = frozenset({Kind.HOST, Kind.GROUP, Kind.ENCLOSURE})

Key: TypeAlias = Ref | Folder
Path: TypeAlias = tuple[Key, ...]


def is_leaf(key: Key) -> bool:
    """Whether nothing can ever hang there."""
    return not isinstance(key, Folder) and key.kind not in _BRANCHES


def place_of(key: Key) -> str:
    """What kind of place this is: a kind's word for an object, a folder's word for a folder."""
    return key.name if isinstance(key, Folder) else key.kind.value


def title(config: Config, key: Key) -> str:
    """The label of a place; empty for an object that is gone."""
    if isinstance(key, Folder):
        return FOLDER_NAMES[key.name]
    record = config.get(key)
    return record.name if record is not None else ""


def children(config: Config, key: Key) -> list[Key]:
    """What hangs under a place, unordered; `sort_key` has the order."""
    if isinstance(key, Folder):
        if key.name == AGENT:
            return [Folder(key.host, name) for name in FOLDERS]
        return [record.ref for record in config.every(FOLDER_KINDS[key.name])]
    match key.kind:
        case Kind.HOST:
            return [Folder(key.id, AGENT)]
        case Kind.GROUP:
            return [volume.ref for volume in config.children(key, Kind.VOLUME, "group")]
        case Kind.ENCLOSURE:
            return [disk.ref for disk in config.children(key, Kind.DISK, "enclosure")]
    return []


def has_children(config: Config, key: Key) -> bool:
    """Whether anything hangs there, without making a list of it."""
    if isinstance(key, Folder):
        return key.name == AGENT or bool(config.count(FOLDER_KINDS[key.name]))
    match key.kind:
        case Kind.HOST:
            return True
        case Kind.GROUP:
            return bool(config.count_children(key, Kind.VOLUME, "group"))
        case Kind.ENCLOSURE:
            return bool(config.count_children(key, Kind.DISK, "enclosure"))
    return False


def parents(record: Record, host: str) -> tuple[Key, ...]:
    """The places under which an object hangs, most natural first."""
    match record:
        case Volume():
            return (record.group, Folder(host, VOLUMES))
        case Disk():
            shelf = (record.enclosure,) if record.enclosure is not None else ()
            return (Folder(host, DISKS), *shelf)
        case Group():
            return (Folder(host, DISK_GROUPS),)
        case Enclosure():
            return (Folder(host, ENCLOSURES),)
    return ()


def sort_key(config: Config, key: Key) -> Any:
    """Order among siblings: folders as listed, objects by name with numbers by value."""
    if isinstance(key, Folder):
        return (0, FOLDERS.index(key.name) if key.name in FOLDERS else -1)
    record = config.get(key)
    return (1, natural(record.name) if record is not None else "", key.id)


def path_to(config: Config, host: Ref, ref: Ref) -> Path | None:
    """The most natural way from the root to an object; a plex or subdisk leads to its volume, a schedule
    to its group. None when it is gone."""
    record = config.get(ref)
    match record:
        case None:
            return None
        case Plex():
            return path_to(config, host, record.volume)
        case Subdisk():
            return path_to(config, host, record.plex)
        case Schedule():
            return path_to(config, host, record.group)
    if ref.kind is Kind.HOST:
        return (ref,)
    above = parents(record, host.id)
    if not above:
        return None
    first = above[0]
    if isinstance(first, Folder):
        return (host, Folder(host.id, AGENT), first, ref)
    way = path_to(config, host, first)
    return (*way, ref) if way is not None else None
