"""Memory of one connection: buffers that stay untouched while an unfinished request points into them."""

from __future__ import annotations

import mmap

from engine.export.constants import MAXIMUM_PAYLOAD, MIB

ARENA_BYTES = MIB // 4
IN_FLIGHT_BYTES = 2 * MAXIMUM_PAYLOAD
"""Payload buffers that one connection may hold at a time."""

_ARENAS = 16
_KEPT_IDLE_BYTES = 4 * MIB
_GRAIN = MIB // 4


class Buffer:
    """Page-aligned memory. `live` counts the unfinished requests that point into it; at 0 it may be used anew."""

    __slots__ = ("live", "memory", "size", "view")

    def __init__(self, size: int) -> None:
        self.memory = mmap.mmap(-1, size)
        self.view = memoryview(self.memory)
        self.size = size
        self.live = 0


class Arenas:
    """A few equal buffers that the connection's thread fills in turn. Only that thread calls it."""

    def __init__(self) -> None:
        self._all: list[Buffer] = []

    def other_than(self, current: Buffer | None) -> Buffer | None:
        """An idle buffer, or None while as many as are allowed are live."""
        for buffer in self._all:
            if buffer is not current and not buffer.live:
                return buffer
        if len(self._all) >= _ARENAS:
            return None
        self._all.append(Buffer(ARENA_BYTES))
        return self._all[-1]


class Payloads:
    """Buffers for single large payloads, reused while they are idle. Only the connection's thread calls it."""

    def __init__(self) -> None:
        self._all: list[Buffer] = []

    def take(self, length: int) -> Buffer | None:
        """An idle buffer of at least `length` bytes, or None while too many bytes are in flight."""
        idle = [buffer for buffer in self._all if not buffer.live]
        for buffer in idle:
            if buffer.size >= length:
                return buffer
        busy = [buffer for buffer in self._all if buffer.live]
        size = -(-length // _GRAIN) * _GRAIN
        if busy and sum(buffer.size for buffer in busy) + size > IN_FLIGHT_BYTES:
            return None
        fresh = Buffer(size)
        self._all = [*busy, *_within(idle, _KEPT_IDLE_BYTES), fresh]
        return fresh

    def trim(self) -> None:
        """Give back what is idle beyond a few MiB."""
        idle = [buffer for buffer in self._all if not buffer.live]
        if sum(buffer.size for buffer in idle) > _KEPT_IDLE_BYTES:
            kept = _within(idle, _KEPT_IDLE_BYTES)
            self._all = [buffer for buffer in self._all if buffer.live or buffer in kept]


def _within(buffers: list[Buffer], limit: int) -> list[Buffer]:
    kept: list[Buffer] = []
    for buffer in buffers:
        if buffer.size <= limit:
            kept.append(buffer)
            limit -= buffer.size
    return kept
