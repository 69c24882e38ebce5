"""All that can befall one disk's private region, enumerated: each case is seen, or changes nothing."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from tests import figures
from tests.engine import store_damage
from tests.engine.store_damage import Case, Life

SOAK = bool(os.environ.get("VEA_SOAK"))
COMMITS = 72
"""More than a journal of 64 entries takes: both checkpoints are in use, and the journal has been begun anew."""

KINDS: dict[str, Callable[[Life], Iterator[Case]]] = {
    "torn": store_damage.torn,
    "lost": store_damage.lost,
    "misdirected": lambda life: store_damage.misdirected(life, everywhere=SOAK),
    "flipped": lambda life: store_damage.flipped(life, every_bit=SOAK),
    "stale": store_damage.stale,
    "cloned": store_damage.cloned,
}
LIVES: dict[int, Life] = {}
VERDICTS = ("harmless", "detected", "before")


@pytest.fixture(scope="module")
def counts() -> Iterator[dict[tuple[str, int], Counter[str]]]:
    """By kind and number of disks; what has been counted is published at the end."""
    found: dict[tuple[str, int], Counter[str]] = {}
    yield found
    rows = [
        (f"{kind}, {disks} disks", count.total(), *(count[each] for each in VERDICTS), _neither(count))
        for (kind, disks), count in sorted(found.items())
    ]
    columns = ("private region", "cases", "harmless", "detected", "as before", "neither")
    figures.publish("private region", figures.table(columns, rows))


def _neither(count: Counter[str]) -> int:
    return count.total() - sum(count[each] for each in VERDICTS)


def life_of(disks: int) -> Life:
    """Made once for all tests; nothing changes it."""
    if disks not in LIVES:
        LIVES[disks] = Life(disks, COMMITS)
    return LIVES[disks]


@pytest.mark.timeout(3600 if SOAK else 300)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("disks", [1, 2, 3])
def test_every_damage_is_seen_or_harmless(disks: int, kind: str, counts: dict[tuple[str, int], Counter[str]]) -> None:
    count, wrong = store_damage.census(life_of(disks), KINDS[kind](life_of(disks)))
    counts[kind, disks] = count
    print(f"private region, {disks} disks, {kind}: {sum(count.values())} cases, {dict(sorted(count.items()))}")
    assert not wrong, "\n".join(wrong[:20])
    assert sum(count.values()) > (3 if kind == "cloned" else 70)
