"""A sink for one request whose caller waits."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.dataplane.request import Request
    from engine.runtime import Runtime


class Call:
    """Keeps the outcome of one request for the thread that waits for it."""

    def __init__(self, runtime: Runtime) -> None:
        self._changed = runtime.condition()
        self._outcome: int | None = None

    def finish(self, request: Request, error: int) -> None:
        with self._changed:
            self._outcome = error
            self._changed.notify_all()

    def wait(self, timeout_s: float | None = None) -> int:
        """The errno of the request, 0 when it succeeded. TimeoutError when that takes longer than `timeout_s`."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._outcome is not None, timeout_s):
                raise TimeoutError("The request has not ended in time.")
            assert self._outcome is not None
            return self._outcome
