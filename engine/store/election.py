"""Which configuration of a group is the true one, from what its copies prove. Pure.

The newest transaction that anybody has heard of wins, provided that a majority of the copies which it names can be
read and one of them tells it whole. A transaction that was cut off by a crash is completed in this way: nobody was told
that it did not happen, and going back could lose one that was acknowledged and whose other copy lies. Where no
majority can be read, or two hosts changed the group apart from each other, no winner is beyond doubt.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import NamedTuple

from engine.store.copy_reader import Chain, CopyContent, lineage_of
from engine.store.transaction import NEVER, GroupPhase, Identity, Transaction


class Doubt(NamedTuple):
    """A transaction that may be newer than the winner, or beside it: why, and the copies (disk ids) concerned."""

    identity: Identity
    missing: tuple[bytes, ...]  # copies that it names and that can't be read
    apart: tuple[bytes, ...]  # copies that hold it while the winner does not come from it


class Elected(NamedTuple):
    """The best configuration there is. It is beyond doubt when `doubts` is empty."""

    state: Transaction
    chain: Chain
    place: int
    disk: bytes  # whose copy tells it
    lineage: tuple[tuple[int, bytes], ...]
    doubts: tuple[Doubt, ...]
    behind: tuple[
        bytes, ...
    ]  # readable copies that lack the last transactions, which had not been acknowledged to anybody
    stale: tuple[
        bytes, ...
    ]  # readable copies that lack acknowledged ones: writes were lost, or an old copy was put back


def elect(copies: Mapping[bytes, CopyContent], released: Set[bytes] = frozenset()) -> Elected | None:
    """The configuration of the group whose disks hold these copies; None when none of them tells any.

    `copies` has every disk that was read, also those without a copy. `released` are disks that are here and have left
    the group: they bear witness that a destroyed group was destroyed.
    """
    known = {identity: state for disk in sorted(copies) for identity, state in copies[disk].seen.items()}
    doubts: list[Doubt] = []
    for identity in sorted(known, reverse=True):
        state = known[identity]
        missing = _missing(state, copies, released)
        settled = (len(state.copies) - len(missing)) * 2 > len(state.copies)
        teller = _teller(copies, identity)
        if teller is None or not settled:
            doubts.append(Doubt(identity, missing, ()))
        if teller is None:
            continue
        lineage = lineage_of(*teller[1:])
        apart = _apart(copies, identity, lineage)
        if apart and settled and _never_counted(copies, identity, state.copies):
            continue  # left over from a host that was shut out; what it is apart from does count
        return _elected(copies, teller, lineage, [*doubts, *apart], known)
    return None


def _teller(copies: Mapping[bytes, CopyContent], identity: Identity) -> tuple[bytes, Chain, int] | None:
    for disk in sorted(copies):
        found = copies[disk].chain_to(identity)
        if found is not None:
            return disk, *found
    return None


def _missing(state: Transaction, copies: Mapping[bytes, CopyContent], released: Set[bytes]) -> tuple[bytes, ...]:
    here = set(copies) | (set(released) if state.phase == GroupPhase.DESTROYED else set())
    return tuple(disk for disk in state.copies if disk not in here)


def _elected(
    copies: Mapping[bytes, CopyContent],
    teller: tuple[bytes, Chain, int],
    lineage: tuple[tuple[int, bytes], ...],
    doubts: list[Doubt],
    known: Mapping[Identity, Transaction],
) -> Elected:
    disk, chain, place = teller
    state = chain.states[place]
    winner = state.identity
    lost = max((Identity(*seen.durable) for copy in copies.values() for seen in copy.seen.values()), default=NEVER)
    if lost.number > winner.number and all(doubt.identity != lost for doubt in doubts):
        doubts.append(Doubt(lost, (), ()))
    lacking = [name for name in state.copies if name in copies and copies[name].top != winner]
    before = known.get(Identity(*state.durable))
    newcomers = [name for name in lacking if before is not None and name not in before.copies]  # had no copy to lose
    stale = tuple(name for name in lacking if copies[name].top.number < state.durable[0] and name not in newcomers)
    behind = tuple(name for name in lacking if name not in stale)
    return Elected(state, chain, place, disk, lineage, tuple(doubts), behind, stale)


def _apart(
    copies: Mapping[bytes, CopyContent], winner: Identity, lineage: tuple[tuple[int, bytes], ...]
) -> list[Doubt]:
    """Tops of copies that the winner does not come from and that a majority of their own fellows may have."""
    found: dict[Identity, list[bytes]] = {}
    for disk in sorted(copies):
        top = copies[disk].newest
        if top not in (NEVER, winner) and top.number <= winner.number and not _leads_to(top, winner, lineage):
            found.setdefault(top, []).append(disk)
    doubts = []
    for identity, holders in sorted(found.items()):
        if not _never_counted(copies, identity, copies[holders[0]].seen[identity].copies):
            doubts.append(Doubt(identity, (), tuple(holders)))
    return doubts


def _never_counted(copies: Mapping[bytes, CopyContent], identity: Identity, names: tuple[bytes, ...]) -> bool:
    """Whether so many of the copies that a transaction names lack it that it cannot have become durable."""
    lacking = [name for name in names if name in copies and identity not in copies[name].seen]
    return (len(names) - len(lacking)) * 2 <= len(names)


def _leads_to(identity: Identity, winner: Identity, lineage: tuple[tuple[int, bytes], ...]) -> bool:
    """Whether the winner's own past has this transaction, or has left it behind unfinished."""
    if not lineage or identity.number < lineage[0][0]:
        return True  # from before all that is remembered
    for (first, serial), following in zip(lineage, (*lineage[1:], (winner.number + 1, b"")), strict=True):
        if serial == identity.serial:
            return first <= identity.number < following[0]
    return False
