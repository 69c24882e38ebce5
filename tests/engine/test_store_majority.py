"""Which configuration wins: counted out for one to seven copies, and for every way in which they can be seen."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator

import pytest

from engine.records import Kind, Ref
from engine.store.areas import Area
from engine.store.copy_reader import Chain, CopyContent
from engine.store.election import Elected, elect
from engine.store.membership import COPIES_MAX, choose_copies
from engine.store.transaction import Transaction

SERIAL = b"s" * 16


def disk(number: int) -> bytes:
    return bytes((number + 1,)) * 16


def state(number: int, names: Iterable[bytes], serial: bytes = SERIAL, durable: int | None = None) -> Transaction:
    last = (number - 1 if durable is None else durable, serial)
    return Transaction(
        number=number,
        serial=serial,
        base=(1, SERIAL),
        previous=last,
        durable=last,
        copies=tuple(names),
        lineage=((1, SERIAL),),
    )


def copy(*states: Transaction) -> CopyContent:
    """A copy whose one chain tells these states."""
    if not states:
        return CopyContent((), {}, ())
    return CopyContent((Chain(Area.SLOT_A, states, 0),), {each.identity: each for each in states}, ())


def subsets(items: Iterable[bytes]) -> Iterator[frozenset[bytes]]:
    pool = list(items)
    for count in range(len(pool) + 1):
        yield from map(frozenset, itertools.combinations(pool, count))


def number_of(elected: Elected | None) -> int:
    return elected.state.number if elected else 0


@pytest.mark.parametrize("count", range(1, 8))
def test_a_commit_that_was_cut_off(count: int) -> None:
    """Transaction 1 is on all copies, 2 on some. Whoever sees a majority knows; whoever does not, doubts."""
    names = [disk(number) for number in range(count)]
    first, second = state(1, names, durable=0), state(2, names)
    for written in subsets(names):
        for visible in subsets(names):
            copies = {name: copy(first, second) if name in written else copy(first) for name in visible}
            elected = elect(copies)
            assert number_of(elected) == (0 if not visible else 2 if visible & written else 1)
            if elected is not None:
                assert bool(elected.doubts) == (2 * len(visible) <= count)
                assert set(elected.behind) == (visible - written if visible & written else set())
                assert elected.stale == ()


@pytest.mark.parametrize("count", range(2, 8))
def test_copies_that_were_left_behind_never_pass_for_the_group(count: int) -> None:
    """Transaction 2 failed on some disks and names the rest, at least half. The others alone may not win unnoticed."""
    names = [disk(number) for number in range(count)]
    first = state(1, names, durable=0)
    for left in subsets(names):
        if not left or 2 * len(left) < count or len(left) == count:
            continue
        second = state(2, sorted(left))
        for visible in subsets(names):
            elected = elect({name: copy(first, second) if name in left else copy(first) for name in visible})
            assert number_of(elected) == (0 if not visible else 2 if visible & left else 1)
            if elected is None:
                continue
            if not visible & left:
                assert elected.doubts
            assert bool(elected.doubts) == (2 * len(visible & left) <= len(left))


@pytest.mark.parametrize("count", range(2, 8))
def test_two_hosts_that_went_apart_are_seen(count: int) -> None:
    """Each took some of the copies by force and went on alone. With both in sight nobody may win unnoticed."""
    names = [disk(number) for number in range(count)]
    first = state(1, names, durable=0)
    for one in subsets(names):
        other = frozenset(names) - one
        if not one or not other:
            continue
        copies = {name: copy(first, state(5, sorted(one), b"1" * 16, 1)) for name in one}
        copies |= {name: copy(first, state(9, sorted(other), b"2" * 16, 1)) for name in other}
        elected = elect(copies)
        assert elected is not None
        assert elected.doubts
        assert set(itertools.chain.from_iterable(doubt.apart for doubt in elected.doubts)) == one


def test_what_a_host_left_behind_that_was_shut_out_does_not_count() -> None:
    """It wrote to one of three copies again and again; the other two went on without it."""
    names = [disk(0), disk(1), disk(2)]
    first = state(1, names, durable=0)
    alone = [state(number, names, durable=1) for number in range(2, 9)]
    onward = state(3, names[1:], b"2" * 16, 1)
    elected = elect({names[0]: copy(first, *alone), names[1]: copy(first, onward), names[2]: copy(first, onward)})
    assert elected is not None
    assert elected.state == onward
    assert elected.doubts == ()


def test_an_acknowledged_transaction_that_nobody_can_tell_is_missed() -> None:
    """The only copy has lost it, yet a later block knows that it was there."""
    first, third = state(1, [disk(0)], durable=0), state(3, [disk(0)])
    broken = CopyContent((Chain(Area.SLOT_A, (first,), 0),), {first.identity: first, third.identity: third}, ())
    elected = elect({disk(0): broken})
    assert elected is not None
    assert elected.state == first
    assert elected.doubts


def test_a_copy_that_lost_acknowledged_transactions_is_stale() -> None:
    names = [disk(0), disk(1)]
    states = [state(number, names) for number in range(1, 6)]
    elected = elect({names[0]: copy(*states), names[1]: copy(*states[:2])})
    assert elected is not None
    assert elected.state == states[-1]
    assert elected.stale == (names[1],)
    assert elected.behind == ()


def test_copies_are_spread_over_enclosures() -> None:
    disks = [Ref(Kind.DISK, f"{number:032x}") for number in range(12)]
    homes = {ref: f"enclosure {number % 3}" for number, ref in enumerate(disks)}
    chosen = choose_copies(disks, homes)
    assert len(chosen) == COPIES_MAX
    assert sorted([homes[ref] for ref in chosen].count(f"enclosure {number}") for number in range(3)) == [1, 2, 2]
    assert choose_copies(disks[:3], homes) == tuple(disks[:3])
    again = choose_copies(disks[1:], homes, chosen)
    assert set(again) >= set(chosen) - {disks[0]}
    assert len(again) == COPIES_MAX
