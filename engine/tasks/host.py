"""What long work asks of the engine that it runs in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.config import Config, Edit
    from engine.dataplane.volume_io import VolumeIo
    from engine.devices.base import BlockDevice
    from engine.errors import DeviceError
    from engine.records import Ref
    from engine.runtime import Runtime


class TaskHost(Protocol):
    """The engine, as tasks see it. Every method may be called from any task thread and may take the control lock."""

    @property
    def runtime(self) -> Runtime: ...

    def config(self) -> Config:
        """Today's configuration."""

    def commit(self, change: Callable[[Edit], None]) -> None:
        """Settle, persist, swap the tables, free, publish.

        Raises GroupFrozen when it cannot be made durable. An exception from `change` leaves everything as it was and
        reaches the caller.
        """

    def volume(self, ref: Ref) -> VolumeIo:
        """Where a volume's bytes go, started or not. KeyError when the volume is gone."""

    def device(self, disk: Ref) -> BlockDevice:
        """The LUN of a disk. DeviceError when it is missing."""

    def fault(self, disk: Ref | None, error: DeviceError, *, writing: bool) -> None:
        """A LUN failed under a task, which has its own answer; here its disk is marked. Never a full file system.

        `disk` is None when the LUN belongs to no disk any more.
        """

    def mend(self, volume: Ref, disk: Ref, offset: int, length: int, number: int) -> bool:
        """Reading from a disk failed with this errno somewhere in a range of a volume: whether the place has been
        written again from another mirror, and can be read. Waits; not to be called inside of a gate."""

    def progress(self, task: Ref, done: int, copied: int, eta_low_s: float, eta_high_s: float) -> None:
        """How far a running task is, at most 10 times a second: `bytes_done`, `bytes_copied`, time left or -1."""

    def asked_at(self) -> float:
        """When a client of any volume last asked for something, in seconds of `runtime.now`; no lock is taken."""

    def wall(self) -> float:
        """Seconds since the epoch."""
