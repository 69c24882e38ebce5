"""What drops mean, held against the rules of the planner."""

from __future__ import annotations

import random
from itertools import count, pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import rules
from engine.commands import Move, MoveSubdisks, Target
from engine.config import Config, Edit
from engine.planners import plan
from engine.plans import Problem
from engine.records import Kind, Ref, Subdisk
from engine.units import GIB, MIB
from tests.gui.block_lab import GROUP, Lab, random_config, ref, sample_lab
from vea_gui.block_rows import disks_of_scope
from vea_gui.drops import Drop, Lift, Piece, disks_for

DISK4 = ref(Kind.DISK, "d4")
EV = ref(Kind.SUBDISK, "d0-01")


def lift(config: Config, *refs: Ref) -> Lift:
    return Lift(config, refs, disks_for(config, refs))


def test_a_drop_lies_at_the_pointer_on_a_whole_mebibyte() -> None:
    verdict = lift(sample_lab(), EV).over(DISK4, 700 * MIB + 12_345)
    assert isinstance(verdict, Drop)
    assert verdict.pieces == (Piece(EV, DISK4, 700 * MIB, 900 * MIB),)
    assert verdict.command.moves[0].targets[0].offset == 700 * MIB


def test_the_pointer_holds_it_where_it_was_taken() -> None:
    verdict = lift(sample_lab(), EV).over(DISK4, 900 * MIB, grab=100 * MIB)
    assert isinstance(verdict, Drop)
    assert verdict.pieces[0].offset == 800 * MIB


@pytest.mark.parametrize(("pointer", "expected"), [(340 * MIB, 333 * MIB), (2047 * MIB, 1148 * MIB)])
def test_it_snaps_to_the_start_and_never_leaves_the_region(pointer: int, expected: int) -> None:
    verdict = lift(sample_lab(), EV).over(DISK4, pointer, snap=20 * MIB)
    assert isinstance(verdict, Drop)
    assert verdict.pieces[0].offset == expected


def test_the_disk_of_the_other_mirror_refuses_in_the_words_of_the_rules() -> None:
    config = sample_lab()
    other = ref(Kind.DISK, "d6")
    verdict = lift(config, EV).over(other, GIB)
    assert isinstance(verdict, Problem)
    assert verdict == rules.can_take_subdisk(config, [config.subdisk(EV)], other)
    assert verdict.text == "Harddisk6 holds the other mirror of ev."


def test_too_little_room_is_told_in_the_words_of_the_rules() -> None:
    config = sample_lab()
    disk = ref(Kind.DISK, "d1")
    verdict = lift(config, EV).over(disk, 1300 * MIB)
    assert isinstance(verdict, Problem)
    assert verdict == rules.can_take_subdisk(config, [config.subdisk(EV)], disk, 1245 * MIB)
    assert "needed" in verdict.text


def test_what_lies_there_already_is_named() -> None:
    verdict = lift(sample_lab(), EV).over(ref(Kind.DISK, "d3"), 40 * MIB)
    assert isinstance(verdict, Problem)
    assert verdict.text == "Harddisk3-01 lies here."
    assert verdict.help == "Drop on free space of Harddisk3."


def test_a_missing_disk_and_a_busy_volume_refuse() -> None:
    config = sample_lab()
    edit = Edit(config)
    edit.put(msgspec.structs.replace(config.disk(DISK4), present=False))
    verdict = lift(edit.result()[0], EV).over(DISK4, GIB)
    assert isinstance(verdict, Problem)
    assert verdict.text == "Harddisk4 is missing."
    moving = config.subdisk(ref(Kind.SUBDISK, "d4-01"))
    busy = lift(config, moving.ref).over(ref(Kind.DISK, "d11"), GIB)
    assert isinstance(busy, Problem)
    assert busy == rules.can_move(config, moving)


def scattered() -> Config:
    """4 x 300 MiB of free space, and a subdisk of 700 MiB."""
    lab = Lab(5, GIB)
    lab.volume("big", [[(0, 700 * MIB)]])
    for disk in range(1, 5):
        lab.volume(f"fill{disk}", [[(disk, 200 * MIB)]])
        lab.skip(disk, 300 * MIB)
        lab.volume(f"rest{disk}", [[(disk, 507 * MIB)]])
    return lab.config()


