"""Where space comes from: rules that hold for any free space, and the order of preference in examples."""

from __future__ import annotations

import itertools
import random

import hypothesis
import pytest
from hypothesis import strategies as st
from msgspec.structs import replace

from engine.allocate import (
    Piece,
    Shape,
    Space,
    Wish,
    fill,
    hidden_tails,
    max_grow,
    max_size,
    place_plexes,
    usable_disks,
)
from engine.commands import CreateVolume, GrowVolume, SplitSubdisk
from engine.records import Disk, DiskUsage, Kind, PlexLayout, Ref, Subdisk
from engine.units import KIB, MIB, align_up
from tests.engine.builders import Ids, Site, assert_sound

SMALL = 40 * MIB  # a LUN of 40 MiB gives 35 MiB to subdisks


def holes(site: Site, lengths: list[list[int]]) -> None:
    """Cover each disk so that only ranges of these lengths (MiB) are free, 1 MiB apart."""
    ids = Ids()
    plex = Ref(Kind.PLEX, "e" * 32)
    for disk, wanted in zip(site.config.disks_of(site.group()), lengths, strict=False):
        position, end = disk.public_offset, disk.public_offset + disk.public_length
        covers = []
        for length in wanted:
            covers.append((position, MIB))
            position += MIB + length * MIB
        assert position <= end
        if position < end:
            covers.append((position, end - position))
        for at, length in covers:
            ref = ids(Kind.SUBDISK)
            ref = Ref(Kind.SUBDISK, "c" + ref.id[1:])
            name = f"cover{ref.id[-4:]}"
            site.edit(
                Subdisk(ref=ref, name=name, plex=plex, disk=disk.ref, disk_offset=at, plex_offset=0, length=length)
            )


free_lists = st.lists(st.lists(st.integers(1, 7), max_size=3), min_size=1, max_size=7)


@st.composite
def creations(draw: st.DrawFn) -> tuple[Site, CreateVolume]:
    lengths = draw(free_lists)
    site = Site(len(lengths), sizes=(SMALL,), enclosures=draw(st.integers(1, 3)))
    holes(site, lengths)
    striped = draw(st.booleans())
    command = CreateVolume(
        group=site.group(),
        size=0,
        striped=striped,
        columns=draw(st.integers(2, 3)) if striped else 0,
        stripe_unit=draw(st.sampled_from([0, 4 * KIB, 2 * MIB])) if striped else 0,
        mirrors=draw(st.integers(1, 3)),
        across_enclosures=draw(st.booleans()),
        force=draw(st.booleans()),
    )
    return site, command


