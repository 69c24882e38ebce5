"""Plans about volumes, mirrors, subdisks and tasks: what they tell, and what they leave."""

from __future__ import annotations

import pytest

from engine import commands as c
from engine.commands import Command, Move, Target
from engine.records import Alert, Kind, PlexState, Severity, TaskState, TaskType, VolumeStatus
from engine.units import GIB, MIB
from tests.engine.builders import Site, assert_sound, placement


def refusal(site: Site, command: Command) -> str:
    made = site.plan(command)
    assert made.problems
    return made.problems[0].text


def mirrored(disks: int = 6, **more: object) -> Site:
    site = Site(disks, **more)  # type: ignore[arg-type]
    site.do(c.CreateVolume(group=site.group(), size=64 * MIB, name="ev", mirrors=2))
    return site


# --- create, grow, delete ---
def test_a_new_volume_shows_nothing_until_it_is_zeroed() -> None:
    site = Site(4)
    made = site.submit(c.CreateVolume(group=site.group(), size=10 * MIB + 1, mirrors=2))
    volume = site.volume("Volume1")
    assert (volume.size, volume.status) == (0, VolumeStatus.INITIALIZING)
    assert [plex.state for plex in site.plexes("Volume1")] == [PlexState.EMPTY] * 2
    assert made.task is not None
    assert made.task.type is TaskType.CREATE_VOLUME
    assert made.task.params.size == 11 * MIB
    assert made.zeroes_bytes == made.task.bytes_total == 22 * MIB
    assert made.warnings == ("The size is rounded up from 10,485,761 bytes to 11 MiB.",)
    assert (made.basis, made.group) == (1, site.group())
    site.finish()
    assert site.volume("Volume1").status is VolumeStatus.HEALTHY
    assert [plex.name for plex in site.plexes("Volume1")] == ["Volume1-01", "Volume1-02"]
    assert [subdisk.name for subdisk in site.subdisks("Volume1")] == ["Harddisk0-01", "Harddisk1-01"]


def test_default_names_fill_gaps() -> None:
    site = Site(4)
    for _ in range(3):
        site.do(c.CreateVolume(group=site.group(), size=MIB))
    site.do(c.DeleteVolumes(volumes=(site.volume("Volume2").ref,)))
    site.do(c.CreateVolume(group=site.group(), size=MIB))
    assert site.volume("Volume2")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"size": -5}, "makes no sense"),
        ({"size": 1 << 61}, "more than any volume"),
        ({"size": 100 * GIB}, "There is no room for 100.0 GiB"),
        ({"name": "ev"}, "There is a volume ev in dg1 already."),
        ({"name": "x/y"}, "“/”"),
        ({"mirrors": 33}, "33 mirrors are more than the 32"),
        ({"mirrors": 0}, "0 mirrors make no sense."),
        ({"mirrors": 7}, "7 disks with free space are needed; 6 can be used."),
        ({"columns": 3}, "Only a striped volume has columns."),
        ({"striped": True, "columns": 1}, "1 column is not possible"),
        ({"striped": True, "columns": 7}, "7 disks with free space are needed; 6 can be used."),
        ({"striped": True, "stripe_unit": 3000}, "3,000 bytes is not possible"),
    ],
)
def test_a_nonsensical_volume_is_refused(fields: dict[str, object], said: str) -> None:
    site = mirrored()
    command = c.CreateVolume(**{"group": site.group(), "size": MIB, **fields})  # type: ignore[arg-type]
    assert said in refusal(site, command)


def test_force_lets_mirrors_share_a_disk() -> None:
    site = Site(1)
    command = c.CreateVolume(group=site.group(), size=MIB, name="v", mirrors=2, force=True)
    site.do(command)
    assert len({subdisk.disk for subdisk in site.subdisks("v")}) == 1
    assert_sound(site.config, shared_disks=True)


