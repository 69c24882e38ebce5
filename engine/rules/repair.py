"""What lies on disks that are lost, and what can be done about it."""

from __future__ import annotations

from engine.config import Config
from engine.plans import Problem
from engine.records import Disk, PieceState, Plex, PlexLayout, PlexState, Ref, Subdisk
from engine.rules.parity import is_parity, stays_readable
from engine.rules.plexes import trusted
from engine.states import COMPLETE, pieces_out, reaches
from engine.units import format_size

LEFT_OUT = frozenset({PlexState.STALE, PlexState.IOFAIL})
"""States of a plex that the engine has left out of writes. One that the operator has detached is not meant."""


def is_lost(config: Config, subdisk: Subdisk) -> bool:
    """Whether the disk of a subdisk is missing, too short for it, or failing."""
    return not reaches(config, subdisk) or config.disk(subdisk.disk).failing


def lost_pieces(config: Config, plex: Ref) -> list[Subdisk]:
    """The pieces of a plex on lost disks; where one is moving to does not count."""
    return [sd for sd in config.subdisks_of(plex) if sd.replaces is None and is_lost(config, sd)]


def to_repair(config: Config, volume: Ref) -> list[Plex]:
    """The mirrors that a repair fills: left out by the engine, half filled, or complete on a failing disk while
    another one is beyond suspicion."""
    sound = any(not lost_pieces(config, plex.ref) for plex in trusted(config, volume))
    return [
        plex
        for plex in config.plexes_of(volume)
        if plex.state in LEFT_OUT
        or plex.state is PlexState.FILLING
        or (sound and plex.state is not PlexState.OFFLINE and lost_pieces(config, plex.ref))
    ]


def lost_of(config: Config, volume: Ref) -> list[Subdisk]:
    """What of a volume a repair places elsewhere: pieces on lost disks that something else stands for, largest first,
    as they are hardest to place."""
    found = [piece for plex in to_repair(config, volume) for piece in lost_pieces(config, plex.ref)]
    for plex in filter(is_parity, config.plexes_of(volume)):
        out = {piece.ref for piece in pieces_out(config, plex)}
        leaving: list[Subdisk] = []  # together they may be no second column of any row
        for sd in lost_pieces(config, plex.ref):
            if sd.ref in out or stays_readable(config, volume, [*leaving, sd]) is None:
                leaving.append(sd)
        found += leaving
    for log in config.logs_of(volume):
        found += lost_pieces(config, log.ref) if log.state is not PlexState.EMPTY else []
    return sorted(found, key=lambda sd: (-sd.length, sd.ref))


def needs_repair(config: Config, volume: Ref) -> bool:
    """Whether a repair has something to do."""
    if to_repair(config, volume) or lost_of(config, volume) or logs_left_out(config, volume):
        return True
    return any(pieces_out(config, plex) for plex in config.plexes_of(volume))


def logs_left_out(config: Config, volume: Ref) -> list[Plex]:
    """The copies of a RAID-5 log that are not written, although they were made to be."""
    return [log for log in config.logs_of(volume) if log.state not in (*COMPLETE, PlexState.EMPTY)]


def disk_can_return(config: Config, disk: Ref) -> Problem | None:
    """A disk of an imported group that is there, and that something is wrong with."""
    record = config.disk(disk)
    if not record.present:
        return Problem(f"{record.name} is missing.", "Bring its LUN back and rescan, or replace the disk.", disk)
    if record.short_by:
        text = f"{record.name} has become shorter by {format_size(record.short_by)}."
        return Problem(text, "Give its LUN its size back and rescan, or replace the disk.", disk)
    if record.failing or record.errors or volumes_to_return(config, disk):
        return None
    return Problem(f"{record.name} is in service, and no error was seen on it.", "There is nothing to do.", disk)


def plexes_to_return(config: Config, disk: Ref) -> list[Plex]:
    """The mirrors with a piece on this disk that the engine has left out, and that lack no other disk."""
    plexes = [config.plex(ref) for ref in dict.fromkeys(sd.plex for sd in config.subdisks_on(disk))]
    left_out = [plex for plex in plexes if plex.state in LEFT_OUT and plex.layout is not PlexLayout.LOG]
    return [plex for plex in left_out if all(sd.disk == disk for sd in lost_pieces(config, plex.ref))]


def volumes_to_return(config: Config, disk: Ref) -> list[Ref]:
    """The volumes that do without something on this disk."""
    waiting = {plex.volume: None for plex in plexes_to_return(config, disk)}
    for subdisk in config.subdisks_on(disk):
        plex = config.plex(subdisk.plex)
        left_out = plex.layout is PlexLayout.LOG and plex.state in LEFT_OUT
        if subdisk.state is PieceState.STALE or left_out:
            waiting[plex.volume] = None
    return list(waiting)


def known_to_return(config: Config, disk: Ref) -> list[Ref]:
    """The volumes of which dirty maps tell everything that this disk has missed."""
    untold = [plex.volume for plex in plexes_to_return(config, disk) if not plex.tracked]
    told = [plex.volume for plex in plexes_to_return(config, disk) if plex.volume not in untold]
    return list(dict.fromkeys(told))


def relocated(config: Config, disk: Ref) -> list[Subdisk]:
    """What a repair has taken away from a disk, in the order in which it lay there."""
    here = config.get(disk)
    if not isinstance(here, Disk) or here.group is None:
        return []
    subdisks = (sd for other in config.disks_of(here.group) for sd in config.subdisks_on(other.ref))
    away = [(sd.origin.disk_offset, sd.ref, sd) for sd in subdisks if sd.origin is not None and sd.origin.disk == disk]
    return [sd for _, _, sd in sorted(away)]
