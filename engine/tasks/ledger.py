"""Which LUNs a task has written to since it last flushed them, and whether a flush can be believed."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from engine.dataplane.fault import LEG_ERRORS
from engine.errors import DeviceError
from engine.records import Disk, Kind
from engine.tasks.failure import StepFailed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from engine.devices.base import BlockDevice
    from engine.records import Ref
    from engine.tasks.host import TaskHost


class Ledger:
    """A LUN counts as written once the data has gone to it: a flush that began before that proves nothing."""

    def __init__(self, host: TaskHost) -> None:
        self._host = host
        self._lock = host.runtime.lock()
        self._dirty: dict[BlockDevice, None] = {}
        self._losses: dict[BlockDevice, int] = {}

    def begin(self, device: BlockDevice) -> None:
        """Before the first write to a LUN. Somebody else's flush that fails from here on spoils ours, too: the
        system tells each loss only once."""
        if device not in self._losses:
            with self._lock:
                self._losses.setdefault(device, device.losses)

    def written(self, devices: Iterable[BlockDevice]) -> None:
        """Data has gone to these."""
        with self._lock:
            for device in devices:
                self._dirty[device] = None

    def flush(self, disks: Iterable[Ref] = ()) -> None:
        """Bring everything written so far to stable storage, on these disks and on all others written to.

        StepFailed when that is in doubt on any of them.
        """
        devices = [self._open(disk) for disk in disks]
        with self._lock:
            devices = list(dict.fromkeys([*devices, *self._dirty]))
            self._dirty = {}
        try:
            for device in devices:
                self._flush(device)
        except StepFailed:
            self.written(devices)
            raise

    def disk_of(self, device: BlockDevice) -> Ref | None:
        """The disk that a LUN is now. Slow: for failures only."""
        for disk in self._host.config().all(Kind.DISK, Disk):
            try:
                if disk.present and self._host.device(disk.ref) is device:
                    return disk.ref
            except DeviceError:
                continue
        return None

    def _open(self, disk: Ref) -> BlockDevice:
        try:
            return self._host.device(disk)
        except DeviceError as error:
            raise StepFailed(error, disk, writing=True) from error

    def _flush(self, device: BlockDevice) -> None:
        try:
            device.flush()
        except LEG_ERRORS as error:
            raise StepFailed(error, self.disk_of(device), writing=True) from error
        if device.losses != self._losses.get(device, device.losses):
            lost = DeviceError(errno.EIO, device.name, "Flushing")
            raise StepFailed(lost, self.disk_of(device), writing=True)
