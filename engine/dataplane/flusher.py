"""Group commit: one thread answers the FLUSHes of all volumes with one flush a device, distinct ones in parallel."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from engine.dataplane.fault import LEG_ERRORS, errno_of
from engine.dataplane.syncers import Syncers

if TYPE_CHECKING:
    from collections.abc import Iterable

    from engine.dataplane.request import Request, Sink
    from engine.dataplane.volume_io import VolumeIo
    from engine.devices.base import BlockDevice
    from engine.runtime import Runtime


class Flusher:
    """Takes all waiting FLUSHes, flushes each distinct device that their volumes have written, and answers them.

    A flush that fails is told to every volume with unflushed writes on that device, and is never tried again and then
    believed. The same holds when somebody else's flush or durable write failed, which `losses` of the device tells.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._changed = runtime.condition()
        self._waiting: list[tuple[VolumeIo, Request, Sink]] = []
        self._volumes: dict[VolumeIo, None] = {}
        self._losses: dict[BlockDevice, int] = {}
        self._closing = False
        self._one_at_a_time = runtime.lock()
        self._syncers = Syncers(runtime, self._sync)
        self._thread = runtime.thread("vea-flush", self._work)

    def put(self, volume: VolumeIo, request: Request, sink: Sink) -> None:
        """Answer `request` once everything that `volume` had written is stable."""
        with self._changed:
            self._waiting.append((volume, request, sink))
            self._changed.notify()

    def settle(self, volume: VolumeIo) -> bool:
        """Flush what `volume` has written, on the calling thread; nobody may be inside of its gate.

        False when any of it is in doubt, which is told as ever.
        """
        with self._one_at_a_time:
            self._flush((volume,))
        return not volume.in_doubt

    def register(self, volume: VolumeIo, devices: Iterable[BlockDevice]) -> None:
        """From now on `volume` hears of losses. What was lost on a device while nobody used it concerns nobody."""
        with self._changed:
            for device in devices:
                known = self._losses.setdefault(device, device.losses)
                if known != device.losses and not self._is_used(device):
                    self._losses[device] = device.losses
            self._volumes[volume] = None

    def _is_used(self, device: BlockDevice) -> bool:
        return any(device in volume.written or device in volume.table.devices() for volume in self._volumes)

    def forget(self, volume: VolumeIo) -> None:
        """`volume` is closed."""
        with self._changed:
            self._volumes.pop(volume, None)

    def forget_device(self, device: BlockDevice) -> None:
        """`device` is about to be closed; no volume has written it since its last FLUSH."""
        with self._changed:
            self._losses.pop(device, None)

    def check(self, device: BlockDevice, number: int) -> None:
        """An operation on `device` failed with this errno: if it was a flush or a durable write that got as far as the
        device, then what any volume has written there since its last good FLUSH is in doubt."""
        if device.losses != self._losses.get(device, 0):
            self._lost(device, number)

    def _lost(self, device: BlockDevice, number: int) -> None:
        with self._changed:
            self._losses[device] = device.losses
            volumes = [volume for volume in self._volumes if device in volume.written]
        for volume in volumes:
            volume.written.discard(device)
            volume.suspect(device, number)

    def close(self) -> None:
        """Answer what is waiting and end the thread."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()
        with self._one_at_a_time:
            self._syncers.close()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: bool(self._waiting) or self._closing)
                batch, self._waiting = self._waiting, []
            if not batch:
                return
            with self._one_at_a_time:
                self._flush({volume: None for volume, _, _ in batch})
            answers: dict[tuple[VolumeIo, Sink], list[Request]] = {}
            for volume, request, sink in batch:
                answers.setdefault((volume, sink), []).append(request)
            for (volume, sink), requests in answers.items():
                volume.flushed(requests, sink)

    def _flush(self, volumes: Iterable[VolumeIo]) -> None:
        """Flush once each device that any of `volumes` has written, having taken it off their lists first: what is
        written from then on is for the next FLUSH."""
        owners: dict[BlockDevice, list[VolumeIo]] = {}
        volumes = list(volumes)
        marks = [volume.raid5.mark() if volume.raid5 is not None else None for volume in volumes]
        for volume in volumes:
            for device in list(volume.written):
                owners.setdefault(device, []).append(volume)
        devices = sorted(owners, key=lambda device: device.name)
        for device in devices:
            for volume in owners[device]:
                volume.written.discard(device)
        for device, number in zip(devices, self._syncers.run(devices), strict=True):
            if number:
                for volume in owners[device]:
                    volume.suspect(device, number)
                self._lost(device, number)
        for volume, mark in zip(volumes, marks, strict=True):
            if volume.raid5 is not None and not volume.in_doubt:
                volume.raid5.flushed(mark)

    def _sync(self, device: BlockDevice) -> int:
        """0 when everything written so far is stable, else an errno: also when somebody else met the failure."""
        known = self._losses.get(device, 0)
        try:
            device.flush()
        except LEG_ERRORS as error:
            return errno_of(error)
        return errno.EIO if device.losses != known else 0
