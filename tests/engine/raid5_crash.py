"""A RAID-5 volume over devices that forget, an oracle of what each sector may be, and a power cut anywhere."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING

from engine.dataplane import raid5_marks
from engine.dataplane.fold import fold
from engine.dataplane.raid5_log import LogFailed, Raid5Log
from engine.dataplane.raid5_replay import Damaged, Replayed, replay
from engine.dataplane.request import Op, Request
from engine.devices.base import SECTOR
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
from tests.engine.volatile_device import Power, VolatileDevice

if TYPE_CHECKING:
    from engine.dataplane.table import Table
    from engine.dataplane.volume_io import VolumeIo
    from tests.engine.model_volume import DataPlane

UNIT = 4096
ROWS = 6
LOG_BYTES = 256 << 10
_COLUMN_AT = 65536
_LOG_AT = 131072
_TIMEOUT_S = 60.0


@dataclass
class Shape:
    """One combination: how many columns, which one is out before the writes and which one is lost in the crash, how
    many copies the log has and which of them is lost, too. With `kill` only the program ends, not the power."""

    columns: int
    out: int | None = None
    lost: int | None = None
    copies: int = 1
    lost_copy: int | None = None
    kill: bool = False

    def __str__(self) -> str:
        how = "kill" if self.kill else "power cut"
        logs = f"log {self.copies} without {self.lost_copy}"
        return f"{how}, {self.columns} columns, out {self.out}, lost {self.lost}, {logs}"


@dataclass
class Oracle:
    """For each sector of the volume the contents that a client may find after a crash."""

    size: int
    may_be: list[list[bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.may_be = [[bytes(SECTOR)] for _ in range(self.size // SECTOR)]

    def begin(self, offset: int, data: bytes) -> None:
        """A write is under way."""
        for start in range(0, len(data), SECTOR):
            self.may_be[(offset + start) // SECTOR].append(data[start : start + SECTOR])

    def settle(self, offset: int, length: int) -> None:
        """Everything there is acknowledged and flushed: only the newest counts."""
        for sector in range(offset // SECTOR, (offset + length) // SECTOR):
            del self.may_be[sector][:-1]

    def wrong(self, content: bytes) -> list[int]:
        """The sectors that hold what they may not."""
        return [
            sector
            for sector, may_be in enumerate(self.may_be)
            if content[sector * SECTOR : (sector + 1) * SECTOR] not in may_be
        ]


class _Sinks:
    """Waits for several requests, or for the power to go."""

    def __init__(self, power: Power) -> None:
        self._power = power
        self._changed = threading.Condition()
        self.ended: dict[int, int] = {}

    def finish(self, request: Request, error: int) -> None:
        with self._changed:
            self.ended[id(request)] = error
            self._changed.notify_all()

    def wait(self, count: int) -> bool:
        """Whether all have ended well; False when the power has gone."""
        with self._changed:
            for _ in range(int(_TIMEOUT_S / 0.02)):
                if self._changed.wait_for(lambda: len(self.ended) >= count, 0.02):
                    return not any(self.ended.values())
                if self._power.off.is_set():
                    return False
        raise AssertionError("requests hang")


class Run:
    """One volume's life until the power goes, its return, and what is found then."""

    def __init__(self, plane: DataPlane, shape: Shape, seed: int, cut_at: int) -> None:
        self._plane = plane
        self.shape = shape
        self._random = Random(seed)
        self._chance = Random(f"{seed} {cut_at}")
        self.power = Power(cut_at)
        self._rows_bytes = (shape.columns - 1) * UNIT
        self.size = ROWS * self._rows_bytes - self._random.choice([0, 0, SECTOR, UNIT])
        self.oracle = Oracle(self.size)
        content = bytes(_COLUMN_AT + ROWS * UNIT)
        self.columns = [VolatileDevice(f"col{n}", content, self.power) for n in range(shape.columns)]
        empty = bytes(_LOG_AT + LOG_BYTES)
        self.logs = [VolatileDevice(f"log{n}", empty, self.power) for n in range(shape.copies)]
        self.generation = 1
        self.held_back = 0
        out = () if shape.out is None else (shape.out,)
        self._table = fold([layout(self.columns, UNIT, ROWS, out=out)], self.size)

    def live(self, steps: int) -> None:
        """Write, flush and renew until the steps are done or the power is gone."""
        try:
            log = self._log(None)
        except LogFailed:
            return
        volume = make_volume(
            self._table, lambda fault: None, self._plane.pool, self._plane.flusher, self._plane.runtime, log
        )
        try:
            for _ in range(steps):
                if not self._step(volume):
                    return
        finally:
            volume.close()
            for device in (*self.columns, *self.logs):
                self._plane.flusher.forget_device(device)

    def _log(self, previous: int | None) -> Raid5Log:
        before = None if previous is None else generation(previous)
        return Raid5Log(
            log_copies(self.logs, LOG_BYTES),
            VOLUME_ID,
            generation(self.generation),
            self._plane.runtime,
            previous=before,
        )

    def _step(self, volume: VolumeIo) -> bool:
        kind = self._random.random()
        if kind < 0.15:
            return self._flush(volume)
        if kind < 0.22:
            return self._renew(volume)
        return self._write(volume)

    def _flush(self, volume: VolumeIo) -> bool:
        if not self._execute(volume, [Request(Op.FLUSH)]):
            return False
        self.oracle.settle(0, self.size)
        return True

    def _renew(self, volume: VolumeIo) -> bool:
        raid5 = volume.raid5
        assert raid5 is not None
        with volume.hold():
            if not volume.settle_writes():
                return False
            try:
                fresh = raid5.prepare_log(log_copies(self.logs, LOG_BYTES), VOLUME_ID, generation(self.generation + 1))
            except LogFailed:
                return False
            if self._random.random() < 0.3:  # the transaction could not be made durable
                raid5.use_log(raid5.log)
            else:
                self.generation += 1
                raid5.use_log(fresh)
        self.oracle.settle(0, self.size)
        return True

    def _write(self, volume: VolumeIo) -> bool:
        """Several requests at once that share rows but no sectors."""
        free = [(0, self.size)]
        requests = []
        for _ in range(self._random.choice([1, 1, 2, 4])):
            low, high = free.pop(self._random.randrange(len(free)))
            if high - low < 4 * SECTOR:
                free.append((low, high))
                continue
            offset = self._random.randrange(low, high - SECTOR + 1, SECTOR)
            most = self._random.choice([SECTOR, UNIT, 3 * UNIT, self._rows_bytes, self.size])
            length = min(self._random.randrange(SECTOR, most + SECTOR, SECTOR), high - offset) // SECTOR * SECTOR
            free += [(low, offset), (offset + length, high)]
            requests.append(self._request(offset, length))
        if not requests or not self._execute(volume, requests):
            return not requests
        self.settle(requests)
        return True

    def settle(self, requests: list[Request]) -> None:
        """They are acknowledged: what is durable stays, and a kill takes nothing of what the kernel has."""
        for request in requests:
            if request.durable or self.shape.kill:
                self.oracle.settle(request.offset, request.length)

    def _request(self, offset: int, length: int) -> Request:
        durable = self._random.random() < 0.1
        if self._random.random() < 0.2:
            self.oracle.begin(offset, bytes(length))
            return Request(Op.ZERO, offset, length, durable=durable)
        data = b"".join(self._random.randbytes(8) * (SECTOR // 8) for _ in range(length // SECTOR))
        self.oracle.begin(offset, data)
        return Request(Op.WRITE, offset, length, memoryview(data), durable=durable)

    def _execute(self, volume: VolumeIo, requests: list[Request]) -> bool:
        sinks, slot = _Sinks(self.power), volume.slot("client")
        volume.execute(requests, slot, sinks)
        try:
            return sinks.wait(len(requests))
        finally:
            volume.retire(slot)

    # --- and after the power is back ---
    def come_back(self) -> str:
        """Replay the log on what is found; answers what is wrong, empty when nothing is. The power may go once more in
        the middle of that."""
        columns = [self._found(device) for device in self.columns]
        logs = [self._found(device) for device in self.logs]
        lost_copy = self.shape.lost_copy
        if self._chance.random() < 0.3:
            power = Power(self._chance.randrange(1, 12))
            again = [VolatileDevice(f"col{n}", content, power) for n, content in enumerate(columns)]
            log_again = [VolatileDevice(f"log{n}", content, power) for n, content in enumerate(logs)]
            self._replay(again, log_again, lost=None, lost_copy=None)
            columns = [self._found(device) for device in again]
            logs = [self._found(device) for device in log_again]
        last = [VolatileDevice(f"col{n}", content, Power()) for n, content in enumerate(columns)]
        last_logs = [VolatileDevice(f"log{n}", content, Power()) for n, content in enumerate(logs)]
        found = self._replay(last, last_logs, self.shape.lost, lost_copy)
        return self._judge(found, last)

    def _found(self, device: VolatileDevice) -> bytearray:
        return device.after_a_kill() if self.shape.kill else device.after_a_cut(self._chance)

    def _replay(
        self, columns: list[VolatileDevice], logs: list[VolatileDevice], lost: int | None, lost_copy: int | None
    ) -> Replayed | Damaged:
        out = {column for column in (self.shape.out, lost) if column is not None}
        table: Table = fold([layout(columns, UNIT, ROWS, out=out)], self.size)
        copies = [copy for n, copy in enumerate(log_copies(logs, LOG_BYTES)) if n != lost_copy]
        return replay(copies, VOLUME_ID, generation(self.generation), table)

    def _may_be_held_back(self, found: Damaged) -> bool:
        """Before its first superblock there is no log. And what was being written as whole rows, and lost a column
        together with the power, may be held back: it is never garbage. What goes unlogged, also by a kill."""
        if self.power.operations <= self.shape.copies:
            return True
        self.held_back = 1
        logged = self.size < raid5_marks.STREAM
        return self.shape.lost is not None and not (self.shape.kill and logged) and "as a whole" in found.reason

    def _judge(self, found: Replayed | Damaged, columns: list[VolatileDevice]) -> str:
        if isinstance(found, Damaged):
            return "" if self._may_be_held_back(found) else f"the log {found.reason}"
        out = {column for column in (self.shape.out, self.shape.lost) if column is not None}
        if found.failed or not found.missed <= out:
            return f"{found}"
        content = [
            column_bytes(device, ROWS * UNIT) if number not in out else None for number, device in enumerate(columns)
        ]
        if not out:
            _, rows = naive_volume([column for column in content if column is not None], UNIT)
            if rows:
                return f"parity of rows {rows}"
        volume, _ = naive_volume(without(content) if out else [c for c in content if c is not None], UNIT)
        wrong = self.oracle.wrong(volume)
        return f"sectors {wrong}" if wrong else ""


def combinations(columns: int) -> list[Shape]:
    """Every way in which a volume of so many columns can be degraded before or by the cut."""
    every = list(range(columns))
    shapes = [Shape(columns), Shape(columns, copies=2), Shape(columns, copies=2, lost_copy=0)]
    shapes += [Shape(columns, out=out) for out in every]
    shapes += [Shape(columns, lost=lost) for lost in every]
    shapes += [Shape(columns, lost=lost, copies=2, lost_copy=lost % 2) for lost in every]
    shapes += [Shape(columns, lost=lost, kill=True) for lost in every]
    return shapes
