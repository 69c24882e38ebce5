"""Configurations that are saved before they change, and what comes back from them: never anything that is not known."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from engine.commands import (
    AddSchedule,
    BreakMirror,
    ChangeSettings,
    CreateVolume,
    DeleteVolumes,
    GrowVolume,
    ImportGroup,
    Move,
    MoveSubdisks,
    RemoveMirrors,
    RemoveSchedules,
    Rename,
    RestoreConfiguration,
    ResyncVolume,
    SetDiskUsage,
    ShrinkVolume,
    SplitGroup,
    StartVolumes,
    StopVolumes,
)
from engine.errors import CommandRejected, MetadataError
from engine.records import Alert, Backup, DiskUsage, Kind, Pattern, PlexState, Quiesce, Ref, Schedule, Volume
from engine.state_folder.config_backup import BackupShelf
from engine.states import COMPLETE
from engine.units import MIB
from tests.engine.engine_lab import EngineLab, lab_fixture
from tests.engine.test_engine_life import pattern

lab = lab_fixture()


def backups(lab: EngineLab) -> list[Backup]:
    return sorted(lab.config.all(Kind.BACKUP, Backup), key=lambda backup: backup.number)


def folder(lab: EngineLab) -> Path:
    return lab.folder / lab.host / "state" / "backups"


def restore(lab: EngineLab, backup: Backup | None = None) -> RestoreConfiguration:
    return RestoreConfiguration(group=lab.group().ref, backup=(backup or backups(lab)[-1]).ref)


# --- when one is made ---
def test_the_first_change_and_each_destructive_one_save_what_was(lab: EngineLab) -> None:
    lab.make_volume()
    (first,) = backups(lab)
    assert (first.group_name, first.volumes, first.disks, first.reason) == ("dg", 0, 4, "Create Volume v in dg")
    lab.do(Rename(object=lab.volume().ref, name="w"))
    assert len(backups(lab)) == 1
    lab.do(DeleteVolumes(volumes=(lab.volume("w").ref,)))
    assert [backup.volumes for backup in backups(lab)] == [0, 1]
    assert backups(lab)[-1].reason == "Delete Volume w"


def test_after_a_minute_any_change_saves_what_was(lab: EngineLab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.make_volume()
    now = lab.engine.runtime.now
    monkeypatch.setattr(lab.engine.runtime, "now", lambda: now() + 61)
    lab.do(Rename(object=lab.volume().ref, name="w"))
    assert len(backups(lab)) == 2


def test_nothing_is_saved_twice(lab: EngineLab) -> None:
    lab.make_volume()
    volume = lab.volume().ref
    with pytest.raises(CommandRejected):
        lab.engine.submit(ShrinkVolume(volume=volume, size=48 * MIB))
    lab.restart()
    lab.do(StopVolumes(volumes=(volume,)))
    saved = len(backups(lab))
    lab.restart()
    lab.do(StartVolumes(volumes=(volume,)))
    assert len(backups(lab)) == saved + 1
    lab.do(StopVolumes(volumes=(volume,)))
    lab.restart()
    lab.do(StartVolumes(volumes=(volume,)))
    assert len({(backup.transaction, backup.number) for backup in backups(lab)}) == len(backups(lab))


def test_they_are_listed_again_after_a_start_and_the_oldest_go(lab: EngineLab) -> None:
    lab.do(ChangeSettings(backups_kept=3))
    for number in range(6):
        lab.make_volume(f"v{number}", size=MIB)
        lab.do(DeleteVolumes(volumes=(lab.volume(f"v{number}").ref,)))
    kept = backups(lab)
    assert len(kept) == 3
    assert len(list(folder(lab).glob("*/*.backup"))) == 3
    lab.restart()
    assert backups(lab) == kept


def test_a_full_state_folder_keeps_no_change_from_being_made(lab: EngineLab, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: BackupShelf, *rest: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(BackupShelf, "save", full)
    lab.make_volume(size=MIB)
    lab.do(DeleteVolumes(volumes=(lab.volume().ref,)))
    told = [alert for alert in lab.config.all(Kind.ALERT, Alert) if "could not be backed up" in alert.name]
    assert len(told) == 1


@pytest.mark.allow_log("can't be used")
def test_a_damaged_file_is_never_believed(lab: EngineLab, seed: int) -> None:
    dice = random.Random(seed)
    lab.make_volume()
    lab.do(DeleteVolumes(volumes=(lab.volume().ref,)))
    backup = backups(lab)[-1]
    path = folder(lab) / backup.group.id / f"{backup.number}.backup"
    whole = path.read_bytes()
    shelf = BackupShelf(folder(lab), backup.ref.host)
    for _ in range(200):
        data = bytearray(whole)
        match dice.randrange(3):
            case 0:
                data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
            case 1:
                del data[dice.randrange(len(data)) :]
            case _:
                start = dice.randrange(len(data))
                data[start : start + 64] = dice.randbytes(64)
        path.write_bytes(data)
        if data == whole:
            continue
        with pytest.raises(MetadataError):
            shelf.read(backup.ref)
    with pytest.raises(CommandRejected, match="not there any more"):
        lab.engine.submit(restore(lab, backup))
    lab.restart()
    assert backup.ref not in lab.config
    assert shelf.read(Ref(Kind.BACKUP, "nothing", backup.ref.host)) is None


def test_a_backup_of_one_group_is_none_of_another(lab: EngineLab, tmp_path: Path) -> None:
    lab.make_volume()
    backup = backups(lab)[-1]
    path = folder(lab) / backup.group.id / f"{backup.number}.backup"
    other = folder(lab) / ("ab" * 16) / path.name
    other.parent.mkdir()
    other.write_bytes(path.read_bytes())
    with pytest.raises(MetadataError, match="another disk"):
        BackupShelf(folder(lab), backup.ref.host).read(
            Ref(Kind.BACKUP, f"{'ab' * 16}.{backup.number}", backup.ref.host)
        )


# --- what comes back ---
def test_a_deleted_volume_comes_back_stopped_where_it_lay(lab: EngineLab) -> None:
    lab.make_volume(mirrors=2, striped=True, columns=2)
    before = lab.volume()
    places = {
        (sd.name, sd.disk, sd.disk_offset, sd.length) for p in lab.plexes() for sd in lab.config.subdisks_of(p.ref)
    }
    lab.do(DeleteVolumes(volumes=(before.ref,)))
    plan = lab.engine.plan(restore(lab))
    assert "in doubt" in plan.confirm
    assert any("Bring back v (24 MiB) with v-01" in step.text for step in plan.steps)
    lab.do(restore(lab))
    volume = lab.volume()
    assert (volume.size, volume.started, volume.source) == (before.size, False, None)
    assert volume.ref != before.ref
    assert [plex.state for plex in lab.plexes()] == [PlexState.CLEAN, PlexState.STALE]
    assert {
        (sd.name, sd.disk, sd.disk_offset, sd.length) for p in lab.plexes() for sd in lab.config.subdisks_of(p.ref)
    } == places
    lab.do(StartVolumes(volumes=(volume.ref,)))
    lab.do(ResyncVolume(volume=volume.ref))
    assert lab.equal()
    lab.kill()
    lab.start()
    assert lab.volume().ref == volume.ref


def test_what_left_with_a_split_stays_as_it_is_there(lab: EngineLab) -> None:
    """No mirror of another group's volume comes to lie on the disks of this one."""
    lab.make_volume(mirrors=2)
    stays, goes = lab.plexes()
    saved = lab.config.subdisks_of(stays.ref)[0]
    lab.do(RemoveMirrors(plexes=(stays.ref,)))
    backup = backups(lab)[-1]
    (left,) = lab.config.subdisks_of(goes.ref)
    lab.do(Rename(object=lab.volume().ref, name="theirs"))
    lab.do(SplitGroup(group=lab.group().ref, name="off", objects=(left.disk,), imports=True, expand=True))
    with pytest.raises(CommandRejected, match="theirs belongs to another disk group now"):
        lab.engine.submit(restore(lab, backup))
    assert lab.config.volume(goes.volume).name == "theirs"
    assert lab.config.subdisks_on(saved.disk) == []