@hypothesis.settings(max_examples=120)
@hypothesis.given(creations())
def test_the_largest_size_fits_and_one_unit_more_does_not(drawn: tuple[Site, CreateVolume]) -> None:
    site, command = drawn
    size = max_size(site.config, command)
    assert site.plan(replace(command, size=size + MIB)).problems
    if size:
        made = site.plan(replace(command, size=size))
        assert not made.problems
        assert made.task is not None
        assert made.task.params.size == size
        assert site.plan(command).allocates == made.allocates
        for smaller in {MIB, size // 2 // MIB * MIB or MIB}:
            assert not site.plan(replace(command, size=smaller)).problems
    else:
        assert site.plan(command).problems


@hypothesis.settings(max_examples=120)
@hypothesis.given(creations(), st.integers(1, 20))
def test_what_is_placed_keeps_every_rule(drawn: tuple[Site, CreateVolume], size: int) -> None:
    site, command = drawn
    disks = usable_disks(site.config, command.group)
    shape = Shape(PlexLayout.STRIPE, command.columns, command.stripe_unit or 64 * KIB) if command.striped else CONCAT
    wish = Wish(shape, command.mirrors, size * MIB, command.across_enclosures, command.force)
    placed = place_plexes(site.config, Space(site.config, disks), wish)
    if placed is None:
        return
    assert [len(columns) for columns in placed] == [shape.columns] * command.mirrors
    every = [piece for columns in placed for column in columns for piece in column]
    for piece in every:
        assert piece.offset % MIB == 0
        assert piece.length % MIB == 0
        assert piece.length > 0
        assert any(
            free.start <= piece.offset and piece.offset + piece.length <= free.end
            for free in site.config.free(piece.disk)
        )
        assert not any(other is not piece and overlap(piece, other) for other in every)
    for columns in placed:
        assert {sum(piece.length for piece in column) for column in columns} == {shape.column_length(size * MIB)}
    if not command.force:
        used = [{piece.disk for piece in column} for columns in placed for column in columns]
        assert len(set().union(*used)) == sum(map(len, used)), "two columns share a disk"
    if command.across_enclosures and command.mirrors > 1:
        shelves = [{site.config.disk(p.disk).enclosure for column in columns for p in column} for columns in placed]
        assert len(set().union(*shelves)) == sum(map(len, shelves)), "two mirrors share an enclosure"


CONCAT = Shape(PlexLayout.CONCAT, 1, 0)


def overlap(one: Piece, other: Piece) -> bool:
    together = one.offset < other.offset + other.length and other.offset < one.offset + one.length
    return one.disk == other.disk and together


@hypothesis.settings(max_examples=120)
@hypothesis.given(free_lists, st.integers(1, 3), st.integers(1, 10))
def test_a_plain_volume_fits_exactly_when_the_free_space_suffices(
    lengths: list[list[int]], mirrors: int, size: int
) -> None:
    """For one copy the answer is known: any sum will do. For several, no refusal when single disks suffice."""
    site = Site(len(lengths), sizes=(SMALL,))
    holes(site, lengths)
    possible = not site.plan(CreateVolume(group=site.group(), size=size * MIB, mirrors=mirrors)).problems
    totals = [sum(free) for free in lengths]
    if mirrors == 1:
        assert possible == (sum(totals) >= size)
    elif sum(total >= size for total in totals) >= mirrors:
        assert possible
    elif sum(totals) < size * mirrors:
        assert not possible


@hypothesis.settings(max_examples=80)
@hypothesis.given(creations(), st.integers(1, 4), st.lists(st.integers(0, 6), max_size=3))
def test_growth_is_exact_and_keeps_the_rules(drawn: tuple[Site, CreateVolume], size: int, named: list[int]) -> None:
    site, command = drawn
    first = site.plan(replace(command, size=size * MIB, name="v"))
    if first.problems:
        return
    site.do(replace(command, size=size * MIB, name="v"))
    count = site.config.count(Kind.DISK)
    disks = tuple({site.disk(number % count) for number in named})
    grow = GrowVolume(volume=site.volume("v").ref, size=0, disks=tuple(sorted(disks)))
    largest = max_grow(site.config, grow)
    assert largest >= size * MIB
    assert site.plan(replace(grow, size=largest + MIB)).problems
    if largest == size * MIB:
        assert site.plan(grow).problems
        return
    made = site.plan(replace(grow, size=largest))
    assert made.allocates == site.plan(grow).allocates
    assert not disks or {given.disk for given in made.allocates} <= set(disks)
    site.do(grow)
    assert site.volume("v").size == largest
    for plex in site.plexes("v"):
        assert plex.length >= largest
    for disk in site.config.all(Kind.DISK, Disk):
        pieces = site.config.subdisks_on(disk.ref)
        assert all(a.disk_offset + a.length <= b.disk_offset for a, b in itertools.pairwise(pieces))
    if not command.force:
        used = [
            {piece.disk for piece in site.config.subdisks_of(plex.ref) if piece.column == column}
            for plex in site.plexes("v")
            for column in range(plex.columns)
        ]
        assert len(set().union(*used)) == sum(map(len, used))


# --- the order of preference ---
def test_mirrors_go_to_different_enclosures_when_they_can() -> None:
    site = Site(6, enclosures=2)
    site.do(CreateVolume(group=site.group(), size=100 * MIB, name="v", mirrors=2))
    shelves = [site.config.disk(subdisk.disk).enclosure for subdisk in site.subdisks("v")]
    assert len(set(shelves)) == 2


def test_mirrors_share_an_enclosure_rather_than_fail_unless_it_is_required() -> None:
    site = Site(4, enclosures=1)
    command = CreateVolume(group=site.group(), size=100 * MIB, mirrors=2)
    assert not site.plan(command).problems
    assert site.plan(replace(command, across_enclosures=True)).problems


def test_four_mirrors_spread_over_two_enclosures_evenly() -> None:
    site = Site(8, enclosures=2)
    site.do(CreateVolume(group=site.group(), size=100 * MIB, name="v", mirrors=4))
    shelves = [site.config.disk(subdisk.disk).enclosure for subdisk in site.subdisks("v")]
    assert sorted(map(shelves.count, set(shelves))) == [2, 2]


def test_one_range_is_taken_before_pieces_and_one_disk_before_several() -> None:
    site = Site(3, sizes=(SMALL,), enclosures=1)
    holes(site, [[3, 3], [6, 1], [2, 2, 2]])
    pieces = site.plan(CreateVolume(group=site.group(), size=5 * MIB)).allocates
    assert [(piece.disk, piece.length) for piece in pieces] == [(site.disk(1), 5 * MIB)]
    pieces = site.plan(CreateVolume(group=site.group(), size=7 * MIB)).allocates
    assert {piece.disk for piece in pieces} == {site.disk(1)}
    pieces = site.plan(CreateVolume(group=site.group(), size=13 * MIB)).allocates
    assert len({piece.disk for piece in pieces}) == 2


@pytest.mark.parametrize("usage", [DiskUsage.SPARE, DiskUsage.RESERVED])
def test_spare_and_reserved_disks_give_space_only_when_they_are_named(usage: DiskUsage) -> None:
    site = Site(2)
    site.set(site.disk(0), usage=usage)
    command = CreateVolume(group=site.group(), size=MIB)
    assert [given.disk for given in site.plan(command).allocates] == [site.disk(1)]
    named = site.plan(replace(command, disks=(site.disk(0),)))
    assert [given.disk for given in named.allocates] == [site.disk(0)]


def test_missing_and_failing_disks_give_no_space_by_themselves() -> None:
    site = Site(3)
    site.set(site.disk(0), present=False)
    site.set(site.disk(1), failing=True)
    command = CreateVolume(group=site.group(), size=MIB)
    assert [given.disk for given in site.plan(command).allocates] == [site.disk(2)]
    assert site.plan(replace(command, disks=(site.disk(0),))).problems
    assert "I/O errors" in site.plan(replace(command, disks=(site.disk(1),))).warnings[0]


def test_growth_takes_what_lies_behind_the_last_subdisk_first() -> None:
    site = Site(4)
    site.do(CreateVolume(group=site.group(), size=100 * MIB, name="v", striped=True, mirrors=2))
    site.do(GrowVolume(volume=site.volume("v").ref, size=200 * MIB))
    for plex in site.plexes("v"):
        for column in range(2):
            first, second = (sd for sd in site.config.subdisks_of(plex.ref) if sd.column == column)
            assert (second.disk, second.disk_offset) == (first.disk, first.disk_offset + first.length)


@hypothesis.given(st.integers(1, 300), st.integers(2, 6), st.sampled_from([4 * KIB, 64 * KIB, MIB, 2 * MIB, 16 * MIB]))
def test_a_column_holds_its_share_of_every_byte(size_mib: int, columns: int, unit: int) -> None:
    shape, size = Shape(PlexLayout.STRIPE, columns, unit), size_mib * MIB
    length = shape.column_length(size)
    shares = [shape.column_bytes(column, size) for column in range(columns)]
    assert sum(shares) == size
    assert max(shares) <= length
    assert length % max(unit, MIB) == 0
    assert length - max(shares) < max(unit, MIB)
    counted = [0] * columns
    for row in range(0, align_up(size, unit) // unit):
        counted[row % columns] += min(unit, size - row * unit)
    assert shares == counted


@hypothesis.given(st.integers(1, 20), st.integers(2, 3), st.sampled_from([64 * KIB, 2 * MIB]), st.integers(0, 2**32))
def test_tails_are_exactly_what_no_client_can_reach(size_mib: int, columns: int, unit: int, seed: int) -> None:
    site = Site(4, sizes=(SMALL,))
    command = CreateVolume(
        group=site.group(), size=size_mib * MIB, name="v", striped=True, columns=columns, stripe_unit=unit
    )
    site.do(command)
    first = site.subdisks("v")[0]
    if first.length >= 2 * MIB:
        site.do(SplitSubdisk(subdisk=first.ref, size=first.length // 2))
    volume = site.volume("v")
    tails = hidden_tails(site.config, volume.ref)
    assert sum(tail.length for tail in tails) == sum(sd.length for sd in site.subdisks("v")) - volume.size
    visible = random.Random(seed).sample(range(0, volume.size, 4 * KIB), k=min(50, volume.size // (4 * KIB)))
    for offset in [*visible, volume.size - 4 * KIB]:
        row, inside = divmod(offset, unit)
        column, at = row % columns, row // columns * unit + inside
        for subdisk in site.subdisks("v"):
            if subdisk.column == column and subdisk.plex_offset <= at < subdisk.plex_offset + subdisk.length:
                within = at - subdisk.plex_offset
                assert not any(t.subdisk == subdisk.ref and t.offset <= within for t in tails), offset


def test_a_planted_allocator_that_forgets_the_other_columns_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    def careless(space: Space, pool: list[Ref], needs: list[int]) -> list[fill.Column] | None:
        if not pool or space.total(pool[0]) < sum(needs):
            return None
        return [tuple(space.take(pool[0], need)) for need in needs]

    monkeypatch.setattr("engine.allocate.create.fill", careless)
    site = Site(4, enclosures=1)
    site.do(CreateVolume(group=site.group(), size=10 * MIB, mirrors=2))
    with pytest.raises(AssertionError, match="uses a disk twice"):
        assert_sound(site.config)
