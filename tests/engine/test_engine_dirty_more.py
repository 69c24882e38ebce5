"""The dirty region log among other hosts, under many clients, beside tasks; and what breaks without its rules."""

from __future__ import annotations

import shutil
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from engine.commands import (
    AbortTask,
    DeportGroup,
    DetachPlex,
    ImportGroup,
    PauseTask,
    ReactivateDisk,
    Rescan,
    ResumeTask,
    ResyncVolume,
)
from engine.dataplane.call import Call
from engine.dataplane.request import Op, Request
from engine.edits import detach
from engine.edits.dirty_places import drop_place
from engine.look.returned_disks import ReturnedDisks
from engine.records import Group, Kind, PlexState, Volume
from engine.store.areas import Area
from engine.units import KIB, MIB
from tests.engine.engine_lab import EngineLab, lab_fixture
from tests.engine.test_engine_dirty import REGION, away, disk_of, kill, map_of, places, resyncs, spread, sweep

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from engine.config import Config
    from engine.records import Plex, Ref


lab = lab_fixture(frail=True)


def test_another_host_goes_on_from_what_is_known(lab: EngineLab, tmp_path: Path) -> None:
    lab.make_volume(mirrors=2)
    spread(lab, 1 * MIB)
    lab.do(DetachPlex(plex=lab.plexes()[1].ref))
    spread(lab, 5 * MIB, 9 * MIB)
    lab.do(DeportGroup(group=lab.group().ref))
    lab.stop()
    other = EngineLab(tmp_path, "b").start()
    (group,) = (group for group in other.config.all(Kind.GROUP, Group) if group.name == "dg")
    other.do(ImportGroup(group=group.ref))
    assert other.plexes()[1].tracked
    other.do(ResyncVolume(volume=other.volume().ref))
    assert resyncs(other)[-1].bytes_copied == 3 * REGION
    assert other.equal()
    other.stop()


def test_many_first_touches_are_marked_by_few_writes(lab: EngineLab) -> None:
    lab.make_volume(mirrors=2)
    assert lab.write(b"x", 0) == 0
    device = lab.lun(disk_of(lab, 0))
    before = device.writes
    io = lab.engine.committer.ios[lab.volume().ref]
    requests = [Request(Op.WRITE, number * MIB, 512, memoryview(bytearray(512))) for number in range(1, 24)]
    calls = {id(request): Call(lab.engine.runtime) for request in requests}

    class Sinks:
        def finish(self, request: Request, error: int) -> None:
            calls[id(request)].finish(request, error)

    slot = io.slot("test")
    io.execute(requests, slot, Sinks())
    assert [calls[id(request)].wait(60) for request in requests] == [0] * 23
    io.retire(slot)
    assert map_of(lab).dirty_bytes == 24 * MIB
    assert device.writes - before <= 23 + 8  # one for each piece of data, and some pages


@contextmanager
def held_up(lab: EngineLab) -> Iterator[Ref]:
    """A resynchronization that stands still at its first write to the second mirror."""
    device = lab.lun(disk_of(lab, 1))
    device.barrier = barrier = threading.Event()
    task = lab.engine.submit(ResyncVolume(volume=lab.volume().ref))
    assert device.stalled.wait(60)
    yield task
    device.barrier = None
    barrier.set()


def test_a_copy_of_dirty_regions_rests_and_goes_on(lab: EngineLab) -> None:
    lab.make_volume(mirrors=2)
    lab.do(DetachPlex(plex=lab.plexes()[1].ref))
    spread(lab, *(number * MIB for number in range(0, 24, 2)))
    with held_up(lab) as task:
        lab.engine.submit(PauseTask(task=task))
    assert lab.engine.committer.wait_until(lambda config: config.task(task).state == "paused", 60)
    assert lab.config.task(task).bytes_total == 12 * REGION
    spread(lab, 1 * MIB)
    lab.engine.submit(ResumeTask(task=task))
    assert lab.engine.wait(task, 60)
    assert lab.config.task(task).state == "completed"
    assert 12 * REGION <= lab.config.task(task).bytes_copied <= 14 * REGION
    assert lab.equal()


def test_a_copy_that_was_aborted_is_still_known(lab: EngineLab) -> None:
    lab.make_volume(mirrors=2)
    lab.do(DetachPlex(plex=lab.plexes()[1].ref))
    spread(lab, 3 * MIB)
    with held_up(lab) as task:
        lab.engine.submit(AbortTask(task=task))
    assert lab.engine.wait(task, 60)
    assert lab.config.task(task).state == "aborted"
    assert lab.plexes()[1].tracked
    lab.do(ResyncVolume(volume=lab.volume().ref))
    assert lab.equal()


