"""What may be done with snap plexes and snapshots."""

from __future__ import annotations

from engine.config import Config
from engine.plans import Problem
from engine.records import Plex, Ref
from engine.rules.parity import not_parity
from engine.rules.plexes import plex_complete, trusted
from engine.rules.volumes import not_initializing, volume_ready


def mirrors_of(config: Config, volume: Ref) -> list[Plex]:
    """The plexes of a volume that are copies to count on: all but its snap plexes."""
    return [plex for plex in config.plexes_of(volume) if plex.snap is None]


def snap_plexes_of(config: Config, volume: Ref) -> list[Plex]:
    """The snap plexes of a volume, ready or not."""
    return [plex for plex in config.plexes_of(volume) if plex.snap is not None]


def not_snap_plex(
    config: Config, plex: Ref, help_: str = "Abort the snapshot first: Snap > Snap Abort."
) -> Problem | None:
    """An ordinary mirror."""
    record = config.plex(plex)
    if record.snap is None:
        return None
    return Problem(f"{record.name} is a snap plex.", help_, plex)


def is_snap_plex(config: Config, plex: Ref) -> Problem | None:
    """A plex that was prepared for a Snap Shot."""
    record = config.plex(plex)
    if record.snap is not None:
        return None
    return Problem(f"{record.name} is no snap plex.", "Prepare the volume first: Snap > Prepare.", plex, "plexes")


def can_prepare(config: Config, volume: Ref) -> Problem | None:
    """A volume that may get a snap plex."""
    if blocked := volume_ready(config, volume) or not_initializing(config, volume):
        return blocked
    if blocked := not_parity(config, volume, "can't have snapshots"):
        return Problem(blocked.text, "Make a mirrored volume and copy its data.", volume)
    return _no_doubt(config, volume)


def _no_doubt(config: Config, volume: Ref) -> Problem | None:
    record = config.volume(volume)
    if record.fenced:
        return Problem(f"{record.name} takes no writes: {record.fenced}", "Start it first.", volume)
    if record.source is not None:
        text = f"The mirrors of {record.name} are not known to be equal."
        return Problem(text, "Resynchronize the volume first.", volume)
    return None


def can_convert(config: Config, plex: Ref) -> Problem | None:
    """A complete mirror that may become a snap plex, as the volume keeps another one."""
    record = config.plex(plex)
    if blocked := not_snap_plex(config, plex, "Choose another mirror.") or plex_complete(config, plex):
        return blocked
    return keeps_a_copy(config, record.volume, plex)


def keeps_a_copy(config: Config, volume: Ref, leaving: Ref) -> Problem | None:
    """Without a plex there is a complete mirror left that is no snap plex."""
    if any(plex.ref != leaving and plex.snap is None for plex in trusted(config, volume)):
        return None
    name, plex = config.volume(volume).name, config.plex(leaving).name
    return Problem(f"{name} has no complete mirror beside {plex}.", "Add a mirror, or resynchronize it first.", volume)
