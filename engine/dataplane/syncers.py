"""Flushes several devices at the same time, which takes hardly longer than one of them."""

from __future__ import annotations

import errno
import logging
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from engine.devices.base import BlockDevice
    from engine.runtime import Runtime, Thread

log = logging.getLogger(__name__)

HELPERS = 7
"""So many threads help whoever flushes; they are started when a FLUSH needs them for the first time."""


class Syncers:
    """The threads beside the one that flushes. `sync` flushes one device and answers 0 or an errno."""

    def __init__(self, runtime: Runtime, sync: Callable[[BlockDevice], int]) -> None:
        self._runtime = runtime
        self._sync = sync
        self._queue = runtime.queue()
        self._threads: list[Thread] = []
        self._closed = False

    def run(self, devices: Sequence[BlockDevice]) -> list[int]:
        """Flush each device once, and answer their outcomes in order. One caller at a time."""
        if len(devices) < 2:
            return [self._outcome(device) for device in devices]
        turn = _Turn(self._runtime, devices)
        for _ in range(self._helpers(len(devices) - 1)):
            self._queue.put(turn)
        self._take_part(turn)
        return turn.wait()

    def close(self) -> None:
        """End the threads; whoever still flushes does it alone."""
        self._closed = True
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join()
        self._threads.clear()

    def _helpers(self, wanted: int) -> int:
        """How many threads help; without any the caller does everything."""
        wanted = min(wanted, HELPERS)
        while len(self._threads) < wanted and not self._closed:
            try:
                self._threads.append(self._runtime.thread(f"vea-sync-{len(self._threads)}", self._work))
            except RuntimeError:  # no thread to be had
                break
        return min(wanted, len(self._threads))

    def _work(self) -> None:
        while True:
            turn: _Turn | None = self._queue.get()
            if turn is None:
                return
            self._take_part(turn)

    def _take_part(self, turn: _Turn) -> None:
        for index in turn:
            turn.note(index, self._outcome(turn.devices[index]))

    def _outcome(self, device: BlockDevice) -> int:
        try:
            return self._sync(device)
        except Exception:  # whoever waits for this must hear that nothing is certain
            log.exception("Flushing %s met a defect", device.name)
            return errno.EIO


class _Turn:
    """The devices of one call, and how each fared; iterating takes the next that nobody has taken."""

    def __init__(self, runtime: Runtime, devices: Sequence[BlockDevice]) -> None:
        self.devices = devices
        self._free = deque(range(len(devices)))
        self._outcomes: dict[int, int] = {}
        self._changed = runtime.condition()

    def __iter__(self) -> _Turn:
        return self

    def __next__(self) -> int:
        try:
            return self._free.popleft()
        except IndexError:
            raise StopIteration from None

    def note(self, index: int, outcome: int) -> None:
        with self._changed:
            self._outcomes[index] = outcome
            self._changed.notify_all()

    def wait(self) -> list[int]:
        with self._changed:
            self._changed.wait_for(lambda: len(self._outcomes) == len(self.devices))
            return [self._outcomes[index] for index in range(len(self.devices))]
