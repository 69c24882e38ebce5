"""Looks at something again and again, on a thread of its own: when it is woken, and when a rest is over."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.runtime import Runtime, Thread

log = logging.getLogger(__name__)


class Lookout:
    """`look` answers after how many seconds it wants to look again by itself; None: not before it is woken."""

    def __init__(
        self, runtime: Runtime, name: str, look: Callable[[], float | None], rest_after_defect_s: float | None = None
    ) -> None:
        self._runtime = runtime
        self._name = name
        self._look = look
        self._rest_after_defect_s = rest_after_defect_s
        self._changed = runtime.condition()
        self._woken = True  # it begins with a look
        self._closed = False
        self._thread: Thread | None = None

    def begin(self) -> None:
        """Start the thread, unless that was done before. May be called under the control lock."""
        with self._changed:
            if self._thread is None and not self._closed:
                self._thread = self._runtime.thread(self._name, self._run)

    def wake(self) -> None:
        """Look as soon as may be. Done at once, so that listeners can call it."""
        with self._changed:
            self._woken = True
            self._changed.notify_all()

    def close(self) -> None:
        """Look no more; a look that has begun is waited for."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        rest_s: float | None = None
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._woken, rest_s)
                if self._closed:
                    return
                self._woken = False
            try:
                rest_s = self._look()
            except Exception:
                log.exception("%s met a defect", self._name.capitalize())
                rest_s = self._rest_after_defect_s
