"""Whether a disk may be replaced: it is lost, and what lies on it can be had from elsewhere."""

from __future__ import annotations

from engine.config import Config
from engine.plans import Problem
from engine.records import Ref
from engine.rules.parity import is_parity, stays_readable, takes_writes
from engine.rules.plexes import trusted
from engine.rules.repair import disk_can_return
from engine.rules.volumes import not_initializing, volume_ready


def is_lost_disk(config: Config, disk: Ref) -> Problem | None:
    """The disk is missing or failing. One that is back is reactivated, a sound one evacuated."""
    record = config.disk(disk)
    if record.failing or record.short_by or not record.present:
        return None
    if disk_can_return(config, disk) is None:
        help_ = "Choose Reactivate Disk: what it has missed is copied or rebuilt."
        text = f"{record.name} has had errors." if record.errors else f"{record.name} is there, and out of date."
        return Problem(text, help_, disk, "disk")
    text = f"{record.name} is neither missing nor failing."
    return Problem(text, "Evacuate it and remove it from the disk group instead.", disk, "disk")


def can_do_without(config: Config, disk: Ref) -> Problem | None:
    """Every volume with a piece on the disk has it elsewhere, too."""
    problems = (_is_elsewhere(config, disk, volume) for volume in volumes_on(config, disk))
    return next((problem for problem in problems if problem is not None), None)


def volumes_on(config: Config, disk: Ref) -> list[Ref]:
    """The volumes with a piece of a mirror, a column or a log on a disk."""
    plexes = dict.fromkeys(subdisk.plex for subdisk in config.subdisks_on(disk))
    return list(dict.fromkeys(config.plex(plex).volume for plex in plexes))


def _is_elsewhere(config: Config, disk: Ref, volume: Ref) -> Problem | None:
    if blocked := volume_ready(config, volume) or not_initializing(config, volume):
        return blocked
    plexes = config.plexes_of(volume)
    pieces = [piece for plex in plexes for piece in config.subdisks_of(plex.ref)]
    if any(is_parity(plex) for plex in plexes):
        here = [piece for piece in pieces if piece.disk == disk]
        return stays_readable(config, volume, here) or takes_writes(config, volume)
    touched = {piece.plex for piece in pieces if piece.disk == disk}
    if not touched or any(plex.ref not in touched for plex in trusted(config, volume)):
        return None
    record, name = config.disk(disk), config.volume(volume).name
    text = f"{record.name} holds the only complete copy of {name}."
    if record.present:
        help_ = f"Evacuate the disk while it can be read; when nothing of {name} can be had any more, delete {name}."
        return Problem(text, help_, volume, "disk")
    return Problem(text, f"Bring its LUN back, or delete {name} first.", volume, "disk")
