"""The NBD server: listens on a unix socket, one thread for each client."""

from __future__ import annotations

import itertools
import resource
import socket
from collections.abc import Callable
from pathlib import Path

from engine.export.codec import Refusal
from engine.export.connection import Connection
from engine.export.constants import OptionReply
from engine.export.listener import Listener
from engine.export.source import ClientInfo, ExportFacts, Exports, Opened
from engine.runtime import Runtime

MOST_NEGOTIATING = 64
"""Connections that have not chosen an export yet; one more pushes out the oldest of them."""

MOST_CLIENTS = 2048
"""Clients that have an export open; fewer where the process may not have twice as many descriptors."""

STOP_PATIENCE_S = 5.0


class NbdServer:
    """Serves `exports` at the unix socket `path` from `start` to `stop`. All methods may be called from any thread."""

    def __init__(self, path: str | Path, exports: Exports, runtime: Runtime) -> None:
        self.path = Path(path)
        self._exports = exports
        self._runtime = runtime
        self._changed = runtime.condition()
        self._connections: dict[int, Connection] = {}
        self._ended: list[Connection] = []
        self._numbers = itertools.count(1)
        self._listener: Listener | None = None
        self._stopping = False

    def start(self) -> None:
        """Listen. Raises EngineBusy when another process serves the path, EngineError when it can't be had."""
        self._listener = Listener(self.path, "nbd-listen", self._admit, self._runtime)
        self._stopping = False
        self._listener.start()

    def clients(self) -> tuple[ClientInfo, ...]:
        """Who has an export open, in the order of their connecting."""
        with self._changed:
            infos = [connection.info for connection in self._connections.values()]
        return tuple(info for info in infos if info is not None)

    def disconnect(self, export: str, patience_s: float = STOP_PATIENCE_S) -> bool:
        """End every client of one export: what is under way is finished, later requests get ESHUTDOWN.

        A client that doesn't take its answers is cut off after `patience_s` seconds. True when all are gone;
        False when the volume itself still owes answers.
        """
        return self._end_all(patience_s, lambda connection: connection.serves(export))

    def stop(self, patience_s: float = STOP_PATIENCE_S) -> bool:
        """Stop listening, remove the socket, end all clients as `disconnect` does; afterwards no thread is left.

        False when requests that the data plane hasn't finished keep connections from ending.
        """
        with self._changed:
            self._stopping = True
        if self._listener is not None:
            self._listener.stop()
            self._listener = None
        return self._end_all(patience_s, lambda _: True)

    def _end_all(self, patience_s: float, concerned: Callable[[Connection], bool]) -> bool:
        with self._changed:
            ending = [connection for connection in self._connections.values() if concerned(connection)]
        for connection in ending:
            connection.end()
        if not self._wait_gone(ending, patience_s):
            for connection in ending:
                connection.cut()
            if not self._wait_gone(ending, patience_s):
                return False
        self._reap()
        return True

    def _wait_gone(self, ending: list[Connection], patience_s: float) -> bool:
        with self._changed:
            return self._changed.wait_for(
                lambda: not any(connection.number in self._connections for connection in ending), patience_s
            )

    def _admit(self, link: socket.socket) -> None:
        self._reap()
        with self._changed:
            if self._stopping or len(self._connections) >= _most_clients() + MOST_NEGOTIATING:
                link.close()
                return
            self._push_out_oldest()
            connection = Connection(next(self._numbers), link, self, self._runtime)
            self._connections[connection.number] = connection

    def _push_out_oldest(self) -> None:
        waiting = [other for other in self._connections.values() if other.info is None and not other.doomed]
        if len(waiting) >= MOST_NEGOTIATING:
            waiting[0].cut()

    def _reap(self) -> None:
        with self._changed:
            ended, self._ended = self._ended, []
        for connection in ended:
            connection.join()

    # What connections ask of their server.

    def names(self) -> list[str]:
        """The exports' names in order."""
        return sorted(self._exports.names())

    def describe(self, name: str) -> ExportFacts | None:
        """What is told about one export."""
        return self._exports.describe(name)

    def open_for(self, connection: Connection, client: ClientInfo) -> Opened | None:
        """Open an export and note who has it. Raises Refusal when there is no room for one more client."""
        with self._changed:
            if sum(other.info is not None for other in self._connections.values()) >= _most_clients():
                raise Refusal(OptionReply.ERR_POLICY, "too many clients are connected")
            connection.info = client
        opened = None
        try:
            opened = self._exports.open(client.export, client)
        finally:
            if opened is None:
                connection.info = None
        return opened

    def gone(self, connection: Connection) -> None:
        """The connection's thread does nothing any more but end."""
        with self._changed:
            del self._connections[connection.number]
            self._ended.append(connection)
            self._changed.notify_all()


def _most_clients() -> int:
    """How many clients there may be so that half of the process's descriptors stay free for LUNs and files."""
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST_CLIENTS if allowed == resource.RLIM_INFINITY else min(MOST_CLIENTS, allowed // 2)
