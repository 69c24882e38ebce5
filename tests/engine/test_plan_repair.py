"""Repair, replacement, return and undo as plans: what lay on lost disks gets places that keep the rules."""

from __future__ import annotations

from dataclasses import dataclass

import hypothesis
import pytest
from hypothesis import strategies as st

from engine import commands
from engine.config import Edit
from engine.edits.detach import fail_disk, without_disk
from engine.plans import Plan
from engine.records import Disk, DiskUsage, Kind, Origin, PlexState, Ref, TaskType, VolumeStatus
from engine.states import COMPLETE
from engine.units import MIB
from tests.engine.builders import Site, assert_sound

LUN = 160 * MIB


def site_of(disks: int = 6, spare_luns: int = 2) -> Site:
    site = Site(disks, sizes=(LUN,), groups=("dg1",), spare_luns=spare_luns)
    site.do(commands.CreateVolume(group=site.group(), size=24 * MIB, name="ev", mirrors=2))
    return site


def fail(site: Site, disk: Ref) -> None:
    edit = Edit(site.config)
    fail_disk(edit, disk)
    site.config = edit.result()[0]


def lose(site: Site, disk: Ref) -> None:
    site.set(disk, present=False, lun="")
    edit = Edit(site.config)
    without_disk(edit, disk, PlexState.STALE)
    site.config = edit.result()[0]


LOSE = {"failing": fail, "missing": lose}


def refused(made: Plan) -> str:
    assert made.problems
    assert not made.puts
    return made.problems[0].sentences


@pytest.mark.parametrize("how", LOSE)
def test_a_repair_takes_a_spare_first_and_remembers_where_it_was(how: str) -> None:
    site = site_of()
    spare = site.disk(5)
    site.do(commands.SetDiskUsage(disks=(spare,), usage=DiskUsage.SPARE))
    (old, other) = site.subdisks("ev")
    LOSE[how](site, old.disk)
    made = site.do(commands.RepairVolumes(volumes=(site.volume("ev").ref,)))
    moved = site.config.subdisk(old.ref)
    assert (moved.disk, moved.origin) == (spare, Origin(old.disk, old.disk_offset))
    assert site.config.subdisk(other.ref) == other
    assert made.copies_bytes == 24 * MIB
    assert made.task is not None
    assert made.task.type is TaskType.RESYNC
    assert site.volume("ev").status is VolumeStatus.HEALTHY
    assert_sound(site.config)


def test_a_short_spare_is_filled_up_from_normal_disks_and_reserved_ones_give_nothing() -> None:
    site = Site(4, enclosures=1, sizes=(LUN,))
    site.do(commands.CreateVolume(group=site.group(), size=100 * MIB, name="ev", mirrors=2))
    first, second = site.subdisks("ev")
    spare, reserved = [disk for disk in map(site.disk, range(4)) if disk not in (first.disk, second.disk)]
    site.do(commands.CreateVolume(group=site.group(), size=100 * MIB, name="w", disks=(spare,)))
    site.do(commands.SetDiskUsage(disks=(spare,), usage=DiskUsage.SPARE))
    site.do(commands.SetDiskUsage(disks=(reserved,), usage=DiskUsage.RESERVED))
    fail(site, first.disk)
    repair = commands.RepairVolumes(volumes=(site.volume("ev").ref,))
    assert "too little free space" in refused(site.plan(repair))
    site.do(commands.SetDiskUsage(disks=(reserved,), usage=DiskUsage.NORMAL))
    site.do(repair)
    assert {sd.disk for sd in site.subdisks("ev")} == {second.disk, reserved}


def test_preferred_disks_come_after_spares_and_before_normal_ones_and_some_are_never_taken() -> None:
    site = Site(6, enclosures=1, sizes=(LUN,))
    site.do(commands.CreateVolume(group=site.group(), size=24 * MIB, name="ev", mirrors=2))
    old, other = (subdisk.disk for subdisk in site.subdisks("ev"))
    normal, preferred, spare, never = [disk for disk in map(site.disk, range(6)) if disk not in (old, other)]
    site.do(commands.SetDiskUsage(disks=(preferred,), usage=DiskUsage.PREFERRED))
    site.do(commands.SetDiskUsage(disks=(never,), usage=DiskUsage.NO_HOT_USE))
    site.do(commands.SetDiskUsage(disks=(spare,), usage=DiskUsage.SPARE))
    made = site.plan(commands.CreateVolume(group=site.group(), size=24 * MIB, name="w", mirrors=5))
    assert {given.disk for given in made.allocates} == {old, other, normal, preferred, never}
    fail(site, old)
    repair = commands.RepairVolumes(volumes=(site.volume("ev").ref,))
    for expected in (spare, preferred, normal, None):
        made = site.plan(repair)
        assert [given.disk for given in made.allocates] == ([expected] if expected else [])
        if expected:
            site.do(commands.SetDiskUsage(disks=(expected,), usage=DiskUsage.RESERVED))
    assert made.problems


