"""What a disk's failure would mean is what it then means: the prediction against the engine's own settled states."""

from __future__ import annotations

import random

import pytest
from msgspec.structs import replace
from pytestqt.qtbot import QtBot

from engine import commands as c
from engine.config import Config, Edit
from engine.records import Disk, Kind, PlexState, Ref, Volume, VolumeStatus
from engine.units import GIB, MIB
from tests.engine.builders import Site
from tests.gui.form_driver import Driver
from tests.gui.planned_engine import PlannedEngine
from tests.gui.sample_lab import ref
from vea_gui.columns import properties
from vea_gui.console import Console
from vea_gui.risk import Fate, risk_of, risks, summary
from vea_gui.views.main_window import MainWindow
from vea_gui.views.table_page import TablePage
from vea_gui.words import Tone

GONE = (VolumeStatus.FAILED, VolumeStatus.MISSING)


def without(config: Config, disk: Ref) -> Config:
    """The configuration after the disk has gone away, settled by the engine."""
    edit = Edit(config)
    edit.put(replace(config.disk(disk), present=False))
    return edit.result()[0]


def random_site(seed: int) -> Site:
    """Volumes of all layouts, some mirrors being filled or out of date, some pieces on their way."""
    rng = random.Random(seed)
    site = Site(8, sizes=(2 * GIB,))
    for number in range(rng.randint(1, 5)):
        striped = rng.random() < 0.4
        made = c.CreateVolume(
            group=site.group(), size=rng.randint(1, 90) * MIB, name=f"v{number}", striped=striped,
            mirrors=rng.randint(1, 3),
        )  # fmt: skip
        if not site.plan(made).problems:
            site.do(made)
    for volume in site.config.all(Kind.VOLUME, Volume):
        _disturb(site, volume, rng)
    return site


def _disturb(site: Site, volume: Volume, rng: random.Random) -> None:
    plexes = site.config.plexes_of(volume.ref)
    subdisks = [subdisk for plex in plexes for subdisk in site.config.subdisks_of(plex.ref)]
    match rng.randrange(5):
        case 0:
            site.set(rng.choice(plexes).ref, state=rng.choice([PlexState.STALE, PlexState.IOFAIL, PlexState.OFFLINE]))
        case 1 if not site.plan(c.AddMirrors(volume=volume.ref)).problems:
            site.submit(c.AddMirrors(volume=volume.ref))
        case 2:
            move = c.MoveSubdisks(moves=(c.Move(rng.choice(subdisks).ref),))
            if not site.plan(move).problems:
                site.submit(move)
        case 3:
            site.set(rng.choice(subdisks).disk, present=False)


def test_the_prediction_comes_true(seed: int) -> None:
    met: set[Fate] = set()
    for round_number in range(40):
        site = random_site(seed + round_number)
        for disk in site.config.all(Kind.DISK, Disk):
            after = without(site.config, disk.ref)
            for volume, risk in risks(site.config, disk.ref):
                then = after.volume(volume.ref)
                met.add(risk.fate)
                assert (then.status in GONE) is (risk.fate in (Fate.LOST, Fate.AWAY)), (volume, risk)
                if risk.fate is Fate.UNAFFECTED:
                    assert then.copies == volume.copies
                elif risk.fate is Fate.DEGRADED:
                    assert then.copies == 1
                elif risk.fate is Fate.FEWER:
                    assert f"{then.copies} copies left" in risk.text
    assert met == set(Fate)


@pytest.fixture
def site() -> Site:
    site = Site(6)
    site.do(c.CreateVolume(group=site.group(), size=64 * MIB, name="ev", mirrors=2, disks=(site.disk(0), site.disk(1))))
    site.do(c.CreateVolume(group=site.group(), size=64 * MIB, name="st", striped=True,
                           disks=(site.disk(0), site.disk(2))))  # fmt: skip
    return site


def test_the_words(site: Site) -> None:
    ev, st = site.volume("ev"), site.volume("st")
    assert risk_of(site.config, ev, site.disk(0)).text == "Stays available, loses redundancy"
    lost = risk_of(site.config, st, site.disk(0))
    assert (lost.text, lost.tone) == ("Lost: it has no other copy", Tone.WARNING)
    assert summary(site.config, site.disk(0)) == ["st is lost.", "ev stays available, loses redundancy."]
    assert summary(site.config, site.disk(5)) == ["No volume lies on it."]


def test_a_mirror_in_doubt_is_no_copy(site: Site) -> None:
    first = site.plexes("ev")[0]
    site.set(site.volume("ev").ref, source=first.ref)
    here, there = (site.config.subdisks_of(plex.ref)[0].disk for plex in site.plexes("ev"))
    assert risk_of(site.config, site.volume("ev"), here).text == "Lost: no other copy is complete"
    assert risk_of(site.config, site.volume("ev"), there).fate is Fate.UNAFFECTED


def test_a_disk_that_is_away_says_what_it_has_done(site: Site) -> None:
    site.set(site.disk(0), present=False)
    lost = risk_of(site.config, site.volume("st"), site.disk(0))
    assert (lost.text, lost.tone) == ("Lost until the disk is back", Tone.ERROR)
    assert risk_of(site.config, site.volume("ev"), site.disk(0)).fate is Fate.DEGRADED


def test_many_volumes_are_counted() -> None:
    site = Site(2)
    for number in range(9):
        site.do(c.CreateVolume(group=site.group(), size=MIB, name=f"v{number}", disks=(site.disk(0),)))
    assert summary(site.config, site.disk(0)) == ["v0, v1, v2, v3, v4, v5 and 3 more are lost."]


def test_the_volumes_tab_of_a_disk_says_it(qtbot: QtBot, window: MainWindow, api: PlannedEngine) -> None:
    window.console.show_in_tree(ref(Kind.DISK, 0))
    assert window.right.show_tab("Volumes")
    page = window.right.page()
    assert isinstance(page, TablePage)
    titles = [column.title for column in page.model.columns]
    cells = {
        page.model.index(row, 0).data(): page.model.index(row, titles.index("If this disk fails")).data()
        for row in range(page.model.rowCount())
    }
    assert cells == {"ev": "Stays available, loses redundancy"}
    window.console.show_in_tree(ref(Kind.DISK, 2))
    page = window.right.page()
    assert isinstance(page, TablePage)
    at = page.model.index(0, titles.index("If this disk fails"))
    assert at.data() == "Lost: it has no other copy"


def test_evacuate_says_why_it_is_worth_it(qtbot: QtBot, console: Console, api: PlannedEngine) -> None:
    driver = Driver(qtbot, console, "evacuate_disk", [ref(Kind.DISK, 2)])
    assert driver.dialog.control("risk").text.text() == "st is lost."  # type: ignore[attr-defined]


def test_properties_of_a_disk_say_it(console: Console) -> None:
    pairs = dict(properties(console.mirror, console.config.disk(ref(Kind.DISK, 0))))
    assert pairs["If it fails"] == "ev stays available, loses redundancy."


def test_what_has_failed_already_is_not_foretold(site: Site) -> None:
    lost = site.disk(0)
    config = without(site.config, lost)
    assert summary(config, lost) == ["st is not available without it.", "ev is available, without redundancy."]
    assert risk_of(config, site.volume("ev"), lost).text == "Available, without redundancy"
