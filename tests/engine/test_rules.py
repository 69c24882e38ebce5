"""Rules: each refusal is one sentence with what would help, and says what is in the way."""

from __future__ import annotations

import hypothesis
import pytest
from hypothesis import strategies as st

from engine import rules
from engine.commands import AddMirrors, CreateVolume, Move, MoveSubdisks, SplitSubdisk, Target
from engine.plans import Problem
from engine.records import GroupState, PlexState, TaskState
from engine.units import GIB, KIB, MIB
from tests.engine.builders import Site


def mirrored(disks: int = 4, **more: int) -> Site:
    site = Site(disks, **more)  # type: ignore[arg-type]
    site.do(CreateVolume(group=site.group(), size=64 * MIB, name="ev", mirrors=2))
    return site


def text(problem: Problem | None) -> str:
    assert problem is not None
    return problem.text


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", "empty"),
        ("x" * 200, "200 characters"),
        ("x" * 32, "32 characters"),
        ("a/b", "“/”"),
        ("a\nb", "a line break"),
        ("a b", "a space"),
        ("a\x00b", "control character 0"),
        ("größe", "“ö”"),
        ("-x", "begins with “-”"),
        (".x", "begins with “.”"),
    ],
)
def test_a_bad_name_is_told_by_its_character_or_length(name: str, said: str) -> None:
    problem = rules.name_ok(name)
    assert said in text(problem)
    assert "\n" not in text(problem)


@pytest.mark.parametrize("name", ["a", "x" * 31, "Volume1-01", "_a.b", "9"])
def test_a_good_name_is_good(name: str) -> None:
    assert rules.name_ok(name) is None


@hypothesis.given(st.text())
def test_a_name_that_passes_can_stand_anywhere(name: str) -> None:
    if rules.name_ok(name) is None:
        assert name.isascii()
        assert name.isprintable()
        assert not set(name) & set("/ :\\'\"*?")


@pytest.mark.parametrize(
    ("columns", "unit", "good"),
    [
        (0, 0, True),
        (2, 4 * KIB, True),
        (64, 16 * MIB, True),
        (1, 0, False),
        (65, 0, False),
        (-2, 0, False),
        (2, 2 * KIB, False),
        (2, 32 * MIB, False),
        (2, 96 * KIB, False),
        (2, -64 * KIB, False),
    ],
)
def test_stripes(columns: int, unit: int, good: bool) -> None:
    assert (rules.stripes_ok(columns, unit) is None) is good


def test_needed_and_free_never_read_the_same() -> None:
    assert rules.needed_free(11 * GIB // 10, 8 * GIB // 10) == "1.1 GiB needed, 819.2 MiB free"
    assert rules.needed_free(GIB + 1, GIB) == "1,073,741,825 bytes needed, 1,073,741,824 bytes free"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"state": GroupState.DEPORTED}, "dg1 is deported."),
        ({"state": GroupState.FOREIGN, "owner": "beta"}, "dg1 is imported by beta."),
        ({"frozen": "2 of 4 configuration copies can't be written."}, "dg1 is frozen: 2 of 4"),
    ],
)
def test_a_group_that_is_not_ours_or_frozen_refuses(fields: dict[str, object], said: str) -> None:
    site = mirrored()
    site.set(site.group(), **fields)
    volume = site.volume("ev").ref
    assert said in text(rules.volume_ready(site.config, volume))
    assert said in site.plan(AddMirrors(volume=volume)).problems[0].text


def test_a_running_task_is_named_and_an_ended_one_is_not() -> None:
    site = mirrored()
    volume = site.volume("ev").ref
    site.submit(AddMirrors(volume=volume))
    problem = rules.no_running_task(site.config, volume)
    assert text(problem) == "The task “Add 1 Mirror to ev” is running on ev."
    for subdisk in site.subdisks("ev"):
        assert rules.can_move(site.config, subdisk) == problem
        assert rules.can_split(site.config, subdisk) == problem
    site.finish()
    assert rules.no_running_task(site.config, volume) is None


def test_a_task_that_names_subdisks_of_two_volumes_holds_both() -> None:
    site = Site(6)
    for name in ("a", "b"):
        site.do(CreateVolume(group=site.group(), size=MIB, name=name))
    moves = tuple(Move(site.subdisks(name)[0].ref) for name in ("a", "b"))
    made = site.submit(MoveSubdisks(moves=moves))
    assert made.task is not None
    for name in ("a", "b"):
        assert rules.no_running_task(site.config, site.volume(name).ref) is not None


def test_clients_are_named() -> None:
    site = mirrored()
    volume = site.volume("ev").ref
    site.connect(volume, "qemu-system-x86 (process 12)")
    problem = rules.in_use_by_clients(site.config, volume)
    assert text(problem) == "ev is in use by qemu-system-x86 (process 12)."
    assert rules.in_use_by_clients(site.config, volume, force=True) is None


def test_the_last_complete_mirror_stays() -> None:
    site = mirrored()
    first, second = site.plexes("ev")
    volume = site.volume("ev").ref
    assert rules.keeps_a_mirror(site.config, volume, [first.ref]) is None
    assert "all the mirrors" in text(rules.keeps_a_mirror(site.config, volume, [first.ref, second.ref]))
    site.set(second.ref, state=PlexState.STALE)
    assert "last complete mirror" in text(rules.keeps_a_mirror(site.config, volume, [first.ref]))
    assert rules.keeps_a_mirror(site.config, volume, [second.ref]) is None


def test_in_doubt_only_the_source_is_trusted() -> None:
    site = mirrored()
    first, second = site.plexes("ev")
    site.set(site.volume("ev").ref, source=second.ref)
    assert [plex.ref for plex in rules.trusted(site.config, site.volume("ev").ref)] == [second.ref]
    assert rules.plex_can_break(site.config, first.ref) is not None
    assert rules.plexes_can_go(site.config, [first.ref]) is None
    assert rules.plexes_can_go(site.config, [second.ref]) is not None


