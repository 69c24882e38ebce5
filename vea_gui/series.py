"""Traffic of the last quarter of an hour, tick by tick, in ring buffers of fixed size. What is idle counts as zero."""

from __future__ import annotations

import csv
import enum
import io
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from engine.events import Sample
from engine.records import Kind, Ref

SPAN_S = 900
"""What is kept, in seconds."""
CAPACITY = 1_024
"""Ticks that a ring holds: a quarter of an hour of one a second, and some for ticks that come early."""
OBJECTS = 256
"""Objects that are kept at once; beyond, the one that has been idle longest makes room."""
GAP_S = 3.5
"""After so long without a tick nobody knows what happened meanwhile."""

Figures: TypeAlias = npt.NDArray[np.float64]


class Field(enum.IntEnum):
    """What is summed up for each tick. The last three are of hosts alone, and times the tick's seconds."""

    SECONDS = 0
    READS = 1
    WRITES = 2
    READ_BYTES = 3
    WRITE_BYTES = 4
    BUSY = 5
    CPU = 6
    HOST_MEMORY = 7
    ENGINE_MEMORY = 8


IO_FIELDS = Field.BUSY + 1
HOST_FIELDS = len(Field)


@dataclass(frozen=True)
class Measure:
    """A figure to show: the sum of some fields over the sum of others, times a scale; zero where nothing was done."""

    title: str  # as a column of numbers is headed: what, and in which unit
    above: tuple[Field, ...]
    below: tuple[Field, ...] = (Field.SECONDS,)
    scale: float = 1.0

    def of(self, values: Figures) -> Figures:
        """The figure of every tick; NaN where nobody knows."""
        above, below = _total(values, self.above), _total(values, self.below)
        return self.scale * np.divide(above, below, out=np.where(np.isnan(below), np.nan, 0.0), where=below > 0)

    def average(self, values: Figures) -> float:
        """Over all ticks: long ticks, and those with many operations, count for as much as they hold."""
        below = float(np.nansum(_total(values, self.below)))
        return self.scale * float(np.nansum(_total(values, self.above))) / below if below > 0 else 0.0


def _total(values: Figures, fields: tuple[Field, ...]) -> Figures:
    total: Figures = values[list(fields)].sum(axis=0)
    return total


@dataclass(frozen=True)
class Summary:
    """A curve in words: what a screen reader tells of it."""

    current: float
    average: float
    maximum: float


@dataclass(frozen=True)
class Window:
    """Ticks of one object up to `now` (seconds since the epoch, the engine's clock), oldest first."""

    now: float
    times: Figures
    values: Figures  # a row for each Field

    def last(self, span_s: float) -> Window:
        """The newest part of it, and one tick more, so that a curve begins at the edge."""
        first = int(np.searchsorted(self.times, self.now - span_s))
        first = max(0, first - 1)
        return Window(self.now, self.times[first:], self.values[:, first:])

    @property
    def ages(self) -> Figures:
        """Seconds from now, below zero."""
        ages: Figures = self.times - self.now
        return ages

    def within(self, span_s: float) -> Window:
        """The ticks of the last `span_s` seconds and no more."""
        first = int(np.searchsorted(self.times, self.now - span_s, side="right"))
        return Window(self.now, self.times[first:], self.values[:, first:])

    def summary(self, measure: Measure) -> Summary:
        """Now, on average, at most. All zero when there is no tick."""
        figures = measure.of(self.values)
        known = figures[~np.isnan(figures)]
        if not known.size:
            return Summary(0.0, 0.0, 0.0)
        return Summary(float(known[-1]), measure.average(self.values), float(known.max()))

    def as_csv(self, measures: Sequence[Measure]) -> str:
        """A line for each tick: when it ended (this machine's time zone), then the figures; empty where unknown."""
        out = io.StringIO()
        writer = csv.writer(out)
        writer.writerow(["Time", *(measure.title for measure in measures)])
        columns = [measure.of(self.values) for measure in measures]
        for at, when in enumerate(self.times):
            figures = [column[at] for column in columns]
            moment = time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(when))
            writer.writerow([moment, *("" if np.isnan(figure) else f"{figure:.3f}" for figure in figures)])
        return out.getvalue()


