"""Disks that come back to a running engine as old images of themselves, with the only copy of something."""

from __future__ import annotations

import shutil
from collections.abc import Callable

import pytest
from msgspec.structs import replace

from engine.commands import Rescan, ResyncVolume, StartVolumes, StopVolumes
from engine.records import Disk, Kind, Ref, VolumeStatus
from engine.store.areas import STAMP_OFFSETS, Area
from engine.store.group_store import GroupStore
from engine.units import MIB
from tests.engine.engine_lab import EngineLab, lab_fixture
from tests.engine.store_lab import Lab, disk_ref, edited, importer
from tests.engine.test_engine_dirty import away
from tests.engine.test_engine_life import pattern

lab = lab_fixture(6)
NAME = "alone"


def kept_by(lab: EngineLab, *, copy: bool) -> Ref:
    store = lab.engine.committer.stores[lab.group().ref]
    return next(disk.ref for disk in lab.config.disks_of(lab.group().ref) if (disk.ref in store.copies) is copy)


def is_right(lab: EngineLab, seed: int) -> bool:
    return lab.read(0, MIB, NAME) == pattern(seed, MIB)


def put(lab: EngineLab, seed: int) -> None:
    assert lab.write(pattern(seed, MIB), 0, NAME) == 0


@pytest.mark.parametrize("end", [EngineLab.stop, EngineLab.kill])
@pytest.mark.parametrize(("old", "copy"), [(True, True), (True, False), (False, True)])
def test_what_was_away_at_a_start_is_believed_only_when_it_is_as_it_was(
    lab: EngineLab, copy: bool, old: bool, end: Callable[[EngineLab], None]
) -> None:
    disk = kept_by(lab, copy=copy)
    lab.make_volume(NAME, 8 * MIB, disks=(disk,))
    put(lab, 1)
    path = lab.path_of(disk)
    lab.stop()
    image = shutil.copy(path, path.with_suffix(".old"))
    lab.start()
    put(lab, 2)
    end(lab)
    gone = path.rename(path.with_suffix(".away"))
    lab.start()
    lab.restart()  # it misses more than one import
    (image if old else gone).rename(path)
    lab.do(Rescan())
    if not old:
        assert is_right(lab, 2)
        return
    assert not lab.volume(NAME).serving
    assert lab.volume(NAME).status is VolumeStatus.FAILED
    lab.restart()
    assert not lab.volume(NAME).serving
    lab.do(StartVolumes(volumes=(lab.volume(NAME).ref,), force=True))
    assert is_right(lab, 1)


def test_what_stood_there_before_is_put_back_into_the_same_file(lab: EngineLab) -> None:
    """Only its copy of the configuration tells that: it ends before the disk went away."""
    disk = kept_by(lab, copy=True)
    lab.make_volume(NAME, 8 * MIB, disks=(disk,))
    put(lab, 1)
    image = shutil.copy(lab.path_of(disk), lab.path_of(disk).with_suffix(".old"))
    lab.make_volume("another", 8 * MIB)
    put(lab, 2)
    path, gone = away(lab, disk)
    shutil.copyfile(image, gone)
    gone.rename(path)
    lab.do(Rescan())
    assert not lab.volume(NAME).serving


@pytest.mark.allow_log("")
def test_it_comes_back_while_nothing_can_be_written_down(lab: EngineLab) -> None:
    disk = kept_by(lab, copy=False)
    lab.make_volume(NAME, 8 * MIB, disks=(disk,))
    put(lab, 1)
    path = lab.path_of(disk)
    image = shutil.copy(path, path.with_suffix(".old"))
    lab.restart()
    put(lab, 2)
    store = lab.engine.committer.stores[lab.group().ref]
    paths = [lab.path_of(one) for one in store.copies[1:]]
    for one in (path, *paths):
        one.rename(one.with_suffix(".away"))
    lab.do(Rescan())
    assert lab.group().frozen
    shutil.copyfile(image, path.with_suffix(".away"))
    path.with_suffix(".away").rename(path)
    lab.do(Rescan())
    assert lab.group().frozen
    assert not lab.volume(NAME).serving
    with pytest.raises(OSError):
        is_right(lab, 2)
    for one in paths:
        one.with_suffix(".away").rename(one)
    lab.do(Rescan())
    assert not lab.group().frozen
    assert not lab.volume(NAME).serving
    lab.restart()
    assert not lab.volume(NAME).serving