# --- drag and drop: hover and plan say the same ---
def hover_and_plan(site: Site, number: int, offset: int | None, index: int = 0) -> tuple[str, str]:
    subdisk, disk = site.subdisks("ev")[index], site.disk(number)
    hover = rules.can_take_subdisk(site.config, [subdisk], disk, offset)
    target = Target(disk, -1 if offset is None else offset)
    planned = site.plan(MoveSubdisks(moves=(Move(subdisk.ref, (target,)),))).problems
    return text(hover), planned[0].text


@pytest.mark.parametrize(
    ("number", "offset", "said"),
    [
        (1, None, "Harddisk1 holds the other mirror of ev."),
        (2, 5 * MIB + 1, "does not lie on a boundary of 4 KiB"),
        (2, 10 * GIB, "Harddisk2 at 10.0 GiB has too little free space: 64 MiB needed, 0 bytes free."),
        (4, None, "Harddisk4 does not belong to dg1."),
    ],
)
def test_a_drop_is_refused_with_the_sentence_of_the_hover(number: int, offset: int | None, said: str) -> None:
    site = mirrored(4, spare_luns=1)
    hover, planned = hover_and_plan(site, number, offset)
    assert said in hover
    assert planned == hover


def test_a_full_disk_says_how_much_is_needed() -> None:
    site = mirrored(4)
    site.do(CreateVolume(group=site.group(), size=0, name="big", disks=(site.disk(2),)))
    hover, planned = hover_and_plan(site, 2, None)
    assert hover == "Harddisk2 has too little free space: 64 MiB needed, 0 bytes free."
    assert planned == hover


def test_half_units_at_the_edges_of_a_free_region_are_no_room() -> None:
    site = Site(4, sizes=(76 * MIB,))
    for name, size, disks in (("ev", 68 * MIB, (0, 1)), ("a", MIB, (3,)), ("b", MIB, (3,))):
        chosen = tuple(map(site.disk, disks))
        site.do(CreateVolume(group=site.group(), size=size, name=name, mirrors=len(chosen), disks=chosen))
    start = site.config.disk(site.disk(2)).public_offset + 4 * KIB
    for name, offset in (("a", start), ("b", start + 65 * MIB)):
        site.do(MoveSubdisks(moves=(Move(site.subdisks(name)[0].ref, (Target(site.disk(2), offset),)),)))
    hover, planned = hover_and_plan(site, 2, None)
    assert hover == "Harddisk2 has too little free space: 68 MiB needed, 67 MiB free."
    assert planned == hover


def test_both_mirrors_dropped_on_one_disk_are_refused_as_one() -> None:
    site = mirrored(4)
    subdisks = site.subdisks("ev")
    hover = rules.can_take_subdisk(site.config, subdisks, site.disk(2))
    moves = tuple(Move(subdisk.ref, (Target(site.disk(2)),)) for subdisk in subdisks)
    assert text(hover) == "Harddisk2 holds the other mirror of ev."
    assert site.plan(MoveSubdisks(moves=moves)).problems[0].text == text(hover)


def test_another_column_is_in_the_way_and_force_is_not_asked() -> None:
    site = Site(4)
    site.do(CreateVolume(group=site.group(), size=64 * MIB, name="st", striped=True))
    first, second = site.subdisks("st")
    problem = rules.can_take_subdisk(site.config, [first], second.disk)
    assert text(problem) == "Harddisk1 holds another column of st-01."
    assert rules.can_take_subdisk(site.config, [first], second.disk, force=True) is None


def test_split_pieces_may_go_where_their_own_column_lies() -> None:
    site = mirrored(4)
    subdisk = site.subdisks("ev")[0]
    site.do(SplitSubdisk(subdisk=subdisk.ref, size=32 * MIB))
    first, second = site.subdisks("ev")[:2]
    site.do(MoveSubdisks(moves=(Move(first.ref, (Target(site.disk(2)),)),)))
    assert rules.can_take_subdisk(site.config, [second], site.disk(2)) is None


def test_joining_needs_neighbours_in_both_ways() -> None:
    site = mirrored(4)
    subdisk = site.subdisks("ev")[0]
    site.do(SplitSubdisk(subdisk=subdisk.ref, size=32 * MIB))
    first, second = site.subdisks("ev")[:2]
    other = site.subdisks("ev")[2]
    assert rules.can_join(site.config, first, second) is None
    assert "itself" in text(rules.can_join(site.config, first, first))
    assert "same column" in text(rules.can_join(site.config, first, other))
    site.do(MoveSubdisks(moves=(Move(second.ref, (Target(site.disk(2)),)),)))
    first, second = site.subdisks("ev")[:2]
    assert "not neighbours on one disk" in text(rules.can_join(site.config, first, second))


def test_a_task_that_has_ended_can_not_be_paused() -> None:
    site = mirrored()
    made = site.submit(AddMirrors(volume=site.volume("ev").ref))
    assert made.task is not None
    assert rules.task_controllable(site.config, made.task.ref) is None
    site.finish()
    assert site.config.task(made.task.ref).state is TaskState.COMPLETED
    assert "ended already" in text(rules.task_controllable(site.config, made.task.ref))


def test_lists_read_as_people_write_them() -> None:
    assert rules.listed(["a"]) == "a"
    assert rules.listed(["a", "b"]) == "a and b"
    assert rules.listed("abcde") == "a, b, c, d and e"
    assert rules.listed("abcdef") == "a, b, c, d and 2 more"
    assert [rules.counted(n, "copy") for n in (1, 2)] == ["1 copy", "2 copies"]