def test_what_comes_back_is_none_of_what_another_group_may_have(lab: EngineLab) -> None:
    """A volume that has left with a group, which this host does not know at the moment, comes again with that."""
    lab.make_volume(mirrors=2)
    data = pattern(4, 24 * MIB)
    assert lab.write(data) == 0
    stays, goes = lab.plexes()
    lab.do(RemoveMirrors(plexes=(stays.ref,)))
    backup = backups(lab)[-1]
    (left,) = lab.config.subdisks_of(goes.ref)
    lun = lab.path_of(left.disk)
    lab.do(SplitGroup(group=lab.group().ref, name="off", objects=(left.disk,), expand=True))
    away = lun.with_suffix(".away")
    lun.rename(away)
    lab.restart()
    assert goes.volume not in lab.config
    lab.do(restore(lab, backup))
    again = lab.volume()
    away.rename(lun)
    lab.restart()
    lab.do(ImportGroup(group=lab.group("off").ref))
    assert lab.config.volume(goes.volume).group == lab.group("off").ref
    assert lab.volume().ref == again.ref
    assert [plex.volume for plex in lab.plexes()] == [again.ref]
    assert [plex.ref for plex in lab.config.plexes_of(goes.volume)] == [goes.ref]


def test_a_mirror_that_was_broken_off_stays_what_it_is_now(lab: EngineLab) -> None:
    """Also when its old place is free again."""
    lab.make_volume(mirrors=2)
    data = pattern(5, 24 * MIB)
    assert lab.write(data) == 0
    lab.make_volume("gone", size=MIB)
    lab.do(DeleteVolumes(volumes=(lab.volume("gone").ref,)))
    backup = backups(lab)[-1]
    broken = lab.plexes()[1]
    lab.do(BreakMirror(plex=broken.ref, name="w"))
    (piece,) = lab.config.subdisks_of(broken.ref)
    lab.do(MoveSubdisks(moves=(Move(piece.ref),)))
    lab.do(DeleteVolumes(volumes=(lab.volume().ref,)))
    lab.do(restore(lab, backup))
    assert lab.read(0, 24 * MIB, "w") == data
    assert [plex.ref for plex in lab.plexes("w")] == [broken.ref]
    lab.restart()
    assert lab.read(0, 24 * MIB, "w") == data


