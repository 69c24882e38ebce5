"""A plan warns when an enclosure will take all mirrors of a volume with it, and only then."""

from __future__ import annotations

import random

import pytest

from engine import commands as c
from engine.commands import Move, Target
from engine.config import Config
from engine.records import Kind, Plex, Subdisk, Volume
from engine.units import GIB, MIB
from tests.engine.builders import Site

MOVED = "Both mirrors of ev will need array0: ev is lost when it fails."
MADE = f"{MOVED} Disks in other enclosures have room."


def site_with(mirrors: int = 2, **more: object) -> Site:
    """Harddisk0, 2, 4 lie in array0, the others in array1; the first mirror is on Harddisk0."""
    site = Site(6, **more)  # type: ignore[arg-type]
    site.do(c.CreateVolume(group=site.group(), size=64 * MIB, name="ev", mirrors=mirrors))
    return site


def subdisk_on(site: Site, number: int) -> Subdisk:
    return site.config.subdisks_on(site.disk(number))[0]


def move(site: Site, source: int, target: int) -> c.MoveSubdisks:
    return c.MoveSubdisks(moves=(Move(subdisk_on(site, source).ref, (Target(site.disk(target)),)),))


def test_a_move_that_brings_both_mirrors_together_warns() -> None:
    site = site_with()
    assert site.plan(move(site, 1, 2)).warnings == (MOVED,)
    assert site.plan(move(site, 1, 3)).warnings == ()


def test_an_evacuation_that_brings_both_mirrors_together_warns() -> None:
    site = site_with()
    assert site.plan(c.EvacuateDisk(disk=site.disk(1), targets=(site.disk(4),))).warnings == (MOVED,)
    assert site.plan(c.EvacuateDisk(disk=site.disk(1), targets=(site.disk(5),))).warnings == ()


def test_who_was_together_before_is_not_told_again_and_who_gets_apart_never() -> None:
    site = site_with()
    site.do(move(site, 1, 2))
    assert site.plan(move(site, 2, 4)).warnings == ()
    assert site.plan(move(site, 2, 3)).warnings == ()


def test_a_third_mirror_elsewhere_keeps_the_volume() -> None:
    site = Site(9, enclosures=3)
    site.do(c.CreateVolume(group=site.group(), size=64 * MIB, name="ev", mirrors=3))
    assert site.plan(move(site, 1, 3)).warnings == ()


def test_chosen_disks_for_a_mirror_warn_only_where_others_had_room() -> None:
    site = site_with(mirrors=1)
    add = c.AddMirrors(volume=site.volume("ev").ref, disks=(site.disk(2),))
    assert site.plan(add).warnings == (MADE,)
    assert site.plan(c.AddMirrors(volume=site.volume("ev").ref, disks=(site.disk(1),))).warnings == ()
    assert site.plan(c.AddMirrors(volume=site.volume("ev").ref)).warnings == ()
    alone = site_with(mirrors=1, enclosures=1)
    assert alone.plan(c.AddMirrors(volume=alone.volume("ev").ref)).warnings == ()
    full = site_with(mirrors=1, sizes=(2 * GIB, 64 * MIB))
    assert full.plan(c.AddMirrors(volume=full.volume("ev").ref)).warnings == ()


def test_chosen_disks_for_a_new_volume_warn_as_well() -> None:
    site = Site(6)
    chosen = (site.disk(0), site.disk(2))
    made = c.CreateVolume(group=site.group(), size=64 * MIB, name="ev", mirrors=2, disks=chosen)
    assert site.plan(made).warnings == (MADE,)
    assert site.plan(c.CreateVolume(group=site.group(), size=64 * MIB, name="ev", mirrors=2)).warnings == ()


def survives(config: Config, volume: Volume) -> bool:
    """Whether some mirror is left whichever enclosure fails: tried out, one enclosure after the other."""
    for enclosure in {disk.enclosure for disk in config.disks_of(volume.group)}:
        lost = {disk.ref for disk in config.disks_of(volume.group) if disk.enclosure == enclosure}
        if all(_hit(config, plex, lost) for plex in config.plexes_of(volume.ref)):
            return False
    return True


