"""The dirty region log under a whole engine: what is copied after a crash and when a disk comes back, byte for byte."""

from __future__ import annotations

import errno
import shutil
from typing import TYPE_CHECKING

import pytest

from engine.commands import (
    AddLog,
    AddMirrors,
    BreakMirror,
    DetachPlex,
    EvacuateDisk,
    GrowVolume,
    LogType,
    ReactivateDisk,
    RemoveDisks,
    RemoveLog,
    RemoveMirrors,
    Rescan,
    ResyncVolume,
)
from engine.records import Disk, Kind, PlexState, Ref, Task, TaskType
from engine.store.areas import Area
from engine.units import KIB, MIB
from tests.engine.engine_lab import EngineLab, lab_fixture

if TYPE_CHECKING:
    from pathlib import Path

    from engine.dataplane.dirty_map import DirtyMap

REGION = MIB


lab = lab_fixture(frail=True)


def map_of(lab: EngineLab, name: str = "v") -> DirtyMap:
    found = lab.engine.committer.ios[lab.volume(name).ref].dirty
    assert found is not None
    return found


def resyncs(lab: EngineLab) -> list[Task]:
    """The resynchronizations of this host, waited for, oldest first."""
    tasks = [task for task in lab.config.all(Kind.TASK, Task) if task.type is TaskType.RESYNC]
    for task in tasks:
        assert lab.engine.wait(task.ref, 60)
    return sorted((lab.config.task(task.ref) for task in tasks), key=lambda task: int(task.ref.id))


def disk_of(lab: EngineLab, number: int, name: str = "v") -> Ref:
    return lab.config.subdisks_of(lab.plexes(name)[number].ref)[0].disk


def places(lab: EngineLab, name: str = "v") -> set[Ref]:
    log = lab.volume(name).dirty_log
    return {place.disk for place in log.places} if log is not None else set()


def spread(lab: EngineLab, *offsets: int) -> None:
    for number, offset in enumerate(offsets, 1):
        assert lab.write(bytes([number]) * 4096, offset) == 0


def sweep(lab: EngineLab) -> None:
    """Look at the maps until everything is clean."""
    looks = lab.engine._sweep
    assert looks is not None
    dirty = map_of(lab)
    for _ in range(10):
        looks.sweep()
        with dirty._changed:
            if dirty._changed.wait_for(lambda: not dirty.is_marked, 3):
                break
    else:
        pytest.fail("the regions never became clean")
    looks.sweep()


def kill(lab: EngineLab, *, frail: bool = True) -> None:
    lab.kill()
    lab.start(frail=frail)


def test_after_a_crash_only_dirty_regions_are_copied(lab: EngineLab) -> None:
    lab.make_volume(mirrors=2)
    assert places(lab) == {disk_of(lab, 0), disk_of(lab, 1)}
    spread(lab, 0, 4096, 5 * MIB, 23 * MIB)
    subdisk = lab.config.subdisks_of(lab.plexes()[1].ref)[0]
    path = lab.path_of(subdisk.disk)
    lab.kill()
    with open(path, "r+b") as file:  # a crash leaves what it likes where bytes had not been flushed
        file.seek(subdisk.disk_offset + 5 * MIB)
        file.write(b"garbage" * 500)
    lab.start(frail=True)
    (task,) = resyncs(lab)
    assert task.state == "completed"
    assert task.bytes_total == task.bytes_copied == 3 * REGION
    assert "3 MiB" in task.name
    assert lab.equal()
    assert lab.read(5 * MIB, 4096) == b"\3" * 4096


def test_a_mirror_that_failed_gets_only_what_it_has_missed(lab: EngineLab) -> None:
    lab.make_volume(mirrors=2)
    spread(lab, 1 * MIB)
    disk = disk_of(lab, 1)
    lab.lun(disk).fail("write", "durable", persistent=True)
    spread(lab, 2 * MIB)
    assert lab.plexes()[1].state is PlexState.IOFAIL
    assert lab.plexes()[1].tracked
    assert places(lab) == {disk_of(lab, 0)}
    spread(lab, 7 * MIB, 2 * MIB)
    lab.lun(disk).heal()
    lab.do(ReactivateDisk(disk=disk))
    if lab.plexes()[1].state is not PlexState.ACTIVE:
        lab.do(ResyncVolume(volume=lab.volume().ref))
    task = resyncs(lab)[-1]
    assert task.bytes_copied == 3 * REGION
    assert lab.equal()
    assert not any(plex.tracked for plex in lab.plexes())
    assert len(places(lab)) == 2


