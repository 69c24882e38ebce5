"""RAID-5: columns that are rebuilt, and parity that is made right."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from engine import rules
from engine.allocate import Shape
from engine.config import Config
from engine.planners.draft import Draft, Ids, refuse
from engine.plans import Plan, Problem
from engine.records import PieceState, Plex, PlexState, Subdisk, Task, TaskParams, TaskType, Volume
from engine.rules import listed
from engine.states import COMPLETE, pieces_out
from engine.units import format_size


def resync(config: Config, volume: Volume, ids: Ids) -> Plan:
    """What is out of date is rebuilt from the other columns; when nothing is, all parity is made right."""
    title = f"Resynchronize {volume.name}"
    if blocked := refuse(title, _problem(config, volume)):
        return blocked
    (plex,) = config.plexes_of(volume.ref)
    out = pieces_out(config, plex)
    here = [piece for piece in out if rules.disk_present(config, piece.disk) is None]
    draft = Draft(config, ids, volume.group)
    used_again = _use_logs_again(draft, volume)
    if not here and used_again and volume.parity_known:
        return _only_logs(draft, volume, used_again)
    return _rebuild(draft, volume, here, title) if here else _parity(draft, volume, plex, title)


def repair_parity(config: Config, volume: Volume, ids: Ids) -> Plan:
    """All parity is compared with the data, and written anew where it does not follow from them."""
    title = f"Verify and Repair {volume.name}"
    if blocked := refuse(title, _problem(config, volume) or rules.no_column_out(config, volume.ref)):
        return blocked
    (plex,) = config.plexes_of(volume.ref)
    return _parity(Draft(config, ids, volume.group), volume, plex, title)


def rebuild_task(draft: Draft, volume: Volume, pieces: Sequence[Subdisk], title: str) -> Task:
    """The task that fills pieces of columns, which take every write from now on."""
    draft.put(*(replace(piece, state=PieceState.FILLING) for piece in pieces))
    params = TaskParams(volume=volume.ref, subdisks=tuple(piece.ref for piece in pieces))
    total = sum(piece.length for piece in pieces)
    return draft.task(TaskType.REBUILD, title, volume.ref, params, total)


def _problem(config: Config, volume: Volume) -> Problem | None:
    return (
        rules.volume_ready(config, volume.ref)
        or rules.not_initializing(config, volume.ref)
        or rules.takes_writes(config, volume.ref)
        or rules.has_source(config, volume.ref)
        or rules.a_piece_present(config, volume.ref)
    )


def _use_logs_again(draft: Draft, volume: Volume) -> list[Plex]:
    """Copies of the log that were left out and whose disk is sound: the commit writes an empty log to them."""
    left_out = [log for log in draft.base.logs_of(volume.ref) if log.state not in (*COMPLETE, PlexState.EMPTY)]
    sound = [log for log in left_out if all(_is_sound(draft.base, sd) for sd in draft.base.subdisks_of(log.ref))]
    draft.put(*(replace(log, state=PlexState.ACTIVE) for log in sound if volume.parity_known))
    return sound


def _is_sound(config: Config, subdisk: Subdisk) -> bool:
    disk = config.disk(subdisk.disk)
    return disk.present and not disk.failing


def _only_logs(draft: Draft, volume: Volume, logs: Sequence[Plex]) -> Plan:
    names = listed([log.name for log in logs])
    draft.step(f"Write an empty log to {names}", "writes wait for an instant")
    return draft.plan(f"Use the log of {volume.name} again")


def _rebuild(draft: Draft, volume: Volume, pieces: Sequence[Subdisk], title: str) -> Plan:
    task = rebuild_task(draft, volume, pieces, title)
    names = listed([piece.name for piece in pieces])
    draft.step(f"Rebuild {format_size(task.bytes_total)} on {names} from the other columns", "reads and writes go on")
    them = "it" if len(pieces) == 1 else "them"
    return draft.plan(
        title,
        task=task,
        copies=task.bytes_total,
        redundancy=f"{volume.name} has no redundancy where {names} lacks, until {them} has been rebuilt.",
        irreversible=f"What {names} {'holds' if len(pieces) == 1 else 'hold'} now is overwritten.",
    )


def _parity(draft: Draft, volume: Volume, plex: Plex, title: str) -> Plan:
    params = TaskParams(volume=volume.ref)
    total = parity_bytes(plex, volume.size)
    draft.step(f"Read {format_size(volume.size)} and make its parity right", "reads and writes go on")
    word = "has no redundancy until its parity is right" if not volume.parity_known else "keeps its redundancy"
    return draft.plan(
        title,
        task=draft.task(TaskType.PARITY, title, volume.ref, params, volume.size),
        copies=total,
        redundancy=f"{volume.name} {word}.",
    )


def parity_bytes(plex: Plex, size: int) -> int:
    """Bytes of parity of a volume of `size` bytes."""
    return size // Shape.of(plex).data_columns
