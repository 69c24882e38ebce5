"""Which cells have been written, kept over an orderly stop: in the record of each link, in the very transaction that
says that the volume is CLEAN.

Nobody writes the volume before a later transaction says ACTIVE, and whatever changes a volume drops them. So cells are
on record only while they are the newest there are; after a crash, or of anything in doubt, there are none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from engine.config import Edit
from engine.dataplane.packed_cells import pack, unpack
from engine.records import PlexState, Volume
from engine.store.areas import Area

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from engine.config import Config
    from engine.dataplane.fine_map import FineMap
    from engine.dataplane.volume_io import VolumeIo
    from engine.maps.dirty_maps import MapKey
    from engine.records import Ref
    from engine.store.group_store import GroupStore

SHARE = 8
"""The cells of a group take at most one in so many bytes of the room that its configuration has."""
MAP_MAX = 192 << 10
"""Bytes that the cells of one map take at most, packed."""

Cells = dict["MapKey", str]


def gathered(
    config: Config, ios: Mapping[Ref, VolumeIo], stores: Mapping[Ref, GroupStore], volumes: Iterable[Ref]
) -> Cells:
    """The cells of volumes that are held still, packed, as far as the configuration of their groups has room."""
    found: Cells = {}
    by_group: dict[Ref, list[Ref]] = {}
    for ref in volumes:
        by_group.setdefault(config.volume(ref).group, []).append(ref)
    for group, refs in by_group.items():
        count = sum(len(volume.links) for volume in config.volumes_of(group))
        packed = _packed(config, ios, refs, min(_room(config, group, stores[group]) // SHARE // max(count, 1), MAP_MAX))
        if packed and _fits(config, stores[group], packed):
            found |= packed
    return found


def put(edit: Edit, cells: Mapping[MapKey, str]) -> None:
    """The records of links tell these cells."""
    for ref in sorted({ref for ref, _ in cells}):
        edit.put(_with(edit.config.volume(ref), {key: text for (one, key), text in cells.items() if one == ref}))


def drop(edit: Edit, ref: Ref, kept: Mapping[MapKey, str]) -> None:
    """What a record tells of cells is not so any more, but for what is `kept` by this very edit."""
    volume = edit.config.get(ref)
    if isinstance(volume, Volume) and any(one.cells != kept.get((ref, one.generation), "") for one in volume.links):
        edit.put(_with(volume, {key: text for (one, key), text in kept.items() if one == ref}))


def carried(volume: Volume, before: Volume) -> Volume:
    """A volume that goes to another group takes the cells along that it has just been stopped with."""
    return _with(volume, {link.generation: link.cells for link in before.links})


def without(config: Config, volumes: Iterable[Ref]) -> Config:
    """The configuration as it is when there is no room for the cells of these volumes."""
    edit = Edit(config)
    for ref in volumes:
        drop(edit, ref, {})
    return edit.config


def told(volume: Volume, key: str, states: Iterable[PlexState]) -> FineMap | None:
    """The cells that the record of a link tells; None when it tells none, or its volume was not stopped in order.
    `states` are those of its plexes."""
    text = next((link.cells for link in volume.links if link.generation == key), "")
    return unpack(text, volume.size) if text and PlexState.ACTIVE not in states else None


def _packed(config: Config, ios: Mapping[Ref, VolumeIo], refs: Iterable[Ref], limit: int) -> Cells:
    found: Cells = {}
    for ref in refs:
        for link in config.volume(ref).links:
            known = ios[ref].maps.get(link.generation)
            if known is not None and known.fine is not None and known.is_marked:
                text = pack(known.fine, known.region_size, limit)
                if text:
                    found[ref, link.generation] = text
    return found


def _room(config: Config, group: Ref, store: GroupStore) -> int:
    here = (disk.ref for disk in config.disks_of(group) if store.has(disk.ref))
    return min((store.span(disk, Area.SLOT_A).length for disk in here), default=0)


def _fits(config: Config, store: GroupStore, cells: Cells) -> bool:
    edit = Edit(config)
    put(edit, cells)
    new, touched = edit.result()
    return not store.fits(new, {ref: new[ref] for ref in touched})


def _with(volume: Volume, cells: Mapping[str, str]) -> Volume:
    return replace(volume, links=tuple(replace(one, cells=cells.get(one.generation, "")) for one in volume.links))
