"""The engine as its tasks see it."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import msgspec

from engine.edits.detach import fail_disk
from engine.errors import DeviceError
from engine.records import Disk, Remedy, Severity, Task, TaskState

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.commit import Committer
    from engine.config import Config, Edit
    from engine.dataplane.pulse import Pulse
    from engine.dataplane.volume_io import VolumeIo
    from engine.devices.base import BlockDevice
    from engine.luns import LunTable
    from engine.records import Ref
    from engine.runtime import Runtime


class EngineTaskHost:
    """Implements `engine.tasks.host.TaskHost` on the committer and the LUN table."""

    def __init__(self, committer: Committer, luns: LunTable, runtime: Runtime, pulse: Pulse) -> None:
        self.runtime = runtime
        self._committer = committer
        self._luns = luns
        self._pulse = pulse
        self.mender: Callable[[Ref, Ref, int, int, int], bool] = lambda *place: False  # set by whoever can

    def config(self) -> Config:
        return self._committer.config

    def commit(self, change: Callable[[Edit], None]) -> None:
        """As the committer does."""
        self._committer.commit(change)

    def volume(self, ref: Ref) -> VolumeIo:
        return self._committer.ios[ref]

    def device(self, disk: Ref) -> BlockDevice:
        """Not what stands at its path since its LUN has gone, before anybody knows what that is."""
        device = self._luns.device(disk)
        record = self._committer.config.get(disk)  # after: that it has gone is told before another one is opened
        if not isinstance(record, Disk) or not record.present:
            raise DeviceError(errno.ENXIO, device.name, "Opening")
        return device

    def fault(self, disk: Ref | None, error: DeviceError, *, writing: bool) -> None:
        """A LUN failed under a task: mark its disk and spare the volumes that can do without it."""
        with self._committer.lock:
            self._fail(disk, error)

    def _fail(self, disk: Ref | None, error: DeviceError) -> None:
        config = self._committer.config
        if disk is None or disk not in config or config.disk(disk).failing:
            return
        if error.errno == errno.ENXIO and not config.disk(disk).present:
            return  # it has gone, and need not be any worse
        ended: list[Ref] = []
        self._committer.commit(lambda edit: ended.extend(fail_disk(edit, disk)))
        for task in ended:
            self._committer.end_task(task, f"{config.disk(disk).name} failed.")
        self._committer.alert(
            Severity.ERROR,
            f"{config.disk(disk).name} is failing.",
            about=disk,
            cause=str(error),
            remedy="Replace the disk, or see to the cause and reactivate it.",
            action=Remedy.REPLACE_DISK,
        )

    def mend(self, volume: Ref, disk: Ref, offset: int, length: int, number: int) -> bool:
        return self.mender(volume, disk, offset, length, number)

    def progress(self, task: Ref, done: int, copied: int, eta_low_s: float, eta_high_s: float) -> None:
        def change(edit: Edit) -> None:
            record = edit.config.get(task)
            if isinstance(record, Task) and record.state is TaskState.RUNNING:
                edit.put(
                    msgspec.structs.replace(
                        record, bytes_done=done, bytes_copied=copied, eta_low_s=eta_low_s, eta_high_s=eta_high_s
                    )
                )

        self._committer.commit(change)

    def asked_at(self) -> float:
        return self._pulse.asked_at

    def wall(self) -> float:
        return self.runtime.time()
