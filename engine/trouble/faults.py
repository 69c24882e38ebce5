"""The control thread: decides about every fault that the data plane meets, and makes the decision durable."""

from __future__ import annotations

import errno
import logging
import os
from typing import TYPE_CHECKING

import msgspec

from engine.allocate.dirty import maps_of
from engine.dataplane.fault import Fault, FaultKind
from engine.dataplane.request import Op
from engine.devices.base import NO_SPACE
from engine.edits.detach import beyond_reach, fail_disk, fillers, without_disk
from engine.edits.dirty_places import drop_place, is_away
from engine.errors import EngineError, GroupFrozen
from engine.records import Plex, PlexState, Ref, Remedy, Severity, Subdisk, Volume
from engine.trouble.anew import Restarts, copies_of
from engine.trouble.column_faults import ColumnFaults
from engine.trouble.heal import Healer, may_be_mended

if TYPE_CHECKING:
    from collections.abc import Iterable

    from engine.commit import Committer
    from engine.config import Config, Edit
    from engine.luns import LunTable
    from engine.runtime import Runtime
    from engine.tasks.runner import TaskRunner

log = logging.getLogger(__name__)

_ANSWERED = frozenset({FaultKind.NO_SPACE, FaultKind.DEFECT})
"""Nothing is parked: the client has had its error before anybody decides."""
_BEGIN_ANEW_MAX = 8
"""A copy that was upset so often fails: the LUN, or who writes, has to be seen to first."""
_FULL_AGAIN_S = 60.0


