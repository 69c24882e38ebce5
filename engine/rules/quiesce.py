"""What is kept still while a snapshot is taken, and what that is worth."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from engine.config import Config
from engine.plans import Problem
from engine.records import Consistency, Freezable, FreezeBy, Link, Quiesce, Ref, Volume

_ORDER = (Consistency.CRASH, Consistency.FILE_SYSTEM, Consistency.APPLICATION)
_BY = {Quiesce.FS: FreezeBy.MOUNT, Quiesce.AGENT: FreezeBy.AGENT}
FREEZE_LIMIT_MAX_S = 60
_AUTO = "quiesce=auto"

QUIESCE_WORDS = {
    Quiesce.AUTO: "by whatever is found",
    Quiesce.FS: "by the file systems on this host, or no set",
    Quiesce.AGENT: "by the guests' agents, or no set",
    Quiesce.NONE: "not at all",
}


def lowest(levels: Iterable[Consistency]) -> Consistency:
    """The level of a whole set is that of its worst member."""
    return min(levels, key=_ORDER.index, default=Consistency.CRASH)


def set_consistency(links: Iterable[Link]) -> Consistency:
    """What snapshots that were taken together are worth together."""
    return lowest(link.consistency for link in links)


def to_freeze(volume: Volume, quiesce: Quiesce) -> tuple[Freezable, ...]:
    """What is to be kept still on a volume, as it was found; the site's own programs run unless nothing is to be."""
    if quiesce is Quiesce.NONE:
        return ()
    only = _BY.get(quiesce)
    return tuple(one for one in volume.freezers if only is None or one.by in (only, FreezeBy.PROGRAM))


def consistency_of(things: Sequence[Freezable]) -> Consistency:
    """What a snapshot is worth for which these were to be kept still; those with a problem were not."""
    programs = [one for one in things if one.by is FreezeBy.PROGRAM]
    others = [one for one in things if one.by is not FreezeBy.PROGRAM]
    if any(one.problem for one in others):
        return Consistency.CRASH
    if programs and not any(one.problem for one in programs):
        return lowest(one.level for one in programs)
    return lowest(one.level for one in others)


def expected_consistency(volume: Volume, quiesce: Quiesce) -> Consistency:
    """What a Snap Shot of a volume would be worth now."""
    return consistency_of(to_freeze(volume, quiesce))


def limit_ok(limit_s: int) -> Problem | None:
    """A time in which things have to be still; 0 is what the host's settings say."""
    if 0 <= limit_s <= FREEZE_LIMIT_MAX_S:
        return None
    help_ = f"Give 1 to {FREEZE_LIMIT_MAX_S} s."
    return Problem(f"The time for freezing can't be {limit_s} s.", help_, field="limit_s")


def can_quiesce(config: Config, volume: Ref, quiesce: Quiesce) -> Problem | None:
    """A volume that can be kept still in the way that was asked for."""
    record = config.volume(volume)
    wanted = _BY.get(quiesce)
    if wanted is None:
        return None
    found = [one for one in record.freezers if one.by is wanted]
    bad = next((one for one in found if one.problem), None)
    if bad is not None:
        return Problem(bad.problem, "Correct that, or let it be automatic.", volume, "quiesce", _AUTO)
    if found:
        return None
    if wanted is FreezeBy.AGENT:
        text = f"No guest agent is known for {record.name}."
        return Problem(text, "Name its socket, or let it be automatic.", volume, "quiesce", _AUTO)
    text = f"No file system on {record.name} is mounted on this host."
    return Problem(text, "Mount it, or let it be automatic.", volume, "quiesce", _AUTO)
