"""Lets clients in at a socket's path."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from engine.export.endpoint import Endpoint

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from pathlib import Path

    from engine.runtime import Runtime, Thread

log = logging.getLogger(__name__)

_RETRY_S = 0.1
"""Out of descriptors: whatever of this process or its host closes one tells nobody."""


class Listener:
    """Takes `path` at once; hands each client's socket to `admit` on a thread of its own from `start` to `stop`.

    Raises EngineBusy when another process serves the path, EngineError when it can't be had.
    """

    def __init__(self, path: Path, name: str, admit: Callable[[socket.socket], None], runtime: Runtime) -> None:
        self._endpoint = Endpoint(path)
        self._name = name
        self._admit = admit
        self._runtime = runtime
        self._ending = runtime.condition()
        self._ended = False
        self._thread: Thread | None = None

    def start(self) -> None:
        """Let in who has come meanwhile, and who comes."""
        self._thread = self._runtime.thread(self._name, self._accept)

    def stop(self) -> None:
        """Nobody comes in any more, and the path is gone."""
        with self._ending:
            self._ended = True
            self._ending.notify_all()
        self._endpoint.wake()
        if self._thread is not None:
            self._thread.join()
        self._endpoint.close()

    def _accept(self) -> None:
        refused = False
        while True:
            try:
                link, _ = self._endpoint.socket.accept()
            except OSError as error:
                if self._ended:
                    return
                if not refused:  # told once, however long it lasts
                    log.warning("A client could not be let in: %s (%s).", error.strerror, self._endpoint.path)
                refused = True
                self._rest()
                continue
            refused = False
            try:
                self._admit(link)
            except RuntimeError as error:  # no thread to be had
                link.close()
                log.warning("A client could not be let in: %s (%s).", error, self._endpoint.path)

    def _rest(self) -> None:
        with self._ending:
            self._ending.wait_for(lambda: self._ended, _RETRY_S)