def test_growing_within_the_last_row_needs_no_space_but_zeroes_what_becomes_visible() -> None:
    site = Site(4)
    site.do(c.CreateVolume(group=site.group(), size=5 * MIB, name="st", striped=True, mirrors=2))
    made = site.submit(c.GrowVolume(volume=site.volume("st").ref, size=6 * MIB))
    assert made.allocates == ()
    assert made.zeroes_bytes == 2 * MIB
    site.finish()
    assert site.volume("st").size == 6 * MIB


def test_a_volume_does_not_shrink_and_does_not_grow_while_a_mirror_is_stale() -> None:
    site = mirrored()
    volume = site.volume("ev").ref
    assert refusal(site, c.GrowVolume(volume=volume, size=32 * MIB)) == "ev has 64 MiB already."
    site.set(site.plexes("ev")[1].ref, state=PlexState.STALE)
    assert refusal(site, c.GrowVolume(volume=volume, size=GIB)) == "ev-02 is not complete."


def test_deleting_tells_what_is_lost_and_asks_when_in_use() -> None:
    site = mirrored()
    volume = site.volume("ev").ref
    site.connect(volume)
    assert "in use by fio" in refusal(site, c.DeleteVolumes(volumes=(volume,)))
    made = site.submit(c.DeleteVolumes(volumes=(volume,), force=True))
    assert made.destroys == (volume,)
    assert made.confirm == "Delete Volume ev? All data of ev (64 MiB) is lost and cannot be had back."
    assert made.confirm_button == "Delete Volume"
    assert sum(freed.length for freed in made.frees) == 128 * MIB
    assert placement(site.config) == {}
    assert_sound(site.config)


def test_several_volumes_are_deleted_as_one_but_not_across_groups() -> None:
    site = Site(2, groups=("dg1", "dg2"))
    for group, name in (("dg1", "a"), ("dg1", "b"), ("dg2", "c")):
        site.do(c.CreateVolume(group=site.group(group), size=MIB, name=name))
    refs = {name: site.volume(name).ref for name in "abc"}
    assert site.plan(c.DeleteVolumes(volumes=(refs["a"], refs["b"]))).confirm_button == "Delete 2 Volumes"
    assert "belong to dg1 and dg2" in refusal(site, c.DeleteVolumes(volumes=tuple(refs.values())))


def test_stop_is_refused_while_somebody_is_connected_and_is_undone_by_start() -> None:
    site = mirrored()
    volume = site.volume("ev").ref
    site.connect(volume)
    assert "in use by fio" in refusal(site, c.StopVolumes(volumes=(volume,)))
    made = site.do(c.StopVolumes(volumes=(volume,), force=True))
    assert site.volume("ev").status is VolumeStatus.STOPPED
    assert refusal(site, c.StopVolumes(volumes=(volume,), force=True)) == "ev is stopped already."
    site.do(c.decode(made.undo))
    assert site.volume("ev").started


# --- mirrors ---
def test_a_new_mirror_fills_and_says_what_it_copies() -> None:
    site = mirrored()
    made = site.submit(c.AddMirrors(volume=site.volume("ev").ref, count=2))
    assert made.copies_bytes == 128 * MIB
    assert site.volume("ev").status is VolumeStatus.RESYNCHING
    assert site.volume("ev").copies == 2
    site.finish()
    assert site.volume("ev").copies == 4
    assert_sound(site.config)


def test_a_mirror_on_the_disk_of_the_other_is_refused() -> None:
    site = mirrored()
    command = c.AddMirrors(volume=site.volume("ev").ref, disks=(site.disk(0),))
    assert refusal(site, command) == "Harddisk0 holds a mirror of ev already."


def test_mirrors_across_enclosures_need_another_enclosure() -> None:
    site = mirrored(6, enclosures=2)
    volume = site.volume("ev").ref
    assert site.plan(c.AddMirrors(volume=volume, across_enclosures=True)).problems
    assert not site.plan(c.AddMirrors(volume=volume)).problems


