"""At each monitoring interval: what went through each volume and each disk, as samples for whoever listens."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from engine.events import Sample
from engine.records import Kind, Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine.commit import Committer
    from engine.luns import LunTable
    from engine.records import Ref
    from engine.runtime import Runtime

INTERVAL_S = 1.0
"""As often it is looked whether the interval that the operator has set is over."""


class Counters(NamedTuple):
    """Totals since the beginning; the order is that of `Sample`'s fields."""

    reads: int = 0
    writes: int = 0
    read_bytes: int = 0
    write_bytes: int = 0
    busy_s: float = 0.0

    def plus(self, other: Counters, sign: int = 1) -> Counters:
        """Field by field; `sign` -1 gives the difference."""
        return Counters(
            self.reads + sign * other.reads,
            self.writes + sign * other.writes,
            self.read_bytes + sign * other.read_bytes,
            self.write_bytes + sign * other.write_bytes,
            self.busy_s + sign * other.busy_s,
        )


class TrafficSampler:
    """A thread that turns counters into `Sample` events. What is idle and was idle before is left out."""

    def __init__(self, host: Ref, committer: Committer, luns: LunTable, runtime: Runtime) -> None:
        self._host = host
        self._committer = committer
        self._luns = luns
        self._last: dict[Ref, Counters] = {}
        self._busy: set[Ref] = set()
        self._ending = runtime.condition()
        self._ended = False
        self._runtime = runtime
        self._thread = runtime.thread("traffic", self._run)

    def close(self) -> None:
        with self._ending:
            self._ended = True
            self._ending.notify_all()
        self._thread.join()

    def _run(self) -> None:
        last = self._runtime.now()
        while not self._wait():
            now = self._runtime.now()
            if now - last < self._interval_s() - INTERVAL_S / 2:
                continue
            samples = list(self._samples(self._runtime.time(), now - last))
            last = now
            self._committer.publish(samples)

    def _interval_s(self) -> int:
        settings = self._committer.config.all(Kind.SETTINGS, Settings)
        return settings[0].monitoring_interval_s if settings else 1

    def _wait(self) -> bool:
        with self._ending:
            return self._ending.wait_for(lambda: self._ended, INTERVAL_S)

    def _samples(self, at: float, seconds: float) -> Iterator[Sample]:
        total = Counters()
        for ref, counters in self._totals():
            delta = counters.plus(self._last.get(ref, counters), -1)
            self._last[ref] = counters
            if ref.kind == "volume":
                total = total.plus(delta)
            if any(delta) or ref in self._busy:
                yield Sample(ref, at, seconds, *delta)
            (self._busy.add if any(delta) else self._busy.discard)(ref)
        yield Sample(self._host, at, seconds, *total, cpu_percent=self._runtime.processor_percent())

    def _totals(self) -> Iterator[tuple[Ref, Counters]]:
        with self._committer.lock:
            ios = list(self._committer.ios.items())
        for ref, io in ios:
            yield ref, Counters(*io.statistics())
        for lun in list(self._luns):
            if lun.disk is not None and lun.device is not None:
                yield lun.disk, Counters(*lun.device.counters())