def test_what_fits_nowhere_is_offered_in_pieces_over_what_glows() -> None:
    config = scattered()
    hand = lift(config, EV)
    assert not hand.fits_whole()
    disk = ref(Kind.DISK, "d2")
    start = next(gap.start for gap in config.free(disk) if gap.length == 300 * MIB)
    verdict = hand.over(disk, start + 5 * MIB)
    assert isinstance(verdict, Drop)
    assert verdict.why
    assert verdict.pieces[0].disk == disk
    assert sum(piece.length for piece in verdict.pieces) == 700 * MIB
    check_pieces(config, verdict)


def test_without_room_in_all_nothing_glows_and_the_reason_is_told() -> None:
    lab = Lab(2, GIB)
    lab.volume("big", [[(0, 900 * MIB)]])
    lab.volume("other", [[(1, 900 * MIB)]])
    config = lab.config()
    hand = lift(config, EV)
    assert hand.glowing() == []
    verdict = hand.over(ref(Kind.DISK, "d1"), 1000 * MIB)
    assert isinstance(verdict, Problem)
    assert "needed" in verdict.text


def test_several_are_one_load_and_lie_in_a_row() -> None:
    config = sample_lab()
    refs = [ref(Kind.SUBDISK, "d0-02"), ref(Kind.SUBDISK, "d1-02")]
    hand = lift(config, *refs)
    assert hand.label == "2 subdisks, 900 MiB"
    verdict = hand.over(DISK4, 500 * MIB)
    assert isinstance(verdict, Drop)
    assert [piece.offset for piece in verdict.pieces] == [500 * MIB, 700 * MIB]
    assert len(verdict.command.moves) == 2


def test_two_mirrors_in_one_hand_go_to_two_disks() -> None:
    config = sample_lab()
    hand = lift(config, EV, ref(Kind.SUBDISK, "d6-01"))
    assert hand.apart()
    verdict = hand.over(DISK4, 600 * MIB)
    assert isinstance(verdict, Drop)
    assert verdict.why == "Parts of one volume may not share a disk."
    assert verdict.pieces[0] == Piece(EV, DISK4, 600 * MIB, 900 * MIB)
    assert verdict.pieces[1].disk != DISK4
    check_pieces(config, verdict)


def test_two_mirrors_with_one_disk_to_go_to_are_refused() -> None:
    lab = Lab(3, GIB)
    lab.volume("ev", [[(0, 600 * MIB)], [(1, 600 * MIB)]])
    config = lab.config()
    verdict = lift(config, EV, ref(Kind.SUBDISK, "d1-01")).over(ref(Kind.DISK, "d2"), 500 * MIB)
    assert isinstance(verdict, Problem)
    assert "No other disk has room" in verdict.text


@given(st.integers(0, 10_000))
def test_columns_and_mirrors_together_keep_the_planner_content(seed: int) -> None:
    """Several parts of one volume at once, over random places."""
    chance = random.Random(seed)
    config = sample_lab()
    edit = Edit(config)
    edit.drop(ref(Kind.TASK, "7"))
    edit.drop(ref(Kind.SUBDISK, "d10-01"))
    config = edit.result()[0]
    parts = [ref(Kind.SUBDISK, each) for each in ("d3-01", "d4-01", "d7-01", "d8-01", "d1-01", "d2-01", "d0-02")]
    hand = lift(config, *chance.sample(parts, chance.choice([2, 3, 4])))
    for _ in range(5):
        verdict = hand.over(chance.choice(disks_of_scope(config, GROUP)), chance.randrange(2 * GIB))
        if isinstance(verdict, Drop):
            check_pieces(config, verdict)
            numbers = count(1)
            made = plan(config, verdict.command, lambda kind: ref(kind, f"new{next(numbers)}"))  # noqa: B023
            assert made.problems == ()


def test_a_block_that_vanished_lets_go_with_the_reason() -> None:
    config = sample_lab()
    hand = lift(config, EV)
    edit = Edit(config)
    edit.drop(EV)
    assert hand.refresh(edit.result()[0]) == "Harddisk0-01 is gone. Nothing was moved."


