"""Volumes of imported groups: stopped in order, and taken up again after an import, a start or a crash."""

from __future__ import annotations

import contextlib
import functools
import logging
from typing import TYPE_CHECKING

import msgspec

from engine.assemble import is_held_back
from engine.disk_groups.column_keeper import ColumnKeeper
from engine.disk_groups.renewed_stamps import note, renew_stamps
from engine.edits.dirty_places import is_unequal
from engine.edits.doubts import believe_one, doubt_parity
from engine.edits.kept_cells import gathered, put
from engine.edits.mistrust import lost_target
from engine.errors import CommandRejected, EngineError, GroupFrozen
from engine.plans import Problem
from engine.records import (
    Alert,
    Kind,
    Plex,
    PlexState,
    Ref,
    Remedy,
    Severity,
    Task,
    TaskParams,
    TaskState,
    TaskType,
    Volume,
    VolumeLayout,
)
from engine.states import is_resynched
from engine.units import format_size

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from engine import commands
    from engine.commit import Committer
    from engine.config import Edit
    from engine.dataplane.volume_io import VolumeIo
    from engine.luns import LunTable
    from engine.plans import Plan
    from engine.state_folder.host_state import HostState
    from engine.tasks.runner import TaskRunner


log = logging.getLogger(__name__)