def _hit(config: Config, plex: Plex, lost: set[object]) -> bool:
    return any(subdisk.disk in lost for subdisk in config.subdisks_of(plex.ref))


@pytest.mark.parametrize("seed", range(25))
def test_a_move_warns_exactly_when_it_takes_the_last_way_out(seed: int) -> None:
    chance = random.Random(seed)
    site = Site(chance.randrange(6, 12), enclosures=chance.randrange(2, 4))
    fields = {"striped": True, "columns": 2} if chance.random() < 0.4 else {}
    site.do(c.CreateVolume(group=site.group(), size=64 * MIB, name="ev", mirrors=2, **fields))  # type: ignore[arg-type]
    for _ in range(12):
        subdisk = chance.choice(site.subdisks("ev"))
        target = chance.choice(site.config.disks_of(site.group()))
        command = c.MoveSubdisks(moves=(Move(subdisk.ref, (Target(target.ref),)),))
        plan, before = site.plan(command), survives(site.config, site.volume("ev"))
        if plan.problems:
            continue
        site.do(command)
        assert site.config.all(Kind.VOLUME, Volume)
        told = any("is lost when" in warning for warning in plan.warnings)
        assert told == (before and not survives(site.config, site.volume("ev")))


def test_columns_of_raid5_that_share_an_enclosure_are_told() -> None:
    made = c.CreateVolume(group=Site(6).group(), size=64 * MIB, name="db", raid5=True, columns=3)
    (warning,) = Site(6).plan(made).warnings
    assert warning == "array0 has several columns of db, which can't be used while it is away."
    assert Site(9, enclosures=1).plan(made).warnings == ()
    apart = Site(9, enclosures=3)
    assert apart.plan(made).warnings == ()
    apart.do(made)
    first = apart.config.subdisks_of(apart.config.plexes_of(apart.volume("db").ref)[0].ref)[0]
    beside = next(disk for disk in map(apart.disk, range(9)) if not apart.config.subdisks_on(disk)
                  and apart.config.disk(disk).enclosure != apart.config.disk(first.disk).enclosure)  # fmt: skip
    moved = apart.plan(c.MoveSubdisks(moves=(Move(first.ref, (Target(beside),)),)))
    assert "several columns of db" in moved.warnings[0]


def test_growth_that_brings_mirrors_together_warns() -> None:
    site = Site(6, sizes=(96 * MIB, 96 * MIB, 512 * MIB, 96 * MIB, 512 * MIB, 96 * MIB))
    chosen = (site.disk(0), site.disk(1))
    site.do(c.CreateVolume(group=site.group(), size=64 * MIB, name="ev", mirrors=2, disks=chosen))
    larger = c.GrowVolume(volume=site.volume("ev").ref, size=256 * MIB)
    assert MOVED in site.plan(larger).warnings


def test_a_new_volume_says_where_its_log_is() -> None:
    site = Site(6)
    made = site.plan(c.CreateVolume(group=site.group(), size=64 * MIB, name="db", raid5=True, columns=3))
    [told] = [step.text for step in made.steps if "RAID-5 log" in step.text]
    site.do(c.CreateVolume(group=site.group(), size=64 * MIB, name="db", raid5=True, columns=3))
    for log in site.config.logs_of(site.volume("db").ref):
        assert all(site.config.disk(piece.disk).name in told for piece in site.config.subdisks_of(log.ref))
    mirrored = c.CreateVolume(group=site.group(), size=64 * MIB, name="ev", mirrors=2)
    assert any(step.text.startswith("Keep the dirty region log in") for step in site.plan(mirrored).steps)
    plain = c.CreateVolume(group=site.group(), size=64 * MIB, name="ev")
    assert not any("log" in step.text for step in site.plan(plain).steps)
