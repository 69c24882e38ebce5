"""Bugs that are planted on purpose where disk groups are split and joined: cutting the power finds each of them."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest
from msgspec.structs import replace

from engine.disk_groups import group_moves
from engine.disk_groups.group_moves import GroupMoves
from engine.store.group_store import GroupStore
from engine.store.moves import MoveKind
from engine.store.outcome import Outcome
from tests.sim import cases, crashes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from engine.store.moves import MapPages

LAYOUT = "stripe"
CUTS_MAX = 150

_captured = group_moves.captured
_carry_split = GroupMoves.carry_split
_move = GroupStore.move


def tells_of_no_change(*args: Any) -> list[MapPages]:
    """Maps that are empty when they come into another group."""
    return [replace(one, pages=tuple(bytes(len(page)) for page in one.pages)) for one in _captured(*args)]


def takes_no_map(*args: Any) -> list[MapPages]:
    """Maps that stay behind."""
    return []


def settles_first(self: Any, store: Any, move: Any, after: Any, devices: Any) -> Any:
    """A new group that is there before the old one has decided to lose its disks."""
    GroupStore.settle(move, devices, self._importer)
    return _carry_split(self, store, move, after, devices)


def says_nothing(self: Any, put: Iterable[Any] = (), done: Any = (), config: Any = None) -> Any:
    """A group that is joined without being asked."""
    put = tuple(put)
    if any(move.kind is MoveKind.JOINING for move in put):
        return Outcome(True, self.transaction)
    return _move(self, put, done, config)


def leaves_it(*args: Any) -> bool:
    """What is left to do of a split or join nobody does."""
    return False


PLANTED: dict[str, tuple[object, str, object, str]] = {
    "what has changed is forgotten on the way": (
        group_moves,
        "captured",
        tells_of_no_change,
        "join groups",
    ),
    "what has changed stays behind": (group_moves, "captured", takes_no_map, "join groups"),
    "a group is made before that is decided": (GroupMoves, "carry_split", settles_first, "split a group"),
    "a group is joined that was not asked": (GroupStore, "move", says_nothing, "join groups"),
    "a split is not finished": (GroupMoves, "_finish_split", leaves_it, "split and leave deported"),
    "a join is not finished": (GroupMoves, "_finish_join", leaves_it, "join groups"),
}


def cut_until_found(name: str) -> str:
    """What the first cut says, in an order of chance, that shows something wrong; empty when none does."""
    case = cases.CASES[name]
    start = crashes.begun(LAYOUT, case.ready, 1)
    moments = list(crashes.states(crashes.record(case, start, 1)))
    for number, found, keep in Random(1).sample(moments, min(CUTS_MAX, len(moments))):
        try:
            crashes.look(found, number, keep, case.then)
        except Exception as error:
            return f"{type(error).__name__}: {error}"
    return ""


@pytest.mark.parametrize("name", PLANTED)
def test_planted_bug_is_found(name: str) -> None:
    holder, attribute, planted, case = PLANTED[name]
    with mock.patch.object(holder, attribute, planted):
        assert cut_until_found(case), "no cut has met it"
