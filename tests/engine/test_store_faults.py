"""Disks that lie: lost, misdirected, swapped, stale, cloned and random content is told apart from the truth."""

from __future__ import annotations

import random

import pytest

from engine.errors import MetadataError
from engine.geometry import LABEL_OFFSET, PRIVATE_OFFSET
from engine.records import GroupState
from engine.store.areas import Area
from engine.store.found import GroupFound
from engine.store.group_store import GroupStore
from engine.store.label import label_is_whole, read_label, wipe_label
from engine.store.member import make_disk
from engine.store.policy import import_needs
from engine.store.scan import scan
from engine.units import MIB
from tests.engine.store_lab import GROUP, HOST, OTHER_HOST, PAGE, SIZE, Lab, Lun, disk_ref, importer, value_of


def lab_with(disks: int, values: int = 5) -> Lab:
    lab = Lab(disks)
    lab.create()
    for value in range(1, values + 1):
        lab.set_value(value)
    return lab


def group_of(lab: Lab, names: list[str] | None = None) -> GroupFound:
    found = lab.found(names)
    assert found is not None
    return found


@pytest.mark.parametrize("disks", [2, 3, 4])
def test_a_single_lost_write_loses_nothing(disks: int) -> None:
    """Each write of a life of several commits, a journal that fills up included, is silently dropped in turn."""
    lab = lab_with(disks, 0)
    start = lab.snapshot()
    serial_store = lab.store
    for value in range(1, 71):
        lab.set_value(value)
    writes = list(lab.bus.writes)
    del serial_store
    begin = len(writes) - 70 * disks
    for lost in range(begin, len(writes)):
        lab.restore(start)
        for number, write in enumerate(writes[begin:], begin):
            if number != lost:
                lab.luns[write.name].put(write.offset, write.data)
        found = group_of(lab)
        assert found.elected is not None
        assert not found.elected.doubts
        assert value_of(found) == 70, f"write {lost - begin}"


def test_a_lost_write_on_the_only_disk_is_seen_as_soon_as_a_later_one_is_there() -> None:
    lab = lab_with(1, 0)
    start, begin = lab.snapshot(), len(lab.bus.writes)
    for value in range(1, 70):
        lab.set_value(value)
    writes = lab.bus.writes[begin:]
    for lost in range(len(writes) - 1):
        lab.restore(start)
        for number, write in enumerate(writes):
            if number != lost:
                lab.luns[write.name].put(write.offset, write.data)
        found = group_of(lab)
        later_checkpoint = any(
            write.offset < lab.store.span(disk_ref(0), Area.JOURNAL).offset for write in writes[lost + 1 :]
        )
        if value_of(found) == 69:
            assert later_checkpoint  # it told everything anew
        else:
            assert import_needs(found, HOST).force, f"write {lost}"


