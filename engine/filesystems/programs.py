"""Programs that the engine has started: it knows their connections by them, and they end with it."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from engine.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.runtime import Runtime


class Programs:
    """Starts programs, tells whether a process is one of them, and stops all. From any thread."""

    def __init__(self, runtime: Runtime) -> None:
        self._lock = runtime.lock()
        self._running: list[subprocess.Popen[bytes]] = []
        self._closed = False

    def start(
        self, command: Sequence[str], *, said: int = subprocess.PIPE, alone: bool = False
    ) -> subprocess.Popen[bytes]:
        """Start one; what it says to its standard error goes to `said`. `alone`: no signal of our terminal reaches it.

        EngineError when it can't be started, or when the engine is ending.
        """
        with self._lock:
            if self._closed:
                raise EngineError("The engine is ending.")
            try:
                program = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE if said == subprocess.PIPE else subprocess.DEVNULL,
                    stderr=said,
                    start_new_session=alone,
                )
            except OSError as error:
                raise EngineError(f"{command[0]} could not be started: {error.strerror or error}.") from error
            self._running = [*(known for known in self._running if known.returncode is None), program]
            return program

    def is_ours(self, process_id: int) -> bool:
        """Whether this process is one of these; while one is being started, that is waited for."""
        with self._lock:
            return any(known.pid == process_id and known.returncode is None for known in self._running)

    def running(self) -> list[subprocess.Popen[bytes]]:
        """Those that have not ended, in the order of their start."""
        with self._lock:
            return [known for known in self._running if known.poll() is None]

    def refuse(self) -> None:
        """No further one is started."""
        with self._lock:
            self._closed = True