def test_a_place_that_nobody_here_keeps_begins_anew(lab: EngineLab) -> None:
    """As of a configuration that was restored: what its generation once told is not believed."""
    lab.make_volume(mirrors=2)
    spread(lab, 1 * MIB)
    volume = lab.volume()
    assert volume.dirty_log is not None
    old = volume.dirty_log.places[0]
    lab.engine.committer.commit(lambda edit: drop_place(edit, volume.ref, {old.generation}))
    fresh = lab.volume().dirty_log
    assert fresh is not None
    assert len(fresh.places) == 2  # another one took over at once

    def revive(edit: object) -> None:
        record = edit.config.volume(volume.ref)  # type: ignore[attr-defined]
        edit.put(replace(record, dirty_log=volume.dirty_log))  # type: ignore[attr-defined]

    lab.engine.committer.commit(revive)
    now = lab.volume().dirty_log
    assert now is not None
    assert old.generation not in {place.generation for place in now.places}
    spread(lab, 6 * MIB)
    kill(lab)
    assert resyncs(lab)[-1].bytes_copied == 2 * REGION
    assert lab.equal()


def test_pages_lie_where_the_configuration_says(lab: EngineLab) -> None:
    lab.make_volume(mirrors=2)
    spread(lab, 2 * MIB)
    for disk in places(lab):
        span = lab.engine.committer.stores[lab.group().ref].span(disk, Area.DIRTY_MAPS)
        content = lab.path_of(disk).read_bytes()[span.offset : span.offset + 8 * KIB]
        assert content.count(b"VEAblock") == 2
        assert bytes.fromhex(lab.volume().ref.id) in content


# --- planted: what breaks without the rule ---
def exchanged(lab: EngineLab) -> None:
    """The second mirror's disk is away, and an older image of it comes back."""
    lab.make_volume(mirrors=2)
    disk = disk_of(lab, 1)
    old = lab.path_of(disk).with_suffix(".old")
    lab.flush()
    shutil.copy(lab.path_of(disk), old)
    spread(lab, 1 * MIB)
    lab.flush()
    sweep(lab)
    path, _ = away(lab, disk)
    spread(lab, 9 * MIB)
    old.rename(path)
    lab.do(Rescan())


def test_an_image_that_is_believed_would_be_found(lab: EngineLab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ReturnedDisks, "judge", lambda *_: None)
    exchanged(lab)
    assert lab.plexes()[1].tracked
    lab.do(ResyncVolume(volume=lab.volume().ref))
    assert not lab.equal()


def half_filled(lab: EngineLab) -> None:
    """The copy to a mirror of which nothing is known breaks off."""
    exchanged(lab)
    disk = disk_of(lab, 1)
    assert not lab.plexes()[1].tracked
    lab.lun(disk).fail("write", nth=1, persistent=True, at=lambda at: at >= lab.config.disk(disk).public_offset)
    task = lab.engine.submit(ResyncVolume(volume=lab.volume().ref))
    assert lab.engine.wait(task, 60)
    assert lab.config.task(task).state == "failed"
    lab.lun(disk).heal()
    if lab.config.disk(disk).failing:
        lab.engine.wait(lab.engine.submit(ReactivateDisk(disk=disk)), 60)
    resyncs(lab)
    if lab.plexes()[1].state is not PlexState.ACTIVE:
        lab.do(ResyncVolume(volume=lab.volume().ref))


def test_a_mirror_that_was_never_complete_is_copied_whole(lab: EngineLab) -> None:
    half_filled(lab)
    assert lab.equal()


def test_a_mirror_that_counts_as_known_without_ever_being_complete_would_be_found(
    lab: EngineLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = detach.left_out

    def wrong(config: Config, plex: Plex, state: PlexState) -> Plex:
        return replace(right(config, plex, state), tracked=True)

    monkeypatch.setattr(detach, "left_out", wrong)
    half_filled(lab)
    assert not lab.equal()


def test_what_is_dirty_is_shown(lab: EngineLab) -> None:
    lab.make_volume(mirrors=2)
    spread(lab, 1 * MIB, 2 * MIB)
    looks = lab.engine._sweep
    assert looks is not None
    looks.sweep()
    volume = lab.config.get(lab.volume().ref)
    assert isinstance(volume, Volume)
    assert volume.dirty_bytes == 2 * REGION
