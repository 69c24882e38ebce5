"""The dirty map, step by step: at every instant each place of the log names every region that may differ."""

from __future__ import annotations

import os

import pytest

from engine.dataplane import dirty_map
from tests.engine.dirty_model import REGIONS, Model

SEEDS = 600 if os.environ.get("VEA_SOAK") else 60
STEPS = 1500


def run(seed: int, faults: frozenset[str] = frozenset()) -> Model:
    model = Model(seed, faults)
    for _ in range(STEPS):
        model.step()
    return model


@pytest.mark.parametrize("first", range(0, SEEDS, 20))
def test_whatever_may_differ_is_named_by_every_place_at_every_instant(
    first: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    if first % 40:  # the neighbours are marked as in a storm
        monkeypatch.setattr(dirty_map, "STORM", 2)
        monkeypatch.setattr(dirty_map, "NEIGHBOURS", 3)
    closed = 0
    for seed in range(first, first + 20):
        try:
            closed += run(seed).closed
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error
    assert closed > 100


@pytest.mark.parametrize("fault", ["no-flush", "no-grace", "no-pin", "unpin-early", "not-sticky", "look-never"])
def test_each_of_the_rules_is_needed(fault: str) -> None:
    for seed in range(200):
        try:
            run(seed, frozenset({fault}))
        except AssertionError:
            return
    pytest.fail(f"{fault} was never found")


def test_everything_becomes_clean_when_nobody_writes() -> None:
    model = run(5)
    while model.ready or model.parked or model.out or model.unequal or model.filling or model.failed:
        left_out = (model.arrive, model.leave, model.break_place)
        model.random.choice([choice for choice in model.choices() if choice not in left_out])()
    for _ in range(200):
        model.go_on_closing()
        while model.writers.waiting:
            model.write_page()
    assert all(place.regions == bytes(REGIONS) for place in model.places)
    assert not model.map.is_marked