def away(lab: EngineLab, disk: Ref) -> tuple[Path, Path]:
    path = lab.path_of(disk)
    gone = path.with_suffix(".away")
    path.rename(gone)
    lab.do(Rescan())
    return path, gone


def test_a_disk_that_was_away_gets_only_what_it_has_missed(lab: EngineLab) -> None:
    lab.make_volume(mirrors=2)
    spread(lab, 1 * MIB)
    lab.flush()
    path, gone = away(lab, disk_of(lab, 1))
    assert lab.plexes()[1].tracked
    spread(lab, 9 * MIB)
    gone.rename(path)
    lab.do(Rescan())
    lab.do(ResyncVolume(volume=lab.volume().ref))
    assert resyncs(lab)[-1].bytes_copied == 2 * REGION
    assert lab.equal()


def test_an_older_image_of_a_disk_that_was_away_is_copied_whole(lab: EngineLab) -> None:
    lab.make_volume(mirrors=2)
    disk = disk_of(lab, 1)
    old = lab.path_of(disk).with_suffix(".old")
    lab.flush()
    shutil.copy(lab.path_of(disk), old)
    lab.make_volume("w", 8 * MIB)
    spread(lab, 1 * MIB)
    path, _ = away(lab, disk)
    assert lab.plexes()[1].tracked
    old.rename(path)
    lab.do(Rescan())
    assert not lab.plexes()[1].tracked
    lab.do(ResyncVolume(volume=lab.volume().ref))
    assert resyncs(lab)[-1].bytes_copied == 24 * MIB
    assert lab.equal()


@pytest.mark.parametrize("crash", [False, True])
def test_what_a_mirror_has_missed_is_known_after_a_restart(lab: EngineLab, crash: bool) -> None:
    lab.make_volume(mirrors=2)
    spread(lab, 1 * MIB)
    plex = lab.plexes()[1].ref
    lab.do(DetachPlex(plex=plex))
    spread(lab, 6 * MIB)
    assert lab.flush() == 0
    if crash:
        kill(lab)
    else:
        lab.restart()
    spread(lab, 11 * MIB)
    assert lab.config.plex(plex).tracked
    lab.do(ResyncVolume(volume=lab.volume().ref))
    assert resyncs(lab)[-1].bytes_copied == 3 * REGION
    assert lab.equal()


@pytest.mark.parametrize("exact", [True, False])
def test_a_disk_that_stayed_away_over_a_restart_is_believed_only_when_it_is_as_it_was(
    lab: EngineLab, exact: bool
) -> None:
    lab.make_volume(mirrors=2)
    spread(lab, 1 * MIB)
    lab.flush()
    disk = disk_of(lab, 1)
    old = lab.path_of(disk).with_suffix(".old")
    if not exact:
        shutil.copy(lab.path_of(disk), old)
        lab.make_volume("w", 8 * MIB)
    path, gone = away(lab, disk)
    spread(lab, 9 * MIB)
    lab.stop()
    (gone if exact else old).rename(path)
    lab.start()
    assert lab.plexes()[1].tracked is exact
    lab.do(ResyncVolume(volume=lab.volume().ref))
    assert resyncs(lab)[-1].bytes_copied == (2 * REGION if exact else 24 * MIB)
    assert lab.equal()


@pytest.mark.parametrize("lost", [1, 2])
def test_a_log_that_is_lost_means_a_full_copy_and_one_place_is_enough(lab: EngineLab, lost: int) -> None:
    lab.make_volume(mirrors=2)
    spread(lab, 1 * MIB)
    spans = [lab.engine.committer.stores[lab.group().ref].span(disk, Area.DIRTY_MAPS) for disk in sorted(places(lab))]
    paths = [lab.path_of(disk) for disk in sorted(places(lab))]
    lab.kill()
    for path, span in list(zip(paths, spans, strict=True))[:lost]:
        with open(path, "r+b") as file:
            file.seek(span.offset + 200)
            file.write(b"!" * 8000)
    lab.start()
    (task,) = resyncs(lab)
    assert task.bytes_copied == (REGION if lost == 1 else 24 * MIB)
    assert lab.equal()


