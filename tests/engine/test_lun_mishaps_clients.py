"""Whatever befalls a LUN while fio verifies on every layout: never a wrong byte, and the way back is what is told.

The operator of these tests knows nothing but what alerts propose. What has no redundancy answers with errors when its
LUN is lost, and has to be deleted; everything else goes on without an error, and is Healthy again at the end.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.records import Disk
from tests import figures
from tests.engine.mishap_kinds import KINDS
from tests.engine.mishap_luns import LAYOUTS, ONLY_COPY, Site
from tests.engine.service import needs

SOAK = bool(os.environ.get("VEA_SOAK"))
SLICE = 2
"""So many kinds without a soak. On a quiet machine, made and mended, one takes some 10 s."""
ROUNDS = int(os.environ.get("VEA_ROUNDS", "12"))
"""Of all kinds, in a soak."""


class Count:
    """What was done, for the table."""

    def __init__(self) -> None:
        self.mishaps: Counter[str] = Counter()
        self.volumes: Counter[str] = Counter()  # that lay on the LUN
        self.steps: Counter[str] = Counter()
        self.lost: Counter[str] = Counter()  # had no other copy

    def rows(self) -> Iterator[tuple[object, ...]]:
        for kind in KINDS:
            if self.mishaps[kind]:
                yield kind, self.mishaps[kind], self.volumes[kind], self.steps[kind], self.lost[kind], 0
        totals = (sum(each.values()) for each in (self.mishaps, self.volumes, self.steps, self.lost))
        yield "in all", *totals, 0


@pytest.fixture
def site(tmp_path: Path, seed: int) -> Iterator[Site]:
    needs("fio")
    site = Site(tmp_path, seed)
    try:
        site.create()
        yield site
    finally:
        site.close()


def meet(site: Site, kind: str, disk: Disk, count: Count) -> None:
    """One mishap, and its end."""
    on = site.volumes_on(disk.ref)
    before = sum(site.operator.done.values())
    bring_back = KINDS[kind](site, disk)
    site.operator.mend(bring_back)
    lost = site.operator.lost
    site.operator.lost = []
    site.clients.rest()
    told = site.operator.told()
    assert set(lost) <= ONLY_COPY & on, (kind, disk.name, lost, on, told)
    for client in site.clients:
        if client.volume not in lost:
            assert client.look(), (kind, disk.name, client.errors[-1:], client.wrong, told)
        assert not client.wrong, (kind, disk.name, client.wrong, told)
        assert not client.errors or client.volume in ONLY_COPY, (kind, disk.name, client.errors, told)
        client.errors.clear()
    print(f"{kind}: {disk.name}, {len(on)} volumes on it, lost: {lost}", flush=True)
    count.mishaps[kind] += 1
    count.volumes[kind] += len(on)
    count.steps[kind] += sum(site.operator.done.values()) - before
    count.lost[kind] += len(lost)
    site.make_again(lost)
    site.clients.go_on()


@pytest.mark.timeout(4 * 3600 if SOAK else 600)
def test_nothing_that_befalls_a_lun_ever_costs_a_byte_that_had_another_copy(site: Site) -> None:
    count = Count()
    kinds = list(KINDS) * (ROUNDS if SOAK else 1)
    site.chance.shuffle(kinds)
    for kind in kinds if SOAK else kinds[:SLICE]:
        meet(site, kind, site.chance.choice(site.used), count)
    said = site.log_file.read_text()
    assert "Traceback" not in said, said
    assert "defect" not in said, said
    assert set(LAYOUTS) == {client.volume for client in site.clients}
    looked = sum(client.looks + client.runs for client in site.clients)
    print(f"{sum(count.mishaps.values())} mishaps, {looked} verified runs")
    heads = ("a LUN is", "times", "volumes on it", "steps, all proposed", "had no other copy", "wrong bytes")
    figures.publish("mishaps", figures.table(heads, count.rows()))
