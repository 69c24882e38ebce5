"""Requests that met a fault and wait, outside of the gate, for the control thread's decision."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.dataplane.fault import Fault, FaultKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from engine.dataplane.request import Request, Sink
    from engine.devices.base import BlockDevice
    from engine.runtime import Runtime


_FLUSHING = ("flushing",)
"""What keeps a FLUSH: one device or several."""


class Parking:
    """The parked requests of one volume, and the devices whose last flush cannot be believed.

    `report` hears of each cause once until `take` clears the way; it is called without a lock held.
    """

    def __init__(self, volume: str, report: Callable[[Fault], None], runtime: Runtime) -> None:
        self._volume = volume
        self._report = report
        self._lock = runtime.lock()
        self._parked: list[tuple[Request, Sink, tuple[object, ...]]] = []  # with what caused it
        self._suspects: dict[BlockDevice, int] = {}
        self._told: set[tuple[object, ...]] = set()
        self._closed = False

    def __len__(self) -> int:
        return len(self._parked)

    @property
    def closed(self) -> bool:
        """Nothing is parked any more."""
        return self._closed

    @property
    def in_doubt(self) -> bool:
        """Whether any device is suspect."""
        return bool(self._suspects)

    @property
    def suspects(self) -> frozenset[BlockDevice]:
        """The devices whose last flush cannot be believed."""
        with self._lock:
            return frozenset(self._suspects)

    def park(self, request: Request, sink: Sink, fault: Fault, still: Callable[[], bool]) -> bool:
        """Keep the request and tell the fault. False, and nothing kept, unless `still` says that what it met is so."""
        with self._lock:
            if self._closed or not still():
                return False
            self._parked.append((request, sink, fault.cause))
        self.tell(fault)
        return True

    def park_flush(self, request: Request, sink: Sink) -> bool:
        """Keep a FLUSH while any device is suspect; False, and nothing kept, when none is."""
        with self._lock:
            if self._closed or not self._suspects:
                return False
            self._parked.append((request, sink, _FLUSHING))
            suspects = list(self._suspects.items())
        for device, number in suspects:
            self.tell(Fault(self._volume, FaultKind.FLUSH, device=device, number=number))
        return True

    def suspect(self, device: BlockDevice, number: int, used: Callable[[], bool]) -> None:
        """What was written to `device` is in doubt. One that has left the table (not `used`) is told of, no more; asked
        with the lock held, so that `acquit` comes before that, or after all of it."""
        with self._lock:
            if used():
                self._suspects[device] = number
        self.tell(Fault(self._volume, FaultKind.FLUSH, device=device, number=number))

    def acquit(self, used: Iterable[BlockDevice]) -> None:
        """Only devices that are still `used` can be suspect. The table has been swapped already."""
        keep = set(used)
        with self._lock:
            self._suspects = {device: number for device, number in self._suspects.items() if device in keep}

    def tell(self, fault: Fault) -> None:
        """Report a fault unless one of the same cause is being decided. Each lack of space has its own range."""
        if fault.kind is not FaultKind.NO_SPACE:
            with self._lock:
                if fault.cause in self._told:
                    return
                self._told.add(fault.cause)
        self._report(fault)

    def take(self) -> list[tuple[Request, Sink]]:
        """Everything parked, in the order of its coming; a later fault of any cause is told again."""
        with self._lock:
            taken, self._parked = self._parked, []
            self._told.clear()
        return [(request, sink) for request, sink, _ in taken]

    def take_of(self, fault: Fault) -> list[tuple[Request, Sink]]:
        """What has met this fault, and nothing else; a later fault of its cause is told again."""
        causes = (fault.cause, _FLUSHING if fault.kind is FaultKind.FLUSH else fault.cause)
        with self._lock:
            taken = [entry for entry in self._parked if entry[2] in causes]
            self._parked = [entry for entry in self._parked if entry[2] not in causes]
            self._told.discard(fault.cause)
        return [(request, sink) for request, sink, _ in taken]

    def close(self) -> list[tuple[Request, Sink]]:
        """As `take`, and nothing is parked any more."""
        with self._lock:
            self._closed = True
        return self.take()