def test_a_broken_mirror_is_a_volume_of_its_own() -> None:
    site = mirrored()
    second = site.plexes("ev")[1]
    site.set(site.volume("ev").ref, preferred=second.ref)
    site.do(c.BreakMirror(plex=second.ref, name="copy"))
    assert site.volume("ev").preferred is None
    assert [plex.name for plex in site.plexes("copy")] == ["copy-01"]
    assert (site.volume("copy").size, site.volume("copy").copies, site.volume("ev").copies) == (64 * MIB, 1, 1)
    assert "only mirror" in refusal(site, c.BreakMirror(plex=site.plexes("ev")[0].ref))
    assert_sound(site.config)


def test_the_last_mirror_is_neither_removed_nor_detached() -> None:
    site = mirrored()
    first, second = site.plexes("ev")
    site.do(c.DetachPlex(plex=second.ref))
    assert "last complete mirror of ev" in refusal(site, c.DetachPlex(plex=first.ref))
    assert "last complete mirror of ev" in refusal(site, c.RemoveMirrors(plexes=(first.ref,)))
    assert refusal(site, c.DetachPlex(plex=second.ref)) == "ev-02 is detached already."
    assert refusal(site, c.AttachPlex(plex=first.ref)) == "ev-01 is attached already."
    site.do(c.AttachPlex(plex=second.ref))
    assert site.volume("ev").copies == 2


def test_resync_fills_what_is_left_out_and_else_names_a_source() -> None:
    site = mirrored()
    volume = site.volume("ev").ref
    first, second = site.plexes("ev")
    site.set(first.ref, state=PlexState.IOFAIL)
    made = site.submit(c.ResyncVolume(volume=volume))
    assert made.task is not None
    assert made.task.params.plexes == (first.ref,)
    assert site.volume("ev").source is None
    site.finish()
    made = site.submit(c.ResyncVolume(volume=volume))
    assert site.volume("ev").source == first.ref
    assert made.task is not None
    assert made.task.params.plexes == (second.ref,)
    assert made.copies_bytes == 64 * MIB
    site.finish()
    site.do(c.SetVolumeUsage(volume=volume, preferred=second.ref))
    site.submit(c.ResyncVolume(volume=volume))
    assert site.volume("ev").source == second.ref


def test_resync_of_a_mirror_on_a_missing_disk_says_so() -> None:
    site = mirrored()
    site.set(site.plexes("ev")[1].ref, state=PlexState.STALE)
    site.set(site.subdisks("ev")[1].disk, present=False)
    assert refusal(site, c.ResyncVolume(volume=site.volume("ev").ref)) == "Harddisk1 is missing."
    assert refusal(site, c.AttachPlex(plex=site.plexes("ev")[1].ref)) == "Harddisk1 is missing."


def test_one_mirror_can_not_be_resynchronized_or_preferred() -> None:
    site = Site(2)
    site.do(c.CreateVolume(group=site.group(), size=MIB, name="v"))
    volume, plex = site.volume("v").ref, site.plexes("v")[0].ref
    assert refusal(site, c.ResyncVolume(volume=volume)) == "v has one mirror only."
    assert refusal(site, c.SetVolumeUsage(volume=volume, preferred=plex)) == "v has one mirror only."


def test_a_plex_of_another_volume_is_not_preferred() -> None:
    site = mirrored()
    site.do(c.CreateVolume(group=site.group(), size=MIB, name="w", mirrors=2))
    command = c.SetVolumeUsage(volume=site.volume("ev").ref, preferred=site.plexes("w")[0].ref)
    assert refusal(site, command) == "w-01 is no mirror of ev."


def test_verify_reads_and_changes_nothing_but_not_in_doubt() -> None:
    site = mirrored()
    made = site.plan(c.VerifyVolume(volume=site.volume("ev").ref))
    assert made.task is not None
    assert made.puts == ()
    assert made.copies_bytes == made.zeroes_bytes == 0
    site.set(site.volume("ev").ref, source=site.plexes("ev")[0].ref)
    assert "not known to be equal" in refusal(site, c.VerifyVolume(volume=site.volume("ev").ref))


