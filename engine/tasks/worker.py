"""Executes bulk steps on one thread: its buffers, and its places at the gates of the volumes that it works on."""

from __future__ import annotations

import errno
import mmap
from contextlib import contextmanager
from typing import TYPE_CHECKING

from msgspec.structs import replace

from engine.dataplane.fault import LEG_ERRORS
from engine.dataplane.stripes import volume_offset
from engine.errors import DeviceError
from engine.records import PlexLayout
from engine.tasks.columns import ColumnWork, rows_to_lock
from engine.tasks.copying import Copier
from engine.tasks.failure import StepFailed
from engine.tasks.steps import (
    COPY_BYTES,
    Compare,
    CopyPlex,
    CopyRuns,
    CopySubdisk,
    Parity,
    Rebuild,
    TaskFailed,
    Zero,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from engine.dataplane.gate import Slot
    from engine.dataplane.table import Table
    from engine.dataplane.volume_io import VolumeIo
    from engine.devices.base import BlockDevice
    from engine.records import Plex, Ref
    from engine.tasks.host import TaskHost
    from engine.tasks.ledger import Ledger
    from engine.tasks.steps import Bulk, Ranges


class VolumeClosed(Exception):
    """The volume has been taken out of service under a task: it goes on when the volume is back."""


class Worker:
    """A pair of hands. `close` gives everything back; until then the slots stay at their gates."""

    def __init__(
        self,
        host: TaskHost,
        name: str,
        ledger: Ledger,
        told: Callable[[StepFailed], None],
    ) -> None:
        self.name = name
        self._host = host
        self._ledger = ledger
        self._told = told
        self._touched: dict[BlockDevice, tuple[int, int]] = {}  # what a step writes to lies between these
        self._survived: list[StepFailed] = []
        self._copier = Copier(ledger.disk_of, self._survived.append, self._writing)
        self._columns = ColumnWork(ledger.disk_of, self._survived.append, self._writing)
        self._view = memoryview(mmap.mmap(-1, 2 * COPY_BYTES))  # page-aligned, as unbuffered LUNs want it
        self._slots: dict[Ref, tuple[VolumeIo, Slot]] = {}

    def close(self) -> None:
        """Leave every gate for good. The buffers go with the last error that remembers them."""
        for volume, slot in self._slots.values():
            volume.retire(slot)
        self._slots.clear()

    def do(self, step: Bulk) -> tuple[int, Ranges]:
        """Execute a step. Answers the bytes copied, and where it has found differences.

        Raises StepFailed, TaskFailed or VolumeClosed.
        """
        self._touched.clear()
        return self._do_or_mend(step)

    def _do_or_mend(self, step: Bulk) -> tuple[int, Ranges]:
        try:
            return self._do(step)
        except StepFailed as failure:
            if isinstance(step, CopyRuns):
                return sum(self._do_or_mend(run)[0] for run in step.one_by_one()), ()
            if not self._is_mended(step, failure):
                raise
            return self._do(step)
        finally:
            self._ledger.written(self._touched)
            for device, (low, high) in self._touched.items():
                device.write_back(low, high - low)  # beside the next steps, so that a flush has little left to do
            self._tell(step)

    def _do(self, step: Bulk) -> tuple[int, Ranges]:
        match step:
            case CopyRuns():
                with self._at_gate(step.volume) as (volume, table):
                    return self._copier.copy_runs(table, volume.regions, step, self._view), ()
            case CopyPlex():
                with self._inside(step.volume, step.offset, step.length) as table:
                    return self._copier.copy_plex(table, step, self._view), ()
            case CopySubdisk():
                return self._copy_subdisk(step), ()
            case Rebuild():
                return self._rebuild(step), ()
            case Parity():
                with self._inside(step.volume, step.offset, step.length) as table:
                    return self._columns.parity(self._place(step.volume)[0], table, step, self._view)
            case Zero():
                self._zero(step)
                return 0, ()
            case Compare():
                self._tell_changes(step)
                with self._inside(step.volume, step.offset, step.length) as table:
                    first, second = self._view[:COPY_BYTES], self._view[COPY_BYTES:]
                    return self._copier.compare(table, step, first, second)

    def _tell_changes(self, step: Compare) -> None:
        """A repair changes what clients read: whoever tells what has changed since a snapshot hears of it before."""
        volume = self._place(step.volume)[0]
        if step.source is None or not volume.changes:
            return
        with self._inside(step.volume, step.offset, step.length) as table:
            first, second = self._view[:COPY_BYTES], self._view[COPY_BYTES:]
            _, found = self._copier.compare(table, replace(step, source=None), first, second)
        try:
            for offset, length in found:
                volume.mark_changed(offset, length)
        except DeviceError as error:
            raise TaskFailed(f"What differs from a snapshot could not be written down: {error}.") from error

    @contextmanager
    def _inside(self, ref: Ref, offset: int, length: int) -> Iterator[Table]:
        """Gate first, region locks second: the order of every client."""
        with self._at_gate(ref) as (volume, table), self._regions(volume, offset, length):
            yield table

    @contextmanager
    def _at_gate(self, ref: Ref) -> Iterator[tuple[VolumeIo, Table]]:
        volume, slot = self._place(ref)
        try:
            table = volume.gate.enter(slot)
        except DeviceError as error:
            if error.errno == errno.ESHUTDOWN:
                raise VolumeClosed from error
            raise
        try:
            yield volume, table
        finally:
            volume.gate.leave(slot)

    def _regions(self, volume: VolumeIo, offset: int, length: int) -> AbstractContextManager[object]:
        return volume.regions.hold(offset, length)

    def _place(self, ref: Ref) -> tuple[VolumeIo, Slot]:
        place = self._slots.get(ref)
        if place is None:
            try:
                volume = self._host.volume(ref)
            except KeyError as error:
                raise TaskFailed("The volume was removed.") from error
            place = self._slots[ref] = volume, volume.slot(self.name)
        return place

    def _copy_subdisk(self, step: CopySubdisk) -> int:
        config = self._host.config()
        if step.target not in config:
            raise TaskFailed("The subdisk was removed while it was being moved.")
        target = config.subdisk(step.target)
        plex = config.plex(target.plex)
        start = target.plex_offset + step.offset
        view = self._view[: step.length]
        with self._inside(step.volume, *_range_of(plex, target.column, start, step.length)) as table:
            if plex.layout is PlexLayout.RAID5:
                done = self._columns.copy(self._place(step.volume)[0], table, target, start, view)
            else:
                done = self._copier.copy_subdisk(table, plex, target, start, view)
            if done < step.length:  # behind the volume's end: always zero, for the day that it grows
                self._zero(Zero(step.target, step.offset + done, step.length - done))
        return step.length

    def _rebuild(self, step: Rebuild) -> int:
        config = self._host.config()
        if step.subdisk not in config:
            raise TaskFailed("The subdisk was removed while it was being rebuilt.")
        piece = config.subdisk(step.subdisk)
        start = piece.plex_offset + step.offset
        plex = config.plex(piece.plex)
        with self._inside(step.volume, *_range_of(plex, piece.column, start, step.length)) as table:
            view = self._view[: step.length]
            done = self._columns.rebuild(self._place(step.volume)[0], table, piece, start, view)
            if done < step.length:
                self._zero(Zero(step.subdisk, step.offset + done, step.length - done))
        return step.length

    def _zero(self, step: Zero) -> None:
        config = self._host.config()
        if step.subdisk not in config:
            raise TaskFailed("A subdisk was removed while it was being zeroed.")
        subdisk = config.subdisk(step.subdisk)
        try:
            device = self._host.device(subdisk.disk)
            place = subdisk.disk_offset + step.offset
            self._writing(device, place, step.length)
            device.zero(place, step.length, may_unmap=True)
        except LEG_ERRORS as error:
            raise StepFailed(error, subdisk.disk, writing=True) from error

    def _tell(self, step: Bulk) -> None:
        """Outside of the gate: whoever hears of a failed source may swap the table, which waits for us to leave."""
        while self._survived:
            failure = self._survived.pop(0)
            if not self._is_mended(step, failure):
                self._told(failure)

    def _is_mended(self, step: Bulk, failure: StepFailed) -> bool:
        """Outside of the gate, too: whether a place that could not be read has been written again from a mirror, or
        from the other columns."""
        if failure.writing or failure.disk is None or not isinstance(step, CopyPlex | Compare | CopySubdisk | Parity):
            return False
        offset, length = step.offset, step.length
        if isinstance(step, CopySubdisk):
            config = self._host.config()
            if step.target not in config:
                return False
            target = config.subdisk(step.target)
            plex = config.plex(target.plex)
            offset, length = _range_of(plex, target.column, target.plex_offset + step.offset, step.length)
        return self._host.mend(step.volume, failure.disk, offset, length, failure.number)

    def _writing(self, device: BlockDevice, offset: int, length: int) -> None:
        known = self._touched.get(device)
        if known is None:
            self._ledger.begin(device)
        low, high = known or (offset, offset)
        self._touched[device] = min(low, offset), max(high, offset + length)


def _range_of(plex: Plex, column: int, start: int, length: int) -> tuple[int, int]:
    """Offset and length in the volume of what has to be locked for a range of a column."""
    if plex.layout is PlexLayout.RAID5:
        return rows_to_lock(plex, start, length)
    low, high = (volume_offset(plex.stripe_unit, plex.columns, column, at) for at in (start, start + length))
    return low, high - low
