"""Rings of samples against a plain list of everything that was ever told."""

from __future__ import annotations

import csv
import io
import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.events import Sample
from engine.records import Kind, Ref
from engine.units import MIB
from vea_gui.plots import measures
from vea_gui.series import GAP_S, SPAN_S, Field, History, Measure

HOST = Ref(Kind.HOST, "h")
READS = Measure("Reads per second", (Field.READS,))


def volume(number: int) -> Ref:
    return Ref(Kind.VOLUME, f"{number}")


class Told:
    """The model: for each tick its time, its seconds (None: nobody knows), and each object's reads."""

    def __init__(self) -> None:
        self.ticks: list[tuple[float, float | None, dict[Ref, int]]] = []

    def note(self, when: float, seconds: float, reads: dict[Ref, int]) -> None:
        if self.ticks and when < self.ticks[-1][0]:
            self.ticks.clear()
        if self.ticks and when - self.ticks[-1][0] > max(GAP_S, 3 * seconds):
            self.ticks.append((self.ticks[-1][0], None, {}))
        self.ticks.append((when, seconds, reads))

    def rates(self, ref: Ref, capacity: int) -> list[float]:
        held = self.ticks[-capacity:]
        return [
            math.nan if seconds is None else reads.get(ref, 0) / seconds
            for when, seconds, reads in held
            if when > self.ticks[-1][0] - SPAN_S
        ]

    def average(self, ref: Ref, capacity: int) -> float:
        held = [tick for tick in self.ticks[-capacity:] if tick[0] > self.ticks[-1][0] - SPAN_S]
        seconds = sum(tick[1] for tick in held if tick[1] is not None)
        return sum(tick[2].get(ref, 0) for tick in held) / seconds if seconds else 0.0


STEPS = st.lists(
    st.tuples(
        st.sampled_from([0.25, 1.0, 1.0, 1.0, 2.0, 5.0, 400.0, -3.0]),
        st.dictionaries(st.integers(0, 3), st.integers(0, 10_000), max_size=4),
        st.booleans(),
    ),
    min_size=1,
    max_size=60,
)


@given(steps=STEPS, capacity=st.integers(2, 20), early=st.booleans())
def test_rings_tell_what_a_plain_list_tells(
    steps: list[tuple[float, dict[int, int], bool]], capacity: int, early: bool
) -> None:
    history, told, when = History(capacity), Told(), 1_000.0
    for number in range(4 if early else 0):
        history.follow(volume(number))
    for wait, reads, at_once in steps:
        when += wait
        seconds = max(wait, 0.5)
        of_tick = {volume(number): count for number, count in reads.items()}
        samples = [Sample(ref, when, seconds, reads=count) for ref, count in of_tick.items()]
        samples.append(Sample(HOST, when, seconds))
        if at_once:
            history.note(samples)
        else:
            for sample in samples:
                history.note([sample])
        told.note(when, seconds, of_tick)
    for number in range(4):
        ref = volume(number)
        if not early:
            history.follow(ref)
        window = history.window(ref)
        np.testing.assert_allclose(READS.of(window.values), told.rates(ref, capacity))
        known = [rate for rate in told.rates(ref, capacity) if not math.isnan(rate)]
        summary = window.summary(READS)
        assert summary.current == pytest.approx(known[-1])
        assert summary.maximum == pytest.approx(max(known))
        assert summary.average == pytest.approx(told.average(ref, capacity))


def test_an_object_that_was_always_idle_is_zero_and_not_unknown() -> None:
    history = History()
    for tick in range(10):
        history.note([Sample(HOST, 100.0 + tick, 1.0)])
    history.follow(volume(1))
    assert READS.of(history.window(volume(1)).values).tolist() == [0.0] * 10


def test_latency_is_service_time_by_operations_and_long_seconds_weigh_more() -> None:
    history = History()
    history.note([Sample(volume(1), 1.0, 1.0, reads=10, busy_s=0.01)])
    history.note([Sample(volume(1), 2.0, 1.0, reads=80, writes=10, busy_s=0.9)])
    history.note([Sample(HOST, 3.0, 1.0)])
    latency = measures.LATENCY.lines[0].measure
    window = history.window(volume(1))
    assert latency.of(window.values) == pytest.approx([1.0, 10.0, 0.0])
    assert window.summary(latency).average == pytest.approx(9.1)


def test_throughput_and_memory_in_their_units() -> None:
    history = History()
    history.note([Sample(HOST, 4.0, 2.0, read_bytes=6 * MIB, cpu_percent=150.0)], (3.0 * (1 << 30), 0.5 * (1 << 30)))
    window = history.window(HOST)
    figures = {line.measure.title: window.summary(line.measure) for p in measures.PANELS[Kind.HOST] for line in p.lines}
    assert figures["Read, MiB/s"].current == pytest.approx(3.0)
    assert figures["Engine's process, % of one core"].average == pytest.approx(150.0)
    assert figures["Host's memory in use, GiB"].maximum == pytest.approx(3.0)
    assert figures["Engine's process, GiB"].current == pytest.approx(0.5)


def test_a_bound_on_objects_keeps_who_is_busy_or_looked_at(seed: int) -> None:
    history, chance = History(capacity=50, objects=8), random.Random(seed)
    history.follow(volume(0))
    for tick in range(300):
        busy = [volume(number) for number in chance.sample(range(1, 40), 5)]
        history.note([*(Sample(ref, float(tick), 1.0, reads=7) for ref in busy), Sample(HOST, float(tick), 1.0)])
        assert len(history.kept) <= 8
        assert {volume(0), HOST} <= set(history.kept)
        for ref in busy:
            figures = READS.of(history.window(ref).values)
            assert math.isnan(figures[-1]) if ref not in history.kept else figures[-1] == 7.0
    history.leave(volume(0))


def test_what_was_left_out_is_unknown_and_not_zero() -> None:
    history = History(capacity=50, objects=2)
    for tick in range(5):
        history.note([Sample(volume(n), float(tick), 1.0, reads=3) for n in range(3)])
    assert volume(2) not in history.kept
    history.follow(volume(2))
    history.note([Sample(volume(2), 5.0, 1.0, reads=3)])
    figures = READS.of(history.window(volume(2)).values)
    assert np.isnan(figures[:-1]).all()
    assert figures[-1] == 3.0


def test_csv_has_a_line_for_each_tick_and_nothing_where_nobody_knows() -> None:
    history = History()
    for when in (1.0, 2.0, 90.0):
        history.note([Sample(volume(1), when, 1.0, reads=int(when))])
    rows = list(csv.reader(io.StringIO(history.window(volume(1)).as_csv([READS]))))
    assert rows[0] == ["Time", "Reads per second"]
    assert [row[1] for row in rows[1:]] == ["1.000", "2.000", "", "90.000"]


@given(highest=st.floats(0, 1e12), floor=st.sampled_from([0.25, 1, 10, 100]))
def test_a_scale_holds_its_figures_and_is_not_half_empty(highest: float, floor: float) -> None:
    top = measures.top_of_scale(highest, floor)
    wanted = max(highest * 1.05, floor)
    assert wanted <= top <= wanted * 2.5
    assert float(f"{top:e}".partition("e")[0]) in (1.0, 2.0, 2.5, 5.0)


def test_windows_of_a_span() -> None:
    history = History()
    for when in range(1, 101):
        history.note([Sample(HOST, float(when), 1.0)])
    window = history.window(HOST, 100.0)
    assert window.within(10).times.tolist() == [float(when) for when in range(91, 101)]
    assert window.last(10).ages.tolist() == [float(age) for age in range(-11, 1)]
