"""RAID-5 volumes of imported groups: put right after a start or a crash, or held back until that is possible."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from msgspec.structs import replace

from engine.edits.columns import parity_plex
from engine.parity.log_start import Outcome, restart
from engine.records import Kind, Ref, Severity, Task, TaskParams, TaskType, Volume
from engine.rules import task_of
from engine.states import pieces_out

if TYPE_CHECKING:
    from engine.commit import Committer
    from engine.config import Config, Edit
    from engine.devices.base import BlockDevice
    from engine.luns import LunTable
    from engine.state_folder.host_state import HostState
    from engine.tasks.runner import TaskRunner


class ColumnKeeper:
    """Every method is called under the control lock."""

    def __init__(self, committer: Committer, state: HostState, luns: LunTable, runner: TaskRunner) -> None:
        self._committer = committer
        self._state = state
        self._luns = luns
        self._runner = runner
        self._told: list[tuple[Ref, Outcome]] = []  # what restarts have come to, until somebody can be told
        self._held_back: set[Ref] = set()  # volumes that only wait for their disks

    def restart(self, edit: Edit, volume: Ref, stale: frozenset[str] = frozenset(), *, force: bool = False) -> str:
        """Put a volume right that was not stopped in order; why that can't be, if so. One that is fenced stays so."""
        if edit.config.volume(volume).fenced:
            return ""
        outcome = restart(edit, volume, self._device_of, stale, force=force)
        if outcome != Outcome():
            self._told.append((volume, outcome))
        if outcome.held_back:
            self._held_back.add(volume)
        else:
            self._held_back.discard(volume)
        return outcome.held_back

    def restart_fenced(self, edit: Edit, volume: Ref, *, force: bool = False) -> str:
        """One that is held back tries again, with nobody inside. Why it can't start, if so."""
        if parity_plex(edit.config, volume) is None:
            return ""
        io = self._committer.ios.get(volume)
        if io is None:
            return self.restart(edit, volume, force=force)
        with io.hold():
            for device in sorted(io.table.devices(), key=lambda device: device.name):
                io.lost(device, errno.EIO)  # what was lost until now all volumes hear; here the log has it
            held_back = self.restart(edit, volume, force=force)
            io.fence()  # nothing from before is in doubt any more
            return held_back

    def recover(self, group: Ref) -> None:
        """After an import or a start: tell what has been done, and begin what makes parity right."""
        self._tell()
        for volume in self._committer.config.volumes_of(group):
            self._put_parity(volume)

    def resume(self, volume: Volume) -> None:
        """What was held back because disks were missing goes on as soon as they are there."""
        plex = parity_plex(self._committer.config, volume.ref)
        if plex is None:
            return
        if volume.ref in self._held_back and volume.fenced and not pieces_out(self._committer.config, plex):
            self._committer.commit(lambda edit: self._try_again(edit, volume))
            io = self._committer.ios.get(volume.ref)
            if io is not None and io.fenced and not self._committer.config.volume(volume.ref).fenced:
                io.unfence()
        self._tell()
        task = self._put_parity(self._committer.config.volume(volume.ref))
        if task is not None:
            self._runner.start(task)

    def _try_again(self, edit: Edit, volume: Volume) -> None:
        edit.put(replace(volume, fenced=""))
        self.restart_fenced(edit, volume.ref)

    def _device_of(self, config: Config, disk: Ref) -> BlockDevice | None:
        lun = self._luns.of(disk)
        return lun.device if lun is not None and config.disk(disk).present else None

    def _tell(self) -> None:
        told, self._told = self._told, []
        for ref, outcome in told:
            volume = self._committer.config.get(ref)
            if not isinstance(volume, Volume):
                continue
            if outcome.held_back:
                severity, text = Severity.ERROR, f"{volume.name} was not stopped in order and is held back."
                remedy = f"{self._first_way_out(volume)}Start it by force, and check its data."
            else:
                severity, text = Severity.WARNING, f"{volume.name} was not stopped in order."
                remedy = "Nothing to do: it serves, and its parity is right or is being made so."
            cause = outcome.held_back or outcome.told
            self._committer.alert(severity, text, about=ref, cause=cause, remedy=remedy)

    def _first_way_out(self, volume: Volume) -> str:
        """What is better than force, where there is anything: disks that are there have nothing more to tell."""
        config = self._committer.config
        plex = parity_plex(config, volume.ref)
        out = pieces_out(config, plex) if plex is not None else []
        away = any(not config.disk(piece.disk).present for piece in out)
        return "Bring its disks back and rescan. If they are lost: " if away else ""

    def _put_parity(self, volume: Volume) -> Ref | None:
        """A task that makes parity right which nobody knows to be right; None when there is nothing to do, or it
        can't be done yet."""
        config = self._committer.config
        plex = parity_plex(config, volume.ref)
        if plex is None or volume.parity_known or volume.fenced or pieces_out(config, plex):
            return None
        if task_of(config, volume.ref) is not None:
            return None
        task = Task(
            ref=Ref(Kind.TASK, str(self._state.number()), self._state.host_id),
            name=f"Resynchronize {volume.name}",
            type=TaskType.PARITY,
            object=volume.ref,
            group=volume.group,
            params=TaskParams(volume=volume.ref),
            bytes_total=volume.size,
            iodelay_ms=config.delay_of(TaskType.PARITY),
            started_at=self._committer.runtime.time(),
        )
        self._committer.commit(lambda edit: edit.put(task))
        return task.ref