def test_a_drive_letter_that_has_been_given_away_is_not_taken_back(lab: EngineLab) -> None:
    lab.make_volume(letter="F")
    lab.do(DeleteVolumes(volumes=(lab.volume().ref,)))
    backup = backups(lab)[-1]
    lab.make_volume("other", size=MIB, letter="F", disks=(lab.config.disks_of(lab.group().ref)[-1].ref,))
    plan = lab.engine.plan(restore(lab, backup))
    assert any("The drive letter F is that of other" in warning for warning in plan.warnings)
    lab.do(restore(lab, backup))
    assert (lab.volume().drive_letter, lab.volume("other").drive_letter) == ("", "F")


def test_a_removed_schedule_comes_back_disabled(lab: EngineLab) -> None:
    volume = lab.make_volume().ref
    for name in ("nightly", "weekly"):
        lab.do(AddSchedule(name=name, volumes=(volume,), when=Pattern(times=(120,)), quiesce=Quiesce.NONE))
    before = lab.config.find(Kind.SCHEDULE, "nightly", lab.group().ref)
    assert isinstance(before, Schedule)
    lab.do(RemoveSchedules(schedules=(before.ref,)))
    lab.do(DeleteVolumes(volumes=(volume,)))
    whole = next(one for one in reversed(backups(lab)) if before.ref in _refs(lab, one))
    plan = lab.engine.plan(restore(lab, whole))
    assert any("Bring back the schedule nightly" in step.text for step in plan.steps)
    lab.do(restore(lab, whole))
    after = lab.config.find(Kind.SCHEDULE, "nightly", lab.group().ref)
    assert isinstance(after, Schedule)
    assert (after.volumes, after.when) == ((lab.volume().ref,), before.when)
    assert (after.quiesce, after.enabled, after.run) == (Quiesce.NONE, False, None)
    lab.restart()
    assert lab.config.find(Kind.SCHEDULE, "nightly", lab.group().ref) is not None


def _refs(lab: EngineLab, backup: Backup) -> set[Ref]:
    saved = BackupShelf(folder(lab), lab.engine.state.host_id).read(backup.ref)
    return {record.ref for record in saved.records} if saved is not None else set()


def test_a_removed_mirror_comes_back_out_of_date_and_is_never_read(lab: EngineLab) -> None:
    lab.make_volume(mirrors=2)
    data = pattern(1, 24 * MIB)
    assert lab.write(data) == 0
    lab.do(RemoveMirrors(plexes=(lab.plexes()[1].ref,)))
    new = pattern(2, MIB)
    assert lab.write(new) == 0
    lab.do(restore(lab))
    assert [(plex.state, plex.tracked) for plex in lab.plexes()][1] == (PlexState.STALE, False)
    assert lab.read(0, 2 * MIB) == new + data[MIB : 2 * MIB]
    lab.do(ResyncVolume(volume=lab.volume().ref))
    assert lab.equal()


def test_what_has_moved_since_stays_where_its_data_is(lab: EngineLab) -> None:
    lab.make_volume(size=4 * MIB)
    data = pattern(3, 4 * MIB)
    assert lab.write(data) == 0
    lab.make_volume("gone", size=MIB)
    lab.do(DeleteVolumes(volumes=(lab.volume("gone").ref,)))
    (piece,) = lab.config.subdisks_of(lab.plexes()[0].ref)
    lab.do(MoveSubdisks(moves=(Move(piece.ref),)))
    lab.do(restore(lab))
    (moved,) = lab.config.subdisks_of(lab.plexes()[0].ref)
    assert (moved.disk, moved.disk_offset) != (piece.disk, piece.disk_offset)
    assert lab.read(0, 4 * MIB) == data
    assert lab.volume("gone").started is False