@pytest.mark.parametrize("disks", [1, 2, 3])
def test_flipped_bits_in_a_copy_are_seen_or_harmless(disks: int, seed: int) -> None:
    lab = lab_with(disks, 6)
    whole, chance = lab.snapshot(), random.Random(seed)
    lun = lab.luns["lun0"]
    private = range(PRIVATE_OFFSET // PAGE, PRIVATE_OFFSET // PAGE + 4 * MIB // PAGE)
    pages = [page for page in sorted(lun.pages) if page in private]
    places = [(page, byte) for page in pages for byte in range(128)]
    places += [(page, chance.randrange(128, PAGE)) for page in pages for _ in range(40)]
    for page, byte in places:
        lab.restore(whole)
        content = bytearray(lun.pages[page])
        content[byte] ^= 1 << chance.randrange(8)
        lun.pages[page] = bytes(content)
        found = group_of(lab)
        if disks > 1:
            assert value_of(found) == 6
            assert not import_needs(found, HOST).force
        elif found.elected is None or value_of(found) != 6:
            assert found.problems


def test_blocks_swapped_between_disks_and_places_are_not_believed(seed: int) -> None:
    lab = lab_with(3, 6)
    whole, chance = lab.snapshot(), random.Random(seed)
    used = [page for page in lab.luns["lun0"].pages if page * PAGE >= PRIVATE_OFFSET]
    for _ in range(300):
        lab.restore(whole)
        source, target = chance.choice(list(lab.luns)), chance.choice(["lun0", "lun1"])
        page = chance.choice(used)
        lab.luns[target].pages[page] = whole[source][chance.choice(used)]
        assert value_of(group_of(lab)) == 6


def test_an_old_copy_put_back_is_named_and_mended() -> None:
    lab = lab_with(3, 2)
    old = lab.snapshot()["lun1"]
    for value in range(3, 40):
        lab.set_value(value)
    lab.luns["lun1"].pages = dict(old)
    found = group_of(lab)
    assert value_of(found) == 39
    assert found.stale == (disk_ref(1).id,)
    assert any("Harddisk1" in problem and "old copy" in problem for problem in found.problems)
    assert import_needs(found, HOST) == ((), (), ())
    lab.store = GroupStore.load(found, importer())
    assert value_of(group_of(lab, ["lun0", "lun1"])) == 39
    assert group_of(lab).stale == (disk_ref(1).id,)  # nobody has drawn a conclusion from it yet
    lab.set_value(39)
    assert group_of(lab).problems == ()


def test_all_but_one_put_back_still_loses_nothing() -> None:
    lab = lab_with(3, 2)
    old = lab.snapshot()
    for value in range(3, 10):
        lab.set_value(value)
    for name in ("lun0", "lun1"):
        lab.luns[name].pages = dict(old[name])
    assert value_of(group_of(lab)) == 9


def test_a_clone_that_is_older_is_not_used() -> None:
    lab = lab_with(2, 2)
    lab.luns["clone"] = Lun("clone", lab.bus, SIZE, lab.luns["lun1"].pages)
    lab.set_value(3)
    found = group_of(lab)
    assert found.members[disk_ref(1).id].key == "lun1"
    assert value_of(found) == 3
    assert any("clone is an old copy of lun1" in problem for problem in found.problems)
    assert scan(lab.luns).duplicates == {disk_ref(1).id: ("clone", "lun1")}
    assert import_needs(found, HOST) == ((), (), ())


def test_a_clone_that_nothing_tells_from_its_original_blocks_the_import() -> None:
    lab = lab_with(3, 2)
    lab.luns["clone"] = Lun("clone", lab.bus, SIZE, lab.luns["lun1"].pages)
    found = group_of(lab)
    (reason,) = import_needs(found, HOST).impossible
    assert "clone and lun1" in reason
    with pytest.raises(MetadataError, match="clone and lun1"):
        GroupStore.load(found, importer(), force=True, clear=True)
    del lab.luns["clone"]
    assert value_of(group_of(lab)) == 2


@pytest.mark.parametrize("damaged", ["lun0", "lun1"])
def test_half_of_the_copies_needs_force_which_says_what_is_missing(damaged: str) -> None:
    lab = lab_with(2, 4)
    left = [name for name in lab.luns if name != damaged]
    found = group_of(lab, left)
    needs = import_needs(found, HOST)
    assert found.missing == ((disk_ref(int(damaged[3:])).id, f"Harddisk{damaged[3:]}"),)
    assert len(needs.force) == 1
    assert f"Harddisk{damaged[3:]}" in needs.force[0]
    with pytest.raises(MetadataError, match="Harddisk"):
        GroupStore.load(found, importer())
    lab.store = GroupStore.load(found, importer(), force=True)
    lab.set_value(9)
    assert value_of(group_of(lab, left)) == 9
    assert import_needs(group_of(lab, left), HOST).force == ()
    assert value_of(group_of(lab)) == 9
    assert import_needs(group_of(lab), HOST).force == ()


def test_a_survivor_of_two_goes_on_and_the_other_alone_does_not() -> None:
    lab = lab_with(2, 4)
    lab.store.lose_disk(disk_ref(0))
    lab.set_value(5)
    assert lab.store.copies == (disk_ref(1),)
    assert import_needs(group_of(lab, ["lun1"]), HOST).force == ()
    assert import_needs(group_of(lab, ["lun0"]), HOST).force
    lab.store.attach_disk(disk_ref(0), lab.luns["lun0"])
    lab.set_value(6)
    assert lab.store.copies == (disk_ref(0), disk_ref(1))
    assert value_of(group_of(lab)) == 6
    assert group_of(lab).problems == ()


def test_one_good_label_is_enough_and_is_mended() -> None:
    lab = lab_with(2, 1)
    for offset in (LABEL_OFFSET, PRIVATE_OFFSET):
        for damage in (bytes(PAGE), bytes(512) + lab.luns["lun0"].bytes_at(offset + 512, PAGE - 512)):
            lab.luns["lun0"].put(offset, damage)
            assert not label_is_whole(lab.luns["lun0"])
            lab.store = GroupStore.load(group_of(lab), importer())
            assert label_is_whole(lab.luns["lun0"])
    lab.luns["lun0"].put(LABEL_OFFSET + 600, b"x")
    lab.luns["lun0"].put(PRIVATE_OFFSET + 600, b"x")
    with pytest.raises(MetadataError):
        read_label(lab.luns["lun0"])
    assert set(scan(lab.luns).damaged) == {"lun0"}


def test_a_flipped_bit_in_any_byte_of_the_label_is_mended() -> None:
    lab = lab_with(1, 1)
    lun = lab.luns["lun0"]
    whole = read_label(lun)
    pages = dict(lun.pages)
    for offset in (LABEL_OFFSET, PRIVATE_OFFSET):
        for place in range(600):
            lun.pages = dict(pages)
            lun.put(offset + place, bytes((lun.bytes_at(offset + place, 1)[0] ^ 1 << place % 8,)))
            assert read_label(lun) == whole
            assert not label_is_whole(lun)


def test_a_lun_that_somebody_else_has_written_is_not_ours() -> None:
    lab = lab_with(1, 1)
    lab.luns["lun0"].put(0, b"\x00" * 1024 + b"a file system".ljust(2 * PAGE - 1024, b"\x07"))
    assert read_label(lab.luns["lun0"]) is None
    assert scan(lab.luns).labels == {}


def test_a_wiped_label_is_gone_and_half_a_wipe_is_not() -> None:
    lab = lab_with(1, 1)
    lun = lab.luns["lun0"]
    start = len(lab.bus.writes)
    whole = lab.snapshot()
    wipe_label(lun)
    assert read_label(lun) is None
    first = lab.bus.writes[start]
    lab.restore(whole)
    lun.put(first.offset, first.data)
    assert read_label(lun) is not None


def test_a_lun_that_shrank_or_grew() -> None:
    lab = lab_with(1, 1)
    whole = lab.luns["lun0"].pages
    grown = Lun("lun0", lab.bus, 2 * SIZE, whole)
    lab.store.lose_disk(disk_ref(0))
    lab.store.attach_disk(disk_ref(0), grown)
    assert lab.store.resize_disk(disk_ref(0)) == 2 * SIZE - 5 * MIB
    label = read_label(grown)
    assert label is not None
    assert label.lun_size == 2 * SIZE
    for size in (0, 512, PAGE, LABEL_OFFSET + PAGE, MIB, MIB + PAGE, 3 * MIB):
        shrunk = Lun("lun0", lab.bus, size, whole)
        found = scan({"lun0": shrunk})
        assert not found.groups
        assert set(found.damaged) == ({"lun0"} if size >= LABEL_OFFSET + PAGE else set())


def test_random_private_regions_raise_metadata_errors_at_most(seed: int) -> None:
    lab = lab_with(2, 3)
    whole, chance = lab.snapshot(), random.Random(seed)
    for round_ in range(150):
        lab.restore(whole)
        for _ in range(chance.randint(1, 40)):
            page = chance.choice(sorted(lab.luns["lun0"].pages))
            content = chance.randbytes(PAGE) if chance.random() < 0.5 else whole["lun1"].get(page, bytes(PAGE))
            keep = b"VEAblock" if chance.random() < 0.5 else b""
            lab.luns["lun0"].pages[page] = keep + content[len(keep) :]
        if round_ % 3 == 0:
            lab.luns["lun1"].pages = {page: chance.randbytes(PAGE) for page in lab.luns["lun1"].pages}
        found = lab.found()
        if found is None:
            continue
        try:
            store = GroupStore.load(found, importer(), force=True, clear=True)
        except MetadataError:
            continue
        assert store.records()


def test_nothing_of_ours_is_found_on_strange_luns(seed: int) -> None:
    chance = random.Random(seed)
    lab = Lab(0)
    lab.luns["random"] = Lun("random", lab.bus, SIZE, {page: chance.randbytes(PAGE) for page in range(1024)})
    lab.luns["tiny"] = Lun("tiny", lab.bus, 100)
    lab.luns["empty"] = Lun("empty", lab.bus, 0)
    lab.luns["blank"] = Lun("blank", lab.bus, SIZE)
    found = scan(lab.luns)
    assert (found.labels, found.groups, found.problems) == ({}, {}, ())


def test_a_disk_of_no_group_is_found_by_its_label() -> None:
    lab = Lab(1)
    label = make_disk(lab.luns["lun0"], disk_ref(0).id, 5.0)
    found = scan(lab.luns)
    assert found.labels == {"lun0": label}
    assert found.groups == {}
    with pytest.raises(ValueError, match="smaller"):
        make_disk(Lun("small", lab.bus, MIB), disk_ref(0).id, 5.0)


def test_a_newer_format_blocks_the_import(monkeypatch: pytest.MonkeyPatch) -> None:
    from engine.store import format as block_format

    lab = lab_with(2, 2)
    monkeypatch.setattr(block_format, "FORMAT_VERSION", 2)
    lab.set_value(3)
    monkeypatch.undo()
    found = group_of(lab)
    assert any("newer version" in reason for reason in import_needs(found, HOST).impossible)


def test_another_host_takes_the_group_and_this_one_is_fenced() -> None:
    lab = lab_with(3, 2)
    found = group_of(lab)
    assert found.state(OTHER_HOST) is GroupState.FOREIGN
    assert found.state(HOST) is GroupState.IMPORTED
    (reason,) = import_needs(found, OTHER_HOST).clear
    assert "alpha" in reason
    with pytest.raises(MetadataError, match="alpha"):
        GroupStore.load(found, importer(OTHER_HOST, "beta"))
    other = GroupStore.load(found, importer(OTHER_HOST, "beta"), clear=True)
    before = len(lab.bus.writes)
    assert not lab.try_value(7)
    assert "beta" in lab.store.frozen
    assert len(lab.bus.writes) == before
    assert value_of(group_of(lab)) == 2
    other.deport()
    assert group_of(lab).state(HOST) is GroupState.DEPORTED
    assert not lab.try_value(8)
    assert import_needs(group_of(lab), HOST) == ((), (), ())
    lab.store = GroupStore.load(group_of(lab), importer())
    lab.set_value(9)


def test_a_single_stamp_of_another_host_is_enough_to_be_fenced() -> None:
    for number in range(3):
        lab = lab_with(3, 2)
        only = [f"lun{number}"]
        GroupStore.load(group_of(lab, only), importer(OTHER_HOST, "beta"), force=True, clear=True)
        assert not lab.try_value(3)
        assert "beta" in lab.store.frozen


def test_a_disk_that_another_host_took_meanwhile_is_not_taken_back() -> None:
    lab = lab_with(3, 2)
    lab.store.lose_disk(disk_ref(2))
    lab.set_value(3)
    other = GroupStore.load(group_of(lab, ["lun2"]), importer(OTHER_HOST, "beta"), force=True, clear=True)
    with pytest.raises(MetadataError, match="beta"):
        lab.store.attach_disk(disk_ref(2), lab.luns["lun2"])
    other.deport()
    with pytest.raises(MetadataError, match="another import"):
        lab.store.attach_disk(disk_ref(2), lab.luns["lun2"])
    lab.set_value(4)
    found = group_of(lab)
    assert [reason for reason in import_needs(found, HOST).force if "Harddisk0, Harddisk1 went apart" in reason]
    found = group_of(lab, ["lun0", "lun1"])
    assert value_of(found) == 4
    assert import_needs(found, HOST) == ((), (), ())


def test_a_lun_that_lost_its_end_is_named() -> None:
    lab = lab_with(2, 1)
    lab.luns["lun1"].size -= 3 * MIB
    found = group_of(lab)
    assert value_of(found) == 1
    assert any("has become smaller. Its last 3 MiB are gone." in problem for problem in found.problems)


def test_a_disk_missing_at_the_deport_does_not_claim_the_group_later() -> None:
    lab = lab_with(3, 2)
    lab.store.lose_disk(disk_ref(0))
    lab.set_value(3)
    lab.store.deport()
    found = group_of(lab)
    assert found.state(HOST) is GroupState.DEPORTED
    assert import_needs(found, OTHER_HOST) == ((), (), ())


def test_stamps_that_all_broke_leave_the_owner_unknown() -> None:
    lab = lab_with(2, 2)
    for lun in lab.luns.values():
        for page in (2, 3):
            lun.put(PRIVATE_OFFSET + page * PAGE + 100, b"broken")
    found = group_of(lab)
    assert found.unknown_owner
    assert import_needs(found, HOST).clear
    assert found.state(HOST) is GroupState.FOREIGN


def test_a_destroyed_group_is_no_group_and_its_disks_are_free() -> None:
    lab = lab_with(3, 2)
    assert lab.store.destroy() == ()
    found = scan(lab.luns)
    assert found.groups == {}
    assert {label.group for label in found.labels.values()} == {""}
    with pytest.raises(MetadataError):
        lab.try_value(4)
    assert GROUP.id not in found.groups
