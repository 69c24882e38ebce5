"""Serves an engine's front door on a unix socket, to processes of the same user."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from engine.export.listener import Listener
from engine.remote.session import Session
from engine.remote.wire import may_connect, peer

if TYPE_CHECKING:
    from engine.api import EngineApi
    from engine.runtime import Runtime

log = logging.getLogger(__name__)

MOST_CLIENTS = 128
LAST_WORDS_S = 3.0


class ControlServer:
    """Offers `api` at the unix socket `path` from `start` to `close`. `show` is called on a client's thread."""

    def __init__(self, path: Path, api: EngineApi, runtime: Runtime, show: Callable[[], bool]) -> None:
        self.path = path
        self._api = api
        self._runtime = runtime
        self._show = show
        self._lock = runtime.lock()
        self._sessions: list[Session] = []
        self._listener: Listener | None = None
        self._closing = False

    def reserve(self) -> None:
        """Take the path; whoever connects waits until `start`. EngineBusy when another process serves it."""
        if self._listener is None:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._listener = Listener(self.path, "control-listen", self._admit, self._runtime)

    def start(self) -> None:
        """Serve. Raises what `reserve` raises."""
        self.reserve()
        assert self._listener is not None
        self._listener.start()

    def close(self) -> None:
        """Let nobody in any more, tell the clients, and wait until their requests have been answered."""
        self._closing = True
        if self._listener is not None:
            self._listener.stop()
        with self._lock:
            sessions = list(self._sessions)
        for session in sessions:
            session.end("The engine has been stopped.")
        for session in sessions:
            session.join(LAST_WORDS_S)

    def _admit(self, link: socket.socket) -> None:
        """Who it is decides before a byte of it is read."""
        process, user = peer(link)
        with self._lock:
            gone = [session for session in self._sessions if session.ended]
            self._sessions = [session for session in self._sessions if not session.ended]
            full = len(self._sessions) >= MOST_CLIENTS
        for session in gone:
            session.join()
        if not may_connect(user) or full or self._closing:
            log.warning("A client of the control socket was sent away: process %d of user %d.", process, user)
            link.close()
            return
        session = Session(link, process, self._api, self._runtime, self._show)
        session.start()
        with self._lock:
            self._sessions.append(session)
