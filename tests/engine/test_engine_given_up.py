"""A transaction that could not be made durable, and which is true after all at the next start: one disk has it. What
it says must hold, whatever was written since."""

from __future__ import annotations

import shutil
import threading
from functools import partial
from typing import TYPE_CHECKING

import pytest

from engine.commands import StopVolumes
from engine.errors import GroupFrozen
from engine.records import PlexState
from engine.store.areas import Area
from engine.units import KIB
from tests.engine.engine_lab import EngineLab, lab_fixture
from tests.engine.model_sink import eventually
from tests.engine.test_engine_dirty import disk_of, resyncs

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

lab = lab_fixture(frail=True)


def give_up(lab: EngineLab, change: Callable[[], object]) -> None:
    """The transaction of a change reaches a single disk. The others take no metadata until they are sound again."""
    for disk in lab.config.disks_of(lab.group().ref):
        if disk.ref != disk_of(lab, 0):
            store = lab.engine.committer.stores[lab.group().ref]
            first, end = (store.span(disk.ref, area).offset for area in (Area.SLOT_A, Area.DIRTY_MAPS))
            lab.lun(disk.ref).fail("durable", persistent=True, at=partial(_lies_in, first, end))
    with pytest.raises(GroupFrozen):
        change()


def _lies_in(first: int, end: int, offset: int) -> bool:
    return first <= offset < end


def cut_off(lab: EngineLab, tmp_path: Path) -> None:
    """The power fails while one mirror has a write and the other has not; then the host starts again."""
    here, then = lab.folder, tmp_path.parent / f"{tmp_path.name}-then"
    edge = lab.config.disk(disk_of(lab, 1)).public_offset
    lab.lun(disk_of(lab, 1)).fail("write", persistent=True, at=lambda offset: offset >= edge)
    writer = threading.Thread(target=lambda: lab.write(b"b" * 4 * KIB))
    io = lab.engine.committer.ios[lab.volume().ref]
    with lab.engine.committer.lock:
        writer.start()
        eventually(lambda: io.parked == 1, "the write that waits for a decision")
        shutil.copytree(here, then, ignore=shutil.ignore_patterns("s", "*.sock"))
    writer.join(60)
    lab.kill()
    shutil.rmtree(here)
    then.rename(here)
    lab.start(frail=True)
    resyncs(lab)


def test_a_volume_that_may_be_clean_on_disk_is_not_written_before_it_is_not(lab: EngineLab, tmp_path: Path) -> None:
    lab.make_volume(mirrors=2)
    assert lab.write(b"a" * 4 * KIB) == 0
    give_up(lab, lambda: lab.engine.submit(StopVolumes(volumes=(lab.volume().ref,))))
    cut_off(lab, tmp_path)
    assert lab.equal()
    assert lab.write(b"c" * 4 * KIB) == 0


def test_it_is_written_again_as_soon_as_its_disks_can_be(lab: EngineLab) -> None:
    lab.make_volume(mirrors=2)
    assert lab.write(b"a" * 4 * KIB) == 0
    give_up(lab, lambda: lab.engine.submit(StopVolumes(volumes=(lab.volume().ref,))))
    for disk in lab.config.disks_of(lab.group().ref):
        lab.lun(disk.ref).heal()
    assert lab.read(0, 4 * KIB) == b"a" * 4 * KIB
    assert lab.write(b"b" * 4 * KIB) == 0
    assert {plex.state for plex in lab.plexes()} == {PlexState.ACTIVE}
    lab.kill()
    lab.start(frail=True)
    assert {plex.state for plex in lab.plexes()} == {PlexState.ACTIVE}
