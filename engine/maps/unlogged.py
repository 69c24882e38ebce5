"""Says which mirrored volumes have come to be without their dirty region log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.edits.dirty_places import is_logged
from engine.records import Group, GroupState, Severity, Volume
from engine.rules import listed
from engine.states import reaches

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.commit import Committer
    from engine.config import Config
    from engine.records import Ref

_NAMES_MAX = 5


def has_lost_log(old: Config, new: Config, volume: Ref) -> bool:
    """Whether a volume is to have a log, could have one by its disks, and has none, which was not so before."""
    return _lacks_log(new, volume) and not _lacks_log(old, volume)


def _lacks_log(config: Config, ref: Ref) -> bool:
    volume = config.get(ref)
    if not isinstance(volume, Volume) or volume.dirty_log is None or not volume.size or is_logged(config, ref):
        return False
    group = config.get(volume.group)
    if not isinstance(group, Group) or group.state is not GroupState.IMPORTED:
        return False
    pieces = [piece for plex in config.plexes_of(ref) for piece in config.subdisks_of(plex.ref)]
    works = any(reaches(config, piece) and not config.disk(piece.disk).failing for piece in pieces)
    return works and len(config.plexes_of(ref)) > 1


def tell_unlogged(committer: Committer, refs: Sequence[Ref]) -> None:
    """One alert for all that a change has brought about."""
    volumes = [volume for ref in refs if isinstance(volume := committer.config.get(ref), Volume)]
    if not volumes:
        return
    names = [volume.name for volume in volumes[:_NAMES_MAX]]
    more = [f"{len(volumes) - _NAMES_MAX} more"] if len(volumes) > _NAMES_MAX else []
    one = len(volumes) == 1
    committer.alert(
        Severity.WARNING,
        f"{listed(names + more)} {'has' if one else 'have'} no dirty region log.",
        about=volumes[0].ref if one else volumes[0].group,
        cause=f"No disk of {'its' if one else 'their'} mirrors can take it: what room they have for logs is in use, or "
        "could not be written.",
        remedy="After a crash the mirrors are copied whole. Choose Add Log once other volumes have left these disks, "
        "or move a mirror to a larger disk first.",
    )
