"""Stamps that are made new during an import."""

from __future__ import annotations

from msgspec.structs import replace

from engine.records import Disk
from engine.store.group_store import GroupStore
from engine.store.scan import GroupFound
from tests.engine.store_lab import HOST, OTHER_HOST, Lab, disk_ref, edited, importer

SIXTH = disk_ref(5)


def lab_of_six() -> Lab:
    lab = Lab(6)
    lab.create()
    assert SIXTH not in lab.store.copies
    return lab


def renewed(lab: Lab) -> None:
    """As at a stop in order."""
    disks = lab.config.all(SIXTH.kind, Disk)
    stamp, stamped = lab.store.renew_stamps(disk.ref for disk in disks)
    assert stamped == {disk.ref for disk in disks}
    config, changed = edited(lab.config, *(replace(disk, least_stamp=stamp) for disk in disks))
    assert lab.store.commit({ref: config.get(ref) for ref in changed}, lab.store.transaction + 1, config).durable
    lab.config = config


def found(lab: Lab) -> GroupFound:
    group = lab.found()
    assert group is not None
    return group


def test_what_stood_there_before_is_older() -> None:
    lab = lab_of_six()
    pages = [dict(lab.luns["lun5"].pages)]
    for _ in range(3):
        renewed(lab)
        assert not found(lab).stale
        pages.append(dict(lab.luns["lun5"].pages))
    for old in pages[:-1]:
        lab.luns["lun5"].pages = dict(old)
        assert found(lab).stale == (SIXTH.id,)
        assert found(lab).state(HOST) == "Imported"


def test_a_copy_that_lacks_the_newest_transaction_alone_is_older_when_its_stamp_is() -> None:
    """Else a power cut may have kept it from that."""
    lab = lab_of_six()
    old = dict(lab.luns["lun1"].pages)
    renewed(lab)
    lab.luns["lun1"].pages = dict(old)
    assert found(lab).stale == (disk_ref(1).id,)
    lab = lab_of_six()
    old = dict(lab.luns["lun1"].pages)
    lab.set_value(7)
    lab.luns["lun1"].pages = dict(old)
    assert not found(lab).stale


def test_a_stop_without_a_change_in_between_makes_them_newer_all_the_same() -> None:
    lab = lab_of_six()
    stamps = [lab.store.renew_stamps([SIXTH])[0].transaction for _ in range(3)]
    assert stamps == sorted(set(stamps))


def test_the_next_import_owes_nothing_to_them() -> None:
    lab = lab_of_six()
    for _ in range(3):
        renewed(lab)
        lab.store = GroupStore.load(found(lab), importer())
        assert not found(lab).stale


def test_a_cut_at_each_write_leaves_nothing_that_looks_older() -> None:
    lab = lab_of_six()
    renewed(lab)
    before, count = lab.snapshot(), len(lab.bus.writes)
    renewed(lab)
    made = lab.bus.writes[count:]
    assert len(made) == 6 + 5
    for length in range(len(made)):
        lab.restore(before)
        for write in made[:length]:
            lab.luns[write.name].put(write.offset, write.data)
        assert not found(lab).stale


def test_who_has_lost_the_group_stamps_nothing() -> None:
    """Also when the other one has come no further than to the disk that has no copy."""
    for reached in ({"lun5"}, {"lun0"}, {f"lun{number}" for number in range(6)}):
        lab = lab_of_six()
        other_stamps(lab, reached)
        before = lab.snapshot()
        assert lab.store.renew_stamps([SIXTH])[1] == set()
        assert lab.snapshot() == before


def other_stamps(lab: Lab, reached: set[str]) -> None:
    """Another host begins to import the group by force, and ends after some disks."""
    here = lab.snapshot()
    GroupStore.load(found(lab), importer(OTHER_HOST, "beta"), clear=True)
    for name, lun in lab.luns.items():
        if name not in reached:
            lun.pages = dict(here[name])


def test_a_group_that_was_given_up_is_nobodys_and_its_stamps_tell_since_when() -> None:
    lab = lab_of_six()
    renewed(lab)
    older = dict(lab.luns["lun5"].pages)
    renewed(lab)
    lab.store.deport()
    given_up = dict(lab.luns["lun5"].pages)
    assert found(lab).state(OTHER_HOST) == "Deported"
    assert not found(lab).stale
    lab.luns["lun5"].pages = older
    assert found(lab).stale == (SIXTH.id,)
    lab.luns["lun5"].pages = dict(given_up)
    lab.store = GroupStore.load(found(lab), importer(OTHER_HOST, "beta"))
    lab.luns["lun5"].pages = dict(given_up)
    assert found(lab).stale == (SIXTH.id,)
