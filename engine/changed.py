"""How much has been written since snapshots were taken, as somebody is about to copy it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from engine import commands
from engine.dirty_sweep import changed_bytes
from engine.records import Volume

if TYPE_CHECKING:
    from engine.commands import Command
    from engine.commit import Committer
    from engine.config import Edit


def look_at_changes(committer: Committer, command: Command) -> None:
    """Before a plan of a Snap Back: the records of both sides tell what the maps tell now."""
    if not isinstance(command, commands.SnapBack | commands.RefreshSnapshots):
        return
    config = committer.config
    ends = [volume for ref in command.snapshots if isinstance(volume := config.get(ref), Volume)]
    refs = {volume.ref for volume in ends} | {link.peer for volume in ends for link in volume.links}
    counts = {ref: changed_bytes(io) for ref in sorted(refs) if (io := committer.ios.get(ref)) is not None}

    def change(edit: Edit) -> None:
        for ref, count in counts.items():
            volume = edit.config.get(ref)
            if isinstance(volume, Volume) and volume.changed != count:
                edit.put(replace(volume, changed=count))

    if any(isinstance(known := config.get(ref), Volume) and known.changed != count for ref, count in counts.items()):
        committer.show(change)
