"""What may be done to a subdisk, and where it may go."""

from __future__ import annotations

from collections.abc import Sequence

from engine.allocate import Space
from engine.config import Config
from engine.plans import Problem
from engine.records import Disk, PieceState, Plex, PlexLayout, PlexState, Ref, Subdisk
from engine.rules.disks import disk_present
from engine.rules.parity import not_log, takes_writes
from engine.rules.plexes import plex_complete
from engine.rules.volumes import not_initializing, volume_ready
from engine.rules.words import needed_free
from engine.states import COMPLETE
from engine.units import ALLOCATION_UNIT, align_down, format_exact, format_size

SECTOR = 4096
"""Chosen offsets lie on this boundary: the largest block of a LUN."""


def can_move(config: Config, subdisk: Subdisk) -> Problem | None:
    """A subdisk that may be lifted: nothing works on its volume, and there is something to copy from."""
    volume = config.volume_of(subdisk)
    if blocked := volume_ready(config, volume.ref) or not_initializing(config, volume.ref):
        return blocked
    if subdisk.replaces is not None:
        return Problem(f"{subdisk.name} is the target of a move.", "Move the subdisk that it replaces.", subdisk.ref)
    plex = config.plex(subdisk.plex)
    if not holds_bytes(plex, subdisk):
        return takes_writes(config, volume.ref) if plex.layout is PlexLayout.LOG else None
    if plex.state in (PlexState.EMPTY, PlexState.FILLING):
        return Problem(f"{plex.name} was never filled to its end.", "Resynchronize the volume first.", plex.ref)
    if plex.state not in COMPLETE:
        return None  # it holds nothing that has to be copied
    return disk_present(config, subdisk.disk) or plex_complete(config, plex.ref)


def holds_bytes(plex: Plex, subdisk: Subdisk) -> bool:
    """Whether anything of a subdisk has to be copied when it moves: a log is begun anew at its new place, and a piece
    that is out of date will be rebuilt there."""
    return plex.layout is not PlexLayout.LOG and subdisk.state is not PieceState.STALE


def can_take_subdisk(
    config: Config, subdisks: Sequence[Subdisk], disk: Ref, offset: int | None = None, *, force: bool = False
) -> Problem | None:
    """Whether subdisks may be dropped on a disk, at an offset or wherever they fit (in several pieces, too)."""
    target = config.disk(disk)
    for subdisk in subdisks:
        group = config.volume(config.plex(subdisk.plex).volume).group
        if target.group != group:
            text = f"{target.name} does not belong to {config.group(group).name}."
            return Problem(text, "Choose a disk of the same disk group.", disk)
    if blocked := disk_present(config, disk):
        return blocked
    for number, subdisk in enumerate(() if force else subdisks):
        if shared := shares_disk(config, subdisk, disk, subdisks[:number]):
            return shared
    return _room(config, sum(subdisk.length for subdisk in subdisks), target, offset)


def shares_disk(config: Config, subdisk: Subdisk, disk: Ref, coming: Sequence[Subdisk] = ()) -> Problem | None:
    """The disk holds neither another mirror of the volume nor another column of the plex, with what is `coming`."""
    plex = config.plex(subdisk.plex)
    name = config.disk(disk).name
    if blocked := _meets_log(config, subdisk, plex, disk):
        return blocked
    for other in (*config.subdisks_on(disk), *coming):
        if PlexLayout.LOG in (plex.layout, config.plex(other.plex).layout):
            continue
        if other.plex != plex.ref and config.plex(other.plex).volume == plex.volume:
            many = len(config.plexes_of(plex.volume)) > 2
            text = f"{name} holds {'another' if many else 'the other'} mirror of {config.volume(plex.volume).name}."
            return Problem(text, "Choose a disk without a part of this volume.", disk)
        if other.plex == plex.ref and other.column != subdisk.column:
            text = f"{name} holds another column of {plex.name}."
            return Problem(text, "Choose a disk without a part of this volume.", disk)
    return None


