"""How much has been written since snapshots were taken, as somebody is about to copy it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine import commands
from engine.maps.dirty_sweep import count, differs, show
from engine.records import Volume

if TYPE_CHECKING:
    from engine.commands import Command
    from engine.commit import Committer


def look_at_changes(committer: Committer, command: Command) -> None:
    """Before a plan of a Snap Back: the records of both sides tell what the maps tell now."""
    if not isinstance(command, commands.SnapBack | commands.RefreshSnapshots):
        return
    config = committer.config
    ends = [volume for ref in command.snapshots if isinstance(volume := config.get(ref), Volume)]
    refs = {volume.ref for volume in ends} | {link.peer for volume in ends for link in volume.links}
    told = count(config, committer.ios, sorted(refs))
    counts = {ref: one for ref, one in told.items() if differs(config, ref, one)}
    if counts:
        committer.show(lambda edit: show(edit, counts))
