"""The configuration value: edits in any order, indexes, and how little an edit costs."""

from __future__ import annotations

import hypothesis
import pytest
from hypothesis import strategies as st
from msgspec.structs import replace

from engine import states
from engine.commands import CreateVolume, DeleteVolumes
from engine.config import Config, Edit, Extent, difference, natural
from engine.records import (
    Disk,
    Enclosure,
    Group,
    GroupState,
    Kind,
    Plex,
    PlexLayout,
    PlexState,
    Record,
    Ref,
    Subdisk,
    Volume,
)
from tests.engine.builders import Ids, Site, assert_same, assert_settled, bare

FEW = 3


def ref(kind: Kind, number: int) -> Ref:
    return Ref(kind, f"{number:032x}")


def refs(kind: Kind) -> st.SearchStrategy[Ref]:
    return st.integers(0, FEW - 1).map(lambda number: ref(kind, number))


names = st.sampled_from(["a", "A", "b-01", "Harddisk2", "Harddisk10"])
RECORDS: st.SearchStrategy[Record] = st.one_of(
    st.builds(Enclosure, ref=refs(Kind.ENCLOSURE), name=names),
    st.builds(Group, ref=refs(Kind.GROUP), name=names, state=st.sampled_from(GroupState)),
    st.builds(
        Disk,
        ref=refs(Kind.DISK),
        name=names,
        size=st.just(100),
        group=st.none() | refs(Kind.GROUP),
        enclosure=st.none() | refs(Kind.ENCLOSURE),
        public_offset=st.just(10),
        public_length=st.sampled_from([0, 40, 90]),
        present=st.booleans(),
        failing=st.booleans(),
        content=st.sampled_from(["", "ext4 file system"]),
    ),
    st.builds(
        Volume,
        ref=refs(Kind.VOLUME),
        name=names,
        group=refs(Kind.GROUP),
        size=st.sampled_from([0, 20]),
        started=st.booleans(),
        source=st.none() | refs(Kind.PLEX),
        fenced=st.sampled_from(["", "a flush failed"]),
    ),
    st.builds(
        Plex,
        ref=refs(Kind.PLEX),
        name=names,
        volume=refs(Kind.VOLUME),
        layout=st.sampled_from(PlexLayout),
        columns=st.integers(1, 2),
        state=st.sampled_from(PlexState),
    ),
    st.builds(
        Subdisk,
        ref=refs(Kind.SUBDISK),
        name=names,
        plex=refs(Kind.PLEX),
        disk=refs(Kind.DISK),
        disk_offset=st.integers(10, 90),
        plex_offset=st.sampled_from([0, 10, 20]),
        length=st.integers(1, 20),
        column=st.integers(0, 1),
        replaces=st.none() | refs(Kind.SUBDISK),
    ),
)
ANY_REF = st.sampled_from([Kind.ENCLOSURE, Kind.GROUP, Kind.DISK, Kind.VOLUME, Kind.PLEX, Kind.SUBDISK]).flatmap(refs)
CHANGES = st.lists(st.lists(RECORDS | ANY_REF, max_size=6), max_size=8)


def apply(config: Config, changes: list[Record | Ref]) -> tuple[Config, frozenset[Ref]]:
    edit = Edit(config)
    for change in changes:
        if isinstance(change, Ref):
            if change in edit.config:
                edit.drop(change)
        else:
            edit.put(change)
        config.free(ref(Kind.DISK, 0)) if ref(Kind.DISK, 0) in config else None
    return edit.result()


@hypothesis.settings(max_examples=300)
@hypothesis.given(CHANGES)
def test_any_sequence_of_edits_equals_a_rebuild(sequence: list[list[Record | Ref]]) -> None:
    config = Config()
    for changes in sequence:
        before = list(config)
        config_before = config
        config, told = apply(config, changes)
        assert list(config_before) == before, "an edit changed the configuration it began with"
        assert_same(config_before, Config.of(before)) if before else None
        assert_settled(config)
        assert set(told) == set(difference(config_before, config))


@hypothesis.given(CHANGES)
def test_what_can_be_looked_up_is_what_a_search_finds(sequence: list[list[Record | Ref]]) -> None:
    config = Config()
    for changes in sequence:
        config, _ = apply(config, changes)
    records = list(config)
    assert len(config) == len(records) == sum(config.count(kind) for kind in Kind)
    for record in records:
        found = config.find(record.ref.kind, record.name, scope_of(config, record))
        assert found is not None
        assert found.name == record.name
        assert scope_of(config, found) == scope_of(config, record)
    for number in range(FEW):
        parent = ref(Kind.PLEX, number)
        wanted = {one.ref for one in records if isinstance(one, Subdisk) and one.plex == parent}
        assert {one.ref for one in config.subdisks_of(parent)} == wanted
        assert config.count_children(parent, Kind.SUBDISK, "plex") == len(wanted)


def scope_of(config: Config, record: Record) -> Ref | None:
    match record:
        case Volume():
            return record.group
        case Plex():
            volume = config.get(record.volume)
            return volume.group if isinstance(volume, Volume) else None
        case Subdisk():
            disk = config.get(record.disk)
            return disk.group if isinstance(disk, Disk) else None
    return None


