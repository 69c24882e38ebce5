"""A power cut at any write or flush of a RAID-5 volume, with and without a column out before it or lost in it.

No sector is ever what it may not be, and parity always fits. And proof that the check sees planted bugs.
"""

from __future__ import annotations

from contextlib import suppress
from random import Random
from typing import TYPE_CHECKING

import pytest

from engine.dataplane import raid5_changes, raid5_log, raid5_log_format, raid5_plan, raid5_replay
from engine.dataplane.raid5_log import Raid5Log
from engine.dataplane.raid5_log_format import LogOwner
from engine.dataplane.raid5_write import Batch
from engine.errors import DeviceError
from tests import figures
from tests.conftest import SOAK
from tests.engine.model_volume import data_plane
from tests.engine.raid5_crash import LOG_BYTES, Run, Shape, combinations

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from engine.dataplane.raid5_log_format import LogCopy
    from engine.dataplane.raid5_plan import RowPlan

COUNT = 10_000 if SOAK else 240
STEPS = 8
HELD_BACK: list[int] = []


@pytest.fixture(autouse=True)
def _small_logs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raid5_log, "SMALLEST", LOG_BYTES)


def shapes(start: int) -> Iterator[tuple[int, Shape]]:
    """Seeds and combinations without end."""
    seed = start
    while True:
        for columns in (3, 4, 5):
            for shape in combinations(columns):
                yield seed, shape
                seed += 1


def crashes(seed: int, count: int, steps: int = 0) -> Iterator[str]:
    """Run so many cuts; answers what is wrong, and how to see it again. Every tenth life is long enough for the log to
    run full."""
    with data_plane(1) as plane:
        numbered = shapes(seed)
        for index in range(count):
            number, shape = next(numbered)
            life = steps or (STEPS if index % 10 else 6 * STEPS)
            whole = Run(plane, shape, number, 0)
            whole.live(life)
            cut = Random(number).randrange(1, whole.power.operations + 1)
            run = Run(plane, shape, number, cut)
            run.live(life)
            wrong = run.come_back()
            HELD_BACK.append(run.held_back)
            if wrong:
                yield f"seed {number}, cut at {cut} of {whole.power.operations}, {shape}: {wrong}"


def test_no_cut_leaves_a_wrong_sector_or_parity(seed: int) -> None:
    HELD_BACK.clear()
    wrong = list(crashes(seed % 1_000_000, COUNT))
    print(f"{COUNT} crashes, {len(wrong)} with a wrong sector or parity, {sum(HELD_BACK)} held back")
    row = COUNT, len(wrong), sum(HELD_BACK)
    figures.publish("raid5-crashes", figures.table(("RAID-5: crash x degraded", "wrong", "held back"), [row]))
    assert not wrong, wrong[:3]


def test_every_single_cut_of_one_life(seed: int) -> None:
    shape = Shape(4, lost=1)
    with data_plane(1) as plane:
        whole = Run(plane, shape, seed, 0)
        whole.live(STEPS)
        for cut in range(1, whole.power.operations + 1, 1 if SOAK else 3):
            run = Run(plane, shape, seed, cut)
            run.live(STEPS)
            assert not run.come_back(), cut


def _legs_before_log(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = Batch._append

    def hasty(self: Batch, log: Raid5Log, plans: Sequence[RowPlan], zeros: Sequence[object]) -> int:
        for plan in plans:
            for leg in plan.legs:
                for target in plan.parity.columns[leg.column].writers:
                    with suppress(DeviceError):
                        target.device.write(leg.column_offset + target.delta, leg.data)
        return honest(self, log, plans, zeros)

    monkeypatch.setattr(Batch, "_append", hasty)


def _log_not_durable(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = Raid5Log._write

    def lazy(self: Raid5Log, copy: LogCopy, offset: int, data: bytes, **_: bool) -> None:
        honest(self, copy, offset, data, durable=False)

    monkeypatch.setattr(Raid5Log, "_write", lazy)


def _no_parity_in_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = raid5_plan._change

    def forgetful(plan: raid5_plan.RowPlan, column: int, low: int, data: memoryview) -> None:
        honest(plan, column, low, data)
        if column == plan.parity.geometry.parity(plan.rows.start):
            plan.extents.pop()
            plan.parts.pop()

    monkeypatch.setattr(raid5_plan, "_change", forgetful)


def _trim_without_flush(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = Raid5Log._trim_to
    monkeypatch.setattr(Raid5Log, "_trim_to", lambda self, head, flush: honest(self, head, lambda: True))


def _trim_what_is_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = Raid5Log.append

    def hasty(self: Raid5Log, *what: object) -> int:
        sequence = honest(self, *what)
        self.done(sequence)
        self.trim(lambda: True)
        return sequence

    monkeypatch.setattr(Raid5Log, "append", hasty)


def _any_generation(monkeypatch: pytest.MonkeyPatch) -> None:
    class Anybody(LogOwner):
        def __eq__(self, other: object) -> bool:
            return True

        def __ne__(self, other: object) -> bool:
            return False

        __hash__ = LogOwner.__hash__

    monkeypatch.setattr(raid5_replay, "LogOwner", Anybody)


def _no_chain_to_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replay only the first entry."""
    honest = raid5_replay._Reader.entries

    def short(self: raid5_replay._Reader, superblock: raid5_log_format.Superblock) -> Iterator[object]:
        yield from list(honest(self, superblock))[:1]

    monkeypatch.setattr(raid5_replay._Reader, "entries", short)


def _flush_counts_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is written while a flush runs counts as flushed."""
    honest = Raid5Log.append

    def hasty(self: Raid5Log, *what: object) -> int:
        sequence = honest(self, *what)
        self.flushed(self.mark()._replace(head=sequence + 1))
        return sequence

    monkeypatch.setattr(Raid5Log, "append", hasty)


def _parts_of_summed_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Raid5Log, "is_summed", lambda self, row: False)


def _no_rows_on_their_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raid5_replay._Reader, "rows", lambda self, entry: None)


def _mixtures_are_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raid5_changes.Changes, "_examine_sum", lambda self, entry, index, kept: None)


BUGS = {
    "a flush that counts too much": _flush_counts_too_much,
    "parts of rows that are only summed": _parts_of_summed_rows,
    "rows that are not kept on their way": _no_rows_on_their_way,
    "mixtures of old and new that are believed": _mixtures_are_believed,
    "legs before the log": _legs_before_log,
    "a log that is not durable": _log_not_durable,
    "no parity in the log": _no_parity_in_the_log,
    "a head that moves without a flush": _trim_without_flush,
    "a head that passes what is under way": _trim_what_is_under_way,
    "entries of an old generation": _any_generation,
    "a replay that ends early": _no_chain_to_the_end,
}


@pytest.mark.parametrize("bug", BUGS)
def test_a_planted_bug_is_found(bug: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plant: Callable[[pytest.MonkeyPatch], None] = BUGS[bug]
    plant(monkeypatch)
    steps = 60 if "head" in bug else STEPS
    assert next(crashes(1, 3_000, steps), None) is not None
