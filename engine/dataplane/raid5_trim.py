"""Makes space in a RAID-5 log beside its writers, before they need it: that takes a flush of all they have written."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.dataplane.raid5_log import Raid5Log
    from engine.runtime import Runtime, Thread


class Trimmer:
    """One volume's. Its thread is started when trimming a log is due for the first time, and ends with the volume.

    `flush` brings everything that the volume has written to stable storage; False when any of that is in doubt.
    """

    def __init__(self, name: str, flush: Callable[[], bool], runtime: Runtime) -> None:
        self._name = name
        self._flush = flush
        self._runtime = runtime
        self._changed = runtime.condition()
        self._log: Raid5Log | None = None
        self._thread: Thread | None = None
        self._closing = False

    def look_at(self, log: Raid5Log) -> None:
        """Something has been written to this log."""
        if not log.trim_due:
            return
        with self._changed:
            if self._closing:
                return
            self._log = log
            if self._thread is None:
                self._thread = self._runtime.thread(f"vea-trim-{self._name}", self._work)
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
        with self._changed:
            self._changed.wait_for(lambda: self._log is not None or self._closing)
            log, self._log = self._log, None
            return None if self._closing else log
