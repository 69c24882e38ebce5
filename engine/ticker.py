"""A thread that does one thing again and again until it is closed."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.config import Config
    from engine.runtime import Runtime

log = logging.getLogger(__name__)

LOOK_S = 1.0
"""As often it is looked whether an interval is over: a new one that the operator sets holds at once."""


class Ticker:
    """Calls `work` with the seconds since its last turn, once in each interval; what it raises goes to the log."""

    def __init__(
        self,
        name: str,
        interval_s: Callable[[], float],
        work: Callable[[float], None],
        runtime: Runtime,
        *,
        look_s: float = LOOK_S,
    ) -> None:
        self._name = name
        self._interval_s = interval_s
        self._work = work
        self._look_s = look_s
        self._runtime = runtime
        self._ending = runtime.condition()
        self._ended = False
        self._thread = runtime.thread(name, self._run)

    def close(self) -> None:
        """No further turn; waits for one that is under way."""
        with self._ending:
            self._ended = True
            self._ending.notify_all()
        self._thread.join()

    def _run(self) -> None:
        last = self._runtime.now()
        while not self._wait():
            now = self._runtime.now()
            if now - last < self._interval_s() - self._look_s / 2:
                continue
            passed_s, last = now - last, now
            try:
                self._work(passed_s)
            except Exception:
                log.exception("A turn of %s met a defect", self._name)

    def _wait(self) -> bool:
        with self._ending:
            return self._ending.wait_for(lambda: self._ended, self._look_s)


def monitoring_interval_s(config: Config) -> int:
    """The seconds that the operator has set between two looks at a host; 1 before anything is known of it."""
    settings = config.settings
    return settings.monitoring_interval_s if settings is not None else 1
