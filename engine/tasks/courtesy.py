"""What the copies of a task leave to clients: processors and LUNs that both want."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.runtime import Runtime

QUIET_S = 0.02
"""Clients are busy while the last request of any of them is no older."""


class Courtesy:
    """While clients are busy one worker copies, half of the time; else two do, all the time.

    Each client's answer costs interpreter time, and so does each copied MiB: with two copies under way beside it a
    client gets less than half of what it gets alone.
    """

    def __init__(self, runtime: Runtime, asked_at: Callable[[], float]) -> None:
        self._now = runtime.now
        self._asked_at = asked_at
        self._changed = runtime.condition()
        self._ended = False

    def give_way(self) -> None:
        """The second worker, before each step: wait until clients are quiet."""
        self._rest(float("inf"))

    def share(self, begun: float) -> None:
        """The first worker, after a step that began at this time: rest for as long, or until clients are quiet."""
        now = self._now()
        self._rest(now + (now - begun))

    def end(self) -> None:
        """Nobody rests any more."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _rest(self, until: float) -> None:
        with self._changed:
            while not self._ended and (left := min(until, self._asked_at() + QUIET_S) - self._now()) > 0:
                self._changed.wait(left)
