"""Configuration -> table: the only place that decides which plexes of a volume are read and which are written."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from engine.dataplane.fold import Piece, PlexLayout, fold
from engine.dataplane.raid5_log_format import LogCopy
from engine.edits.columns import parity_plex
from engine.records import PieceState, PlexState
from engine.states import COMPLETE

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.config import Config
    from engine.dataplane.table import Table
    from engine.devices.base import BlockDevice
    from engine.records import Plex, Ref, Subdisk, Volume

WRITTEN = COMPLETE | {PlexState.FILLING}
"""States of a plex that takes client writes."""


def assemble(config: Config, volume: Volume, device_of: Callable[[Ref], BlockDevice | None]) -> Table:
    """The table of a volume. `device_of` answers None for a missing disk.

    A plex that is not whole takes no part: what it would miss is nowhere on record yet. While another one could go on
    without it nothing is writable until it is. A concatenation without a fellow serves what is left of it.
    """
    parity = parity_plex(config, volume.ref)
    if parity is not None:
        return _assemble_columns(config, volume, parity, device_of)
    plexes = [plex for plex in config.plexes_of(volume.ref) if plex.state in WRITTEN]
    pieces = {plex.ref: _pieces(config, plex, device_of) for plex in plexes}
    whole = [plex for plex in plexes if _is_whole(config, plex, pieces[plex.ref])]
    taking_part = plexes if len(plexes) == 1 and plexes[0].columns == 1 else whole
    if is_held_back(volume):
        taking_part = []
    layouts = [
        PlexLayout(
            plex.ref,
            plex.columns,
            plex.stripe_unit,
            tuple(pieces[plex.ref]),
            readable=plex.state in COMPLETE and volume.source in (None, plex.ref),
        )
        for plex in taking_part
    ]
    clean = any(plex.state is PlexState.CLEAN for plex in plexes)
    return fold(
        layouts,
        volume.size,
        transaction=config.group(volume.group).transaction,
        writable=not clean and not _unrecorded(config, plexes, whole, pieces),
        prefer=volume.preferred,
    )


def _assemble_columns(
    config: Config, volume: Volume, plex: Plex, device_of: Callable[[Ref], BlockDevice | None]
) -> Table:
    """RAID-5: a piece that is out of date takes no part, one that is being rebuilt takes writes only."""
    pieces = []
    reached = True
    for subdisk in config.subdisks_of(plex.ref):
        if subdisk.state is PieceState.STALE:
            continue
        piece = _piece(subdisk, device_of)
        if piece is None:
            reached = False
        else:
            pieces.append(replace(piece, readable=piece.readable and subdisk.state is PieceState.GOOD))
    logs = [subdisk for log in config.logs_of(volume.ref) if log.state in COMPLETE for subdisk in _parts(config, log)]
    reached = reached and all(_piece(subdisk, device_of) is not None for subdisk in logs)
    known = tuple(pieces) if plex.state in WRITTEN else ()
    table = fold(
        [PlexLayout(plex.ref, plex.columns, plex.stripe_unit, known, raid5=True)],
        volume.size,
        transaction=config.group(volume.group).transaction,
        writable=plex.state is not PlexState.CLEAN and reached,
    )
    table.held = is_held_back(volume)  # its columns are where they are: what the log stands for is not given up
    return table


def is_held_back(volume: Volume) -> bool:
    """Nobody knows how old it is: nobody who is still connected may read it, until the operator starts it."""
    return bool(volume.fenced) and not volume.started


def log_copies(config: Config, volume: Volume, device_of: Callable[[Ref], BlockDevice | None]) -> list[LogCopy]:
    """The copies of a RAID-5 volume's log that are in use and can be reached."""
    copies = []
    for log in config.logs_of(volume.ref):
        for subdisk in _parts(config, log) if log.state in COMPLETE else ():
            piece = _piece(subdisk, device_of)
            if piece is not None:
                disk, group = bytes.fromhex(subdisk.disk.id), bytes.fromhex(volume.group.id)
                copies.append(LogCopy(log.ref, piece.device, piece.device_offset, piece.length, disk, group))
    return copies


def _parts(config: Config, plex: Plex) -> list[Subdisk]:
    """The pieces of a plex; where one of them is moving to is none."""
    return [subdisk for subdisk in config.subdisks_of(plex.ref) if subdisk.replaces is None]


def _unrecorded(config: Config, plexes: list[Plex], whole: list[Plex], pieces: dict[Ref, list[Piece]]) -> bool:
    """Whether something would miss writes of which the record on disk says that it gets them all."""
    spare = any(plex.state in COMPLETE for plex in whole)
    lost = [plex for plex in plexes if plex not in whole]
    if any(spare or plex.state is PlexState.FILLING for plex in lost):
        return True
    moving = {sd.ref for plex in plexes for sd in config.subdisks_of(plex.ref) if sd.replaces is not None}
    return not moving <= {piece.key for found in pieces.values() for piece in found}


def _is_whole(config: Config, plex: Plex, pieces: list[Piece]) -> bool:
    here = {piece.key for piece in pieces}
    return all(sd.ref in here for sd in config.subdisks_of(plex.ref) if sd.replaces is None)


def _pieces(config: Config, plex: Plex, device_of: Callable[[Ref], BlockDevice | None]) -> list[Piece]:
    pieces = (_piece(subdisk, device_of) for subdisk in config.subdisks_of(plex.ref))
    return [piece for piece in pieces if piece is not None]


def _piece(subdisk: Subdisk, device_of: Callable[[Ref], BlockDevice | None]) -> Piece | None:
    """None when its disk is missing, or has become too short for it."""
    device = device_of(subdisk.disk)
    if device is None or subdisk.disk_offset + subdisk.length > device.size:
        return None
    return Piece(
        column=subdisk.column,
        column_offset=subdisk.plex_offset,
        length=subdisk.length,
        device=device,
        device_offset=subdisk.disk_offset,
        readable=subdisk.replaces is None,
        key=subdisk.ref,
    )
