"""What is kept still for one set of snapshots, and what that makes of each of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from msgspec.structs import replace

from engine.records import Consistency, FreezeBy
from engine.rules import consistency_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from engine.quiesce.held import Held
    from engine.quiesce.journal import Entry
    from engine.records import Freezable, Ref


class Kept(NamedTuple):
    """One thing that is kept still, for all volumes that it lies on."""

    thing: Freezable
    entry: Entry
    held: Held


class Level(NamedTuple):
    """What a volume's snapshot is worth, what was kept still for it and for how long, and why it is no better."""

    consistency: Consistency
    frozen: tuple[str, ...]
    frozen_s: float
    lower: str


class Stillness:
    """From the first freeze until everything has been let go."""

    def __init__(self, things: Mapping[Ref, Sequence[Freezable]]) -> None:
        self.things = things
        self.kept: list[Kept] = []
        self.taken_at: float | None = None  # when the snapshots were there; None: they are not yet

    def waves(self) -> Iterator[list[Freezable]]:
        """What is frozen together, each thing once: programs, then guests and what lies deepest, then the rest."""
        usable = {key_of(one): one for found in self.things.values() for one in found if not one.problem}
        by_wave: dict[tuple[bool, int], list[Freezable]] = {}
        for one in usable.values():
            by_wave.setdefault((one.by is not FreezeBy.PROGRAM, -one.depth), []).append(one)
        yield from (by_wave[wave] for wave in sorted(by_wave))

    def flushed(self) -> list[Freezable]:
        """What is only flushed, each thing once."""
        return list({key_of(one): one for found in self.things.values() for one in found if one.flush_only}.values())

    def judged(self, volume: Ref) -> list[Freezable]:
        """What was to be kept still on a volume, each with what it gave or why it gave nothing."""
        kept = {key_of(one.thing): one for one in self.kept}
        return [_judged(one, kept.get(key_of(one)), self.taken_at) for one in self.things[volume]]

    def level(self, volume: Ref) -> Level:
        """Once all has been let go."""
        judged = self.judged(volume)
        good = [one for one in judged if not one.problem]
        held = {key_of(kept.thing): kept.held for kept in self.kept}
        lasted_s = max((held[key_of(one)].lasted_s for one in good), default=0.0)
        lower = " ".join(one.problem for one in judged if one.problem)
        return Level(consistency_of(judged), tuple(one.what for one in good), lasted_s, lower)


def key_of(thing: Freezable) -> tuple[str, str]:
    """Two volumes may have the same thing on them."""
    return thing.by, thing.number or thing.place


def _judged(thing: Freezable, kept: Kept | None, taken_at: float | None) -> Freezable:
    why = _why_not(kept, taken_at) if not thing.problem else ""
    if why:
        text = f"{thing.what[0].upper()}{thing.what[1:]} {why}."
        return replace(thing, level=Consistency.CRASH, problem=text)
    return replace(thing, level=kept.held.level or thing.level) if kept is not None else thing


def _why_not(kept: Kept | None, taken_at: float | None) -> str:
    """Only what was still from before the snapshot until after it counts."""
    if kept is None:
        return "was not frozen"
    held = kept.held
    if held.level is None:
        return f"could not be frozen: {held.problem or 'it was not still in time'}"
    if held.lost:
        return f"did not stay frozen: {held.lost}"
    if taken_at is not None and held.thawed_at is None:
        return f"could not be thawed: {held.problem or 'it did not say in time that it was'}"
    if taken_at is not None and held.thawed_at is not None and held.thawed_at < taken_at:
        return "did not stay frozen for long enough"
    return ""