class FaultKeeper:
    """Takes faults from data threads and answers each: parked requests run again, or end with an error."""

    def __init__(self, committer: Committer, luns: LunTable, runner: TaskRunner, runtime: Runtime) -> None:
        self._committer = committer
        self._luns = luns
        self._runner = runner
        self._runtime = runtime
        self._full: dict[tuple[Ref, Ref | None], float] = {}  # when it was last told that a host has no space
        self._owed: list[Ref] = []  # volumes whose mirrors may differ by a write that has been answered: undecided yet
        self._queue = runtime.queue()
        self._handlers = {
            FaultKind.FIRST_WRITE: self._first_write,
            FaultKind.LEG: self._leg_failed,
            FaultKind.FLUSH: self._flush_failed,
            FaultKind.NO_SPACE: self._no_space,
            FaultKind.DEFECT: self._defect,
            FaultKind.MAP: self._map_failed,
        }
        self._upset: dict[Ref, int] = {}  # how often copies have begun anew
        self._restarts = Restarts(committer, runner)
        committer.follow = self._restarts.follow
        committer.differed = self._may_differ
        self._columns = ColumnFaults(committer, luns, self._disk_failed, self._end, self._alert_full)
        self._thread = runtime.thread("control", self._run)
        self._healer = Healer(committer, luns, runtime, self._judge, self._make_writable)

    def tell(self, volume: Ref, fault: Fault) -> None:
        """Called by data threads; returns at once."""
        if may_be_mended(fault):
            self._healer.tell(volume, fault)
        else:
            self._judge(volume, fault)

    def mend(self, volume: Ref, disk: Ref, offset: int, length: int, number: int) -> bool:
        """For tasks: write again what cannot be read of a volume range on a disk. Whether it can be read now."""
        return self._healer.mend(volume, disk, offset, length, number)

    def is_undecided(self, volume: Ref) -> bool:
        """Whether mirrors may differ by what a client was told long ago, and nothing is on record of it."""
        return volume in self._owed

    def _judge(self, volume: Ref, fault: Fault) -> None:
        if fault.kind in _ANSWERED:
            self._owed.append(volume)
        self._queue.put((volume, fault))

    def _make_writable(self, ref: Ref, fault: Fault) -> None:
        with self._committer.lock:
            volume = self._committer.config.get(ref)
            if isinstance(volume, Volume) and ref in self._committer.ios:
                self._first_write(volume, fault)

    def close(self) -> None:
        self._healer.close()
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (item := self._queue.get()) is not None:
            volume, fault = item
            try:
                self._decide(volume, fault)
            except GroupFrozen:
                if fault.op is not Op.READ and self._columns.concerns(volume):
                    self._columns.frozen(volume)
                self._note_unequal(volume, fault)
                self._give_up(volume, fault.number or errno.EIO, fault)
            except Exception:
                log.exception("A fault of %s could not be handled", fault.volume)
                self._note_unequal(volume, fault)
                self._give_up(volume, errno.EIO, fault)
            finally:
                if fault.kind in _ANSWERED:
                    self._owed.remove(volume)

    def _decide(self, ref: Ref, fault: Fault) -> None:
        with self._committer.lock:
            volume = self._committer.config.get(ref)
            if isinstance(volume, Volume) and ref in self._committer.ios:
                ours = self._columns.handlers if self._columns.concerns(ref) else {}
                ours.get(fault.kind, self._handlers.get(fault.kind, self._defect))(volume, fault)

    def _note_unequal(self, ref: Ref, fault: Fault) -> None:
        """A write that ends with an error may have reached some mirrors and not others. Before anybody hears of it."""
        with self._committer.lock:
            mirrored = len(self._committer.config.plexes_of(ref)) > 1
            if fault.kind is FaultKind.LEG and fault.op is not Op.READ and mirrored:
                self._committer.unequal.add(ref)

    def _may_differ(self, ref: Ref) -> None:
        """It is on record by now which mirror is believed, where there are several."""
        volume = self._committer.config.volume(ref)
        try:
            self._restarts.begin(ref)
        except EngineError as error:
            self._committer.unequal.add(ref)
            log.info("The copies of %s could not begin anew: %s", volume.name, error)
        if volume.source is None:
            return
        self._committer.alert(
            Severity.WARNING,
            f"The mirrors of {volume.name} may differ.",
            about=ref,
            cause="A write failed while nothing could be written down. Reads come from one mirror until all are equal.",
            remedy="Choose Resynchronize: what differs is copied from the mirror that is read.",
            action=Remedy.RESYNC_VOLUME,
        )

    def _give_up(self, ref: Ref, number: int, fault: Fault) -> None:
        """Only what met this fault ends: what waits for something else may succeed."""
        io = self._committer.ios.get(ref)
        if io is not None:
            io.fail_parked(number, fault)

    # --- decisions, each under the control lock ---
    def _first_write(self, volume: Volume, fault: Fault) -> None:
        """The record on disk says CLEAN, or that a plex gets writes which it can't: correct it first.

        The swap runs the parked writes again.
        """
        if is_away(self._committer.config, volume.ref):
            self._give_up(volume.ref, errno.EIO, fault)  # what its disks tell is to be so when they are back
            return
        ended: list[Ref] = []

        def change(edit: Edit) -> None:
            for disk in beyond_reach(edit, volume.ref):
                ended.extend(without_disk(edit, disk.ref, PlexState.STALE))
            for plex in edit.config.plexes_of(volume.ref):
                if plex.state is PlexState.CLEAN:
                    edit.put(msgspec.structs.replace(plex, state=PlexState.ACTIVE))

        self._committer.commit(change)
        if not self._committer.ios[volume.ref].table.writable:
            self._give_up(volume.ref, errno.EIO, fault)
        self._end(ended, "A disk that it writes to is missing.")
        self._committer.ios[volume.ref].release()

    def _leg_failed(self, volume: Volume, fault: Fault) -> None:
        config = self._committer.config
        disk = self._luns.disk_of(fault.device)
        target = self._target(config, fault, disk)
        if target is not None:
            self._target_failed(volume, fault, disk, target)
        elif disk is None:
            self._give_up(volume.ref, fault.number, fault)
        elif fault.number in NO_SPACE and fault.op is not Op.READ:  # a plex in doubt is written and not read
            self._no_space(volume, fault)
            self._give_up(volume.ref, fault.number, fault)
        else:
            self._disk_failed(disk, fault)
            if self._spared(volume.ref, disk):
                self._committer.ios[volume.ref].release()
            else:
                self._refuse(volume, fault)

    def _disk_failed(self, disk: Ref, fault: Fault) -> None:
        """Mark a disk, and spare every volume that can do without it."""
        config = self._committer.config
        known = config.disk(disk).failing
        ended: list[Ref] = []
        self._committer.commit(lambda edit: ended.extend(fail_disk(edit, disk)))
        self._end(ended, f"{config.disk(disk).name} failed: {os.strerror(fault.number)}.")
        if not known:
            self._alert_disk(disk, fault)

    def _target_failed(self, volume: Volume, fault: Fault, disk: Ref | None, target: Ref) -> None:
        """What is being filled takes no more writes from now on; its task ends."""
        why = f"{_name(self._committer.config, disk)} failed: {os.strerror(fault.number)}."
        self._end(fillers(self._committer.config, target), why)

        def change(edit: Edit) -> None:
            record = edit.config.get(target)
            if isinstance(record, Subdisk):
                edit.drop(target)
            elif isinstance(record, Plex):
                edit.put(msgspec.structs.replace(record, state=PlexState.IOFAIL))

        self._committer.commit(change)
        if fault.number in NO_SPACE:
            self._alert_full(volume, disk)
        elif disk is not None:
            self._disk_failed(disk, fault)
        self._committer.ios[volume.ref].release()

    def _refuse(self, volume: Volume, fault: Fault) -> None:
        """The clients get the error. Where a write of theirs reached some places and not others, these may differ."""
        if fault.op is not Op.READ and fault.op is not None:
            self._differ(volume, fault, f"A write to {volume.name} failed.")
        self._give_up(volume.ref, fault.number, fault)

    def _flush_failed(self, volume: Volume, fault: Fault) -> None:
        """What was written since the last good flush is in doubt on that disk: as a failed leg, else fence."""
        disk = self._luns.disk_of(fault.device)
        if disk is None or volume.fenced:
            self._give_up(volume.ref, fault.number, fault)
            return
        self._disk_failed(disk, fault)
        io = self._committer.ios[volume.ref]
        if self._spared(volume.ref, disk):
            io.release()
            return
        name = _name(self._committer.config, disk)
        reason = f"{name} could not bring written data to stable storage, and no other complete mirror exists."
        io.fence()
        self._committer.commit(lambda edit: _fence(edit, volume.ref, reason))
        self._committer.alert(
            Severity.ERROR,
            f"{volume.name} takes no more writes.",
            about=volume.ref,
            cause=reason,
            remedy="Stop the volume, check its disk and its data, then start it again.",
            action=Remedy.STOP_VOLUME,
        )

    def _no_space(self, volume: Volume, fault: Fault) -> None:
        """The client has its ENOSPC; mirrors may differ there: one of them is named, the rest made equal to it."""
        disk = self._luns.disk_of(fault.device)
        self._differ(volume, fault, f"The host has no space left for {_name(self._committer.config, disk)}.")
        self._alert_full(volume, disk)

    def _map_failed(self, volume: Volume, fault: Fault) -> None:
        """A place of a map is none any more; another one takes over in the same transaction."""
        places = [place for log_ in maps_of(volume).values() for place in log_.places]
        if all(place.generation != fault.piece for place in places):
            self._committer.ios[volume.ref].release()  # it has been dropped meanwhile
            return
        if is_away(self._committer.config, volume.ref):
            self._give_up(volume.ref, fault.number, fault)
            for known in self._committer.ios[volume.ref].maps.values():
                known.fail_waiting(fault.number)  # nothing is written to it, nor has been
            return
        disk = self._luns.disk_of(fault.device)
        try:
            if disk is not None and fault.number not in NO_SPACE:
                self._disk_failed(disk, fault)
            self._committer.commit(lambda edit: drop_place(edit, volume.ref, {str(fault.piece)}))
        except GroupFrozen:
            self._give_up(volume.ref, fault.number, fault)  # first: whoever comes at once meets it anew, and tells it
            for known in self._committer.ios[volume.ref].maps.values():
                known.fail_waiting(fault.number)
            raise
        self._committer.ios[volume.ref].release()

    def _differ(self, volume: Volume, fault: Fault, why: str) -> None:
        """A write reached some legs and not others. Of complete plexes one is named that is believed. Copies that run
        may be past the place: they begin anew, and end where that has happened too often."""
        upset = [task.ref for task in copies_of(self._committer.config, volume.ref)]
        for task in upset:
            self._upset[task] = self._upset.get(task, 0) + 1
        self._end([task for task in upset if self._upset[task] > _BEGIN_ANEW_MAX], why)

        def change(edit: Edit) -> None:
            plexes = edit.config.plexes_of(volume.ref)
            for plex in plexes:
                if plex.state is PlexState.FILLING and not self._is_filled(edit.config, plex):
                    edit.put(msgspec.structs.replace(plex, state=PlexState.STALE))
            complete = [plex for plex in plexes if plex.complete]
            if len(complete) > 1 and edit.config.volume(volume.ref).source is None:
                source = next((plex for plex in complete if plex.ref != fault.plex), complete[0])
                edit.put(msgspec.structs.replace(edit.config.volume(volume.ref), source=source.ref))

        try:
            self._committer.commit(change)
            self._restarts.begin(volume.ref)
        except GroupFrozen:
            self._committer.unequal.add(volume.ref)
            raise

    def _is_filled(self, config: Config, plex: Plex) -> bool:
        """Whether a copy that is to begin anew fills a plex."""
        return any(self._upset.get(task, 0) <= _BEGIN_ANEW_MAX for task in fillers(config, plex.ref))

    def _defect(self, volume: Volume, fault: Fault) -> None:
        self._differ(volume, fault, f"A request to {volume.name} failed inside of the engine.")
        self._committer.alert(
            Severity.ERROR,
            f"A request to {volume.name} failed inside of the engine.",
            about=volume.ref,
            cause="This is a defect of the program; the request ended with an input/output error.",
            remedy="Save the engine's log and report it.",
        )

    # --- helpers ---
    def _end(self, tasks: Iterable[Ref], why: str) -> None:
        for task in tasks:
            self._runner.fail(task, why)

    def _target(self, config: Config, fault: Fault, disk: Ref | None) -> Ref | None:
        """The plex or subdisk that is being filled, when it was a leg of that which failed. A fault may be older than
        the repair that has given it another place: then that disk says nothing of it any more."""
        piece = config.get(fault.piece) if isinstance(fault.piece, Ref) else None
        if isinstance(piece, Subdisk):
            return piece.ref if disk in (None, piece.disk) else None
        plex = config.get(fault.plex) if isinstance(fault.plex, Ref) else None
        if not isinstance(plex, Plex) or plex.state is not PlexState.FILLING:
            return None
        here = disk is None or any(subdisk.disk == disk for subdisk in config.subdisks_of(plex.ref))
        return plex.ref if here else None

    def _spared(self, volume: Ref, disk: Ref) -> bool:
        """Whether the volume lives on without this disk: no complete plex of it lies there any more."""
        config = self._committer.config
        complete = [plex for plex in config.plexes_of(volume) if plex.complete]
        touching = [plex for plex in complete if any(sd.disk == disk for sd in config.subdisks_of(plex.ref))]
        return bool(complete) and not touching

    def _alert_full(self, volume: Volume, disk: Ref | None) -> None:
        """Told once while it lasts: each write of each client finds the same."""
        now, place = self._runtime.now(), (volume.ref, disk)
        if now - self._full.get(place, -_FULL_AGAIN_S) < _FULL_AGAIN_S:
            return
        self._full[place] = now
        self._committer.alert(
            Severity.ERROR,
            f"A write to {volume.name} found no space under {_name(self._committer.config, disk)}.",
            about=disk or volume.ref,
            cause="The file system that holds the LUN's image is full.",
            remedy="Free space there, then choose Resynchronize on the volume.",
            action=Remedy.RESYNC_VOLUME,
            action_on=volume.ref,
        )

    def _alert_disk(self, disk: Ref, fault: Fault) -> None:
        name = _name(self._committer.config, disk)
        self._committer.alert(
            Severity.ERROR,
            f"{name} is failing.",
            about=disk,
            cause=f"{(fault.op.name if fault.op else 'flush').capitalize()} failed: {os.strerror(fault.number)}.",
            remedy="Replace the disk, or see to the cause and reactivate it.",
            action=Remedy.REPLACE_DISK,
        )


def _fence(edit: Edit, volume: Ref, reason: str) -> None:
    edit.put(msgspec.structs.replace(edit.config.volume(volume), fenced=reason))


def _name(config: Config, disk: Ref | None) -> str:
    record = config.get(disk)
    return record.name if record is not None else "A disk"
