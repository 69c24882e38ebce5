"""At each monitoring interval: what went through each volume and each disk, as samples for whoever listens."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from engine.events import Sample
from engine.ticker import Ticker, monitoring_interval_s

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine.commit import Committer
    from engine.luns import LunTable
    from engine.records import Ref
    from engine.runtime import Runtime


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
    """Turns counters into `Sample` events. What is idle and was idle before is left out."""

    def __init__(self, host: Ref, committer: Committer, luns: LunTable, runtime: Runtime) -> None:
        self._host = host
        self._committer = committer
        self._luns = luns
        self._last: dict[Ref, Counters] = {}
        self._busy: set[Ref] = set()
        self._runtime = runtime
        self._ticker = Ticker("traffic", lambda: monitoring_interval_s(committer.config), self._sample, runtime)

    def close(self) -> None:
        self._ticker.close()

    def _sample(self, passed_s: float) -> None:
        self._committer.publish(list(self._samples(self._runtime.time(), passed_s)))

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