def test_no_place_beside_another_mirror() -> None:
    site = Site(3, enclosures=1, sizes=(LUN,))
    site.do(commands.CreateVolume(group=site.group(), size=24 * MIB, name="ev", mirrors=3))
    fail(site, site.subdisks("ev")[0].disk)
    made = site.plan(commands.RepairVolumes(volumes=(site.volume("ev").ref,)))
    assert "none is without another part of ev" in refused(made)


def test_what_lacks_nothing_and_what_has_no_other_copy_is_not_repaired() -> None:
    site = site_of()
    assert "lacks nothing" in refused(site.plan(commands.RepairVolumes(volumes=(site.volume("ev").ref,))))
    site.do(commands.CreateVolume(group=site.group(), size=8 * MIB, name="one"))
    fail(site, site.subdisks("one")[0].disk)
    assert "Evacuate" in refused(site.plan(commands.RepairVolumes(volumes=(site.volume("one").ref,))))


def test_a_mirror_that_was_completed_beside_a_failing_one_takes_its_place() -> None:
    """The last complete mirror fails: it serves on; once another one is complete, it is made anew elsewhere."""
    site = site_of()
    first, second = site.plexes("ev")
    site.set(first.ref, state=PlexState.STALE)
    disk = site.config.subdisks_of(second.ref)[0].disk
    fail(site, disk)
    assert site.config.plex(second.ref).state in COMPLETE
    site.do(commands.ResyncVolume(volume=site.volume("ev").ref))
    site.do(commands.RepairVolumes(volumes=(site.volume("ev").ref,)))
    assert disk not in {sd.disk for sd in site.subdisks("ev")}
    assert site.volume("ev").status is VolumeStatus.HEALTHY


def test_several_volumes_are_filled_by_a_task_each() -> None:
    site = site_of()
    disk = site.subdisks("ev")[0].disk
    far = next(one for one in map(site.disk, range(6)) if one not in {sd.disk for sd in site.subdisks("ev")})
    site.do(commands.CreateVolume(group=site.group(), size=8 * MIB, name="w", mirrors=2, disks=(disk, far)))
    fail(site, disk)
    both = tuple(site.volume(name).ref for name in ("ev", "w"))
    made = site.do(commands.RepairVolumes(volumes=both))
    assert made.task is not None
    assert [task.params.volume for task in (made.task, *made.also)] == list(both)
    assert {site.volume(name).status for name in ("ev", "w")} == {VolumeStatus.HEALTHY}


@pytest.mark.parametrize("how", LOSE)
def test_a_replaced_disk_keeps_name_usage_and_subdisks_under_a_new_identity(how: str) -> None:
    site = site_of()
    old, by = site.subdisks("ev")[0], site.disk(6)
    before = site.config.disk(old.disk)
    LOSE[how](site, old.disk)
    made = site.do(commands.ReplaceDisk(disk=old.disk, by=by))
    assert made.confirm
    fresh = site.config.disk(by)
    assert (fresh.name, fresh.usage, fresh.group) == (before.name, before.usage, before.group)
    here = site.config.subdisk(old.ref)
    assert (here.disk, here.disk_offset, here.name) == (by, old.disk_offset, old.name)
    assert site.volume("ev").status is VolumeStatus.HEALTHY
    gone = site.config.get(old.disk)
    assert (gone is None) == (how == "missing")
    assert gone is None or (gone.group, gone.name) == (None, "Harddisk6")
    assert_sound(site.config)


def test_a_replacement_of_another_size_shifts_every_subdisk_with_the_public_region() -> None:
    site = Site(4, sizes=(LUN, LUN, LUN, LUN, 640 * MIB), spare_luns=1)
    site.do(commands.CreateVolume(group=site.group(), size=24 * MIB, name="ev", mirrors=2))
    old = site.subdisks("ev")[0]
    before = site.config.disk(old.disk)
    lose(site, old.disk)
    by = site.disk(4)
    site.do(commands.ReplaceDisk(disk=old.disk, by=by))
    fresh, here = site.config.disk(by), site.config.subdisk(old.ref)
    assert fresh.public_offset > before.public_offset
    assert here.disk_offset - fresh.public_offset == old.disk_offset - before.public_offset
    assert_sound(site.config)


