"""A seed is a whole run: the same one, the same events, wherever and however often."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.sim.world import play

ROOT = Path(__file__).parents[2]
SEEDS = (1, 2, 8)


def digest_in_new_process(seed: int, hash_seed: int, *family: str) -> str:
    """The last word of what `python -m tests.sim` says."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.sim", *family, "--seed", str(seed), "--quiet"],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": str(hash_seed)},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.split()[-1]


@pytest.mark.parametrize("seed_number", SEEDS)
def test_same_seed_same_log(seed_number: int) -> None:
    first, second = play(seed_number), play(seed_number)
    assert first.error is None
    assert first.lines > 100
    assert (first.digest, first.lines) == (second.digest, second.lines)


def test_seeds_differ() -> None:
    assert len({play(seed_number).digest for seed_number in SEEDS}) == len(SEEDS)


@pytest.mark.parametrize("seed_number", SEEDS[:2])
def test_order_of_hashes_changes_nothing(seed_number: int) -> None:
    """Two processes whose sets and dictionaries of texts are ordered otherwise tell the same events."""
    here = play(seed_number).digest
    assert {digest_in_new_process(seed_number, hash_seed) for hash_seed in (1, 2)} == {here}


def test_seeds_with_snapshots_are_whole_runs_too() -> None:
    """The same events, here and in another process; and others than those of the seed of the same number."""
    first = play(1, snapshots=True)
    assert first.error is None
    assert digest_in_new_process(1, 1, "--snapshots") == first.digest
    assert play(1).digest != first.digest
