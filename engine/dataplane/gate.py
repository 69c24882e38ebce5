"""The only door to a volume's table: threads say which table they run on, a swap waits for the last on the old one."""

from __future__ import annotations

import errno
from contextlib import contextmanager
from copy import copy
from typing import TYPE_CHECKING

from engine.dataplane.request import Op
from engine.errors import DeviceError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine.dataplane.request import Request
    from engine.dataplane.table import Table
    from engine.runtime import Runtime


class Slot:
    """One thread's place at one gate. `table` is what it runs on, None outside; the counters are its own.

    `busy_s` sums, over requests, the seconds from the arrival of their batch to its end.
    """

    __slots__ = ("busy_s", "bytes_read", "bytes_written", "name", "reads", "table", "writes")

    def __init__(self, name: str) -> None:
        self.name = name
        self.table: Table | None = None
        self.reads = self.writes = self.bytes_read = self.bytes_written = 0
        self.busy_s = 0.0

    def count(self, request: Request) -> None:
        """Count one request that ended well; ZERO and DISCARD count as writes, FLUSH not at all."""
        if request.op is Op.READ:
            self.reads += 1
            self.bytes_read += request.length
        elif request.op is not Op.FLUSH:
            self.writes += 1
            self.bytes_written += request.length


class Gate:
    """Entering and leaving cost an attribute write each and take no lock.

    The interpreter makes attribute reads and writes sequentially consistent. A thread first publishes the table that it
    read and then looks whether it is still the gate's: so a swap either sees the thread or the thread sees the swap.
    """

    def __init__(self, name: str, table: Table, runtime: Runtime) -> None:
        self.name = name
        self.table: Table | None = table  # None while held or closed
        self.latest = table
        self.closed = False
        self._slots: tuple[Slot, ...] = ()
        self._holds = 0
        self._waiting = 0
        self._changed = runtime.condition()
        self._one_swap = runtime.lock()

    @property
    def slots(self) -> tuple[Slot, ...]:
        """Every slot that has been made and not been retired."""
        return self._slots

    def slot(self, name: str) -> Slot:
        """A new place for one thread; `retire` it when the thread is done with this volume."""
        slot = Slot(name)
        with self._changed:
            self._slots = (*self._slots, slot)
        return slot

    def retire(self, slot: Slot) -> None:
        """Forget a slot that is outside."""
        with self._changed:
            self._slots = tuple(other for other in self._slots if other is not slot)
            self._changed.notify_all()

    def enter(self, slot: Slot) -> Table:
        """Run on the current table until `leave`. Waits while the gate is held; DeviceError ESHUTDOWN when closed."""
        while True:
            table = self.table
            slot.table = table
            if table is not None and self.table is table:
                return table
            self.leave(slot)
            if table is None:
                self._await_open()

    def leave(self, slot: Slot) -> None:
        """Be outside again."""
        slot.table = None
        if self._waiting:
            with self._changed:
                self._changed.notify_all()

    def swap(self, new: Table) -> None:
        """Publish `new` and return when nobody runs on an older table. Never call it from inside of the gate."""
        with self._one_swap, self._changed:
            self.latest = new
            if not self._holds and not self.closed:
                self.table = new
            self._await_slots(new)
            self._changed.notify_all()

    def pass_once(self) -> None:
        """Return when everybody who is inside now has left once."""
        with self._one_swap, self._changed:
            self.latest = copy(self.latest)
            if not self._holds and not self.closed:
                self.table = self.latest
            self._await_slots(self.latest)
            self._changed.notify_all()

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Nobody is inside while this lasts; new batches wait. Holds nest, and a swap is possible meanwhile."""
        self.shut()
        try:
            self.drained()
            yield
        finally:
            self.reopen()

    def shut(self) -> None:
        """Let nobody in until `reopen`; who is inside may still be. Several gates are shut first, then all awaited: so
        none of them waits for the others to empty."""
        with self._changed:
            self._holds += 1
            self.table = None

    def drained(self, timeout_s: float | None = None) -> bool:
        """Whether everybody is outside, after waiting for it. The gate is shut."""
        with self._changed:
            return self._await_slots(None, timeout_s)

    def reopen(self) -> None:
        """Take one `shut` back."""
        with self._changed:
            self._holds -= 1
            if not self._holds and not self.closed:
                self.table = self.latest
            self._changed.notify_all()

    def close(self) -> None:
        """Let nobody in any more and return when everybody is outside."""
        with self._changed:
            self.closed = True
            self.table = None
            self._changed.notify_all()
            self._await_slots(None)

    def _await_open(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self.table is not None or self.closed)
            if self.closed:
                raise DeviceError(errno.ESHUTDOWN, self.name, "Using the volume")

    def _await_slots(self, allowed: Table | None, timeout_s: float | None = None) -> bool:
        """Wait, with the condition held, until each slot is empty or on `allowed`. False when that took too long."""
        self._waiting += 1
        try:
            return self._changed.wait_for(
                lambda: all(slot.table is None or slot.table is allowed for slot in self._slots), timeout_s
            )
        finally:
            self._waiting -= 1
