"""What needs attention: every object in trouble is there with its cause and a way out; the page follows and picks."""

from __future__ import annotations

import random

import msgspec
import pytest
from pytestqt.qtbot import QtBot

from engine.config import Config
from engine.events import Upsert
from engine.records import Disk, DiskStatus, Group, Kind, Record, Volume
from tests.gui import sample_lab
from tests.gui.planned_engine import PlannedEngine
from vea_gui.attention import troubles
from vea_gui.mirror import Mirror
from vea_gui.tree_shape import DISKS, Folder
from vea_gui.views.main_window import MainWindow
from vea_gui.views.overview import OverviewPage
from vea_gui.words import Tone, tone_of

ON = sample_lab.ref(Kind.DISK, 0)


def without(numbers: set[int], records: list[Record]) -> list[Record]:
    """The lab with disks pulled."""
    gone = {sample_lab.ref(Kind.DISK, number) for number in numbers}
    return [changed(one, present=False, lun="") if one.ref in gone else one for one in records]


def changed(record: Record, **fields: object) -> Record:
    return msgspec.structs.replace(record, **fields)


@pytest.mark.parametrize("seed", range(20))
def test_names_all_that_is_wrong_and_a_way_out(seed: int) -> None:
    dice = random.Random(seed)
    config = Config.of(without({number for number in range(12) if dice.random() < 0.3}, sample_lab.records()))
    mirror = Mirror()
    mirror.reset(sample_lab.HOST, config)
    found = troubles(mirror)
    kinds = (Kind.DISK, Kind.VOLUME, Kind.GROUP)
    wrong = {record.ref for kind in kinds for record in config.every(kind) if tone_of(record) >= Tone.WARNING}
    assert {trouble.ref for trouble in found} == wrong
    assert [trouble.tone for trouble in found] == sorted((trouble.tone for trouble in found), reverse=True)
    for trouble in found:
        assert trouble.help, trouble
        record = config.get(trouble.ref)
        if isinstance(record, Disk):
            names = {config.volume_of(subdisk).name for subdisk in config.subdisks_on(record.ref)}
            assert all(name in trouble.what for name in names)
        if isinstance(record, Volume):
            disks = [config.disk(sd.disk) for p in config.plexes_of(record.ref) for sd in config.subdisks_of(p.ref)]
            assert all(disk.name in trouble.what for disk in disks if not disk.present)
            several = len(config.plexes_of(record.ref)) > 1  # only then is there something to fill from
            assert several or "Resynchronize" not in trouble.help


@pytest.mark.parametrize(
    ("number", "fields", "what", "way"),
    [
        (2, {"failing": True}, "Failing. It holds", "only complete copy of st. Else choose Evacuate Disk"),
        (0, {"failing": True}, "Failing. It holds", "else choose Replace Disk"),
        (0, {"size": 1 << 26}, "Failing: the last 1.9 GiB of its LUN are gone.", "Gone for good: choose Replace Disk"),
        (2, {"size": 1 << 26}, "the last 1.9 GiB of its LUN are gone.", "delete st, then choose Replace Disk"),
        (2, {"size": 1 << 30}, "the last 1.0 GiB of its LUN are gone.", "choose Evacuate Disk, then choose Replace"),
    ],
)
def test_of_a_failing_disk_it_says_what_is_nowhere_else(
    number: int, fields: dict[str, object], what: str, way: str
) -> None:
    away = sample_lab.ref(Kind.DISK, number)
    mirror = Mirror()
    records = [changed(one, **fields) if one.ref == away else one for one in sample_lab.records()]
    mirror.reset(sample_lab.HOST, Config.of(records))
    [told] = [trouble for trouble in troubles(mirror) if trouble.ref == away]
    assert what in told.what
    assert way in told.help


def test_a_frozen_group_says_why() -> None:
    mirror = Mirror()
    frozen = [changed(one, frozen="Its copies are away.") if isinstance(one, Group) else one
              for one in sample_lab.records()]  # fmt: skip
    mirror.reset(sample_lab.HOST, Config.of(frozen))
    assert "Its copies are away." in troubles(mirror)[0].what


def test_page_follows_and_leads_to_the_object(qtbot: QtBot, window: MainWindow, api: PlannedEngine) -> None:
    page = window.right.page()
    assert isinstance(page, OverviewPage)
    assert page.headline.text() == "Nothing needs attention."
    assert not page.troubles.isVisible()
    disks = [page.table.item(row, 0).text() for row in range(page.table.rowCount())].index("Disks")
    assert page.table.item(disks, 1).text() == "12"
    api.publish([Upsert(changed(sample_lab.disk(0), present=False, status=DiskStatus.MISSING))])
    qtbot.waitUntil(lambda: page.troubles.rowCount() > 0)
    names = [page.troubles.item(row, 0).text() for row in range(page.troubles.rowCount())]
    assert names[0] == "Harddisk0"
    assert page.headline.text() == "1 object needs attention."
    page.troubles.selectRow(0)
    assert window.console.selection.refs == (ON,)
    page.troubles.activated.emit(page.troubles.model().index(0, 0))
    assert window.console.path[-2:] == (Folder(sample_lab.HOST_ID, DISKS), ON)