def test_pages_of_an_earlier_import_never_count(lab: EngineLab) -> None:
    """They are put back as they were before a restart: then nothing is known."""
    lab.make_volume(mirrors=2)
    spread(lab, 1 * MIB)
    saved = {}
    for disk in places(lab):
        span = lab.engine.committer.stores[lab.group().ref].span(disk, Area.DIRTY_MAPS)
        saved[lab.path_of(disk)] = (span.offset, lab.path_of(disk).read_bytes()[span.offset : span.offset + 8192])
    lab.restart()
    spread(lab, 8 * MIB)
    lab.kill()
    for path, (offset, content) in saved.items():
        with open(path, "r+b") as file:
            file.seek(offset)
            file.write(content)
    lab.start()
    assert resyncs(lab)[-1].bytes_copied == 24 * MIB
    assert lab.equal()


def fail_maps(lab: EngineLab, disk: Ref) -> None:
    """From now on the disk takes no page of any dirty map."""
    offset = lab.engine.committer.stores[lab.group().ref].span(disk, Area.DIRTY_MAPS).offset
    lab.lun(disk).fail("durable", persistent=True, at=lambda at: offset <= at < offset + 640 * KIB)


@pytest.mark.allow_log("")
def test_a_place_that_fails_is_dropped_and_the_last_one_too(lab: EngineLab) -> None:
    lab.make_volume(mirrors=2)
    spread(lab, 1 * MIB)
    first, second = (disk_of(lab, number) for number in (0, 1))
    fail_maps(lab, second)
    spread(lab, 2 * MIB, 3 * MIB)
    assert places(lab) == {first}
    assert lab.flush() == 0  # else what was written before would be in doubt with the next failure
    fail_maps(lab, first)
    spread(lab, 4 * MIB, 5 * MIB)
    assert places(lab) == set()
    assert lab.engine.committer.ios[lab.volume().ref].dirty is None
    assert not any(plex.tracked for plex in lab.plexes())
    assert lab.flush() == 0


@pytest.mark.allow_log("")
def test_a_place_that_fails_on_the_last_mirror_leaves_what_was_not_flushed_in_doubt(lab: EngineLab) -> None:
    lab.make_volume(mirrors=2)
    first, second = (disk_of(lab, number) for number in (0, 1))
    fail_maps(lab, second)
    spread(lab, 2 * MIB)
    fail_maps(lab, first)
    lab.write(b"4" * 4096, 4 * MIB)  # well or not: the volume may be fenced before it
    assert lab.flush() == errno.EIO
    volume = lab.volume().ref
    assert lab.engine.committer.wait_until(lambda now: "no other complete mirror" in now.volume(volume).fenced, 60)
    assert lab.write(b"5" * 4096, 5 * MIB) == errno.EIO


def test_without_a_log_everything_is_copied_and_a_log_comes_and_goes(lab: EngineLab) -> None:
    lab.make_volume(mirrors=2, log=LogType.NONE)
    assert lab.volume().dirty_log is None
    spread(lab, 1 * MIB)
    kill(lab)
    assert resyncs(lab)[-1].bytes_copied == 24 * MIB
    spread(lab, 2 * MIB)
    lab.do(AddLog(volume=lab.volume().ref))
    assert len(places(lab)) == 2
    spread(lab, 3 * MIB)
    kill(lab)
    assert resyncs(lab)[-1].bytes_copied == REGION
    lab.do(RemoveLog(volume=lab.volume().ref))
    spread(lab, 4 * MIB)
    kill(lab)
    assert resyncs(lab)[-1].bytes_copied == 24 * MIB
    assert lab.equal()