# --- moves ---
def test_a_move_keeps_the_record_and_frees_the_old_place() -> None:
    site = mirrored()
    old = site.subdisks("ev")[0]
    made = site.submit(c.MoveSubdisks(moves=(Move(old.ref, (Target(site.disk(2), 100 * MIB),)),)))
    assert made.task is not None
    assert made.task.name == "Move Harddisk0-01 to Harddisk2"
    (target,) = site.config.replacements_of(old.ref)
    assert (target.name, target.disk_offset, target.plex_offset) == ("Harddisk2-01", 100 * MIB, old.plex_offset)
    assert [(freed.disk, freed.offset, freed.length) for freed in made.frees] == [
        (old.disk, old.disk_offset, old.length)
    ]
    site.finish()
    moved = site.config.subdisk(old.ref)
    assert (moved.name, moved.disk, moved.disk_offset) == ("Harddisk2-01", site.disk(2), 100 * MIB)
    site.do(c.decode(made.undo))
    assert site.config.subdisk(old.ref) == old


def test_a_move_to_several_places_is_undone_as_a_whole() -> None:
    site = mirrored()
    old, places = site.subdisks("ev")[0], placement(site.config)
    targets = (Target(site.disk(2), -1, 24 * MIB), Target(site.disk(4)))
    made = site.do(c.MoveSubdisks(moves=(Move(old.ref, targets),)))
    assert "Harddisk0-01 will be in 2 pieces." in made.warnings
    assert [piece.length for piece in site.subdisks("ev")[:2]] == [24 * MIB, 40 * MIB]
    assert_sound(site.config)
    site.do(c.decode(made.undo))
    assert placement(site.config) == places


def test_too_many_places_or_too_short_ones_are_refused() -> None:
    site = mirrored()
    old = site.subdisks("ev")[0].ref
    many = (Target(site.disk(2)), Target(site.disk(4)))
    assert "fewer places" in refusal(site, c.MoveSubdisks(moves=(Move(old, many),)))
    short = (Target(site.disk(2), -1, 8 * MIB),)
    assert "hold 8 MiB of the 64 MiB of Harddisk0-01" in refusal(site, c.MoveSubdisks(moves=(Move(old, short),)))
    odd = (Target(site.disk(2), -1, 1000),)
    assert "can't have these numbers" in refusal(site, c.MoveSubdisks(moves=(Move(old, odd),)))


def test_a_move_within_the_disk_goes_where_it_was_told() -> None:
    site = mirrored()
    old = site.subdisks("ev")[0]
    site.do(c.MoveSubdisks(moves=(Move(old.ref, (Target(old.disk, old.disk_offset + 64 * MIB),)),)))
    assert site.config.subdisk(old.ref).disk_offset == old.disk_offset + 64 * MIB
    overlapping = (Target(old.disk, old.disk_offset + 32 * MIB),)
    assert "too little free space" in refusal(site, c.MoveSubdisks(moves=(Move(old.ref, overlapping),)))


def test_an_evacuated_disk_is_empty_and_nothing_is_lost() -> None:
    site = mirrored()
    site.do(c.CreateVolume(group=site.group(), size=96 * MIB, name="st", striped=True))
    places = placement(site.config)
    made = site.do(c.EvacuateDisk(disk=site.disk(0)))
    assert site.config.subdisks_on(site.disk(0)) == []
    assert made.copies_bytes == 112 * MIB
    assert_sound(site.config)
    assert not site.plan(c.RemoveDisks(disks=(site.disk(0),))).problems
    site.do(c.decode(made.undo))
    assert placement(site.config) == places


