"""What an operator may ask for with snapshots, drawn from what the configuration offers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine import commands, rules
from engine.commands import Master, SnapChoice
from engine.records import GroupState, Kind, LinkSide, PlexState, Volume, VolumeLayout
from tests.sim.parting import NAME, OTHER, other_group

if TYPE_CHECKING:
    from random import Random

    from engine.commands import Command
    from engine.config import Config
    from engine.records import Ref
    from tests.sim.operations import Proposal


def prepare(config: Config, group: Ref, dice: Random) -> Command | None:
    """A new snap plex, or a mirror that is set apart."""
    found = [volume for volume in config.volumes_of(group) if volume.layout is not VolumeLayout.RAID5]
    found = [volume for volume in found if not rules.snap_plexes_of(config, volume.ref)] or found
    if not found:
        return None
    volume = dice.choice(found)
    plexes = config.plexes_of(volume.ref)
    plex = dice.choice(plexes).ref if len(plexes) > 1 and dice.random() < 0.4 else None
    return commands.PrepareSnapshot(volume=volume.ref, plex=plex, force=dice.random() < 0.5)


def snap_shot(config: Config, group: Ref, dice: Random) -> Command | None:
    """Of one volume, or of all that are ready."""
    ready = [volume for volume in config.volumes_of(group) if _is_ready(config, volume)]
    if not ready:
        return None
    chosen = ready if dice.random() < 0.5 else [dice.choice(ready)]
    choices = tuple(SnapChoice(volume.ref, name=f"snap{dice.getrandbits(30)}") for volume in chosen)
    return commands.TakeSnapshots(choices=choices)


def _is_ready(config: Config, volume: Volume) -> bool:
    states = {plex.state for plex in rules.snap_plexes_of(config, volume.ref)}
    return bool(states & {PlexState.ACTIVE, PlexState.CLEAN})


def snap_back(config: Config, group: Ref, dice: Random) -> Command | None:
    snapshot = _snapshot(config, group, dice)
    if snapshot is None:
        return None
    return commands.SnapBack(snapshots=(snapshot.ref,), master=dice.choice(list(Master)))


def refresh(config: Config, group: Ref, dice: Random) -> Command | None:
    snapshot = _snapshot(config, group, dice)
    return commands.RefreshSnapshots(snapshots=(snapshot.ref,)) if snapshot else None


def snap_clear(config: Config, group: Ref, dice: Random) -> Command | None:
    snapshot = _snapshot(config, group, dice)
    return commands.ClearSnapshots(volumes=(snapshot.ref,)) if snapshot else None


def snap_destroy(config: Config, group: Ref, dice: Random) -> Command | None:
    snapshot = _snapshot(config, group, dice)
    return commands.DeleteVolumes(volumes=(snapshot.ref,)) if snapshot else None


def snap_abort(config: Config, group: Ref, dice: Random) -> Command | None:
    found = [plex for volume in config.volumes_of(group) for plex in rules.snap_plexes_of(config, volume.ref)]
    return commands.AbortSnapshot(plexes=(dice.choice(found).ref,)) if found else None


def _snapshot(config: Config, group: Ref, dice: Random) -> Volume | None:
    found = [volume for volume in config.volumes_of(group) if is_snapshot(volume)]
    return dice.choice(found) if found else None


def is_snapshot(volume: Volume) -> bool:
    """Whether a volume is one of another volume."""
    return any(link.side is LinkSide.SNAPSHOT for link in volume.links)


def split_off(config: Config, group: Ref, dice: Random) -> Command | None:
    """A snapshot, with all that shares disks with it, as long as there is no other group."""
    snapshot = _snapshot(config, group, dice)
    if snapshot is None or other_group(config) is not None:
        return None
    imports = dice.random() < 0.7
    return commands.SplitGroup(group=group, name=OTHER, objects=(snapshot.ref,), expand=True, imports=imports)


def join_back(config: Config, group: Ref, dice: Random) -> Command | None:
    """The other group ends; one that nobody has is imported first."""
    other, first = other_group(config), config.find(Kind.GROUP, NAME)
    if other is None or first is None:
        return None
    if other.state is not GroupState.IMPORTED:
        return commands.ImportGroup(group=other.ref)
    return commands.JoinGroups(group=first.ref, joined=other.ref)


SNAP_OPERATIONS: dict[str, Proposal] = {
    function.__name__: function
    for function in (
        prepare, snap_shot, snap_back, refresh, snap_clear, snap_destroy, snap_abort, split_off, join_back,
    )
}  # fmt: skip