def _meets_log(config: Config, subdisk: Subdisk, plex: Plex, disk: Ref) -> Problem | None:
    """Copies of a log lie on different disks; one with a column only while there is another copy, so that no disk
    takes both with it."""
    name, volume = config.disk(disk).name, config.volume(plex.volume)
    logs = {log.ref for log in config.logs_of(volume.ref)}
    here = [sd for sd in config.subdisks_on(disk) if sd.ref != subdisk.ref and sd.replaces != subdisk.ref]
    is_log = plex.ref in logs
    if any(sd.plex in logs for sd in here) and (is_log or len(logs) == 1):
        text = f"{name} holds {'another copy of ' if is_log else ''}the log of {volume.name}."
        return Problem(text, "Choose a disk without a part of this volume.", disk)
    if is_log and len(logs) == 1 and any(config.plex(sd.plex).volume == volume.ref for sd in here):
        text = f"{name} holds a column of {volume.name}."
        return Problem(text, "Choose a disk without a part of this volume.", disk)
    return None


def _room(config: Config, needed: int, target: Disk, offset: int | None) -> Problem | None:
    space = Space(config, [target])
    if offset is None:
        room = space.total(target.ref)
        where = target.name
    else:
        if offset % SECTOR:
            text = f"The offset {format_exact(offset)} does not lie on a boundary of 4 KiB."
            return Problem(text, f"Use {align_down(offset, SECTOR)}.", target.ref, "offset")
        room = space.at(target.ref, offset)
        where = f"{target.name} at {format_size(offset)}"
    if room >= needed:
        return None
    text = f"{where} has too little free space: {needed_free(needed, room)}."
    return Problem(text, "Choose a larger free region, or several.", target.ref)


def can_split(config: Config, subdisk: Subdisk, size: int | None = None) -> Problem | None:
    """A subdisk that can be cut in two, the first piece having `size` bytes."""
    if blocked := can_rearrange(config, subdisk):
        return blocked
    if subdisk.length < 2 * ALLOCATION_UNIT:
        text = f"{subdisk.name} has {format_size(subdisk.length)}, which can't be divided."
        return Problem(text, f"A piece has at least {format_size(ALLOCATION_UNIT)}.", subdisk.ref, "size")
    if size is not None and not 0 < size < subdisk.length:
        text = f"The first piece can't have {format_size(size)}: {subdisk.name} has {format_size(subdisk.length)}."
        return Problem(text, "Give a size between them.", subdisk.ref, "size")
    return None


def can_rearrange(config: Config, subdisk: Subdisk) -> Problem | None:
    """A subdisk whose record may change now."""
    if blocked := volume_ready(config, config.plex(subdisk.plex).volume):
        return blocked
    if blocked := not_log(config, subdisk.plex, "lies in one piece"):
        return blocked
    if subdisk.replaces is not None or config.replacements_of(subdisk.ref):
        return Problem(f"{subdisk.name} is being moved.", "Wait for the move to end, or abort it.", subdisk.ref)
    return None


def can_join(config: Config, first: Subdisk, second: Subdisk) -> Problem | None:
    """Two subdisks that are neighbours on the disk and in their column, in this order."""
    if blocked := can_rearrange(config, first) or can_rearrange(config, second):
        return blocked
    pair = f"{first.name} and {second.name}"
    if first.ref == second.ref:
        return Problem("A subdisk can't be joined with itself.", "Choose its neighbour, too.", first.ref, "second")
    if (first.plex, first.column) != (second.plex, second.column):
        return Problem(f"{pair} don't belong to the same column of one mirror.", "Choose neighbours.", first.ref)
    if first.state is not second.state:
        return Problem(f"One of {pair} is out of date.", "Resynchronize the volume first.", first.ref)
    on_disk = first.disk == second.disk and first.disk_offset + first.length == second.disk_offset
    if not on_disk:
        return Problem(f"{pair} are not neighbours on one disk.", "Move one of them beside the other.", first.ref)
    if first.plex_offset + first.length != second.plex_offset:
        return Problem(f"{pair} are not neighbours in their mirror.", "Choose neighbours.", first.ref)
    return None
