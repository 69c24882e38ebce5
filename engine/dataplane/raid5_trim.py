"""Makes space in a RAID-5 log beside its writers, before they need it: that takes a flush of all they have written."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.dataplane.raid5_log import Raid5Log
    from engine.runtime import Runtime, Thread

IDLE_S = 5.0
"""Seconds without a write after which what was written without being logged is flushed, too: until then a crash that
costs a column as well would have the volume held back."""


class Trimmer:
    """One volume's. Its thread is started when there is something to do for the first time, and ends with the volume.

    `flush` brings everything that the volume has written to stable storage; False when any of that is in doubt.
    """

    def __init__(self, name: str, flush: Callable[[], bool], runtime: Runtime) -> None:
        self._name = name
        self._flush = flush
        self._runtime = runtime
        self._changed = runtime.condition()
        self._log: Raid5Log | None = None
        self._idle: Raid5Log | None = None
        self._looks = 0
        self._thread: Thread | None = None
        self._closing = False

    def look_at(self, log: Raid5Log) -> None:
        """Something has been written to this log, or under its marks."""
        due, marked = log.trim_due, log.marked
        if not due and not marked:
            return
        with self._changed:
            if self._closing:
                return
            self._looks += 1
            self._log = log if due else self._log
            if self._thread is None:
                self._thread = self._runtime.thread(f"vea-trim-{self._name}", self._work)
            if due or self._idle is not log:
                self._idle = log
                self._changed.notify()

    def stop(self) -> None:
        """No log is looked at any more."""
        with self._changed:
            self._closing = True
            self._changed.notify()

    def join(self) -> None:
        """Wait for the thread's end."""
        if self._thread is not None:
            self._thread.join()

    def _work(self) -> None:
        while log := self._next():
            log.trim(self._flush)

    def _next(self) -> Raid5Log | None:
        """The log that is to be trimmed now; None when all is over."""
        with self._changed:
            while self._log is None and not self._closing:
                if self._idle is None:
                    self._changed.wait()
                    continue
                looks = self._looks
                if not self._changed.wait(IDLE_S) and looks == self._looks:
                    self._log = self._idle
            log, self._log, self._idle = self._log, None, None
            return None if self._closing else log