@pytest.mark.allow_log("")
def test_it_comes_back_while_the_configuration_has_no_room_for_a_word_on_it(lab: EngineLab) -> None:
    disk = kept_by(lab, copy=False)
    lab.make_volume(NAME, 8 * MIB, disks=(disk,))
    image = shutil.copy(lab.path_of(disk), lab.path_of(disk).with_suffix(".old"))
    lab.restart()
    put(lab, 2)
    path, gone = away(lab, disk)
    shutil.copyfile(image, gone)
    gone.rename(path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(GroupStore, "_too_large", lambda *_: "There is no room.")
        lab.do(Rescan())
    lab.do(Rescan())
    lab.kill()
    lab.start()
    assert not lab.volume(NAME).serving


@pytest.mark.allow_log("")
def test_a_mirror_that_comes_back_older_while_nothing_can_be_written_down_is_copied_whole(lab: EngineLab) -> None:
    disk, other = kept_by(lab, copy=False), kept_by(lab, copy=True)
    lab.make_volume(NAME, 8 * MIB, mirrors=2, disks=(disk, other))
    path = lab.path_of(disk)
    image = shutil.copy(path, path.with_suffix(".old"))
    put(lab, 1)
    lab.do(StopVolumes(volumes=(lab.volume(NAME).ref,)))
    lab.do(StartVolumes(volumes=(lab.volume(NAME).ref,)))
    away(lab, disk)
    assert any(plex.tracked for plex in lab.plexes(NAME))
    copies = lab.engine.committer.stores[lab.group().ref].copies
    paths = [lab.path_of(one) for one in copies if one not in (other, disk)]
    for one in paths:
        one.rename(one.with_suffix(".away"))
    lab.do(Rescan())
    assert lab.group().frozen
    image.rename(path)
    lab.do(Rescan())
    assert lab.group().frozen
    for one in paths:
        one.with_suffix(".away").rename(one)
    lab.do(Rescan())
    assert not lab.group().frozen
    assert not any(plex.tracked for plex in lab.plexes(NAME))
    lab.do(ResyncVolume(volume=lab.volume(NAME).ref))
    assert lab.equal(NAME)


# --- what its stamp tells ---
def noted(lab: Lab) -> None:
    """As after an import."""
    disks = (replace(disk, least_stamp=lab.store.begun) for disk in lab.config.all(Kind.DISK, Disk))
    config, changed = edited(lab.config, *disks)
    assert lab.store.commit({ref: config.get(ref) for ref in changed}, lab.store.transaction + 1, config).durable
    lab.config = config


def loaded(lab: Lab) -> None:
    group = lab.found()
    assert group is not None
    lab.store = GroupStore.load(group, importer())


def test_every_stamp_before_the_one_on_record_is_older_and_no_later_one_is() -> None:
    lab, sixth = Lab(6), disk_ref(5)
    lun = lab.luns["lun5"]
    lab.create()
    pages = [dict(lun.pages)]
    for _ in range(3):
        loaded(lab)  # one that is cut short
        pages.append(dict(lun.pages))
        loaded(lab)
        noted(lab)
        pages.append(dict(lun.pages))
    lab.store.lose_disk(sixth)
    lab.store.renew_stamps([disk_ref(0)])
    for number, old in enumerate(pages):
        lun.pages = dict(old)
        assert lab.store.is_older(sixth, lun) is (number < len(pages) - 1)
    for copy in (0, 1):  # without any stamp
        lun.zero(lab.store.span(disk_ref(0), Area.HEAD).offset + STAMP_OFFSETS[copy], 4096, may_unmap=False)
    assert lab.store.is_older(sixth, lun)
