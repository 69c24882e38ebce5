"""The shared threads for what would keep a connection's thread waiting: cold reads, long zeroing, parked requests."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.dataplane.request import Request, Sink
    from engine.dataplane.volume_io import VolumeIo
    from engine.runtime import Runtime

WORKERS = 12
"""8 to 16 reads in flight keep a LUN busy; more threads only fight for the interpreter."""


class Pool:
    """Threads that run requests of any volume, in the order of their coming."""

    def __init__(self, runtime: Runtime, workers: int = WORKERS) -> None:
        self._queue = runtime.queue()
        self._threads = [runtime.thread(f"vea-io-{number}", self._work) for number in range(workers)]

    def put(self, volume: VolumeIo, requests: Sequence[Request], sink: Sink) -> None:
        """Run `requests` on `volume` soon, one after the other; they end in `sink`."""
        self._queue.put((volume, requests, sink))

    def close(self) -> None:
        """Finish what has been put in and end the threads."""
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while True:
            job: tuple[VolumeIo, Sequence[Request], Sink] | None = self._queue.get()
            if job is None:
                return
            volume, requests, sink = job
            for request in requests:
                volume.run_late(request, sink)
