"""Power cuts and kills while whole rows stream in, cut into requests anywhere: the way of writing that looks at no
single unit. Both with checksums of them in the log, and with marks alone."""

from __future__ import annotations

from itertools import pairwise
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from engine.dataplane import raid5_log, raid5_marks, raid5_plan, raid5_replay
from engine.dataplane.raid5 import Geometry
from engine.dataplane.raid5_log import Raid5Log
from engine.dataplane.raid5_log_format import ExtentKind, entry_head
from engine.dataplane.raid5_marks import Marks
from engine.dataplane.raid5_write import Batch
from engine.dataplane.request import Op, Request
from tests.conftest import SOAK
from tests.engine.model_volume import data_plane
from tests.engine.raid5_crash import LOG_BYTES, ROWS, SECTOR, UNIT, Run, combinations

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from engine.dataplane.raid5_log_format import Entry, LogCopy
    from engine.dataplane.raid5_marks import Mark
    from engine.dataplane.volume_io import VolumeIo
    from engine.devices.base import Data

COUNT = 3000 if SOAK else 100
STEPS = 8


class StreamRun(Run):
    """Its writes are one run of bytes each, of about whole rows."""

    def _write(self, volume: VolumeIo) -> bool:
        first = self._random.randrange(ROWS)
        low, high = (row * self._rows_bytes for row in (first, self._random.randrange(first + 1, ROWS + 1)))
        low += self._random.choice((0, 0, SECTOR))
        high = min(high + self._random.choice((0, 0, SECTOR)), self.size)
        some = (self._random.randrange(low, high, SECTOR) for _ in range(self._random.randrange(4)))
        cuts = sorted({low, high, *some})
        spans = list(pairwise(cuts))
        self._random.shuffle(spans)
        requests = [self._data(start, end - start) for start, end in spans]
        if not self._execute(volume, requests):
            return False
        self.settle(requests)
        return True

    def _data(self, offset: int, length: int) -> Request:
        data = b"".join(self._random.randbytes(8) * (SECTOR // 8) for _ in range(length // SECTOR))
        self.oracle.begin(offset, data)
        return Request(Op.WRITE, offset, length, memoryview(data), durable=self._random.random() < 0.1)


@pytest.fixture(autouse=True)
def _small_logs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raid5_log, "SMALLEST", LOG_BYTES)


@pytest.fixture
def _unlogged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole rows go without an entry from the first one on."""
    monkeypatch.setattr(raid5_marks, "STREAM", 0)
    monkeypatch.setattr(raid5_marks, "RANGE", 3 * 4 * UNIT)


class MixedRun(StreamRun):
    """Streams, and small writes between them."""

    def _write(self, volume: VolumeIo) -> bool:
        return super()._write(volume) if self._random.random() < 0.6 else Run._write(self, volume)


def wrong_states(seed: int, count: int, kind: type[StreamRun] = StreamRun) -> list[str]:
    """What is wrong after so many crashes, and how to see it again."""
    found = []
    shapes = [shape for columns in (3, 4, 5) for shape in combinations(columns)]
    with data_plane(1) as plane:
        for number in range(seed, seed + count):
            shape = shapes[number % len(shapes)]
            whole = kind(plane, shape, number, 0)
            whole.live(STEPS)
            cut = Random(number).randrange(1, whole.power.operations + 1)
            run = kind(plane, shape, number, cut)
            run.live(STEPS)
            if wrong := run.come_back():
                found.append(f"seed {number}, cut at {cut} of {whole.power.operations}, {shape}: {wrong}")
    return found


def test_no_cut_of_a_stream_leaves_a_wrong_sector_or_parity(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    honest, planned = Batch._plan_whole, []
    monkeypatch.setattr(Batch, "_plan_whole", lambda *what: planned.append(honest(*what)) or planned[-1])
    wrong = wrong_states(seed % 1_000_000, COUNT)
    assert not wrong, wrong[:3]
    assert len(planned) > COUNT  # else it was not looked at


def _parity_of_one_row_less(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = raid5_plan.columns_of

    def sloppy(geometry: Geometry, first: int, pieces: list[memoryview]) -> list[tuple[memoryview, ...]]:
        columns = honest(geometry, first, pieces)
        own = geometry.parity(first)
        columns[own] = (memoryview(bytes(geometry.unit)), *columns[own][1:])
        return columns

    monkeypatch.setattr(raid5_plan, "columns_of", sloppy)


def _wrong_sums(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = raid5_plan.row_sums
    monkeypatch.setattr(raid5_plan, "row_sums", lambda *what: [value ^ 1 for value in honest(*what)])


def _rows_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raid5_log.Raid5Log, "_keep_rows", lambda *_: None)


@pytest.mark.parametrize("plant", [_parity_of_one_row_less, _wrong_sums, _rows_not_kept])
def test_the_check_sees_planted_bugs(
    plant: Callable[[pytest.MonkeyPatch], None], seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch)
    start = seed % 1_000_000
    assert any(wrong_states(start + at, 50) for at in range(0, 1500, 50))


@pytest.mark.usefixtures("_unlogged")
def test_no_cut_leaves_a_wrong_sector_or_parity_where_rows_go_unlogged(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest, unlogged = Raid5Log.hold_marks, []
    monkeypatch.setattr(Raid5Log, "hold_marks", lambda *what: unlogged.append(honest(*what)) or unlogged[-1])
    wrong = wrong_states(seed % 1_000_000, 2 * COUNT, MixedRun)
    assert not wrong, wrong[:3]
    assert sum(map(bool, unlogged)) > COUNT  # else it was not looked at


def _marks_are_not_durable(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = Raid5Log._write_entry

    def lazy(self: Raid5Log, copy: LogCopy, at: int, entry: Entry, parts: Sequence[Data]) -> None:
        if any(extent.kind is not ExtentKind.MARK for extent in entry.extents):
            honest(self, copy, at, entry, parts)
        else:
            copy.device.write(copy.offset + at, entry_head(copy, self.owner, at, entry))

    monkeypatch.setattr(Raid5Log, "_write_entry", lazy)


def _marks_are_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raid5_replay, "_unlogged", lambda table, entries: [])


def _rows_that_the_log_tells_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Marks, "may_go", lambda self, rows: True)


def _a_mark_outlives_a_flush(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Marks, "end", lambda self: [mark.sequence for mark in self._live.values() if not mark.users])


def _legs_count_before_they_return(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = Raid5Log.hold_marks

    def hasty(self: Raid5Log, *what: Any) -> list[Mark]:
        held = honest(self, *what)
        self.drop_marks(held)
        for mark in held:
            mark.users += 1
        self.flushed(self.mark())
        return held

    monkeypatch.setattr(Raid5Log, "hold_marks", hasty)


def _parts_of_marked_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Raid5Log, "is_summed", lambda self, row: False)


@pytest.mark.usefixtures("_unlogged")
@pytest.mark.parametrize(
    "plant",
    [
        _marks_are_not_durable,
        _marks_are_not_read,
        _rows_that_the_log_tells_of,
        _a_mark_outlives_a_flush,
        _legs_count_before_they_return,
        _parts_of_marked_rows,
    ],
)
def test_the_check_sees_bugs_planted_in_marks(
    plant: Callable[[pytest.MonkeyPatch], None], seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch)
    start = seed % 1_000_000
    assert any(wrong_states(start + at, 50, MixedRun) for at in range(0, 3000, 50))
