"""Every seed that has ever failed is played again."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.sim.world import play, replay_command

SEEDS = [
    int(line.split()[0])
    for line in (Path(__file__).parent / "regressions/seeds.txt").read_text().splitlines()
    if line and not line.startswith("#")
]


@pytest.mark.parametrize("seed_number", SEEDS)
def test_what_failed_once_holds(seed_number: int) -> None:
    error = play(seed_number).error
    assert error is None, f"{error}\n{replay_command(seed_number)}"
