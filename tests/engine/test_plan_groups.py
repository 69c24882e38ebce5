"""Plans about disks and disk groups."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from engine import commands as c
from engine.commands import Command
from engine.geometry import geometry
from engine.records import DiskStatus, DiskUsage, GroupState, Kind, Volume
from engine.units import GIB, MIB
from tests.engine.builders import Site, assert_sound


def refusal(site: Site, command: Command) -> str:
    made = site.plan(command)
    assert made.problems
    return made.problems[0].text


def test_a_new_group_initializes_its_disks_and_starts_at_transaction_0() -> None:
    site = Site(1, spare_luns=2)
    made = site.plan(c.CreateGroup(name="dg2", disks=(site.disk(1), site.disk(2))))
    group = next(record for record in made.puts if record.ref.kind is Kind.GROUP)
    assert group.transaction == 0  # type: ignore[union-attr]
    site.apply(made)
    places = geometry(2 * GIB)
    for number in (1, 2):
        disk = site.config.disk(site.disk(number))
        assert (disk.public_offset, disk.public_length) == (places.public_offset, places.public_length)
        assert disk.status is DiskStatus.IMPORTED
        assert disk.free == places.public_length
    assert site.config.group(site.group("dg2")).disks == 2
    site.do(c.decode(made.undo))
    assert site.config.find(Kind.GROUP, "dg2") is None
    assert_sound(site.config)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"content": "ext4 file system"}, "Harddisk2 carries an ext4 file system."),
        ({"content": "partition table"}, "Harddisk2 carries a partition table."),
        ({"present": False}, "Harddisk2 is missing."),
        ({"size": 8 * MIB}, "Harddisk2 is too small: 8 MiB, at least 16 MiB is needed."),
    ],
)
def test_a_disk_that_can_not_be_used_is_told(fields: dict[str, object], said: str) -> None:
    site = Site(2, spare_luns=2)
    site.set(site.disk(2), **fields)
    disks = (site.disk(3), site.disk(2))
    for command in (
        c.CreateGroup(name="dg2", disks=disks),
        c.AddDisks(group=site.group(), disks=disks),
        c.InitDisks(disks=disks),
    ):
        assert refusal(site, command) == said
        if "content" in fields:
            made = site.plan(replace(command, force=True))
            assert not made.problems
            assert made.destroys == (site.disk(2),)
            assert "is lost" in made.irreversible
            assert made.confirm
            assert made.confirm_button


def test_a_disk_of_a_group_joins_no_other() -> None:
    site = Site(2, groups=("dg1", "dg2"))
    assert refusal(site, c.AddDisks(group=site.group(), disks=(site.disk(2),))) == "Harddisk2 belongs to dg2."
    assert refusal(site, c.CreateGroup(name="dg1", disks=(site.disk(0),))) == "There is a group dg1 already."


def test_init_alone_gives_no_space_to_anybody() -> None:
    site = Site(1, spare_luns=1)
    site.do(c.InitDisks(disks=(site.disk(1),)))
    disk = site.config.disk(site.disk(1))
    assert disk.public_length
    assert (disk.free, disk.status) == (0, DiskStatus.ONLINE)
    assert_sound(site.config)


def test_only_empty_disks_leave_and_one_stays() -> None:
    site = Site(3)
    site.do(c.CreateVolume(group=site.group(), size=MIB, name="ev", disks=(site.disk(0),)))
    assert refusal(site, c.RemoveDisks(disks=(site.disk(0),))) == "Harddisk0 holds 1 subdisk of ev."
    site.do(c.DeleteVolumes(volumes=(site.volume("ev").ref,)))
    everything = tuple(site.disk(number) for number in range(3))
    assert "no disk that can keep its configuration" in refusal(site, c.RemoveDisks(disks=everything))
    made = site.do(c.RemoveDisks(disks=everything[:2]))
    assert site.config.group(site.group()).disks == 1
    site.do(c.decode(made.undo))
    assert site.config.group(site.group()).disks == 3


def test_a_missing_empty_disk_is_forgotten() -> None:
    site = Site(3)
    gone = site.disk(1)
    site.set(gone, present=False, lun="")
    assert gone in site.submit(c.RemoveDisks(disks=(gone,))).drops
    assert gone not in site.config


def test_a_group_with_volumes_is_not_destroyed() -> None:
    site = Site(2)
    site.do(c.CreateVolume(group=site.group(), size=MIB, name="ev"))
    assert refusal(site, c.DestroyGroup(group=site.group())) == "dg1 holds 1 volume: ev."
    site.do(c.DeleteVolumes(volumes=(site.volume("ev").ref,)))
    made = site.submit(c.DestroyGroup(group=site.group()))
    assert made.destroys
    assert made.confirm_button == "Destroy Disk Group"
    assert site.config.disk(site.disk(0)).status is DiskStatus.ONLINE
    assert_sound(site.config)


def test_deport_asks_for_clients_and_import_brings_all_back() -> None:
    site = Site(3)
    group = site.group()
    site.do(c.CreateVolume(group=group, size=MIB, name="ev"))
    site.connect(site.volume("ev").ref)
    assert refusal(site, c.DeportGroup(group=group)) == "ev is in use by fio (process 4711)."
    made = site.submit(c.DeportGroup(group=group, force=True))
    assert "1 client will be disconnected: fio (process 4711)." in made.warnings
    assert site.config.disk(site.disk(0)).status is DiskStatus.DEPORTED
    assert refusal(site, c.CreateVolume(group=group, size=MIB)) == "dg1 is deported."
    assert refusal(site, c.DeportGroup(group=group)) == "dg1 is deported."
    site.do(c.decode(made.undo))
    assert site.volume("ev").started
    assert site.config.group(group).state is GroupState.IMPORTED
    assert refusal(site, c.ImportGroup(group=group)) == "dg1 is imported already."


def test_a_running_task_keeps_its_group() -> None:
    site = Site(3)
    site.submit(c.CreateVolume(group=site.group(), size=MIB, name="ev"))
    assert "is running on dg1" in refusal(site, c.DeportGroup(group=site.group(), force=True))


@pytest.mark.parametrize(
    ("present", "force", "said"),
    [
        (4, False, ""),
        (3, False, ""),
        (2, False, "Only 2 of 4 disks of dg1 are there"),
        (2, True, ""),
        (0, True, "All disks of dg1 are missing."),
    ],
)
def test_import_wants_more_than_half_of_the_disks(present: int, force: bool, said: str) -> None:
    site = Site(4)
    site.do(c.DeportGroup(group=site.group()))
    for number in range(present, 4):
        site.set(site.disk(number), present=False)
    made = site.plan(c.ImportGroup(group=site.group(), force=force))
    assert (made.problems[0].text if made.problems else "")[: len(said)] == said
    assert bool(made.problems) == bool(said)
    assert made.irreversible == ("Changes that only the missing disks know are lost." if force and not said else "")


def test_another_hosts_group_is_taken_only_with_its_id_cleared() -> None:
    site = Site(2)
    site.set(site.group(), state=GroupState.FOREIGN, owner="beta")
    assert refusal(site, c.ImportGroup(group=site.group())) == "dg1 is imported by beta."
    made = site.plan(c.ImportGroup(group=site.group(), clear=True, new_name="mine"))
    assert not made.problems
    assert made.confirm == "Take dg1 from beta? If beta still uses it, data is damaged."
    site.apply(made)
    assert site.config.group(site.group("mine")).owner == ""


def test_two_imported_groups_never_share_a_name() -> None:
    site = Site(1, groups=("dg1", "dg2"))
    second = site.group("dg2")
    site.set(second, state=GroupState.DEPORTED, name="dg1")
    assert refusal(site, c.ImportGroup(group=second)) == "There is a group dg1 already."
    assert not site.plan(c.ImportGroup(group=second, new_name="other")).problems


def test_luns_of_an_imported_group_are_not_forgotten() -> None:
    site = Site(2, spare_luns=1)
    site.do(c.CreateVolume(group=site.group(), size=MIB, name="ev"))
    assert "belongs to dg1, which is imported" in refusal(site, c.RemoveLuns(disks=(site.disk(0),)))
    site.do(c.RemoveLuns(disks=(site.disk(2),)))
    site.do(c.DeportGroup(group=site.group()))
    group, disks = site.group(), (site.disk(0), site.disk(1))
    site.do(c.RemoveLuns(disks=disks))
    assert group not in site.config
    assert not site.config.all(Kind.VOLUME, Volume)
    assert_sound(site.config)


@pytest.mark.parametrize("path", ["", " ", "a\0b", "a\nb", "x" * 5000])
def test_nonsense_is_no_path(path: str) -> None:
    assert refusal(Site(1), c.AddLuns(paths=(path,))) == "This is not a path."


def test_a_known_lun_is_not_added_twice() -> None:
    site = Site(1)
    assert refusal(site, c.AddLuns(paths=("/lab/lun0",))) == "/lab/lun0 is Harddisk0 already."
    assert refusal(site, c.AddLuns(paths=())) == "No LUN is named."
    assert not site.plan(c.AddLuns(paths=("/lab/new",))).problems


def test_rescan_is_a_task() -> None:
    made = Site(1).plan(c.Rescan())
    assert made.task is not None
    assert made.task.name == "Rescan"
    assert made.group is None


def test_usage_is_undone_when_all_disks_had_the_same() -> None:
    site = Site(3)
    first, second = site.disk(0), site.disk(1)
    made = site.do(c.SetDiskUsage(disks=(first, second), usage=DiskUsage.SPARE))
    assert c.decode(made.undo) == c.SetDiskUsage(disks=(first, second), usage=DiskUsage.NORMAL)
    site.do(c.SetDiskUsage(disks=(second,), usage=DiskUsage.RESERVED))
    assert site.plan(c.SetDiskUsage(disks=(first, second), usage=DiskUsage.NORMAL)).undo == ""
    assert "have the usage" in refusal(
        site, c.SetDiskUsage(disks=(site.disk(2), site.disk(2)), usage=DiskUsage.NORMAL)
    ).replace("has", "have")


def test_a_renamed_disk_and_volume_take_default_names_along() -> None:
    site = Site(3)
    site.do(c.CreateVolume(group=site.group(), size=MIB, name="ev", mirrors=2))
    site.connect(site.volume("ev").ref)
    made = site.do(c.Rename(object=site.volume("ev").ref, name="data"))
    assert [plex.name for plex in site.plexes("data")] == ["data-01", "data-02"]
    assert "must use the new name" in made.warnings[0]
    site.do(c.Rename(object=site.disk(0), name="fast"))
    assert [subdisk.name for subdisk in site.subdisks("data")] == ["fast-01", "Harddisk1-01"]
    assert refusal(site, c.Rename(object=site.plexes("data")[0].ref, name="x")) == "A plex can't be renamed."
    assert "has this name already" in refusal(site, c.Rename(object=site.group(), name="dg1"))
    assert_sound(site.config)