def test_a_replacement_that_is_too_small_or_would_lose_the_last_copy_is_refused() -> None:
    site = Site(4, sizes=(LUN, LUN, LUN, LUN, 32 * MIB, LUN), spare_luns=2)
    site.do(commands.CreateVolume(group=site.group(), size=100 * MIB, name="ev", mirrors=2))
    old = site.subdisks("ev")[0]
    assert "neither missing nor failing" in refused(site.plan(commands.ReplaceDisk(disk=old.disk, by=site.disk(5))))
    fail(site, old.disk)
    assert "too small" in refused(site.plan(commands.ReplaceDisk(disk=old.disk, by=site.disk(4))))
    site.do(commands.CreateVolume(group=site.group(), size=8 * MIB, name="one", disks=(old.disk,)))
    made = site.plan(commands.ReplaceDisk(disk=old.disk, by=site.disk(5)))
    assert "only complete copy of one" in refused(made)


@pytest.mark.parametrize("how", LOSE)
def test_words_fit_the_layout(how: str) -> None:
    """RAID-5 has columns, not copies; what stands on another disk from now on is given up, not overwritten."""
    site = Site(6, sizes=(LUN,), groups=("dg1",), spare_luns=1)
    site.do(commands.CreateVolume(group=site.group(), size=24 * MIB, name="db", raid5=True, columns=4))
    old = site.subdisks("db")[0]
    name = site.config.disk(old.disk).name
    LOSE[how](site, old.disk)
    for made in (
        site.plan(commands.RepairVolumes(volumes=(site.volume("db").ref,))),
        site.plan(commands.ReplaceDisk(disk=old.disk, by=site.disk(6))),
    ):
        told = "\n".join((made.redundancy, made.irreversible, *(f"{s.text} {s.meanwhile}" for s in made.steps)))
        assert "cop" not in told
        assert "mirror" not in told
        assert "another column until the rebuild has ended" in made.redundancy
        assert made.irreversible == f"What db has on {name} is given up."
        assert "can be undone" not in told


def test_what_is_filled_where_it_lies_is_overwritten() -> None:
    site = site_of()
    old = site.subdisks("ev")[0]
    fail(site, old.disk)
    made = site.plan(commands.ReactivateDisk(disk=old.disk))
    assert made.irreversible == f"What ev has on {site.config.disk(old.disk).name} now is overwritten."
    assert made.redundancy == "ev has 1 complete copy until the copy has ended."


def test_a_disk_that_is_back_is_reactivated_not_replaced() -> None:
    site = site_of()
    old = site.subdisks("ev")[0].disk
    lose(site, old)
    site.set(old, present=True, lun="/lab/back")
    assert "Reactivate Disk" in refused(site.plan(commands.ReplaceDisk(disk=old, by=site.disk(6))))


def test_undo_brings_everything_home_and_forgets_where_it_was() -> None:
    site = site_of()
    old = site.subdisks("ev")[0]
    fail(site, old.disk)
    site.do(commands.RepairVolumes(volumes=(site.volume("ev").ref,)))
    assert "failing" in refused(site.plan(commands.UndoRelocation(disk=old.disk)))
    site.do(commands.ReactivateDisk(disk=old.disk))
    site.do(commands.UndoRelocation(disk=old.disk))
    here = site.config.subdisk(old.ref)
    assert (here.disk, here.disk_offset, here.origin) == (old.disk, old.disk_offset, None)
    assert "Nothing was relocated" in refused(site.plan(commands.UndoRelocation(disk=old.disk)))


def test_what_was_relocated_and_then_cut_or_joined_finds_home_still() -> None:
    site = site_of()
    old = site.subdisks("ev")[0]
    fail(site, old.disk)
    site.do(commands.RepairVolumes(volumes=(site.volume("ev").ref,)))
    site.do(commands.ReactivateDisk(disk=old.disk))
    site.do(commands.SplitSubdisk(subdisk=old.ref, size=8 * MIB))
    first, second = site.config.subdisks_of(old.plex)
    assert second.origin == Origin(old.disk, old.disk_offset + 8 * MIB)
    site.do(commands.JoinSubdisks(first=first.ref, second=second.ref))
    assert site.config.subdisk(old.ref).origin == Origin(old.disk, old.disk_offset)
    site.do(commands.SplitSubdisk(subdisk=old.ref, size=8 * MIB))
    site.do(commands.UndoRelocation(disk=old.disk))
    places = [(sd.disk, sd.disk_offset) for sd in site.config.subdisks_of(old.plex)]
    assert places == [(old.disk, old.disk_offset), (old.disk, old.disk_offset + 8 * MIB)]


