"""RAID-5 Rebuild: fill pieces of columns from the others while the volume is in use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from engine.records import PieceState, Subdisk, Volume
from engine.tasks.steps import COPY_BYTES, Begin, Commit, Flush, Rebuild, TaskFailed, chunks
from engine.tasks.zeroing import disks_of

if TYPE_CHECKING:
    from engine.config import Config, Edit
    from engine.records import Task
    from engine.tasks.steps import Steps


def steps(config: Config, task: Task) -> Steps:
    """Every client write reaches the pieces from their first instant; nobody reads them before all are complete."""
    volume = config.get(task.params.volume)
    if not isinstance(volume, Volume):
        raise TaskFailed("The volume was removed while a column was being rebuilt.")
    pieces = _pieces(config, task)
    if all(piece.state is PieceState.GOOD for piece in pieces):
        yield Begin(task.bytes_total, task.bytes_total)
        return
    done = task.checkpoint
    total = sum(piece.length for piece in pieces)
    yield Begin(min(done, total), total)
    for piece in pieces:
        skip = min(done, piece.length)
        done -= skip
        for offset, length in chunks(skip, piece.length, COPY_BYTES):
            yield Rebuild(volume.ref, piece.ref, offset, length)
    yield Flush(disks_of(pieces))
    yield Commit(lambda edit: _believe(edit, task))


def undo(edit: Edit, task: Task) -> str:
    """Half-filled pieces are out of date again; parity goes on standing for them."""
    stale = [
        piece
        for ref in task.params.subdisks
        if isinstance(piece := edit.config.get(ref), Subdisk) and piece.state is PieceState.FILLING
    ]
    for piece in stale:
        edit.put(replace(piece, state=PieceState.STALE))
    if not stale:
        return ""
    names = ", ".join(piece.name for piece in stale)
    return f"{names} {'is' if len(stale) == 1 else 'are'} out of date and not in use until resynchronized."


def _pieces(config: Config, task: Task) -> list[Subdisk]:
    found = [config.get(ref) for ref in task.params.subdisks]
    pieces = [piece for piece in found if isinstance(piece, Subdisk)]
    if len(pieces) < len(found):
        raise TaskFailed("A subdisk was removed while it was being rebuilt.")
    return pieces


def _believe(edit: Edit, task: Task) -> None:
    for piece in _pieces(edit.config, task):
        if piece.state is PieceState.STALE:
            raise TaskFailed(f"{piece.name} was left out again while it was being rebuilt.")
        edit.put(replace(piece, state=PieceState.GOOD))