@hypothesis.given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 9)), max_size=8))
def test_free_space_is_what_no_subdisk_covers(places: list[tuple[int, int]]) -> None:
    ids = Ids()
    group = Group(ref=ids(Kind.GROUP), name="dg1")
    disk = Disk(ref=ids(Kind.DISK), name="d", size=60, group=group.ref, public_offset=5, public_length=30, present=True)
    plex = ids(Kind.PLEX)
    subdisks = [
        Subdisk(
            ref=ids(Kind.SUBDISK), name=str(n), plex=plex, disk=disk.ref, disk_offset=at, plex_offset=0, length=size
        )
        for n, (at, size) in enumerate(places)
    ]
    config = Config.of([group, disk, *subdisks])
    covered = {byte for at, size in places for byte in range(at, at + size)}
    free = [byte for extent in config.free(disk.ref) for byte in range(*extent)]
    assert free == [byte for byte in range(5, 35) if byte not in covered]
    settled = config.disk(disk.ref)
    assert settled.free == len(free)
    assert settled.largest_free == max((extent.length for extent in config.free(disk.ref)), default=0)


def test_a_disk_of_no_group_has_no_free_space() -> None:
    disk = Disk(ref=ref(Kind.DISK, 1), name="d", size=60, public_offset=5, public_length=30, present=True)
    assert Config.of([disk]).free(disk.ref) == ()


def test_names_sort_as_people_count() -> None:
    ordered = ["ab2", "Harddisk2", "Harddisk9", "Harddisk10", "harddisk11-2", "harddisk11-10", "x"]
    assert sorted(reversed(ordered), key=natural) == ordered


def test_an_extent_knows_its_length() -> None:
    assert Extent(5, 9).length == 4


def test_equal_names_have_one_order_whoever_asks() -> None:
    site = Site(2)
    group = site.group()
    twins = [Volume(ref=ref(Kind.VOLUME, number), name="same", group=group) for number in (3, 1, 2)]
    site.edit(*twins)
    assert [volume.ref for volume in site.config.volumes_of(group)] == sorted(twin.ref for twin in twins)
    found = site.config.find(Kind.VOLUME, "same", group)
    assert found is not None
    assert found.ref == ref(Kind.VOLUME, 1)


def test_a_change_touches_only_what_depends_on_it() -> None:
    site = Site(6, groups=("dg1", "dg2"))
    edit = Edit(site.config)
    edit.put(replace(site.config.disk(site.disk(0)), failing=True))
    _, told = edit.result()
    assert told == {site.disk(0)}
    site.set(site.disk(0), failing=True)
    edit = Edit(site.config)
    edit.put(replace(site.config.group(site.group("dg2")), frozen="no majority"))
    assert edit.result()[1] == {site.group("dg2")}


def test_a_large_group_is_built_in_reasonable_work() -> None:
    """Every index entry is copied once an edit, not once a record: sets of all volumes would be copied 3,000 times."""
    ids = Ids()
    group = Group(ref=ids(Kind.GROUP), name="dg1")
    edit = Edit(Config())
    edit.put(group)
    first = ids(Kind.VOLUME)
    edit.put(Volume(ref=first, name="v", group=group.ref))
    entry = edit.config._children[Kind.VOLUME, "group"][group.ref]
    for number in range(3000):
        edit.put(Volume(ref=ids(Kind.VOLUME), name=f"v{number}", group=group.ref))
    assert edit.config._children[Kind.VOLUME, "group"][group.ref] is entry
    assert len(entry) == 3001


def test_a_commit_settles_what_it_changes_and_not_the_whole_group(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every commit raises the group's transaction number, and every allocation changes a disk's free space."""
    site = Site(4)
    for number in range(8):
        site.do(CreateVolume(group=site.group(), size=1 << 20, name=f"v{number}", disks=(site.disk(0),)))
    settled: list[Ref] = []
    real = states._settle_volume
    monkeypatch.setattr(states, "_settle_volume", lambda edit, ref: (settled.append(ref), real(edit, ref)))
    site.do(DeleteVolumes(volumes=(site.volume("v3").ref,)))
    assert len(set(settled)) == 1
    site.set(site.disk(0), failing=True)
    assert len(set(settled)) == 8
    assert_settled(site.config)


@pytest.mark.parametrize("forgotten", ["_settle_disk", "_settle_plex", "_settle_volume", "_settle_group"])
def test_a_state_that_is_not_derived_is_noticed(forgotten: str, monkeypatch: pytest.MonkeyPatch) -> None:
    site = Site(2)
    group = site.config.group(site.group())
    volume = Volume(ref=ref(Kind.VOLUME, 1), name="v", group=group.ref, size=10)
    plex = Plex(ref=ref(Kind.PLEX, 1), name="p", volume=volume.ref, state=PlexState.CLEAN)
    subdisk = Subdisk(
        ref=ref(Kind.SUBDISK, 1),
        name="s",
        plex=plex.ref,
        disk=site.disk(0),
        disk_offset=1 << 30,
        plex_offset=0,
        length=10,
    )
    with monkeypatch.context() as patch:
        patch.setattr(states, forgotten, lambda edit, ref: None)
        site.edit(volume, plex, subdisk)
    with pytest.raises(AssertionError):
        assert_settled(site.config)
    site.edit(*(bare(record) for record in site.config))
