"""RAID-5, its log, spares and relocated pieces in pictures, tables and words: what is bad is marked where it is bad."""

from __future__ import annotations

import msgspec
import pytest

from engine.config import Config
from engine.records import (
    Disk,
    DiskUsage,
    Kind,
    Origin,
    PieceState,
    Plex,
    PlexLayout,
    PlexState,
    Record,
    Subdisk,
    Volume,
    VolumeStatus,
)
from engine.units import KIB, MIB
from tests.gui import sample_lab
from tests.gui.sample_lab import ref
from vea_gui import columns
from vea_gui.attention import troubles
from vea_gui.block_names import block_label, block_layout, disk_sentence, item_name, mark_of, owner
from vea_gui.block_rows import ItemKind, disk_band, volume_band
from vea_gui.mirror import Mirror
from vea_gui.risk import Fate, risk_of
from vea_gui.words import Tone, tone_of

replace = msgspec.structs.replace
SIZE = 384 * MIB
DB, DATA, LOG = ref(Kind.VOLUME, 7), ref(Kind.PLEX, 70), ref(Kind.PLEX, 71)


def raid5(**of_piece: object) -> list[Record]:
    """`db`: four columns on Harddisk0 to 3, its log on Harddisk4; `of_piece` is said of its second column."""
    skip = 1024 * MIB
    pieces = [sample_lab.subdisk(70 + n, 70, n, 128 * MIB, column=n, skip=skip) for n in range(4)]
    pieces[1] = replace(pieces[1], **of_piece)
    return [
        *sample_lab.records(),
        sample_lab.volume(7, "db", SIZE),
        sample_lab.plex(70, 7, "db-01", layout=PlexLayout.RAID5, columns=4, stripe_unit=16 * KIB),
        *pieces,
        sample_lab.plex(71, 7, "db-02", layout=PlexLayout.LOG),
        sample_lab.subdisk(75, 71, 4, 32 * MIB, skip=skip),
    ]


def changed(records: list[Record], which: Record, **fields: object) -> list[Record]:
    return [replace(record, **fields) if record.ref == which.ref else record for record in records]


def looked_up(records: list[Record]) -> Mirror:
    mirror = Mirror()
    mirror.reset(sample_lab.HOST, Config.of(records))
    return mirror


def piece(config: Config, number: int) -> Subdisk:
    found = config[ref(Kind.SUBDISK, number)]
    assert isinstance(found, Subdisk)
    return found


def test_a_log_is_drawn_and_called_as_one() -> None:
    config = Config.of(raid5())
    log, column = piece(config, 75), piece(config, 70)
    assert block_layout(owner(config, log.ref)) == "log"
    assert block_layout(owner(config, column.ref)) == "raid5"
    assert block_label(config, log.ref) == "db-02 log"
    band = disk_band(config, log.disk)
    [item] = [each for each in band.items if each.ref == log.ref]
    assert item_name(config, band, item).startswith("db-02, log of db, 32 MiB, Harddisk4 at ")
    assert mark_of(config, owner(config, log.ref)) is Tone.NONE


def test_volume_view_shows_the_log_below_the_columns() -> None:
    config = Config.of(raid5())
    band = volume_band(config, DB, {DB, DATA, LOG})
    plexes = [item for item in band.items if item.kind is ItemKind.PLEX]
    assert [item.ref for item in plexes] == [DATA, LOG]
    assert item_name(config, band, plexes[0]) == "db-01, 4 columns, 384 MiB"
    assert item_name(config, band, plexes[1]) == "log db-02, 32 MiB"


@pytest.mark.parametrize(("state", "tone"), [(PieceState.STALE, Tone.WARNING), (PieceState.FILLING, Tone.WORKING)])
def test_only_the_bad_column_is_marked(state: PieceState, tone: Tone) -> None:
    mirror = looked_up(raid5(state=state))
    config = mirror.config
    marks = [mark_of(config, owner(config, ref(Kind.SUBDISK, 70 + number))) for number in range(4)]
    assert marks == [Tone.NONE, tone, Tone.NONE, Tone.NONE]
    status = next(column for column in columns.SUBDISK if column.id == "status")
    assert status.text(mirror, piece(config, 71)) == columns.PIECE_WORDS[state]
    assert status.text(mirror, piece(config, 70)) == "Complete"


def test_a_degraded_volume_says_what_lacks_and_offers_the_repair() -> None:
    records = raid5()
    disk = next(record for record in records if isinstance(record, Disk) and record.name == "Harddisk1")
    mirror = looked_up(changed(records, disk, present=False, lun=""))
    volume = mirror.config[DB]
    assert isinstance(volume, Volume)
    assert volume.status is VolumeStatus.DEGRADED
    assert tone_of(volume) is Tone.WARNING
    [trouble] = [each for each in troubles(mirror) if each.ref == DB]
    assert trouble.what == "Degraded: Harddisk1 missing."
    assert "Repair Volume" in trouble.help
    assert trouble.ways[0] == ("repair-volume", DB)


def test_what_a_disk_means_to_parity() -> None:
    sound = Config.of(raid5())
    volume = sound[DB]
    assert isinstance(volume, Volume)
    fates = [risk_of(sound, volume, ref(Kind.DISK, number)).fate for number in range(5)]
    assert fates == [Fate.DEGRADED] * 4 + [Fate.UNAFFECTED]
    stale = Config.of(raid5(state=PieceState.STALE))
    fates = [risk_of(stale, volume, ref(Kind.DISK, number)).fate for number in range(4)]
    assert fates == [Fate.LOST, Fate.DEGRADED, Fate.LOST, Fate.LOST]
    doubtful = replace(volume, parity_known=False)
    unknown = Config.of(changed(raid5(), doubtful, parity_known=False))
    assert risk_of(unknown, doubtful, ref(Kind.DISK, 0)).fate is Fate.LOST


def test_spares_and_reserved_disks_say_so() -> None:
    for usage, word in ((DiskUsage.SPARE, "spare"), (DiskUsage.RESERVED, "reserved")):
        config = Config.of(changed(sample_lab.records(), sample_lab.disk(5), usage=usage))
        assert f", {word}, " in disk_sentence(config, ref(Kind.DISK, 5))


def test_a_relocated_piece_says_where_it_was() -> None:
    mirror = looked_up(raid5(origin=Origin(ref(Kind.DISK, 5), 1 << 30)))
    origin = next(column for column in columns.SUBDISK if column.id == "origin")
    assert origin.text(mirror, piece(mirror.config, 71)) == "Harddisk5"


def test_every_layout_of_a_plex_has_words() -> None:
    assert set(columns.PLEX_LAYOUTS) == set(PlexLayout)
    mirror = looked_up(raid5())
    for plex in mirror.config.parts_of(DB):
        assert isinstance(plex, Plex)
        assert plex.state is not PlexState.IOFAIL
        assert all(column.text(mirror, plex) is not None for column in columns.PLEX)