class VolumeKeeper:
    """Brings volumes to an end and back, RAID-5 by `columns`. Every method is called under the control lock."""

    def __init__(self, committer: Committer, state: HostState, luns: LunTable, runner: TaskRunner) -> None:
        self._committer = committer
        self._state = state
        self._runner = runner
        self.columns = ColumnKeeper(committer, state, luns, runner)
        self._fences_told: dict[Ref, str] = {}
        self.refresh: Callable[[Ref], None] = lambda task: None  # set by whoever conducts it
        self.take_up: Callable[[Task], None] = lambda task: None  # set by whoever works on file systems
        self.is_undecided: Callable[[Ref], bool] = lambda volume: False  # set by whoever decides about faults

    def stop_in_order(self, group: Ref) -> None:
        """Flush every volume of a group and make its record say CLEAN."""
        self.make_clean([volume.ref for volume in self._committer.config.volumes_of(group)])

    def make_clean(self, volumes: Iterable[Ref]) -> None:
        """Flush volumes and make their records say CLEAN, in one step: nobody gets in before nothing is writable.

        A volume of which anything is in doubt keeps saying ACTIVE.
        """
        committer = self._committer
        served = [ref for ref in volumes if ref in committer.ios]
        ended: list[Ref] = []
        with contextlib.ExitStack() as held:
            clean = [ref for ref in served if self._holds_still(ref, held)]
            cells = gathered(committer.config, committer.ios, committer.stores, clean)
            stamps = renew_stamps(committer.config, committer.stores, served)

            def change(edit: Edit) -> None:
                mark_clean(edit, clean)
                put(edit, cells)
                ended.extend(note(edit, stamps))

            with committer.maps.keeping(cells):
                try:
                    committer.commit(change)
                except GroupFrozen:
                    self._stay_clean(clean)
                    raise
        self._tell_failed(stamps.failed, ended)

    def _stay_clean(self, volumes: Collection[Ref]) -> None:
        """It was given up, and a disk may have it, with which the group begins next time. Nobody is inside yet: so they
        are clean, and who writes first says ACTIVE before, as after any stop."""
        self._committer.show(lambda edit: mark_clean(edit, volumes))
        self._committer.show_tables(volumes)

    def _tell_failed(self, disks: Iterable[Ref], ended: Iterable[Ref]) -> None:
        """Disks that did not take their stamps."""
        for disk in disks:
            self._committer.alert(
                Severity.ERROR,
                f"{self._committer.config.disk(disk).name} is failing.",
                about=disk,
                cause="Its import stamp could not be written.",
                remedy="Replace the disk, or see to the cause and reactivate it.",
                action=Remedy.REPLACE_DISK,
            )
        for task in ended:
            self._committer.end_task(task, "A disk that it writes to failed.")

    def unstable(self, group: Ref) -> list[Volume]:
        """The volumes of which a flush has failed, and nothing is on record of it yet."""
        ios = self._committer.ios
        served = [volume for volume in self._committer.config.volumes_of(group) if volume.ref in ios]
        return [volume for volume in served if ios[volume.ref].in_doubt and not ios[volume.ref].fenced]

    def _holds_still(self, volume: Ref, held: contextlib.ExitStack) -> bool:
        io = self._committer.ios[volume]
        if io.fenced or volume in self._committer.unequal:
            return False
        held.enter_context(io.hold())
        undecided = io.parked or self.is_undecided(volume)
        return io.settle_writes() and not undecided and not self._is_pinned(volume, io)

    def _is_pinned(self, volume: Ref, io: VolumeIo) -> bool:
        """Whether a write has failed on some mirror, of which nothing is on record yet."""
        return io.dirty is not None and io.dirty.pinned and not is_unequal(self._committer.config, volume)

    def recover(self, group: Ref) -> None:
        """Take up the tasks of a group, and make mirrors equal that were not stopped in order."""
        self.columns.recover(group)
        config = self._committer.config
        for volume in config.volumes_of(group):
            self._tell_fenced(volume)
            waits = is_held_back(volume) or volume.source is None or is_resynched(config, volume)
            if not waits and self._put_resync(volume) is not None:
                self._tell_resync(
                    volume, "was not stopped in order", "The engine or the host went down while it was written."
                )
        for task in self._committer.config.tasks_of(group):
            lost = lost_target(self._committer.config, task)
            if task.ended:
                continue
            if task.type is TaskType.REFRESH:
                self.refresh(task.ref)
                continue
            if task.type in (TaskType.FILE_SYSTEM, TaskType.FORMAT):
                self.take_up(task)
            elif lost:
                self._runner.fail(task.ref, f"{lost} is missing.")
            elif task.paused:
                self._committer.commit(functools.partial(_rest, task.ref))
            else:
                self._runner.start(task.ref)

    def _tell_fenced(self, volume: Volume) -> None:
        """What was fenced in an earlier run, or by a look at the LUNs: said once for each reason in a run."""
        if not volume.fenced or not volume.started:
            self._fences_told.pop(volume.ref, None)
            return
        alerts = self._committer.config.all(Kind.ALERT, Alert)
        known = any(alert.open and (alert.object, alert.cause) == (volume.ref, volume.fenced) for alert in alerts)
        told = self._fences_told.get(volume.ref) == volume.fenced
        self._fences_told[volume.ref] = volume.fenced
        if known or told:
            return
        parity = volume.layout is VolumeLayout.RAID5
        self._committer.alert(
            Severity.ERROR,
            f"{volume.name} takes no more writes.",
            about=volume.ref,
            cause=volume.fenced,
            remedy="See to its disks, then start the volume."
            if parity
            else "Stop the volume, check its disk and its data, then start it again.",
            action=Remedy.START_VOLUME if parity else Remedy.STOP_VOLUME,
        )

    def resume(self, group: Ref) -> None:
        """Volumes whose mirrors may differ, and that nothing makes equal any more, are copied again where that is
        possible now."""
        for volume in self._committer.config.volumes_of(group):
            self._tell_fenced(volume)
            self.columns.resume(volume)
            self._resume(volume, "Its mirrors may differ, and the copy that made them equal had not completed.")

    def copy_failed(self, task: Task) -> None:
        """A copy whose source failed ends; when one that it was filling is believed instead, the rest goes on from it.

        Each time there is a mirror less to believe, so that this comes to an end.
        """
        volume = self._committer.config.get(task.params.volume)
        if task.type is TaskType.RESYNC and isinstance(volume, Volume) and volume.source in task.params.plexes:
            try:
                self._resume(volume, "The mirror that the others were copied from failed; another one is believed now.")
            except (EngineError, RuntimeError) as error:
                log.warning("The copy of %s could not begin again: %s", volume.name, error)

    def _resume(self, volume: Volume, why: str) -> None:
        config = self._committer.config
        source = config.get(volume.source)
        if not isinstance(source, Plex) or not source.complete or volume.fenced or is_resynched(config, volume):
            return
        task = self._put_resync(volume)
        if task is not None:
            self._tell_resync(volume, "is copied again", why)
            self._runner.start(task)

    def believe(self, command: commands.StartVolumes, plan: Plan) -> Callable[[Edit], None]:
        """The operator starts volumes by hand: the fenced ones take writes again, RAID-5 once it is put right."""

        def change(edit: Edit) -> None:
            for ref in command.volumes:
                volume = edit.config.volume(ref)
                edit.put(msgspec.structs.replace(volume, fenced=""))
                held_back = self.columns.restart_fenced(edit, volume.ref, force=command.force) if volume.fenced else ""
                if is_held_back(edit.base.volume(ref)):
                    doubt_parity(edit, ref)
                    self._make_equal(edit, ref)
                if held_back:
                    help_ = "Bring its disks back and rescan; or be ready to check its data, and start it by force."
                    raise CommandRejected((Problem(held_back, help_, ref, typed="-f"),))

        return change

    def _make_equal(self, edit: Edit, ref: Ref) -> None:
        others = believe_one(edit, ref)
        if others and not is_resynched(edit.config, edit.config.volume(ref)):
            volume = edit.config.volume(ref)
            edit.put(self._resync_of(volume, others, volume.size, whole=True))

    def recover_volumes(self, command: commands.StartVolumes, plan: Plan) -> None:
        """After a start by hand: as after an import."""
        for ref in command.volumes:
            io = self._committer.ios.get(ref)
            if io is not None and io.fenced:
                io.unfence()
        for group in {self._committer.config.volume(ref).group for ref in command.volumes}:
            self.recover(group)

    def _put_resync(self, volume: Volume) -> Ref | None:
        """A task that makes every other complete plex equal to the named source; None when there is no other."""
        config = self._committer.config
        others = tuple(plex.ref for plex in config.plexes_of(volume.ref) if plex.complete and plex.ref != volume.source)
        if not others:
            return None
        io = self._committer.ios.get(volume.ref)
        size = volume.size if io is None or io.dirty is None else io.dirty.dirty_bytes
        task = self._resync_of(volume, others, size)
        self._committer.commit(lambda edit: edit.put(task))
        return task.ref

    def _resync_of(self, volume: Volume, others: tuple[Ref, ...], size: int, *, whole: bool = False) -> Task:
        return Task(
            ref=Ref(Kind.TASK, str(self._state.number()), self._state.host_id),
            name=f"Resynchronize {volume.name}" + (f": {format_size(size)} that may differ" if size else ""),
            type=TaskType.RESYNC,
            object=volume.ref,
            group=volume.group,
            params=TaskParams(volume=volume.ref, plexes=others, whole=whole),
            bytes_total=size * len(others),
            iodelay_ms=self._committer.config.delay_of(TaskType.RESYNC),
            started_at=self._committer.runtime.time(),
        )

    def _tell_resync(self, volume: Volume, what: str, why: str) -> None:
        remedy = "Nothing to do: its mirrors are made equal from one of them while it serves."
        self._committer.alert(Severity.WARNING, f"{volume.name} {what}.", about=volume.ref, cause=why, remedy=remedy)


def mark_clean(edit: Edit, volumes: Iterable[Ref]) -> None:
    """Their complete plexes are equal and stable: the next start needs no resync."""
    for volume in volumes:
        for plex in edit.config.plexes_of(volume):
            if plex.state is PlexState.ACTIVE:
                edit.put(msgspec.structs.replace(plex, state=PlexState.CLEAN))


def _rest(ref: Ref, edit: Edit) -> None:
    """A task that was paused when the engine ended is shown so, with what it had done."""
    task = edit.config.task(ref)
    edit.put(msgspec.structs.replace(task, state=TaskState.PAUSED, bytes_done=task.checkpoint))