def test_a_block_that_went_elsewhere_lets_go_with_the_reason() -> None:
    config = sample_lab()
    hand = lift(config, EV)
    edit = Edit(config)
    edit.put(msgspec.structs.replace(config.subdisk(EV), disk=DISK4, disk_offset=GIB))
    assert hand.refresh(edit.result()[0]) == "Harddisk0-01 lies elsewhere now. Nothing was moved."


def test_a_target_that_filled_up_lets_go_with_the_reason() -> None:
    config = sample_lab()
    hand = lift(config, EV)
    before = hand.over(DISK4, GIB)
    blocker = Subdisk(
        ref=ref(Kind.SUBDISK, "new"),
        name="Harddisk4-09",
        plex=ref(Kind.PLEX, "log-01"),
        disk=DISK4,
        disk_offset=900 * MIB,
        plex_offset=GIB,
        length=400 * MIB,
    )
    edit = Edit(config)
    edit.put(blocker)
    assert hand.refresh(edit.result()[0]) == ""
    now = hand.over(DISK4, GIB)
    assert hand.cancelled_over(before, now) == "Harddisk4-09 lies here. Nothing was moved."


def check_pieces(config: Config, drop: Drop) -> None:
    """Every piece lies whole in free space, apart from the others, and all of each subdisk goes somewhere."""
    for piece in drop.pieces:
        gaps = config.free(piece.disk)
        assert any(gap.start <= piece.offset and piece.offset + piece.length <= gap.end for gap in gaps)
    spans = sorted((piece.disk, piece.offset, piece.length) for piece in drop.pieces)
    for (disk, offset, length), (next_disk, next_offset, _) in pairwise(spans):
        assert disk != next_disk or offset + length <= next_offset
    for move in drop.command.moves:
        assert sum(target.length for target in move.targets) == config.subdisk(move.subdisk).length


@given(st.integers(0, 10_000))
def test_whatever_glows_takes_it_and_what_a_drop_says_is_possible(seed: int) -> None:
    """Random loads over random places: a drop keeps every rule, and a refusal is one of the rules' own."""
    chance = random.Random(seed)
    config = random_config(seed, disks=4, most=15)
    subdisks = [sd.ref for disk in disks_of_scope(config, GROUP) for sd in config.subdisks_on(disk)]
    numbers = count(1)
    if not subdisks:
        return
    hand = lift(config, *chance.sample(subdisks, min(len(subdisks), chance.choice([1, 1, 2, 3]))))
    for region in hand.glowing():
        assert isinstance(hand.at(region), Drop)
    for _ in range(20):
        disk = chance.choice(disks_of_scope(config, GROUP))
        size = config.disk(disk).size
        verdict = hand.over(disk, chance.randrange(size), chance.randrange(100 * MIB), chance.choice([0, 3 * MIB]))
        if isinstance(verdict, Drop):
            check_pieces(config, verdict)
            made = plan(config, verdict.command, lambda kind: ref(kind, f"new{next(numbers)}"))
            assert made.problems == ()
            assert sorted((each.disk, each.offset, each.length) for each in made.allocates) == sorted(
                piece[1:] for piece in verdict.pieces
            )
        else:
            assert verdict.text.endswith(".")
            assert verdict.help


def test_hover_and_planner_refuse_with_one_sentence() -> None:
    """Every subdisk of the lab over every disk: where the drag says no, so does the plan, in the same words."""
    config = sample_lab()
    refused = 0
    for disk in disks_of_scope(config, None):
        for subdisk in [sd for each in disks_of_scope(config, GROUP) for sd in config.subdisks_on(each)]:
            hand = lift(config, subdisk.ref)
            problem = hand.why_not(disk)
            command = MoveSubdisks(moves=(Move(subdisk.ref, (Target(disk),)),))
            made = plan(config, command, lambda kind: ref(kind, "new"))
            if problem is not None:
                refused += 1
                assert made.problems[0].text == problem.text
            elif hand.fits_whole() and any(region.disk == disk for region in hand.glowing()):
                assert made.problems == ()
    assert refused > 50
