"""One request that waits for the marks of several maps at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.dataplane.request import Request, Sink
    from engine.runtime import Runtime


class GatheredMarks:
    """Stands for the sink of a request in several maps. After the last of them the request runs `again`, or ends with
    the error that any of them had."""

    def __init__(self, count: int, sink: Sink, again: Callable[[Request, Sink], None], runtime: Runtime) -> None:
        self._left = count
        self._sink = sink
        self._again = again
        self._number = 0
        self._lock = runtime.lock()

    def finish(self, request: Request, error: int) -> None:
        """One of the maps can't mark it."""
        self.marked(request, error)

    def marked(self, request: Request, error: int = 0) -> None:
        """One of the maps has done its part."""
        with self._lock:
            self._number = self._number or error
            self._left -= 1
            last = not self._left
        if not last:
            return
        if self._number:
            self._sink.finish(request, self._number)
        else:
            self._again(request, self._sink)