def test_space_that_is_used_now_is_not_taken(lab: EngineLab) -> None:
    lab.make_volume(size=24 * MIB)
    place = lab.config.subdisks_of(lab.plexes()[0].ref)[0]
    lab.do(DeleteVolumes(volumes=(lab.volume().ref,)))
    saved = backups(lab)[-1]
    lab.do(CreateVolume(group=lab.group().ref, name="new", size=60 * MIB, disks=(place.disk,)))
    with pytest.raises(CommandRejected) as caught:
        lab.engine.submit(restore(lab, saved))
    assert "is used now" in str(caught.value)
    assert lab.config.find(Kind.VOLUME, "v", lab.group().ref) is None


def test_names_and_usage_come_back_and_sizes_stay(lab: EngineLab) -> None:
    lab.make_volume(size=8 * MIB)
    disk, *_, last = lab.config.disks_of(lab.group().ref)
    lab.make_volume("other", size=MIB, disks=(last.ref,))
    lab.do(SetDiskUsage(disks=(disk.ref,), usage=DiskUsage.RESERVED))
    lab.do(DeleteVolumes(volumes=(lab.volume("other").ref,)))
    saved = backups(lab)[-1]
    lab.do(Rename(object=lab.volume().ref, name="w"))
    lab.do(SetDiskUsage(disks=(disk.ref,), usage=DiskUsage.NORMAL))
    lab.do(GrowVolume(volume=lab.volume("w").ref, size=12 * MIB))
    plan = lab.engine.plan(restore(lab, saved))
    assert any("had 8 MiB and keeps its 12 MiB" in warning for warning in plan.warnings)
    lab.do(restore(lab, saved))
    assert lab.volume().size == 12 * MIB
    assert lab.config.disk(disk.ref).usage is DiskUsage.RESERVED
    assert lab.volume("other").size == MIB


def test_a_restore_that_would_change_nothing_is_refused(lab: EngineLab) -> None:
    lab.make_volume()
    with pytest.raises(CommandRejected, match="Everything that the backup names is there"):
        lab.engine.submit(restore(lab))


@pytest.mark.parametrize("run", range(4))
def test_no_restore_ever_changes_a_byte_or_believes_what_is_not_complete(lab: EngineLab, run: int, seed: int) -> None:
    """Random changes, then random backups: every volume that is there reads as before, and all records make sense."""
    dice = random.Random(seed + run)
    expected: dict[Ref, bytes] = {}
    for number in range(3):
        volume = lab.make_volume(f"v{number}", size=6 * MIB, mirrors=dice.choice((1, 2)))
        expected[volume.ref] = pattern(number, 6 * MIB)
        assert lab.write(expected[volume.ref], name=volume.name) == 0
    for step in range(14):
        volumes = lab.config.volumes_of(lab.group().ref)
        chosen = dice.choice(volumes) if volumes else None
        try:
            match dice.randrange(7):
                case 0 if chosen:
                    lab.do(DeleteVolumes(volumes=(chosen.ref,)))
                    expected.pop(chosen.ref, None)
                case 1 if chosen:
                    lab.do(RemoveMirrors(plexes=(dice.choice(lab.config.plexes_of(chosen.ref)).ref,)))
                case 2 if chosen:
                    plex = dice.choice(lab.config.plexes_of(chosen.ref))
                    moved = dice.choice(lab.config.subdisks_of(plex.ref))
                    lab.do(MoveSubdisks(moves=(Move(moved.ref),)))
                case 3 if chosen:
                    lab.do(BreakMirror(plex=dice.choice(lab.config.plexes_of(chosen.ref)).ref, name=f"b{step}"))
                    broken = lab.volume(f"b{step}")
                    if chosen.ref in expected:
                        expected[broken.ref] = expected[chosen.ref]
                case 4:
                    made = lab.make_volume(f"n{step}", size=3 * MIB)
                    expected[made.ref] = pattern(step, 3 * MIB)
                    assert lab.write(expected[made.ref], name=made.name) == 0
                case _:
                    lab.do(restore(lab, dice.choice(backups(lab))))
        except CommandRejected:
            continue
        for ref, data in expected.items():
            volume = lab.config.volume(ref)
            assert volume.size == len(data)
            if volume.copies:
                assert lab.read(0, len(data), volume.name) == data
        for plex in (plex for each in lab.config.all(Kind.VOLUME, Volume) for plex in lab.config.plexes_of(each.ref)):
            if plex.state in COMPLETE and plex.volume in expected:
                assert lab.plex_digest(plex.ref)
    lab.restart()
    for ref, data in expected.items():
        assert lab.config.volume(ref).size == len(data)
