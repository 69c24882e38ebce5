"""Names that nobody chose: the next free ones, and those that follow when their owner is renamed."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import TypeVar

import msgspec

from engine.config import Config
from engine.records import Plex, Ref, Subdisk
from engine.rules import next_name

Named = TypeVar("Named", Plex, Subdisk)


def next_volume_name(config: Config, group: Ref) -> str:
    """The next free `VolumeN` of a group."""
    return next_name("Volume", {volume.name for volume in config.volumes_of(group)})


def renamed(parts: Iterable[Named], old: str, new: str, taken: Collection[str]) -> list[Named]:
    """The parts whose default name came from their owner's old one, under names from the new one.

    A number that is taken there is replaced by the next free one.
    """
    used = set(taken)
    changed = []
    for part in parts:
        match = re.fullmatch(re.escape(old) + r"-(\d{2,})", part.name)
        if match is None:
            continue
        name = f"{new}-{match.group(1)}"
        if name in used:
            name = next_name(f"{new}-", used, digits=2)
        used.add(name)
        changed.append(msgspec.structs.replace(part, name=name))
    return changed