class History:
    """All rings. They share one cursor: a tick is one column in each of them."""

    def __init__(self, capacity: int = CAPACITY, objects: int = OBJECTS) -> None:
        self.ticks = 0  # since the beginning
        self._capacity = capacity
        self._objects = objects
        self._times = np.zeros(capacity)
        self._seconds = np.zeros(capacity)
        self._rings: dict[Ref, Figures] = {}
        self._followed: dict[Ref, int] = {}
        self._traffic: dict[Ref, int] = {}  # the tick of an object's last sample
        self._partial = False  # somebody's samples have been left out

    @property
    def latest(self) -> float:
        """When the newest tick ended; 0.0 before the first."""
        return float(self._times[(self.ticks - 1) % self._capacity]) if self.ticks else 0.0

    def note(self, samples: Iterable[Sample], memory: tuple[float, float] = (0.0, 0.0)) -> None:
        """Take samples in: those of one time are one tick. `memory` is what host and engine use now, in bytes."""
        for sample in samples:
            if not self.ticks or sample.time != self.latest:
                self._begin_tick(sample)
            ring = self._ring(sample.ref)
            if ring is None:
                continue
            at = (self.ticks - 1) % self._capacity
            self._traffic[sample.ref] = self.ticks
            ring[:IO_FIELDS, at] = (
                sample.seconds,
                sample.reads,
                sample.writes,
                sample.read_bytes,
                sample.write_bytes,
                sample.busy_s,
            )
            if sample.ref.kind is Kind.HOST:
                ring[IO_FIELDS:, at] = np.array((sample.cpu_percent, *memory)) * sample.seconds

    def follow(self, ref: Ref) -> None:
        """Somebody looks at it: it is kept until `leave`."""
        self._followed[ref] = self._followed.get(ref, 0) + 1
        self._ring(ref)

    def leave(self, ref: Ref) -> None:
        """One fewer looks at it."""
        left = self._followed.pop(ref, 0) - 1
        if left > 0:
            self._followed[ref] = left

    def window(self, ref: Ref, now: float | None = None) -> Window:
        """A copy of all that is known of an object; `now` defaults to the newest tick."""
        held = min(self.ticks, self._capacity)
        order = np.arange(self.ticks - held, self.ticks) % self._capacity
        ring = self._rings.get(ref)
        values = ring[:, order] if ring is not None else np.full((self._rows(ref), held), np.nan)
        return Window(self.latest if now is None else now, self._times[order], values).within(SPAN_S)

    @property
    def kept(self) -> Mapping[Ref, Figures]:
        """What has a ring."""
        return self._rings

    def _begin_tick(self, sample: Sample) -> None:
        if self.ticks and sample.time < self.latest:
            self._forget()  # the clock was set back: the order of what was is lost
        elif self.ticks and sample.time - self.latest > max(GAP_S, 3 * sample.seconds):
            self._advance(self.latest, float("nan"), float("nan"))
        self._advance(sample.time, sample.seconds, 0.0)

    def _advance(self, when: float, seconds: float, figure: float) -> None:
        at = self.ticks % self._capacity
        self._times[at], self._seconds[at] = when, seconds
        for ring in self._rings.values():
            ring[:, at] = figure
            ring[Field.SECONDS, at] = seconds
        self.ticks += 1

    def _forget(self) -> None:
        self.ticks = 0
        self._rings.clear()
        self._traffic.clear()
        for ref in self._followed:
            self._ring(ref)

    def _ring(self, ref: Ref) -> Figures | None:
        ring = self._rings.get(ref)
        if ring is None and self._make_room(ref):
            ring = np.zeros((self._rows(ref), self._capacity))
            ring[Field.SECONDS] = self._seconds
            ring[:, np.isnan(self._seconds) | self._partial] = np.nan
            self._rings[ref] = ring
        return ring

    def _make_room(self, ref: Ref) -> bool:
        """Whether one more may be kept; what is looked at, and the host, always may."""
        if len(self._rings) < self._objects:
            return True
        self._partial = True
        free = (each for each in self._rings if each not in self._followed and each.kind is not Kind.HOST)
        idlest = min(free, key=lambda each: self._traffic.get(each, 0), default=None)
        wanted = ref in self._followed or ref.kind is Kind.HOST
        if idlest is not None and (wanted or self._traffic.get(idlest, 0) < self.ticks - 1):
            del self._rings[idlest]
            self._traffic.pop(idlest, None)
            return True
        return wanted

    @staticmethod
    def _rows(ref: Ref) -> int:
        return HOST_FIELDS if ref.kind is Kind.HOST else IO_FIELDS
