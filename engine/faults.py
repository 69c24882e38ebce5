"""The control thread: decides about every fault that the data plane meets, and makes the decision durable."""

from __future__ import annotations

import errno
import logging
import os
from typing import TYPE_CHECKING

import msgspec

from engine.commit import detach_disk
from engine.dataplane.fault import Fault, FaultKind
from engine.devices.base import NO_SPACE
from engine.errors import GroupFrozen
from engine.records import TASK_ENDED, Kind, PlexState, Ref, Severity, Subdisk, TaskType, Volume

if TYPE_CHECKING:
    from engine.commit import Committer
    from engine.config import Config, Edit
    from engine.luns import LunTable
    from engine.runtime import Runtime
    from engine.tasks.runner import TaskRunner

log = logging.getLogger(__name__)


class FaultKeeper:
    """Takes faults from data threads and answers each: parked requests run again, or end with an error."""

    def __init__(self, committer: Committer, luns: LunTable, runner: TaskRunner, runtime: Runtime) -> None:
        self._committer = committer
        self._luns = luns
        self._runner = runner
        self._queue = runtime.queue()
        self._handlers = {
            FaultKind.FIRST_WRITE: self._first_write,
            FaultKind.LEG: self._leg_failed,
            FaultKind.FLUSH: self._flush_failed,
            FaultKind.NO_SPACE: self._no_space,
            FaultKind.DEFECT: self._defect,
        }
        self._thread = runtime.thread("control", self._run)

    def tell(self, volume: Ref, fault: Fault) -> None:
        """Called by data threads; returns at once."""
        self._queue.put((volume, fault))

    def close(self) -> None:
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (item := self._queue.get()) is not None:
            volume, fault = item
            try:
                self._decide(volume, fault)
            except GroupFrozen:
                self._give_up(volume, fault.number or errno.EIO)
            except Exception:
                log.exception("A fault of %s could not be handled", fault.volume)
                self._give_up(volume, errno.EIO)

    def _decide(self, ref: Ref, fault: Fault) -> None:
        with self._committer.lock:
            volume = self._committer.config.get(ref)
            if isinstance(volume, Volume) and ref in self._committer.ios:
                self._handlers[fault.kind](volume, fault)

    def _give_up(self, ref: Ref, number: int) -> None:
        io = self._committer.ios.get(ref)
        if io is not None:
            io.fail_parked(number)

    # --- decisions, each under the control lock ---
    def _first_write(self, volume: Volume, fault: Fault) -> None:
        """The record on disk says CLEAN: make it ACTIVE; the swap runs the parked writes again."""

        def change(edit: Edit) -> None:
            for plex in edit.config.plexes_of(volume.ref):
                if plex.state is PlexState.CLEAN:
                    edit.put(msgspec.structs.replace(plex, state=PlexState.ACTIVE))

        self._committer.commit(change)
        self._committer.ios[volume.ref].release()

    def _leg_failed(self, volume: Volume, fault: Fault) -> None:
        config = self._committer.config
        disk = self._luns.disk_of(fault.device)
        filling = self._filled(config, volume, fault, disk)
        if filling is not None:
            self._runner.fail(filling, f"{_name(config, disk)} failed: {os.strerror(fault.number)}.")
            self._without_target(volume, fault)
            if fault.number in NO_SPACE:
                self._alert_full(volume, disk)
            elif disk is not None and not config.disk(disk).failing:
                self._committer.commit(lambda edit: _detach(edit, disk))
                self._alert_disk(disk, fault)
            return
        if disk is None:
            self._give_up(volume.ref, fault.number)
            return
        known = config.disk(disk).failing
        self._committer.commit(lambda edit: _detach(edit, disk))
        if not known:
            self._alert_disk(disk, fault)
        if self._spared(volume.ref, disk):
            self._committer.ios[volume.ref].release()
        else:
            self._give_up(volume.ref, fault.number)

    def _flush_failed(self, volume: Volume, fault: Fault) -> None:
        """What was written since the last good flush is in doubt on that disk: as a failed leg, else fence."""
        self._leg_failed(volume, fault)
        disk = self._luns.disk_of(fault.device)
        if disk is not None and not self._spared(volume.ref, disk):
            reason = (
                f"{_name(self._committer.config, disk)} could not bring written data to stable storage, and no other "
                f"complete mirror exists."
            )
            self._committer.ios[volume.ref].fence()
            self._committer.commit(lambda edit: _fence(edit, volume.ref, reason))
            self._committer.alert(
                Severity.ERROR,
                f"{volume.name} takes no more writes.",
                about=volume.ref,
                cause=reason,
                remedy="Stop the volume, check its disk and its data, then start it again.",
            )

    def _no_space(self, volume: Volume, fault: Fault) -> None:
        """The client has its ENOSPC; mirrors may differ there: one of them is named, the rest made equal to it.

        A copy that runs may be past the place already: it ends, and begins anew when the operator asks for it.
        """
        config = self._committer.config
        for task in config.tasks_of(volume.group):
            if task.type is TaskType.RESYNC and task.params.volume == volume.ref and task.state not in TASK_ENDED:
                self._runner.abort(task.ref)
        complete = [plex for plex in config.plexes_of(volume.ref) if plex.complete]
        if len(complete) > 1 and volume.source is None:
            source = next((plex for plex in complete if plex.ref != fault.plex), complete[0])
            self._committer.commit(
                lambda edit: edit.put(msgspec.structs.replace(edit.config.volume(volume.ref), source=source.ref))
            )
        self._alert_full(volume, self._luns.disk_of(fault.device))

    def _defect(self, volume: Volume, fault: Fault) -> None:
        self._committer.alert(
            Severity.ERROR,
            f"A request to {volume.name} failed inside of the engine.",
            about=volume.ref,
            cause="This is a defect of the program; the request ended with an input/output error.",
            remedy="Save the engine's log and report it.",
        )

    # --- helpers ---
    def _filled(self, config: Config, volume: Volume, fault: Fault, disk: Ref | None) -> Ref | None:
        """The task that fills what failed, when the failed leg is only a target."""
        for task in config.tasks_of(volume.group):
            if task.state in TASK_ENDED or task.params.volume not in (None, volume.ref):
                continue
            if fault.piece in task.params.subdisks and isinstance(fault.piece, Ref):
                return task.ref
            if fault.plex in task.params.plexes and config.plex(fault.plex).state is PlexState.FILLING:
                return task.ref
        return None

    def _without_target(self, volume: Volume, fault: Fault) -> None:
        """The target that failed takes no more writes from now on; its task is ending."""

        def change(edit: Edit) -> None:
            piece = edit.config.get(fault.piece) if isinstance(fault.piece, Ref) else None
            if isinstance(piece, Subdisk):
                edit.drop(piece.ref)
            plex = edit.config.get(fault.plex) if isinstance(fault.plex, Ref) and piece is None else None
            if plex is not None and plex.ref.kind is Kind.PLEX:
                edit.put(msgspec.structs.replace(plex, state=PlexState.IOFAIL))

        self._committer.commit(change)
        self._committer.ios[volume.ref].release()

    def _spared(self, volume: Ref, disk: Ref) -> bool:
        """Whether the volume lives on without this disk: no complete plex of it lies there any more."""
        config = self._committer.config
        complete = [plex for plex in config.plexes_of(volume) if plex.complete]
        touching = [plex for plex in complete if any(sd.disk == disk for sd in config.subdisks_of(plex.ref))]
        return bool(complete) and not touching

    def _alert_full(self, volume: Volume, disk: Ref | None) -> None:
        self._committer.alert(
            Severity.ERROR,
            f"A write to {volume.name} found no space under {_name(self._committer.config, disk)}.",
            about=disk or volume.ref,
            cause="The file system that holds the LUN's image is full.",
            remedy="Free space there, then choose Resynchronize on the volume.",
        )

    def _alert_disk(self, disk: Ref, fault: Fault) -> None:
        name = _name(self._committer.config, disk)
        self._committer.alert(
            Severity.ERROR,
            f"{name} is failing.",
            about=disk,
            cause=f"{(fault.op.name if fault.op else 'flush').capitalize()} failed: {os.strerror(fault.number)}.",
            remedy="Move its subdisks to other disks, or replace the LUN and resynchronize the volumes.",
        )


def _detach(edit: Edit, disk: Ref) -> None:
    detach_disk(edit, disk)


def _fence(edit: Edit, volume: Ref, reason: str) -> None:
    edit.put(msgspec.structs.replace(edit.config.volume(volume), fenced=reason))


def _name(config: Config, disk: Ref | None) -> str:
    record = config.get(disk)
    return record.name if record is not None else "A disk"
