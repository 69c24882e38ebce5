"""What is not believed any more of volumes whose LUNs were away or exchanged. Edits only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from engine.records import PieceState, PlexLayout, VolumeLayout
from engine.states import COMPLETE

if TYPE_CHECKING:
    from collections.abc import Collection

    from engine.config import Edit
    from engine.records import Disk, Ref


def name_sources(edit: Edit, group: Ref, unequal: Collection[Ref]) -> None:
    """The volumes in `unequal` have mirrors that came to differ, or rows that were torn, while nothing could be written
    down."""
    for volume in edit.config.volumes_of(group):
        if volume.ref not in unequal:
            continue
        if volume.layout is VolumeLayout.RAID5:
            reason = "A write failed while nothing could be written down. Starting it again puts it right."
            edit.put(replace(volume, fenced=volume.fenced or reason))
            continue
        complete = [plex for plex in edit.config.plexes_of(volume.ref) if plex.state in COMPLETE]
        if len(complete) > 1 and volume.source is None:
            edit.put(replace(volume, source=complete[0].ref))


def doubt(edit: Edit, disk: Disk) -> None:
    """Volumes whose only bytes lie on a LUN that was exchanged under its path: nobody knows how old they are."""
    for subdisk in edit.config.subdisks_on(disk.ref):
        plex = edit.config.plex(subdisk.plex)
        good = subdisk.state is PieceState.GOOD and plex.layout is not PlexLayout.LOG
        if plex.state in COMPLETE and subdisk.replaces is None and good:
            reason = f"Another file stands at {disk.lun} now than before: its data may be older"
            volume = edit.config.volume(plex.volume)
            edit.put(replace(volume, fenced=volume.fenced or f"{reason}."))