def test_a_disk_returns_with_all_that_lacks_nothing_else() -> None:
    site = site_of()
    first, second = site.subdisks("ev")
    fail(site, first.disk)
    made = site.do(commands.ReactivateDisk(disk=first.disk))
    assert made.task is not None
    assert not site.config.disk(first.disk).failing
    assert site.volume("ev").status is VolumeStatus.HEALTHY
    assert "in service" in refused(site.plan(commands.ReactivateDisk(disk=first.disk)))
    lose(site, second.disk)
    assert "is missing" in refused(site.plan(commands.ReactivateDisk(disk=second.disk)))


def test_two_columns_of_a_striped_mirror_on_two_lost_disks_return_only_with_the_second() -> None:
    site = Site(6, sizes=(LUN,))
    site.do(commands.CreateVolume(group=site.group(), size=16 * MIB, name="sm", mirrors=2, striped=True, columns=2))
    first, second = site.config.subdisks_of(site.plexes("sm")[0].ref)
    fail(site, first.disk)
    fail(site, second.disk)
    assert site.do(commands.ReactivateDisk(disk=first.disk)).task is None
    assert site.do(commands.ReactivateDisk(disk=second.disk)).task is not None
    assert site.volume("sm").status is VolumeStatus.HEALTHY


@dataclass
class _World:
    site: Site
    data: st.DataObject

    def mishap(self) -> None:
        disks = self.site.config.disks_of(self.site.group())
        disk = self.data.draw(st.sampled_from(disks))
        LOSE[self.data.draw(st.sampled_from(sorted(LOSE)))](self.site, disk.ref)

    def command(self) -> commands.Command:
        config = self.site.config
        disks = [disk.ref for disk in config.disks_of(self.site.group())]
        volumes = [volume.ref for volume in config.volumes_of(self.site.group())]
        free = [disk.ref for disk in config.all(Kind.DISK, Disk) if disk.group is None]
        drawn = st.one_of(
            st.builds(commands.ReactivateDisk, disk=st.sampled_from(disks)),
            st.builds(commands.RepairVolumes, volumes=st.lists(st.sampled_from(volumes), min_size=1).map(tuple)),
            st.builds(commands.UndoRelocation, disk=st.sampled_from(disks)),
            st.builds(commands.ReplaceDisk, disk=st.sampled_from(disks), by=st.sampled_from(free or disks)),
            st.builds(commands.ResyncVolume, volume=st.sampled_from(volumes)),
            st.builds(
                commands.SetDiskUsage,
                disks=st.sampled_from(disks).map(lambda disk: (disk,)),
                usage=st.sampled_from(list(DiskUsage)),
            ),
        )
        return self.data.draw(drawn)


@hypothesis.settings(max_examples=60, deadline=None)
@hypothesis.given(st.data())
def test_whatever_is_lost_and_asked_for_no_complete_mirror_is_given_up_and_a_repair_repairs(
    data: st.DataObject,
) -> None:
    site = site_of(7)
    site.do(commands.CreateVolume(group=site.group(), size=16 * MIB, name="sm", mirrors=2, striped=True, columns=2))
    site.do(commands.CreateVolume(group=site.group(), size=8 * MIB, name="one"))
    world = _World(site, data)
    for _ in range(data.draw(st.integers(1, 8))):
        if data.draw(st.booleans()):
            world.mishap()
        command = world.command()
        made = site.plan(command)
        if made.problems:
            refused(made)
            continue
        sources = {volume.ref: volume.copies for volume in site.config.volumes_of(site.group())}
        site.apply(made)
        for volume in site.config.volumes_of(site.group()):
            assert volume.copies or not sources[volume.ref]
        site.finish()
        assert_sound(site.config)
        if isinstance(command, commands.RepairVolumes):
            repaired = {site.config.volume(ref).status for ref in command.volumes}
            assert repaired <= {VolumeStatus.HEALTHY, VolumeStatus.AT_RISK}, repaired
