"""Devices that forget: what has not been flushed is, after a power cut, any of the versions that it ever had."""

from __future__ import annotations

import errno
import threading
from random import Random
from typing import TYPE_CHECKING

from engine.devices.base import SECTOR, BaseDevice, Data, check_range
from engine.errors import DeviceError

if TYPE_CHECKING:
    from collections.abc import Iterator


class Power:
    """Supplies several devices. With `cut_at` the n-th change or flush from now on is cut in its middle, and from then
    on every operation fails. `operations` counts them."""

    def __init__(self, cut_at: int = 0) -> None:
        self.operations = 0
        self.cut_at = cut_at
        self.off = threading.Event()
        self._lock = threading.Lock()

    def torn(self, length: int) -> int:
        """How many bytes of the write in which the power goes are still taken: whole sectors."""
        return self.cut_at * 7919 % (length // SECTOR + 1) * SECTOR

    def spend(self) -> bool:
        """Count an operation; False when it is the one in which the power goes."""
        with self._lock:
            self.operations += 1
            if self.operations == self.cut_at:
                self.off.set()
                return False
        return True


class VolatileDevice(BaseDevice):
    """Memory behind a volatile cache. Each sector has a stable content, and the versions written since."""

    def __init__(self, name: str, content: bytes | bytearray, power: Power) -> None:
        super().__init__(name, len(content))
        self.power = power
        self.losses = 0
        self._stable = bytearray(content)
        self._now = bytearray(content)
        self._versions: dict[int, list[bytes]] = {}
        self._lock = threading.Lock()

    def read_into(self, offset: int, into: memoryview) -> None:
        check_range(self.name, self.size, offset, len(into))
        self._check_power("Reading")
        into[:] = memoryview(self._now)[offset : offset + len(into)]

    def try_read(self, offset: int, into: memoryview) -> bool:
        self.read_into(offset, into)
        return True

    def write(self, offset: int, data: Data, *, durable: bool = False) -> None:
        check_range(self.name, self.size, offset, len(data))
        self._check_power("Writing")
        survives = self.power.spend()
        if not survives:
            data = memoryview(data)[: self.power.torn(len(data))]
        with self._lock:
            self._now[offset : offset + len(data)] = data
            for sector in self._sectors(offset, len(data)):
                at = sector * SECTOR
                self._versions.setdefault(sector, []).append(bytes(self._now[at : at + SECTOR]))
                if durable and survives:
                    self._settle(sector)
        if not survives:
            self._check_power("Writing")

    def zero(self, offset: int, length: int, *, may_unmap: bool) -> None:
        self.write(offset, bytes(length))

    def discard(self, offset: int, length: int) -> None:
        self.zero(offset, length, may_unmap=True)

    def flush(self) -> None:
        self._check_power("Flushing")
        if not self.power.spend():
            self._check_power("Flushing")
        with self._lock:
            for sector in list(self._versions):
                self._settle(sector)

    def after_a_cut(self, random: Random) -> bytearray:
        """What may be found on the medium when the power is back."""
        found = bytearray(self._stable)
        for sector in sorted(self._versions):
            at = sector * SECTOR
            found[at : at + SECTOR] = random.choice([self._stable[at : at + SECTOR], *self._versions[sector]])
        return found

    def after_a_kill(self) -> bytearray:
        """What is found when the program has ended and the machine has not: everything that was written."""
        return bytearray(self._now)

    def _settle(self, sector: int) -> None:
        at = sector * SECTOR
        self._stable[at : at + SECTOR] = self._versions.pop(sector)[-1]

    def _check_power(self, doing: str) -> None:
        if self.power.off.is_set():
            self.losses += doing != "Reading"
            raise DeviceError(errno.EIO, self.name, doing)

    @staticmethod
    def _sectors(offset: int, length: int) -> Iterator[int]:
        return iter(range(offset // SECTOR, -(-(offset + length) // SECTOR)))
