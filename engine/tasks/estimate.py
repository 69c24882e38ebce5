"""How long a task will take yet, as a low and a high guess from its recent speed."""

from __future__ import annotations

from collections import deque
from itertools import pairwise
from math import sqrt

WINDOW_S = 15.0
"""How far back speed is looked at."""

UNKNOWN = (-1.0, -1.0)
_STEP_S = 0.5
_WARM_S = 1.0
_NARROW = 0.06
_WIDE = 0.19  # so that the band is never wider than 40 % of its middle


class TimeLeft:
    """Fed with (time, bytes done) it tells a band of seconds. The band widens with the spread of recent speeds."""

    def __init__(self) -> None:
        self._marks: deque[tuple[float, int]] = deque()

    def feed(self, now: float, done: int) -> None:
        """`done` bytes are done at `now`. Feeding more often than twice a second costs nothing and brings nothing."""
        if self._marks and now - self._marks[-1][0] < _STEP_S:
            return
        self._marks.append((now, done))
        while self._marks[0][0] < now - WINDOW_S:
            self._marks.popleft()

    def band(self, now: float, done: int, total: int) -> tuple[float, float]:
        """Low and high seconds to the end; (-1, -1) while there is nothing to go by."""
        if done >= total:
            return 0.0, 0.0
        start, first = self._marks[0] if self._marks else (now, done)
        if now - start < _WARM_S or done <= first:
            return UNKNOWN
        middle = (total - done) * (now - start) / (done - first)
        margin = min(max(2.0 * self._spread(), _NARROW), _WIDE)
        return middle * (1 - margin), middle * (1 + margin)

    def _spread(self) -> float:
        """The relative error of the mean of the speeds between marks; neighbours are much alike, so it counts them
        as a quarter as many."""
        marks = list(self._marks)
        speeds = [(b - a) / (u - t) for (t, a), (u, b) in pairwise(marks)]
        if len(speeds) < 4:
            return 1.0
        mean = sum(speeds) / len(speeds)
        if mean <= 0:
            return 1.0
        variance = sum((speed - mean) ** 2 for speed in speeds) / (len(speeds) - 1)
        return sqrt(variance / max(len(speeds) / 4, 1.0)) / mean
