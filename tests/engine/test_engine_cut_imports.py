"""Imports that end when they have written their first transaction, before it is on record what came of it."""

from __future__ import annotations

import shutil

import pytest

from engine.commands import ResyncVolume
from engine.disk_groups.group_moves import GroupMoves
from engine.errors import EngineError
from engine.store.group_store import GroupStore
from engine.store.scan import GroupFound
from engine.units import MIB
from tests.engine.engine_lab import EngineLab, lab_fixture
from tests.engine.store_lab import HOST, Lab, disk_ref, importer, rows
from tests.engine.test_engine_dirty import REGION, away, disk_of, resyncs, spread

lab = lab_fixture(4)


def start_that_is_cut(lab: EngineLab) -> None:
    def cut(*given: object) -> None:
        raise EngineError("The power goes.")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(GroupMoves, "finish", cut)
        lab.start()
    assert not lab.engine.committer.stores
    lab.stop()


@pytest.mark.parametrize("exact", [True, False])
def test_a_disk_that_comes_back_older_than_it_left_is_copied_whole(lab: EngineLab, exact: bool) -> None:
    """Although an import has given it a copy of the configuration that is as new as all others."""
    lab.make_volume(mirrors=2)
    lab.flush()
    disk = disk_of(lab, 1)
    old = shutil.copy(lab.path_of(disk), lab.path_of(disk).with_suffix(".old"))
    spread(lab, 1 * MIB)
    lab.make_volume("w", 8 * MIB)
    path, gone = away(lab, disk)
    spread(lab, 9 * MIB)
    lab.stop()
    (gone if exact else old).rename(path)
    for _ in range(2):
        start_that_is_cut(lab)
    lab.start()
    assert lab.plexes()[1].tracked is exact
    lab.do(ResyncVolume(volume=lab.volume().ref))
    assert resyncs(lab)[-1].bytes_copied == (2 * REGION if exact else 24 * MIB)
    assert lab.equal()


# --- what is on record of it ---
def found(lab: Lab) -> GroupFound:
    group = lab.found()
    assert group is not None
    return group


def with_an_old_copy() -> Lab:
    """Six disks, of which the second comes back as it was."""
    lab = Lab(6)
    lab.create()
    old = lab.snapshot()["lun1"]
    for value in (7, 8):
        lab.set_value(value)
    lab.luns["lun1"].pages = dict(old)
    return lab


def test_how_the_disks_were_found_is_on_record_until_a_commit() -> None:
    lab = with_an_old_copy()
    before = found(lab)
    ends, shown = before.ends(), rows(before.records(HOST))
    assert before.stale == (disk_ref(1).id,)
    assert not before.forced
    for _ in range(2):
        lab.store = GroupStore.load(found(lab), importer(), force=True)
        assert found(lab).ends() == ends
        assert found(lab).stale == before.stale
        assert found(lab).forced
        assert rows(found(lab).records(HOST)) == rows(lab.store.records()) == shown
    lab.set_value(9)
    assert not found(lab).stale
    assert not found(lab).forced
    assert found(lab).ends()[disk_ref(1).id] == lab.store.transaction


def test_a_disk_that_is_older_yet_is_told_so() -> None:
    """Another image is put in its place, after an import that was cut short had found it."""
    lab = Lab(6)
    lab.create()
    oldest = lab.snapshot()["lun1"]
    lab.set_value(7)
    middle = lab.snapshot()["lun1"]
    lab.set_value(8)
    for pages, end in ((middle, 2), (oldest, 1), (middle, 1)):
        lab.luns["lun1"].pages = dict(pages)
        assert found(lab).ends()[disk_ref(1).id] == end
        lab.store = GroupStore.load(found(lab), importer())


def test_a_configuration_that_leaves_no_room_is_imported_all_the_same() -> None:
    lab = with_an_old_copy()
    told = found(lab).as_found(force=False)
    image = GroupStore.load(found(lab), importer())._image
    needed = image.checkpoint_length()
    assert image.with_room(told, [needed]) == told
    assert image.with_room(told, [needed, needed - 4096]) == {}
