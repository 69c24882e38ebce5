"""What a schedule has to do at an instant: pure, so that years of it can be looked at in a moment."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from engine import rules

if TYPE_CHECKING:
    from engine.records import Schedule

GRACE_S = 60.0
"""A run that begins so soon after its moment is on time; one that would begin later is missed."""
COUNTED_MAX = 10_000
"""So many missed runs are counted, at most."""


class Due(NamedTuple):
    """What is to be done now. Moments up to `dealt` are done with, `next_run` is the first after them (0: none)."""

    dealt: float
    next_run: float
    run: float = 0.0  # the moment for which a run begins now; 0: none does
    late: bool = False  # that moment was missed
    missed: tuple[float, int] = (0.0, 0)  # the newest moment that was missed, and how many were


def look(schedule: Schedule, now: float) -> Due:
    """What is due. ValueError or OverflowError when the schedule makes no sense on this host."""
    if not schedule.dealt or not schedule.enabled:
        return Due(now, _next(schedule, now))
    passed, newest, before = 0, 0.0, 0.0
    for moment in rules.moments(schedule.when, schedule.dealt):
        if moment > now or passed >= COUNTED_MAX:
            break
        passed, newest, before = passed + 1, moment, newest
    dealt = max(schedule.dealt, now if passed >= COUNTED_MAX else newest)
    found = Due(dealt, _next(schedule, dealt))
    if not passed:
        return found
    if now - newest <= GRACE_S:
        return found._replace(run=newest, missed=(before, passed - 1))
    return found._replace(run=newest if schedule.late else 0.0, late=schedule.late, missed=(newest, passed))


def _next(schedule: Schedule, after: float) -> float:
    return rules.next_moment(schedule.when, after) if schedule.enabled else 0.0
