"""Giving several columns their space, each from disks of its own."""

from __future__ import annotations

from collections.abc import Sequence

from engine.allocate.space import Piece, Space
from engine.records import Ref

Column = tuple[Piece, ...]


def fill(space: Space, pool: Sequence[Ref], needs: Sequence[int]) -> list[Column] | None:
    """One column for each need (bytes, 0 for none), no disk in two of them; None when that cannot be.

    Whole disks' ranges come first, then one disk in several pieces, then the fewest disks, then a balanced division.
    Takes from `space` only when it succeeds. `pool` is in order of preference.
    """
    single = _single_disks(space, pool, needs)
    used = set(single.values())
    open_slots = [slot for slot, need in enumerate(needs) if need and slot not in single]
    rest = [disk for disk in pool if disk not in used and space.total(disk)]
    wanted = [needs[slot] for slot in open_slots]
    shares = _fewest(space, rest, wanted) or _balanced(space, rest, wanted)
    if shares is None:
        return None
    chosen = {slot: [disk] for slot, disk in single.items()} | dict(zip(open_slots, shares, strict=True))
    return [_take(space, chosen.get(slot, []), need) for slot, need in enumerate(needs)]


def _single_disks(space: Space, pool: Sequence[Ref], needs: Sequence[int]) -> dict[int, Ref]:
    """Slots that one disk can serve alone: those who need most choose first, a contiguous range before pieces."""
    free = list(pool)
    chosen: dict[int, Ref] = {}
    for slot in sorted((slot for slot, need in enumerate(needs) if need), key=lambda slot: -needs[slot]):
        found = next((disk for disk in free if space.largest(disk) >= needs[slot]), None)
        found = found or next((disk for disk in free if space.total(disk) >= needs[slot]), None)
        if found is not None:
            chosen[slot] = found
            free.remove(found)
    return chosen


def _fewest(space: Space, pool: Sequence[Ref], needs: Sequence[int]) -> list[list[Ref]] | None:
    """For one slot after the other the largest disks, and the smallest one that completes it."""
    free = sorted(pool, key=lambda disk: -space.total(disk))
    shares: dict[int, list[Ref]] = {}
    for slot in sorted(range(len(needs)), key=lambda slot: -needs[slot]):
        left, share = needs[slot], []
        while left > 0:
            if not free:
                return None
            disk = free[0]
            if space.total(disk) >= left:  # then the smallest that is large enough
                disk = next(disk for disk in reversed(free) if space.total(disk) >= left)
            free.remove(disk)
            share.append(disk)
            left -= space.total(disk)
        shares[slot] = share
    return [shares[slot] for slot in range(len(needs))]


def _balanced(space: Space, pool: Sequence[Ref], needs: Sequence[int]) -> list[list[Ref]] | None:
    """Always the largest disk left to the slot that lacks most."""
    left = list(needs)
    shares: list[list[Ref]] = [[] for _ in needs]
    for disk in sorted(pool, key=lambda disk: -space.total(disk)):
        slot = max(range(len(needs)), key=lambda slot: (left[slot], -slot), default=None)
        if slot is None or left[slot] <= 0:
            break
        shares[slot].append(disk)
        left[slot] -= space.total(disk)
    return None if any(lack > 0 for lack in left) else shares


def _take(space: Space, disks: Sequence[Ref], need: int) -> Column:
    pieces: list[Piece] = []
    for disk in disks:
        part = min(need, space.total(disk))
        pieces += space.take(disk, part)
        need -= part
    return tuple(pieces)


def fill_shared(space: Space, pool: Sequence[Ref], needs: Sequence[int]) -> list[Column] | None:
    """Like `fill` for those who insist: columns may share disks when there is no other way, evenly."""
    trial = space.copy()
    columns: dict[int, Column] = {}
    uses = dict.fromkeys(pool, 0)
    for slot in sorted(range(len(needs)), key=lambda slot: -needs[slot]):
        order = sorted(pool, key=lambda disk: uses[disk])  # stable: by preference among the equally used
        found = fill(trial, order, [needs[slot]])
        if found is None:
            return None
        columns[slot] = found[0]
        for piece in found[0]:
            uses[piece.disk] += 1
    for column in columns.values():
        for piece in column:
            space.take_at(*piece)
    return [columns[slot] for slot in range(len(needs))]
