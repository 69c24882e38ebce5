"""A slice of what `make soak` runs in full: other parts of it for another seed, the same for the same."""

from __future__ import annotations

import os
import random

import pytest

from tests.sim import crashes, failures, sequences
from tests.sim.cases import CASES
from tests.sim.operations import EVERY_LAYOUT, LAYOUTS
from tests.sim.soak import applies
from tests.sim.world import play, replay_command

SEEDS = 40
SNAP_SEEDS = 8
SHARE = 31
LONG = 8
"""Of those after which more is done the share is so much smaller."""
NTH = 61
SEQUENCES = 30
POINTS_MAX = 6

BUDGET = 8 if os.environ.get("VEA_SOAK") else 1


def test_seeds(seed: int) -> None:
    """Clients, an operator, faults and power cuts, drawn anew for each."""
    failed = []
    for number in range(SEEDS * BUDGET):
        outcome = play(seed + number)
        if outcome.error is not None:
            failed.append(f"{outcome.error}\n    {replay_command(seed + number)}")
    assert not failed, "\n".join(failed)


def test_seeds_with_snapshots(seed: int) -> None:
    """The same, where volumes have snapshots that are written, too."""
    failed = []
    for number in range(SNAP_SEEDS * BUDGET):
        outcome = play(seed + number, snapshots=True)
        if outcome.error is not None:
            failed.append(f"{outcome.error}\n    {replay_command(seed + number, snapshots=True)}")
    assert not failed, "\n".join(failed)


@pytest.mark.parametrize("name", CASES)
def test_power_cuts(name: str, seed: int) -> None:
    """At some of the moments of each operation, on one layout."""
    layouts = [layout for layout in EVERY_LAYOUT if applies(name, layout)]
    share = SHARE * (LONG if CASES[name].then is not None else 1) // BUDGET or 1
    result = crashes.enumerate_case(name, random.Random(seed).choice(layouts), seed, share)
    assert result.states, "nothing was cut"
    assert not result.failures, "\n".join(result.failures)


@pytest.mark.parametrize("name", sorted(CASES)[::5])
def test_nth_operation_fails(name: str, seed: int) -> None:
    dice = random.Random(seed)
    layouts = [layout for layout in EVERY_LAYOUT if applies(name, layout)]
    result = failures.enumerate_failures(name, dice.choice(layouts), seed, NTH, dice.randint(1, NTH))
    assert not result.failures, "\n".join(result.failures)


def test_sequences(seed: int) -> None:
    dice, everything = random.Random(seed), list(sequences.sequences())
    layout = dice.choice(sorted(LAYOUTS))
    start, failed = sequences.base(layout, seed), []
    for names in dice.sample(everything, SEQUENCES * BUDGET):
        failed += sequences.enumerate_sequence(names, layout, start, seed, POINTS_MAX).failures
    assert not failed, "\n".join(failed)
