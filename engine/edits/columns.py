"""What a RAID-5 volume does without: pieces of its columns, copies of its log. Edits only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from engine.records import PieceState, PlexLayout, PlexState
from engine.states import COMPLETE, pieces_out, reaches

if TYPE_CHECKING:
    from engine.config import Config, Edit
    from engine.records import Plex, Ref, Subdisk


def parity_plex(config: Config, volume: Ref) -> Plex | None:
    """The one plex of a RAID-5 volume; None for a volume of any other layout."""
    return next((plex for plex in config.plexes_of(volume) if plex.layout is PlexLayout.RAID5), None)


def pieces_of(config: Config, plex: Ref) -> list[Subdisk]:
    """The pieces of its columns; where one of them is moving to is none."""
    return [subdisk for subdisk in config.subdisks_of(plex) if subdisk.replaces is None]


def can_spare(config: Config, piece: Subdisk) -> bool:
    """Whether parity can stand for a piece: it is right, and no other column is out in any of its rows."""
    plex = config.plex(piece.plex)
    volume = config.volume(plex.volume)
    if plex.state not in COMPLETE or volume.fenced or not volume.parity_known:
        return False
    return not any(_same_rows(piece, other) for other in pieces_out(config, plex))


def _same_rows(piece: Subdisk, other: Subdisk) -> bool:
    first, end = other.plex_offset, other.plex_offset + other.length
    return other.column != piece.column and first < piece.plex_offset + piece.length and piece.plex_offset < end


def leave_out_piece(edit: Edit, piece: Subdisk) -> bool:
    """A piece misses writes from now on, and parity stands for it. False, and nothing changed, where that can't be:
    never is a second column of a row given up, as its bytes are the last ones."""
    if piece.state is PieceState.GOOD and not can_spare(edit.config, piece):
        return False
    edit.put(replace(piece, state=PieceState.STALE))
    return True


def leave_out_log(edit: Edit, log: Plex, state: PlexState) -> None:
    """A copy of a log is written no more. Nothing is lost by it: whoever commits this has emptied the log."""
    if log.state in COMPLETE:
        edit.put(replace(log, state=state))


def mistrust_columns(edit: Edit, volume: Ref, stale: frozenset[str]) -> None:
    """After an import: what can't be reached is left out first, then what has come back older than the group knows."""
    plex = parity_plex(edit.config, volume)
    if plex is None:
        return
    pieces = sorted(pieces_of(edit.config, plex.ref), key=lambda piece: reaches(edit.config, piece))
    for piece in pieces:
        if not reaches(edit.config, piece) or (piece.disk.id in stale and piece.state is PieceState.GOOD):
            leave_out_piece(edit, piece)
    for log in edit.config.logs_of(volume):
        if any(not reaches(edit.config, sd) or sd.disk.id in stale for sd in edit.config.subdisks_of(log.ref)):
            leave_out_log(edit, log, PlexState.STALE)
