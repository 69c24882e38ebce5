"""A RAID-5 volume over devices that fail on demand, with a control thread in small.

What fails is left out, what is too much is fenced, and every such decision draws a new log.
"""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING

from engine.dataplane.fault import Fault, FaultKind
from engine.dataplane.fold import fold
from engine.dataplane.raid5_log import Raid5Log
from engine.dataplane.raid5_rows import reconstruct
from engine.devices.faulty import FaultyDevice
from tests.engine.raid5_lab import (
    VOLUME_ID,
    column_bytes,
    generation,
    layout,
    log_copies,
    make_volume,
    naive_volume,
    without,
)

if TYPE_CHECKING:
    from engine.dataplane.table import Table
    from engine.devices.base import BlockDevice
    from tests.engine.model_volume import DataPlane

LOG_BYTES = 1 << 20


class Site:
    """One volume. `out` and `filling` are its columns that are left out and that are being rebuilt."""

    def __init__(
        self, plane: DataPlane, columns: int, unit: int, rows: int, *, size: int | None = None, logs: int = 1
    ) -> None:
        self.plane = plane
        self.unit, self.rows = unit, rows
        self.size = (columns - 1) * unit * rows if size is None else size
        self.devices = [FaultyDevice(device) for device in plane.memory[:columns]]
        self.log_devices: list[BlockDevice] = [FaultyDevice(device) for device in plane.memory[columns:][:logs]]
        self.out: set[int] = set()
        self.filling: set[int] = set()
        self.faults: list[Fault] = []
        self._generation = 1
        self._queue: queue.SimpleQueue[Fault | None] = queue.SimpleQueue()
        log = self._first_log() if logs else None
        self.volume = make_volume(self.table(), self._hear, plane.pool, plane.flusher, plane.runtime, log)
        self._thread = threading.Thread(target=self._control, name="control")
        self._thread.start()

    def close(self) -> None:
        self._queue.put(None)
        self._thread.join()
        self.volume.close()

    def table(self) -> Table:
        plex = layout(self.devices, self.unit, self.rows, out=self.out, filling=self.filling)
        return fold([plex], self.size)

    def change(self) -> None:
        """What a commit does that changes the columns or the log."""
        raid5 = self.volume.raid5
        assert raid5 is not None
        with self.volume.hold():
            self.volume.settle_writes()
            self._generation += 1
            copies = log_copies(self.log_devices, LOG_BYTES)
            raid5.use_log(raid5.prepare_log(copies, VOLUME_ID, generation(self._generation)))
            self.volume.swap(self.table())

    def rebuild(self, column: int) -> None:
        """Fill a column that was left out, beside clients, until it is good again."""
        self.out.discard(column)
        self.filling.add(column)
        self.change()
        raid5, slot = self.volume.raid5, self.volume.slot("rebuild")
        assert raid5 is not None
        for row in range(self.rows):
            table = self.volume.gate.enter(slot)
            geometry = table.raid5
            assert geometry is not None
            with self.volume.regions.hold(*geometry.volume_range_of(range(row, row + 1))):
                parity = table.find(row * geometry.row_bytes).parity
                assert parity is not None
                data = memoryview(bytearray(self.unit))
                reconstruct(raid5.trust, parity, row, column, 0, data)
                target = parity.columns[column].writers[0]
                target.device.write(row * self.unit + target.delta, data)
            self.volume.gate.leave(slot)
        self.volume.retire(slot)
        self.devices[column].flush()
        self.filling.discard(column)
        self.change()

    def content(self) -> tuple[bytes, list[int]]:
        """The volume's bytes as its columns hold them, and the rows whose parity is wrong."""
        gone = self.out | self.filling
        columns = [
            None if column in gone else column_bytes(device.below, self.rows * self.unit)
            for column, device in enumerate(self.devices)
        ]
        found, wrong = naive_volume(without(columns) if gone else [c for c in columns if c is not None], self.unit)
        return found[: self.size], wrong

    def _first_log(self) -> Raid5Log:
        return Raid5Log(log_copies(self.log_devices, LOG_BYTES), VOLUME_ID, generation(1), self.plane.runtime)

    def _hear(self, fault: Fault) -> None:
        self.faults.append(fault)
        self._queue.put(fault)

    def _control(self) -> None:
        while (fault := self._queue.get()) is not None:
            self._decide(fault)

    def _decide(self, fault: Fault) -> None:
        if fault.kind is FaultKind.LOG:
            self.log_devices = [device for device in self.log_devices if device is not fault.device]
            self.change()
            return
        column = next((n for n, device in enumerate(self.devices) if device is fault.device), None)
        if column in self.out:
            self.volume.release()
        elif column is None or fault.kind is FaultKind.BROKEN or self.out | self.filling - {column}:
            self.volume.fence()
        else:
            self.filling.discard(column)
            self.out.add(column)
            self.change()
