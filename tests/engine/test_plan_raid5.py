"""Plans about RAID-5: where columns and logs lie, what sizes come of it, and what is refused."""

from __future__ import annotations

import pytest

from engine import commands as c
from engine.allocate import Shape, log_disks
from engine.records import PlexLayout
from engine.units import KIB, MIB
from tests.engine.builders import Site


def columns(site: Site, name: str = "r") -> set[object]:
    return {subdisk.disk for plex in site.plexes(name) for subdisk in site.config.subdisks_of(plex.ref)}


def made(disks: int, **choices: object) -> Site:
    site = Site(disks)
    made = c.CreateVolume(group=site.group(), size=60 * MIB, name="r", raid5=True, **choices)  # type: ignore[arg-type]
    site.do(made)
    return site


@pytest.mark.parametrize(("disks", "copies"), [(5, 1), (4, 2)])
def test_a_log_lies_apart_from_the_columns_or_twice_beside_two_of_them(disks: int, copies: int) -> None:
    site = made(disks, columns=4)
    logs = log_disks(site.config, site.volume("r").ref)
    assert len(columns(site)) == 4
    assert len(logs) == copies
    assert logs.isdisjoint(columns(site)) is (copies == 1)


def test_too_few_disks_for_a_log_are_told_as_such() -> None:
    site = Site(3)
    command = c.CreateVolume(group=site.group(), size=c.MAX_SIZE, name="r", raid5=True, log=c.LogType.NONE)
    whole = site.plan(command).task
    assert whole is not None
    command = c.CreateVolume(group=site.group(), size=whole.params.size, name="r", raid5=True)
    assert "no room for a log" in site.plan(command).problems[0].text
    with_log = site.plan(c.CreateVolume(group=site.group(), size=c.MAX_SIZE, name="r", raid5=True)).task
    assert with_log is not None
    assert with_log.params.size < whole.params.size


@pytest.mark.parametrize("count", [3, 4, 5, 8])
@pytest.mark.parametrize("unit", [4 * KIB, 16 * KIB, MIB])
def test_sizes_are_whole_rows(count: int, unit: int) -> None:
    site = Site(count + 1)
    plan = site.plan(c.CreateVolume(group=site.group(), size=31 * MIB, raid5=True, columns=count, stripe_unit=unit))
    assert plan.task is not None
    size = plan.task.params.size
    assert 31 * MIB <= size < 31 * MIB + Shape(PlexLayout.RAID5, count, unit).granule
    assert size % ((count - 1) * unit) == 0
    assert size % MIB == 0


def test_a_log_takes_its_columns_name_and_goes_with_its_volume() -> None:
    site = made(5, columns=4)
    (log,) = site.config.logs_of(site.volume("r").ref)
    assert log.name == "r-02"
    site.do(c.Rename(object=site.volume("r").ref, name="s"))
    (log,) = site.config.logs_of(site.volume("s").ref)
    assert log.name == "s-02"
    site.do(c.DeleteVolumes(volumes=(site.volume("s").ref,)))
    assert not any(site.config.subdisks_on(disk.ref) for disk in site.config.disks_of(site.group()))


def test_what_is_for_mirrors_is_refused() -> None:
    site = made(6, columns=4)
    volume = site.volume("r")
    (plex,) = site.plexes("r")
    (log,) = site.config.logs_of(volume.ref)
    for command in (
        c.AddMirrors(volume=volume.ref),
        c.RemoveMirrors(plexes=(plex.ref,)),
        c.RemoveMirrors(plexes=(log.ref,)),
        c.BreakMirror(plex=plex.ref),
        c.DetachPlex(plex=plex.ref),
        c.DetachPlex(plex=log.ref),
        c.SplitSubdisk(subdisk=site.config.subdisks_of(log.ref)[0].ref, size=MIB),
    ):
        assert site.plan(command).problems, command


def test_a_column_never_moves_to_the_only_log_nor_to_another_column() -> None:
    site = made(5, columns=4)
    (plex,) = site.plexes("r")
    piece = site.config.subdisks_of(plex.ref)[0]
    (place,) = (sd for log in site.config.logs_of(site.volume("r").ref) for sd in site.config.subdisks_of(log.ref))
    to_log = site.plan(c.MoveSubdisks(moves=(c.Move(piece.ref, (c.Target(place.disk),)),)))
    assert "holds the log of r" in to_log.problems[0].text
    to_column = site.plan(c.MoveSubdisks(moves=(c.Move(place.ref, (c.Target(piece.disk),)),)))
    assert "holds a column of r" in to_column.problems[0].text
