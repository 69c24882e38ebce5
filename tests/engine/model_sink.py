"""A sink that insists that every request ends exactly once, and small helpers around batches."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.dataplane.request import Request

DEADLINE_S = 60.0


def eventually(predicate: Callable[[], bool], what: str) -> None:
    """Wait for something that tells nobody when it has come about, with a deadline."""
    looks = threading.Event()
    for _ in range(int(DEADLINE_S / 0.005)):
        if predicate():
            return
        looks.wait(0.005)
    raise AssertionError(f"{what} did not come about")


class CountingSink:
    """`outcomes` maps requests to their errno, in the order of their end."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self.outcomes: dict[Request, int] = {}
        self.twice: list[Request] = []

    def finish(self, request: Request, error: int) -> None:
        with self._changed:
            if request in self.outcomes:
                self.twice.append(request)
            self.outcomes[request] = error
            self._changed.notify_all()

    def wait(self, count: int) -> list[int]:
        """The errnos once `count` requests have ended."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.outcomes) >= count, DEADLINE_S), "requests did not end"
            assert not self.twice
            return list(self.outcomes.values())
