"""How a task is slowed down, and how far it is known to be done."""

from __future__ import annotations

from engine.units import MIB

CHECKPOINT_S = 5.0
"""Checkpoints cost a flush and a commit: one in this time."""

UNFLUSHED_BYTES = 192 * MIB
"""So much is copied between two flushes: writing back runs beside the copy, and no client's FLUSH of the same LUN ever
has to wait for more."""


class Pace:
    """A rest of `delay_ms` for each MiB, shared by all workers of a task."""

    def __init__(self, delay_ms: int) -> None:
        self.delay_ms = delay_ms
        self._next_at = 0.0

    def rest_s(self, now: float) -> float:
        """How long to rest before the next step."""
        return max(self._next_at - now, 0.0)

    def worked(self, now: float, length: int) -> None:
        """A step of `length` bytes has ended."""
        if self.delay_ms:
            self._next_at = max(self._next_at, now) + self.delay_ms / 1000 * length / MIB

    def change(self, now: float, delay_ms: int) -> None:
        """From now on. A rest that began under a longer delay ends sooner."""
        self.delay_ms = delay_ms
        self._next_at = min(self._next_at, now + delay_ms / 1000)


class Progress:
    """Positions of steps under way. Everything below `watermark` is done; above it steps may be, too."""

    def __init__(self, position: int, total: int, copied: int) -> None:
        self.total = total
        self.done = position
        self.copied = copied
        self._position = position
        self._under_way: dict[int, int] = {}

    @property
    def watermark(self) -> int:
        """The position that a resumed task may begin at."""
        return min(self._under_way, default=self._position)

    def begin(self, weight: int) -> int:
        """A step begins; answers its position."""
        position = self._position
        self._under_way[position] = weight
        self._position += weight
        return position

    def end(self, position: int, copied: int) -> None:
        """The step at `position` is done."""
        self.done += self._under_way.pop(position)
        self.copied += copied
