"""Mirrors that came to differ while nothing could be written down: the first change that can be says so. Edits only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from engine.records import Volume, VolumeLayout

if TYPE_CHECKING:
    from collections.abc import Collection

    from engine.config import Edit
    from engine.records import Ref


def name_mirrors(edit: Edit, groups: Collection[Ref], unequal: Collection[Ref]) -> list[Ref]:
    """One mirror of each of these volumes is believed, as far as they are in these groups, whose disks this edit goes
    to. Answers those that it has been decided about; RAID-5 is not."""
    decided: list[Ref] = []
    for ref in sorted(unequal):
        volume = edit.config.get(ref)
        if not isinstance(volume, Volume) or volume.group not in groups or volume.layout is VolumeLayout.RAID5:
            continue
        complete = [plex for plex in edit.config.plexes_of(ref) if plex.complete]
        if len(complete) > 1 and volume.source is None:
            edit.put(replace(volume, source=complete[0].ref))
        decided.append(ref)
    return decided
