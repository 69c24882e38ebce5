"""Time left: a band that holds what it promises, on a clock made by hand."""

from __future__ import annotations

from collections.abc import Callable
from math import sin
from random import Random

import pytest

from engine.tasks.estimate import UNKNOWN, TimeLeft

TICK_S = 0.1

Speed = Callable[[Random], Callable[[float], float]]


def steady(random: Random) -> Callable[[float], float]:
    return lambda now: random.gauss(1.0, 0.02)


def noisy(random: Random) -> Callable[[float], float]:
    return lambda now: max(random.gauss(1.0, 0.5), 0.0)


def waves(random: Random) -> Callable[[float], float]:
    """A client that comes and goes every few seconds."""
    period, depth, phase = random.uniform(2, 6), random.uniform(0.1, 0.5), random.uniform(0, 6)
    return lambda now: 1 + depth * sin(now * 6.28 / period + phase) + random.gauss(0, 0.1)


def stalls(random: Random) -> Callable[[float], float]:
    """A flush now and then, during which nothing moves."""
    every, long = random.uniform(4, 6), random.uniform(0.1, 0.6)
    return lambda now: 0.0 if now % every < long else max(random.gauss(1.0, 0.15), 0.0)


def drift(random: Random) -> Callable[[float], float]:
    """Inner tracks are slower: the speed ends a tenth lower or higher."""
    slope = random.uniform(-0.1, 0.1)
    return lambda now: max(1 + slope * now / 120 + random.gauss(0, 0.1), 0.1)


SPEEDS = {speed.__name__: speed for speed in (steady, noisy, waves, stalls, drift)}


def run(speed: Speed, seed: int) -> tuple[list[tuple[float, float, float]], float]:
    """(when, low, high) of each band shown after 10 %, and when the task really ended."""
    random = Random(seed)
    length, at = random.uniform(20, 120), speed(random)
    now, done, total = 1000.0, 0.0, length
    left, shown = TimeLeft(), []
    left.feed(now, 0)
    while done < total:
        now += TICK_S
        done += at(now - 1000.0) * TICK_S
        left.feed(now, int(done * 1e6))
        low, high = left.band(now, int(done * 1e6), int(total * 1e6))
        if 0.1 * total <= done < total:
            shown.append((now, low, high))
    return shown, now


@pytest.mark.parametrize("speed", SPEEDS.values(), ids=SPEEDS)
def test_the_band_holds_the_end(speed: Speed, seed: int) -> None:
    held = count = 0
    for number in range(40):
        shown, end = run(speed, seed + number)
        for now, low, high in shown:
            assert (low, high) != UNKNOWN
            assert 0 <= low <= high
            assert high - low <= 0.4 * (high + low) / 2 + 1e-6
            count += 1
            held += low - 0.2 <= end - now <= high + 0.2  # as exact as the clock of the simulation
    assert held / count >= 0.9


def test_steady_work_has_a_narrow_band(seed: int) -> None:
    shown, _ = run(steady, seed)
    assert all(high - low <= 0.2 * (high + low) / 2 for _, low, high in shown[50:])


def test_a_new_speed_is_believed_within_the_window() -> None:
    left = TimeLeft()
    for second in range(60):
        left.feed(float(second), second * 100)
    for second in range(60, 76):
        left.feed(float(second), 6000 + (second - 60) * 10)
    low, high = left.band(75.0, 6150, 7150)
    assert low <= 100 <= high


def test_nothing_is_told_before_anything_is_known() -> None:
    left = TimeLeft()
    assert left.band(0.0, 0, 100) == UNKNOWN
    left.feed(0.0, 0)
    left.feed(0.6, 10)
    assert left.band(0.6, 10, 100) == UNKNOWN
    for second in range(1, 5):
        left.feed(float(second), 10)
    assert left.band(5.0, 10, 100)[0] > 0
    assert left.band(5.0, 100, 100) == (0.0, 0.0)
    still = TimeLeft()
    for second in range(40):
        still.feed(float(second), 50)
    assert still.band(40.0, 50, 100) == UNKNOWN
