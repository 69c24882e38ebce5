"""Brings a RAID-5 volume back that was not stopped in order, before anybody is served.

From its log where it has one, else by a parity resynchronization. What lacks a column, and whose parity may be wrong,
is held back: nobody could tell which bytes of that column are true.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from msgspec.structs import replace

from engine.assemble import assemble, log_copies
from engine.dataplane.raid5_replay import Damaged, Replayed, replay
from engine.edits.columns import leave_out_log, mistrust_columns, parity_plex, pieces_of
from engine.edits.detach import fail_disk
from engine.records import PieceState, PlexState, Ref, Subdisk
from engine.rules import listed
from engine.states import COMPLETE, pieces_out, two_columns
from engine.units import format_size

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.config import Config, Edit
    from engine.dataplane.raid5_changes import FailedLeg
    from engine.devices.base import BlockDevice
    from engine.records import Plex

    DeviceOf = Callable[[Config, Ref], BlockDevice | None]

TWO_MISSING = "Two of its columns were missing when it was started, so that its log could not be replayed."


class Outcome(NamedTuple):
    """What a start has come to. `held_back` is the reason why the volume takes no writes; `told` what was done."""

    held_back: str = ""
    told: str = ""


def restart(
    edit: Edit, ref: Ref, device_of: DeviceOf, stale: frozenset[str] = frozenset(), *, force: bool = False
) -> Outcome:
    """Leave out what is missing or in `stale`, and put rows right that a crash has torn. A volume that is held back
    says so in its record. `force` believes parity that may be wrong."""
    plex = parity_plex(edit.config, ref)
    if plex is None or plex.state not in COMPLETE or not edit.config.volume(ref).size:
        return Outcome()
    before: list[Subdisk | Plex] = [*pieces_of(edit.config, plex.ref)]
    logs = _logs_but(edit.config, ref, stale)
    mistrust_columns(edit, ref, stale)
    if not log_copies(edit.config, edit.config.volume(ref), lambda disk: device_of(edit.config, disk)):
        before += logs  # nothing can be replayed now: they tell what was being written when they are back
    if plex.state is PlexState.CLEAN:
        return Outcome()
    outcome = _put_right(edit, ref, plex, device_of, force=force)
    if outcome.held_back:
        for record in before:  # as it was recorded: when all is there again, nothing of it has missed a write
            edit.put(record)
        edit.put(replace(edit.config.volume(ref), fenced=outcome.held_back))
    return outcome


def _logs_but(config: Config, ref: Ref, stale: frozenset[str]) -> list[Plex]:
    """The copies of a log, but for those on disks that have come back older than the group knows."""
    return [log for log in config.logs_of(ref) if all(sd.disk.id not in stale for sd in config.subdisks_of(log.ref))]


def _put_right(edit: Edit, ref: Ref, plex: Plex, device_of: DeviceOf, *, force: bool) -> Outcome:
    if two_columns(pieces_out(edit.config, plex)):
        return Outcome(TWO_MISSING)
    why = "It has no log"
    volume = edit.config.volume(ref)
    copies = log_copies(edit.config, volume, lambda disk: device_of(edit.config, disk))
    if copies and volume.log_generation:
        table = assemble(edit.config, volume, lambda disk: device_of(edit.config, disk))
        found = replay(copies, bytes.fromhex(ref.id), bytes.fromhex(volume.log_generation), table)
        if isinstance(found, Replayed):
            return _replayed(edit, plex, found, device_of)
        assert isinstance(found, Damaged)
        why = f"Its log {found.reason.rstrip('.')}"
    return _in_doubt(edit, ref, plex, why, force=force)


def _replayed(edit: Edit, plex: Plex, found: Replayed, device_of: DeviceOf) -> Outcome:
    """What could not be written is out of date from now on."""
    for leg in found.failed.values():
        for piece in _pieces_at(edit.config, plex, leg, device_of):
            fail_disk(edit, piece.disk)
            if edit.config.subdisk(piece.ref).state is PieceState.GOOD:
                name = edit.config.disk(piece.disk).name
                return Outcome(f"{name} failed while the log was replayed, and another column is out already.")
    lacking = [piece for piece in pieces_out(edit.config, plex) if piece.state is PieceState.GOOD]
    if any(piece.column in found.missed for piece in lacking):
        return Outcome(TWO_MISSING)
    for key in found.failed_copies:
        if isinstance(key, Ref) and key in edit.config:
            leave_out_log(edit, edit.config.plex(key), PlexState.IOFAIL)
    if not found.entries:
        return Outcome(told="Its log was empty: every row was whole.")
    return Outcome(
        told=f"{found.entries} {'change was' if found.entries == 1 else 'changes were'} made whole from its log."
    )


def _pieces_at(config: Config, plex: Plex, leg: FailedLeg, device_of: DeviceOf) -> list[Subdisk]:
    """The pieces of a column on a device."""
    column = [piece for piece in pieces_of(config, plex.ref) if piece.column == leg.column]
    return [piece for piece in column if device_of(config, piece.disk) is leg.device]


def _in_doubt(edit: Edit, ref: Ref, plex: Plex, why: str, *, force: bool) -> Outcome:
    volume = edit.config.volume(ref)
    out = pieces_out(edit.config, plex)
    if not out:
        edit.put(replace(volume, parity_known=False))
        return Outcome(told=f"{why}: all of its parity ({format_size(volume.size)} of data) is made anew.")
    if force:
        edit.put(replace(volume, parity_known=True))
        return Outcome(
            told=f"{why}, and it lacks a column: it was started by force, and what was being written when "
            "it ended may be wrong there."
        )
    names = listed(dict.fromkeys(edit.config.disk(piece.disk).name for piece in out))
    return Outcome(
        f"{why}, it was being written when it ended, and it lacks the column on {names}: what that column held may "
        "be wrong."
    )
