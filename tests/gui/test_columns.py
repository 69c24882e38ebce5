"""Columns: every cell of every kind reads as words, sorts, filters, and leaves as CSV."""

from __future__ import annotations

import csv
import io
import re

import pytest
from msgspec.structs import replace

from engine.config import Config
from engine.records import DirtyLog, Disk, Kind, Plex, PlexState, Record, SnapPlex, Volume, VolumeLayout
from tests.gui import sample_lab
from tests.gui.random_lab import RandomLab
from tests.gui.sample_lab import HOST, ref
from tests.gui.test_actions import more_records
from vea_gui import columns
from vea_gui.mirror import Mirror
from vea_gui.words import Tone, plex_words, tone_of

UGLY = re.compile(r"None|0x|Traceback|<|\b[0-9a-f]{12,}\b|\d{13,}")


@pytest.fixture
def mirror() -> Mirror:
    made = Mirror()
    made.reset(HOST, Config.of(more_records()))
    return made


@pytest.mark.parametrize("kind", list(Kind))
def test_every_cell_reads_as_words(mirror: Mirror, kind: Kind, seed: int) -> None:
    lab = RandomLab(mirror.config, seed)
    for _ in range(20):
        mirror.fold(lab.events(20))
        for record in mirror.config.every(kind):
            for column in columns.COLUMNS[kind]:
                text = column.text(mirror, record)
                assert isinstance(text, str)
                assert not UGLY.search(text), (column.id, text)
                assert column.tip is None or isinstance(column.tip(mirror, record), str)
                share = column.bar(mirror, record) if column.bar is not None else None
                assert share is None or 0.0 <= share <= 1.0


@pytest.mark.parametrize("kind", list(Kind))
def test_sort_keys_of_a_column_can_be_compared(mirror: Mirror, kind: Kind) -> None:
    records = list(mirror.config.every(kind))
    for column in columns.COLUMNS[kind]:
        sorted(records, key=lambda record, column=column: column.key(mirror, record))  # type: ignore[misc]


@pytest.mark.parametrize("kind", list(Kind))
def test_ids_and_titles_are_unique(kind: Kind) -> None:
    for values in ([each.id for each in columns.COLUMNS[kind]], [each.title for each in columns.COLUMNS[kind]]):
        assert len(values) == len(set(values))


def test_csv_comes_back_as_it_left(mirror: Mirror) -> None:
    records: list[Record] = mirror.config.all(Kind.VOLUME, Record)
    text = columns.as_csv(mirror, columns.VOLUME, records)
    rows = list(csv.reader(io.StringIO(text)))
    assert rows[0] == [column.title for column in columns.VOLUME]
    assert [row[0] for row in rows[1:]] == [record.name for record in records]
    assert len({len(row) for row in rows}) == 1


def test_filter_wants_every_word_anywhere(mirror: Mirror) -> None:
    volume = mirror.config.volume(ref(Kind.VOLUME, 1))
    matches = columns.matches
    assert matches(mirror, columns.VOLUME, volume, "MIRR fio")
    assert matches(mirror, columns.VOLUME, volume, "  ")
    assert not matches(mirror, columns.VOLUME, volume, "mirr nothing")


def test_sizes_have_their_exact_bytes_at_hand(mirror: Mirror) -> None:
    volume = mirror.config.volume(ref(Kind.VOLUME, 1))
    size = next(column for column in columns.VOLUME if column.id == "size")
    assert size.text(mirror, volume) == "512 MiB"
    assert size.tip is not None
    assert size.tip(mirror, volume) == "536,870,912 bytes"
    assert ("Size", "512 MiB (536,870,912 bytes)") in columns.properties(mirror, volume)


@pytest.mark.parametrize(
    ("states", "told"),
    [
        ((PlexState.STALE,), "2 of 3"),
        ((PlexState.FILLING,), "2 (+1)"),
        ((PlexState.STALE, PlexState.FILLING), "2 of 3 (+1)"),
        ((), "2"),
    ],
)
def test_copies_tell_what_comes_and_what_is_left_out(states: tuple[PlexState, ...], told: str) -> None:
    extra = [sample_lab.plex(90 + number, 1, f"ev-9{number}", state=state) for number, state in enumerate(states)]
    mirror = Mirror()
    mirror.reset(HOST, Config.of([*sample_lab.records(), *extra]))
    copies = next(column for column in columns.VOLUME if column.id == "copies")
    assert copies.text(mirror, mirror.config.volume(ref(Kind.VOLUME, 1))) == told


def test_a_snap_plex_is_no_copy_and_says_when_it_is_ready() -> None:
    records = sample_lab.records()
    snap = next(record for record in records if isinstance(record, Plex) and record.name == "ev-02")
    mirror = Mirror()
    mirror.reset(
        HOST, Config.of([record if record is not snap else replace(snap, snap=SnapPlex()) for record in records])
    )
    texts = {column.id: column.text for column in columns.VOLUME}
    assert texts["copies"](mirror, mirror.config.volume(snap.volume)) == "1"
    assert plex_words(mirror.config.plex(snap.ref)) == "Snap Ready"


def test_disks_of_no_group_say_so_instead_of_a_size(mirror: Mirror) -> None:
    texts = {column.id: column.text for column in columns.DISK}
    bars = {column.id: column.bar for column in columns.DISK if column.bar is not None}
    for disk in mirror.config.all(Kind.DISK, Disk):
        words = texts["free"](mirror, disk)
        assert (disk.group is None) == (words in {"not in a group", "not initialized"})
        away = texts["free"](mirror, replace(disk, present=False))
        assert away == (words if disk.group is None else "out of reach")
        assert (disk.group is None) == (bars["used"](mirror, disk) is None)


def test_the_state_of_a_mirror_that_lacks_its_log_says_so(mirror: Mirror) -> None:
    volumes = mirror.config.all(Kind.VOLUME, Volume)
    healthy = next(each for each in volumes if each.layout is VolumeLayout.MIRROR and tone_of(each) < Tone.WARNING)
    status = next(each for each in columns.VOLUME if each.id == "status")
    assert status.tip is not None
    assert "log" not in status.tip(mirror, replace(healthy, dirty_log=None))
    told = status.tip(mirror, replace(healthy, dirty_log=DirtyLog(1 << 20)))
    assert told.splitlines()[1:] == [
        "No disk has room for its dirty region log; after a crash mirrors are copied whole."
    ]
