"""A disk that this host's own cut-short import has stamped is ours when it comes back; one that was used is not."""

from __future__ import annotations

import contextlib

import pytest

from engine.errors import MetadataError
from engine.store.group_store import GroupStore
from engine.store.policy import import_needs
from engine.store.scan import GroupFound
from tests.engine.store_lab import HOST, OTHER_HOST, Lab, Lun, PowerCut, disk_ref, importer, value_of


def found(lab: Lab, names: list[str] | None = None) -> GroupFound:
    group = lab.found(names)
    assert group is not None
    return group


def import_that_is_cut(lab: Lab, after: int, host: str = HOST) -> bool:
    """Whether the power went, which it does before the import's write number `after`."""
    left = after

    def before_write(lun: Lun, offset: int, data: bytes) -> bool:
        nonlocal left
        if not left:
            raise PowerCut
        left -= 1
        return True

    lab.bus.before_write = before_write
    cut = True
    with contextlib.suppress(PowerCut):
        GroupStore.load(found(lab), importer(host), clear=True)
        cut = False
    lab.bus.before_write = None
    return cut


@pytest.mark.parametrize("disks", [3, 5, 7])
def test_wherever_an_import_is_cut_a_disk_that_misses_the_next_one_is_taken_back(disks: int) -> None:
    """Five disks have a copy of the configuration, which proves it; what has none comes back with the next import."""
    lab = Lab(disks)
    lab.create()
    lab.set_value(7)
    before, config, telling = lab.snapshot(), lab.config, lab.store.copies
    cuts = 0
    while lab.restore(before) is None and import_that_is_cut(lab, cuts):
        cut = lab.snapshot()
        for away in range(disks):
            lab.restore(cut)
            lab.config = config
            here = [name for name in lab.luns if name != f"lun{away}"]
            lab.store = GroupStore.load(found(lab, here), importer())
            lab.set_value(8)
            took = takes_back(lab, away)
            assert took or disk_ref(away) not in telling
            if not took:
                lab.store.deport()
                lab.store = GroupStore.load(found(lab), importer())
            lab.set_value(9)
            whole = found(lab)
            assert import_needs(whole, HOST) == ((), (), ())
            assert value_of(whole) == 9
            assert not whole.stale
        cuts += 1
    assert cuts == disks + min(disks, 5)


def takes_back(lab: Lab, number: int) -> bool:
    """Or asks for a deport and an import."""
    why = ""
    try:
        lab.store.attach_disk(disk_ref(number), lab.luns[f"lun{number}"])
    except MetadataError as error:
        why = str(error)
    assert not why or "Deport the group and import it again" in why
    return not why


def test_where_an_import_of_this_host_has_done_more_than_begin_its_disks_are_not_taken_back() -> None:
    lab = Lab(3)
    lab.create()
    lab.set_value(7)
    lab.store.lose_disk(disk_ref(2))
    ours, config = lab.store, lab.config
    lab.set_value(8)
    lab.store = GroupStore.load(found(lab, ["lun2"]), importer(), force=True)
    lab.set_value(9)
    lab.store, lab.config = ours, config
    with pytest.raises(MetadataError, match="another import while the disk was away"):
        lab.store.attach_disk(disk_ref(2), lab.luns["lun2"])


def test_a_copy_that_was_given_up_before_proves_nothing() -> None:
    """The group goes on without the disk, which has an old copy and is no bearer of one: it may have been used."""
    lab = Lab(6)
    lab.create()
    lab.set_value(7)
    away = lab.store.copies[0]
    number = next(number for number in range(6) if disk_ref(number) == away)
    lab.store.lose_disk(away)
    lab.set_value(8)
    lab.store.attach_disk(away, lab.luns[f"lun{number}"])
    lab.set_value(9)
    assert away not in lab.store.copies
    lun = lab.luns[f"lun{number}"]
    others = [name for name in lab.luns if name != lun.name]
    before = lab.snapshot()
    lab.store = GroupStore.load(found(lab), importer())
    lab.set_value(10)
    used = dict(lun.pages)
    lab.restore(before)
    lab.store = GroupStore.load(found(lab, others), importer())
    lab.set_value(11)
    lun.pages = used
    with pytest.raises(MetadataError, match="another import while the disk was away"):
        lab.store.attach_disk(away, lun)


def test_an_import_of_another_host_is_not_taken_back_however_little_it_has_done() -> None:
    lab = Lab(3)
    lab.create()
    lab.set_value(7)
    assert import_that_is_cut(lab, 3, OTHER_HOST)
    lab.store = GroupStore.load(found(lab, ["lun0", "lun1"]), importer(), clear=True)
    with pytest.raises(MetadataError, match="taken over"):
        lab.store.attach_disk(disk_ref(2), lab.luns["lun2"])