def test_an_evacuation_says_why_nothing_takes_the_pieces() -> None:
    site = mirrored(2)
    assert refusal(site, c.EvacuateDisk(disk=site.disk(0))) == "Harddisk1 holds the other mirror of ev."
    site = mirrored(3)
    site.set(site.disk(2), present=False)
    command = c.EvacuateDisk(disk=site.disk(0), targets=(site.disk(2),))
    assert refusal(site, command) == "Harddisk2 is missing."
    assert "to itself" in refusal(site, c.EvacuateDisk(disk=site.disk(0), targets=(site.disk(0),)))
    assert "holds no subdisk" in refusal(site, c.EvacuateDisk(disk=site.disk(2)))


def test_a_stale_piece_moves_without_a_copy() -> None:
    site = mirrored()
    old = site.subdisks("ev")[1]
    site.set(site.plexes("ev")[1].ref, state=PlexState.IOFAIL)
    made = site.plan(c.MoveSubdisks(moves=(Move(old.ref),)))
    assert not made.problems
    assert made.copies_bytes == 0


# --- split and join ---
def test_split_and_join_move_nothing() -> None:
    site = mirrored()
    old = site.subdisks("ev")[0]
    places = placement(site.config)
    made = site.do(c.SplitSubdisk(subdisk=old.ref, size=10 * MIB + 1))
    first, second = site.subdisks("ev")[:2]
    assert (first.ref, first.length, second.name) == (old.ref, 11 * MIB, "Harddisk0-02")
    assert placement(site.config) == places
    site.do(c.decode(made.undo))
    assert site.subdisks("ev")[0] == old
    assert "can't have 64 MiB" in refusal(site, c.SplitSubdisk(subdisk=old.ref, size=64 * MIB))


# --- tasks and alerts ---
def test_a_task_is_paused_resumed_throttled_and_aborted_while_it_lives() -> None:
    site = mirrored()
    made = site.submit(c.AddMirrors(volume=site.volume("ev").ref))
    assert made.task is not None
    task = made.task.ref
    assert "not paused" in refusal(site, c.ResumeTask(task=task))
    site.apply(site.plan(c.PauseTask(task=task)))
    assert site.config.task(task).paused
    assert "paused already" in refusal(site, c.PauseTask(task=task))
    site.apply(site.plan(c.ThrottleTask(task=task, iodelay_ms=10)))
    assert site.config.task(task).iodelay_ms == 10
    assert "70000 ms is not possible" in refusal(site, c.ThrottleTask(task=task, iodelay_ms=70_000))
    aborting = site.plan(c.AbortTask(task=task))
    assert aborting.puts == ()
    assert "new mirror is removed again" in aborting.confirm
    assert "has not ended" in refusal(site, c.ClearTasks(tasks=(task,)))
    site.finish()
    for command in (c.PauseTask(task=task), c.AbortTask(task=task), c.ThrottleTask(task=task, iodelay_ms=0)):
        assert "ended already" in refusal(site, command)
    site.apply(site.plan(c.ClearTasks(tasks=(task,))))
    assert site.config.task(task).cleared


def test_clearing_all_tasks_leaves_the_living() -> None:
    site = mirrored()
    made = site.submit(c.AddMirrors(volume=site.volume("ev").ref))
    site.apply(site.plan(c.ClearTasks()))
    assert made.task is not None
    listed = [task.state for task in site.config.tasks_of(site.group()) if not task.cleared]
    assert listed == [TaskState.RUNNING]


def test_alerts_are_taken_off_one_by_one_or_all() -> None:
    site = Site(1)
    alerts = [
        Alert(ref=site.ids(Kind.ALERT), name="A disk failed.", severity=Severity.ERROR, time=1.0) for _ in range(3)
    ]
    site.edit(*alerts)
    site.apply(site.plan(c.AcknowledgeAlerts(alerts=(alerts[0].ref,))))
    assert [alert.acknowledged for alert in site.config.all(Kind.ALERT, Alert)].count(False) == 2
    site.apply(site.plan(c.AcknowledgeAlerts()))
    assert all(alert.acknowledged for alert in site.config.all(Kind.ALERT, Alert))
