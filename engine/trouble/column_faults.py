"""Decides about the faults of RAID-5 volumes: a column is given up where parity can stand for it, never a second one.

Where no column can be given up the volume is fenced. Its log still has every change that is not whole, and puts the
rows right when the volume is started again.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from msgspec.structs import replace

from engine.dataplane.fault import FaultKind
from engine.dataplane.request import Op
from engine.devices.base import NO_SPACE
from engine.edits.columns import leave_out_log, leave_out_piece, parity_plex
from engine.edits.detach import drop_targets, fail_disk, fillers
from engine.records import Disk, PieceState, Plex, PlexState, Ref, Remedy, Severity, Subdisk, Volume

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from engine.commit import Committer
    from engine.config import Edit
    from engine.dataplane.fault import Fault
    from engine.luns import LunTable

    DiskFailed = Callable[[Ref, Fault], None]
    EndTasks = Callable[[Iterable[Ref], str], None]
    AlertFull = Callable[[Volume, Ref | None], None]


class ColumnFaults:
    """One handler for each kind of fault; every method is called under the control lock.

    `disk_failed` marks a disk and takes it out of all that can do without it; `end` ends tasks; `full` tells that a
    host has no space left.
    """

    def __init__(
        self, committer: Committer, luns: LunTable, disk_failed: DiskFailed, end: EndTasks, full: AlertFull
    ) -> None:
        self._committer = committer
        self._luns = luns
        self._disk_failed = disk_failed
        self._end = end
        self._full = full
        self.handlers: dict[FaultKind, Callable[[Volume, Fault], None]] = {
            FaultKind.LEG: self._leg_failed,
            FaultKind.LOG: self._log_failed,
            FaultKind.BROKEN: self._broken,
            FaultKind.FLUSH: self._flush_failed,
            FaultKind.DEFECT: self._defect,
        }

    def concerns(self, volume: Ref) -> bool:
        """Whether it is a RAID-5 volume."""
        return parity_plex(self._committer.config, volume) is not None

    def frozen(self, volume: Ref) -> None:
        """What a fault asks for can't be written down: no more is written, so that the log puts right what is torn."""
        io = self._committer.ios.get(volume)
        if io is not None and not io.fenced:
            io.fence()
            self._committer.unequal.add(volume)

    # --- decisions ---
    def _leg_failed(self, volume: Volume, fault: Fault) -> None:
        config = self._committer.config
        piece = config.get(fault.piece) if isinstance(fault.piece, Ref) else None
        disk = self._luns.disk_of(fault.device)
        if not isinstance(piece, Subdisk) or (disk is not None and disk != piece.disk):
            self._committer.ios[volume.ref].release()  # of a place that the piece has left meanwhile
        elif piece.state is PieceState.STALE:
            self._decided_already(volume, fault, disk)
        elif piece.replaces is not None or piece.state is PieceState.FILLING:
            self._target_failed(volume, fault, piece, disk)
        elif fault.number in NO_SPACE:
            self._leave_out(volume, fault, piece)
            self._full(volume, disk)
        else:
            if disk is not None:
                self._disk_failed(disk, fault)
            self._leave_out(volume, fault, piece)

    def _decided_already(self, volume: Volume, fault: Fault, disk: Ref | None) -> None:
        """It runs again without the piece. Where a commit for another reason has left that out, nobody knows why."""
        record = self._committer.config.get(disk)
        if isinstance(record, Disk) and record.present and fault.op is not Op.READ:
            if fault.number in NO_SPACE:
                self._full(volume, disk)
            elif not record.failing:
                self._disk_failed(record.ref, fault)
        self._committer.ios[volume.ref].release()

    def _leave_out(self, volume: Volume, fault: Fault, piece: Subdisk) -> None:
        """Parity stands for the piece from now on; the swap runs the parked requests again."""
        tasks: list[Ref] = []

        def change(edit: Edit) -> None:
            record = edit.config.get(piece.ref)
            if isinstance(record, Subdisk) and record.state is PieceState.GOOD and leave_out_piece(edit, record):
                tasks.extend(drop_targets(edit, record))

        self._committer.commit(change)
        self._end(tasks, f"{self._name(piece.disk)} failed: {os.strerror(fault.number)}.")
        left = self._committer.config.get(piece.ref)
        if isinstance(left, Subdisk) and left.state is PieceState.GOOD:
            self._last_column(volume, fault, piece)
        else:
            self._committer.ios[volume.ref].release()

    def _last_column(self, volume: Volume, fault: Fault, piece: Subdisk) -> None:
        """Nothing stands for this piece. A read fails; after a write nothing more is written."""
        if fault.op is not None and fault.op is not Op.READ:
            why = f"{self._name(piece.disk)} failed ({os.strerror(fault.number)}), and another column is out already."
            self._fence(volume, self._no_room(piece.disk, fault) or why, fault)
        self._committer.ios[volume.ref].fail_parked(fault.number)

    def _target_failed(self, volume: Volume, fault: Fault, piece: Subdisk, disk: Ref | None) -> None:
        """What is being filled takes no more writes from now on; its task ends."""
        why = f"{self._name(piece.disk)} failed: {os.strerror(fault.number)}."
        self._end(fillers(self._committer.config, piece.ref), why)

        def change(edit: Edit) -> None:
            record = edit.config.get(piece.ref)
            if isinstance(record, Subdisk) and record.replaces is not None:
                edit.drop(record.ref)
            elif isinstance(record, Subdisk):
                edit.put(replace(record, state=PieceState.STALE))

        self._committer.commit(change)
        if fault.number in NO_SPACE:
            self._full(volume, disk)
        elif disk is not None:
            self._disk_failed(disk, fault)
        self._committer.ios[volume.ref].release()

    def _log_failed(self, volume: Volume, fault: Fault) -> None:
        """A copy of the log is written no more. The commit empties the log, so that nothing depends on that copy."""
        disk = self._luns.disk_of(fault.device)
        before = self._committer.config.get(fault.piece) if isinstance(fault.piece, Ref) else None
        ended: list[Ref] = []

        def change(edit: Edit) -> None:
            log = edit.config.get(fault.piece) if isinstance(fault.piece, Ref) else None
            if isinstance(log, Plex):
                leave_out_log(edit, log, PlexState.IOFAIL)
            if disk is not None and fault.number not in NO_SPACE:
                ended.extend(fail_disk(edit, disk))

        self._committer.commit(change)
        self._end(ended, f"{self._name(disk)} failed: {os.strerror(fault.number)}.")
        kept = self._committer.config.volume(volume.ref).fenced
        if isinstance(before, Plex) and before.state is not PlexState.IOFAIL and not kept:
            self._tell_log(volume, disk, fault)
        self._committer.ios[volume.ref].release()

    def _tell_log(self, volume: Volume, disk: Ref | None, fault: Fault) -> None:
        config = self._committer.config
        left = [log for log in config.logs_of(volume.ref) if log.state is PlexState.ACTIVE]
        rest = "The other copy goes on" if left else "It goes on without a log: after a crash all parity is made anew"
        self._committer.alert(
            Severity.WARNING if left else Severity.ERROR,
            f"A copy of the log of {volume.name} on {self._name(disk)} failed.",
            about=volume.ref,
            cause=f"{os.strerror(fault.number)}. {rest}.",
            remedy="Add a log on a sound disk, and resynchronize or replace what failed.",
        )

    def _broken(self, volume: Volume, fault: Fault) -> None:
        """A second column of a row failed in the middle of a write."""
        disk = self._luns.disk_of(fault.device)
        why = f"{self._name(disk)} failed in the middle of a write, and another column is out of these rows, too."
        self._fence(volume, self._no_room(disk, fault) or why, fault)
        self._committer.ios[volume.ref].fail_parked(fault.number)

    def _no_room(self, disk: Ref | None, fault: Fault) -> str:
        """Columns of a host that is full fail all at once, and none of them is broken."""
        if fault.number not in NO_SPACE:
            return ""
        return f"The host had no space left for {self._name(disk)} in the middle of a write."

    def _flush_failed(self, volume: Volume, fault: Fault) -> None:
        """What was written since the last good flush is in doubt on that disk: as a failed leg, else fence."""
        disk = self._luns.disk_of(fault.device)
        io = self._committer.ios[volume.ref]
        if disk is None or volume.fenced:
            io.fail_parked(fault.number)
            return
        self._disk_failed(disk, fault)
        if self._relies_on(volume.ref, disk):
            reason = f"{self._name(disk)} could not bring written data to stable storage, and another column is out."
            self._fence(volume, reason, fault)
            io.fail_parked(fault.number)
        elif self._committer.config.volume(volume.ref).fenced:
            io.fail_parked(fault.number)
        else:
            if io.raid5 is not None:  # the column was out before, and with it all that the log keeps for this disk
                io.raid5.unpin(fault.device)
            io.release()

    def _defect(self, volume: Volume, fault: Fault) -> None:
        """Nobody knows what became of the rows concerned; the log does."""
        if fault.op is not None and fault.op is not Op.READ:
            self._fence(volume, "A request failed inside of the engine, in the middle of a write.", fault)
        self._committer.alert(
            Severity.ERROR,
            f"A request to {volume.name} failed inside of the engine.",
            about=volume.ref,
            cause="This is a defect of the program; the request ended with an input/output error.",
            remedy="Save the engine's log and report it. Start the volume again to put it right from its log.",
        )

    # --- helpers ---
    def _relies_on(self, volume: Ref, disk: Ref) -> bool:
        """Whether a good piece of the volume lies on this disk."""
        config = self._committer.config
        plex = parity_plex(config, volume)
        pieces = [piece for piece in config.subdisks_on(disk) if plex is not None and piece.plex == plex.ref]
        return any(piece.state is PieceState.GOOD and piece.replaces is None for piece in pieces)

    def _fence(self, volume: Volume, reason: str, fault: Fault) -> None:
        """No more writes. Before it is recorded, as the log must keep what it has."""
        io = self._committer.ios[volume.ref]
        io.fence()
        if self._committer.config.volume(volume.ref).fenced:
            return
        self._committer.commit(lambda edit: edit.put(replace(edit.config.volume(volume.ref), fenced=reason)))
        first = "Free space there" if fault.number in NO_SPACE else "See to its disks"
        self._committer.alert(
            Severity.ERROR,
            f"{volume.name} takes no more writes.",
            about=volume.ref,
            cause=reason,
            remedy=f"{first}, then start the volume: {self._put_right_by(volume)}.",
            action=Remedy.START_VOLUME,
        )

    def _put_right_by(self, volume: Volume) -> str:
        if any(log.state is PlexState.ACTIVE for log in self._committer.config.logs_of(volume.ref)):
            return "its log puts right what was being written"
        return "its parity is made anew"

    def _name(self, disk: Ref | None) -> str:
        record = self._committer.config.get(disk)
        return record.name if record is not None else "A disk"
