"""The threads that write the pages of all dirty maps, so that no connection's thread waits for a disk."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.runtime import Runtime, Thread

log = logging.getLogger(__name__)

WRITERS = 8
"""Two places of four maps are written at the same time: the log of a volume and what tells of three snapshots. They are
started when a map needs them for the first time."""


class MapWriters:
    """Runs page writes in the order of their coming, each of which returns as soon as its disk has it."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._queue = runtime.queue()
        self._lock = runtime.lock()
        self._threads: list[Thread] = []
        self._closed = False

    def put(self, work: Callable[[], None]) -> None:
        """Run `work` soon on one of the threads."""
        self._start()
        self._queue.put(work)

    def close(self) -> None:
        """Finish what has been put in and end the threads."""
        with self._lock:
            self._closed = True
            threads, self._threads = self._threads, []
        for _ in threads:
            self._queue.put(None)
        for thread in threads:
            thread.join()

    def _start(self) -> None:
        if self._threads:
            return
        with self._lock:
            while len(self._threads) < WRITERS and not self._closed:
                number = len(self._threads)
                self._threads.append(self._runtime.thread(f"vea-map-{number}", self._work))

    def _work(self) -> None:
        while True:
            work: Callable[[], None] | None = self._queue.get()
            if work is None:
                return
            try:
                work()
            except Exception:  # the next map's pages must be written all the same
                log.exception("Writing a page of a dirty map met a defect")
