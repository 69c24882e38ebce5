"""What goes unlogged on RAID-5: when it does, and that it is flushed in time."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from engine.dataplane import raid5_marks, raid5_trim
from engine.dataplane.fold import fold
from engine.dataplane.raid5_log_format import LogOwner
from engine.dataplane.raid5_marks import Mark, Marks, ranges_of
from engine.dataplane.raid5_replay import Replayed, _Reader, _unlogged, replay
from tests.engine.model_volume import data_plane
from tests.engine.raid5_lab import VOLUME_ID, generation, layout, log_copies
from tests.engine.raid5_lab import write as lab_write
from tests.engine.raid5_site import LOG_BYTES, Site

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from engine.dataplane.raid5_log_format import Entry
    from engine.dataplane.table import Table

UNIT, ROWS, COLUMNS = 4096, 64, 3
ROW = UNIT * (COLUMNS - 1)
PATIENCE_S = 60.0


@pytest.fixture
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight rows go to the log and are then enough; a mark covers sixteen."""
    monkeypatch.setattr(raid5_marks, "STREAM", 8 * ROW)
    monkeypatch.setattr(raid5_marks, "RANGE", 16 * ROW)


@pytest.fixture
def site(_small: None) -> Iterator[Site]:
    """A volume of 64 rows."""
    with data_plane(COLUMNS + 1) as plane:
        found = Site(plane, COLUMNS, UNIT, ROWS)
        yield found
        found.close()


def told(site: Site) -> list[Entry]:
    """What the log has."""
    reader = _Reader(log_copies(site.log_devices, LOG_BYTES), LogOwner(VOLUME_ID, generation(1)))
    return [found.entry for found, _ in reader.entries(reader.begin())]


def unlogged(site: Site) -> list[int]:
    """The rows whose parity a replay would make anew."""
    found = told(site)
    stable = max((entry.stable for entry in found), default=0)
    return _unlogged(site.table(), [entry for entry in found if entry.sequence >= stable])


def write(site: Site, rows: range, byte: int = 1) -> None:
    for row in rows:
        site.volume.write(row * ROW, bytes([byte]) * ROW)


def wait_for(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.005)


def test_a_burst_is_logged_and_a_stream_goes_under_marks(site: Site) -> None:
    write(site, range(8))
    assert unlogged(site) == []
    write(site, range(8, 40))
    assert unlogged(site) == [*range(8, 48)]  # to the end of the last mark; the first eight have entries
    write(site, range(8, 10), 2)
    assert site.content()[1] == []


def test_what_the_log_tells_of_goes_on_by_entries(site: Site) -> None:
    write(site, range(40))
    write(site, range(4), 2)
    assert not set(range(4)) & set(unlogged(site))


def test_a_part_of_an_unlogged_row_is_written_with_all_of_it(site: Site) -> None:
    write(site, range(40))
    entries = len(told(site))
    site.volume.write(20 * ROW, b"\x03" * 512)
    assert len(told(site)) == entries
    content, wrong = site.content()
    assert content[20 * ROW :][: 2 * 512] == b"\x03" * 512 + b"\x01" * 512
    assert wrong == []


def test_a_flush_covers_all_of_it(site: Site) -> None:
    write(site, range(40))
    site.volume.flush()
    assert unlogged(site) == []  # on record before the flush was answered
    write(site, range(40, 44))
    assert unlogged(site) == []
    log = site.volume.raid5.log if site.volume.raid5 is not None else None
    assert log is not None
    assert not log.marked


def test_what_is_durable_at_once_is_never_unlogged(site: Site) -> None:
    write(site, range(8))
    for row in range(8, 40):
        assert not lab_write(site.volume, site.plane.runtime, row * ROW, bytes(ROW), durable=True)
    assert unlogged(site) == []


class PartlyOut(Site):
    """From row 20 on its first column is out."""

    def table(self) -> Table:
        whole = layout(self.devices, self.unit, self.rows)
        pieces = tuple(replace(piece, length=20 * UNIT) if not piece.column else piece for piece in whole.pieces)
        return fold([replace(whole, pieces=pieces)], self.size)


@pytest.mark.usefixtures("_small")
def test_no_mark_reaches_to_where_a_column_is_out() -> None:
    with data_plane(COLUMNS + 1) as plane:
        site = PartlyOut(plane, COLUMNS, UNIT, ROWS)
        write(site, range(20))
        rows = unlogged(site)
        found = replay(log_copies(site.log_devices, LOG_BYTES), VOLUME_ID, generation(1), site.table())
        site.close()
    assert rows == [*range(8, 20)]
    assert isinstance(found, Replayed)


def test_what_rests_is_flushed(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raid5_trim, "IDLE_S", 0.05)
    write(site, range(40))
    log = site.volume.raid5.log if site.volume.raid5 is not None else None
    assert log is not None
    wait_for(lambda: not log.marked)
    wait_for(lambda: not unlogged(site))
    write(site, range(48))
    assert log.marked
    wait_for(lambda: not log.marked)  # again and again


def test_no_more_marks_wait_than_may_be_read_after_a_crash(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raid5_marks, "MOST", 2)
    write(site, range(64))
    log = site.volume.raid5.log if site.volume.raid5 is not None else None
    assert log is not None
    wait_for(lambda: not log.marked)


def test_a_mark_ends_with_its_last_user() -> None:
    marks, rows = Marks(), range(16)
    assert marks.add(Mark(7, rows), live=True) == []
    held, lacking = marks.hold([rows])
    assert not lacking
    assert marks.end() == []
    assert marks.hold([rows]) == ([], [rows])
    assert marks.drop(held) == []
    assert marks.drop(held) == [7]


def test_a_mark_that_takes_over_ends_the_one_before() -> None:
    marks, rows = Marks(), range(16)
    first, second = Mark(1, rows), Mark(2, rows)
    marks.add(first, live=True)
    assert marks.add(second, live=True) == []
    assert marks.drop([first]) == [1]
    assert marks.drop([second]) == []
    assert marks.idle == {2}


def test_ranges_end_with_what_they_are_within() -> None:
    row, size = 64 << 10, raid5_marks.RANGE // (64 << 10)
    within = range(3, size + 3)
    assert ranges_of(range(size - 1, size + 1), row, within) == [range(3, size), range(size, size + 3)]
    assert ranges_of(range(4, 5), row, within) == [range(3, size)]
    assert ranges_of(range(1, 2), 2 * raid5_marks.RANGE, range(9)) == [range(1, 2)]
