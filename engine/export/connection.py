"""One client from accept to goodbye: negotiation, transmission, and the order in which things are given back."""

from __future__ import annotations

import contextlib
import logging
import socket
import struct
from pathlib import Path
from typing import Protocol

from engine.export.codec import ProtocolError
from engine.export.handshake import Handshake
from engine.export.session import Session
from engine.export.source import ClientInfo, ExportFacts, Opened
from engine.runtime import Runtime

log = logging.getLogger(__name__)

_SOCKET_BUFFER = 4 * 1024 * 1024
_PEER = struct.Struct("3i")


class Host(Protocol):
    """What a connection needs of the server that it belongs to."""

    def names(self) -> list[str]: ...

    def describe(self, name: str) -> ExportFacts | None: ...

    def open_for(self, connection: Connection, client: ClientInfo) -> Opened | None:
        """Open an export and note who has it. Raises Refusal when there is no room for one more client."""

    def gone(self, connection: Connection) -> None:
        """The connection's thread does nothing any more but end."""


class Connection:
    """A client's socket with the thread that serves it. `info` is set once it has chosen an export."""

    def __init__(self, number: int, link: socket.socket, host: Host, runtime: Runtime) -> None:
        self.number = number
        self.info: ClientInfo | None = None
        self.doomed = False
        self._link = link
        self._host = host
        self._runtime = runtime
        self._name = f"nbd-client-{number}"
        self._lock = runtime.lock()
        self._ending = False
        self._handshake = Handshake(link, self, runtime.now)
        self._session: Session | None = None
        self._thread = runtime.thread(self._name, self._run)

    def join(self) -> None:
        """Wait for the end of the thread."""
        self._thread.join()

    def serves(self, export: str) -> bool:
        """Whether this client has that export open."""
        info = self.info
        return info is not None and info.export == export

    def end(self) -> None:
        """In order: what is under way is finished, what comes later is refused with the news of a shutdown."""
        with self._lock:
            self._ending = True
            self._handshake.end()
            if self._session is not None:
                self._session.end()
            self._shut(socket.SHUT_RD)

    def cut(self) -> None:
        """At once; answers that the client hasn't taken are lost."""
        with self._lock:
            self.doomed = True
            self._shut(socket.SHUT_RDWR)

    def _shut(self, how: int) -> None:
        with contextlib.suppress(OSError):
            self._link.shutdown(how)

    # The exports as this one client sees them, for its handshake.

    def names(self) -> list[str]:
        return self._host.names()

    def describe(self, name: str) -> ExportFacts | None:
        return self._host.describe(name)

    def open(self, name: str) -> Opened | None:
        return self._host.open_for(self, _client_info(self._link, self.number, name, self._runtime.time()))

    def _run(self) -> None:
        try:
            self._serve()
        except (ProtocolError, OSError) as error:
            log.debug("%s dropped: %s", self._name, error)
        except Exception:
            log.exception("%s dropped for an error of our own", self._name)
        finally:
            with self._lock:
                self._link.close()
                self._session = None  # its buffers needn't wait for the garbage collector
            self._host.gone(self)

    def _serve(self) -> None:
        self._link.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SOCKET_BUFFER)
        agreed = self._handshake.run()
        if agreed is None:
            return
        with contextlib.closing(agreed.opened):
            self._link.settimeout(None)
            session = Session(self._link, agreed, self._runtime, self._name)
            with self._lock:
                self._session = session
                if self._ending:
                    session.end()
            try:
                session.run()
            finally:
                self._shut(socket.SHUT_RDWR)


def _client_info(link: socket.socket, number: int, export: str, now_s: float) -> ClientInfo:
    pid, uid, gid = _PEER.unpack(link.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))
    program = ""
    with contextlib.suppress(OSError):
        program = Path(f"/proc/{pid}/comm").read_text(errors="replace").strip()
    return ClientInfo(number, export, pid, uid, gid, program, now_s)