def test_a_log_that_is_added_while_a_mirror_is_out_knows_nothing_of_it(lab: EngineLab) -> None:
    lab.make_volume(mirrors=2, log=LogType.NONE)
    spread(lab, 1 * MIB)
    lab.do(DetachPlex(plex=lab.plexes()[1].ref))
    assert not lab.plexes()[1].tracked
    lab.do(AddLog(volume=lab.volume().ref))
    assert map_of(lab).dirty_bytes == 24 * MIB
    lab.do(ResyncVolume(volume=lab.volume().ref))
    assert resyncs(lab)[-1].bytes_copied == 24 * MIB


def test_a_resynchronization_that_the_operator_asks_for_copies_everything(lab: EngineLab) -> None:
    lab.make_volume(mirrors=2)
    lab.do(ResyncVolume(volume=lab.volume().ref))
    assert resyncs(lab)[-1].bytes_copied == 24 * MIB
    spread(lab, 1 * MIB)
    kill(lab)
    assert resyncs(lab)[-1].bytes_copied <= 24 * MIB
    assert lab.equal()


def test_a_volume_that_grows_keeps_its_log(lab: EngineLab) -> None:
    lab.make_volume(mirrors=2)
    spread(lab, 1 * MIB)
    lab.do(GrowVolume(volume=lab.volume().ref, size=40 * MIB))
    spread(lab, 39 * MIB)
    kill(lab)
    assert resyncs(lab)[-1].bytes_copied == 2 * REGION
    assert lab.equal()


def test_mirrors_come_and_go_and_so_does_the_log(lab: EngineLab) -> None:
    lab.make_volume()
    assert lab.volume().dirty_log is None
    spread(lab, 1 * MIB)
    lab.do(AddMirrors(volume=lab.volume().ref))
    assert len(places(lab)) == 2
    assert map_of(lab).dirty_bytes == 24 * MIB  # what was written before there was a log, nobody knows
    sweep(lab)
    spread(lab, 2 * MIB)
    kill(lab)
    assert resyncs(lab)[-1].bytes_copied == REGION
    assert lab.equal()
    lab.do(AddMirrors(volume=lab.volume().ref))
    lab.do(BreakMirror(plex=lab.plexes()[2].ref, name="w"))
    assert lab.volume("w").dirty_log is None
    lab.do(RemoveMirrors(plexes=(lab.plexes()[1].ref,)))
    assert lab.volume().dirty_log is None
    assert lab.engine.committer.ios[lab.volume().ref].dirty is None
    spread(lab, 3 * MIB)


def test_the_log_goes_along_when_a_disk_is_evacuated(lab: EngineLab) -> None:
    lab.make_volume(mirrors=2)
    spread(lab, 1 * MIB)
    disk = disk_of(lab, 1)
    lab.do(EvacuateDisk(disk=disk))
    assert places(lab) == {disk_of(lab, 0), disk_of(lab, 1)}
    assert disk not in places(lab)
    lab.do(RemoveDisks(disks=(disk,)))
    spread(lab, 2 * MIB)
    kill(lab)
    assert resyncs(lab)[-1].bytes_copied == 2 * REGION
    assert lab.equal()


def test_regions_become_clean_and_are_marked_again(lab: EngineLab) -> None:
    lab.make_volume(mirrors=2)
    spread(lab, 1 * MIB, 2 * MIB)
    dirty = map_of(lab)
    assert dirty.dirty_bytes == 2 * REGION
    sweep(lab)
    assert lab.volume().dirty_bytes == 0
    spread(lab, 2 * MIB)
    kill(lab)
    assert resyncs(lab)[-1].bytes_copied == REGION
    assert lab.equal()


def test_two_volumes_do_not_share_pages(lab: EngineLab) -> None:
    for number in range(4):
        lab.make_volume(f"v{number}", 4 * MIB, mirrors=2)
    seen: set[tuple[Ref, int]] = set()
    for number in range(4):
        log = lab.volume(f"v{number}").dirty_log
        assert log is not None
        for place in log.places:
            for page in range(place.first_page, place.first_page + place.pages):
                assert (place.disk, page) not in seen
                seen.add((place.disk, page))
    assert lab.config.all(Kind.DISK, Disk)
