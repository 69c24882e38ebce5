"""An engine in another process, as the same five verbs."""

from __future__ import annotations

import contextlib
import itertools
import logging
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

from engine.api import Snapshot
from engine.errors import ConnectionLost, EngineError
from engine.remote import wire

if TYPE_CHECKING:
    from engine.commands import AnyCommand, Command
    from engine.events import Listener
    from engine.plans import Plan
    from engine.records import AnyRecord, Ref

START_PATIENCE_S = 60.0
"""How long an engine that has its socket may take until it serves."""

_CLOSE_PATIENCE_S = 5.0

log = logging.getLogger(__name__)

Answer = TypeVar("Answer", bound=wire.Message)
LostHook = Callable[[str], None]


class _Pending:
    """A request that waits for its answer."""

    def __init__(self) -> None:
        self.arrived = threading.Event()
        self.answer: wire.Message | None = None
        self.records: list[AnyRecord] = []


class _Attachment:
    """A listener, and the number that its next batch must have."""

    def __init__(self, listener: Listener) -> None:
        self.listener = listener
        self.sequence = -1


class RemoteEngine:
    """Implements `engine.api.EngineApi` over the control socket. Every verb raises ConnectionLost once it is gone.

    Listeners and `on_lost` are called on the connection's own thread; they must not call the engine.
    """

    def __init__(self, link: socket.socket, path: Path, on_lost: LostHook | None = None) -> None:
        self.path = path
        self.on_lost = on_lost
        self.process_id = wire.peer(link)[0]
        self._link = link
        self._numbers = itertools.count(1)
        self._state = threading.Lock()
        self._sending = threading.Lock()
        self._delivering = threading.RLock()
        self._pending: dict[int, _Pending] = {}
        self._attachments: dict[int, _Attachment] = {}
        self._lost = ""
        self._closing = False
        self._reader = threading.Thread(target=self._read, name="control-client", daemon=True)
        self._reader.start()

    @classmethod
    def connect(
        cls, path: str | Path, on_lost: LostHook | None = None, patience_s: float = START_PATIENCE_S
    ) -> RemoteEngine | None:
        """The engine that serves the socket; None when nobody does. EngineError when it is there but of no use."""
        link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            link.settimeout(patience_s)
            link.connect(str(path))
            wire.send_hello(link)
            version = wire.read_hello(link)
        except (FileNotFoundError, ConnectionRefusedError, ConnectionResetError, BrokenPipeError):
            link.close()
            return None
        except TimeoutError:
            link.close()
            raise EngineError(
                f"The engine at {path} does not answer. Wait until it has started, or restart it."
            ) from None
        except EngineError:
            link.close()
            raise
        except OSError as error:
            link.close()
            raise EngineError(f"The engine at {path} can't be reached: {error.strerror or error}.") from error
        if version == wire.PROTOCOL:
            link.settimeout(None)
            return cls(link, Path(path), on_lost)
        link.close()
        if version is None:
            return None
        raise EngineError(
            f"The engine at {path} speaks protocol {version}, this program {wire.PROTOCOL}. "
            f"Use programs of one release."
        )

    # --- the five verbs, and one more ---
    def attach(self, listener: Listener) -> Snapshot:
        """As the protocol says; batches may be delivered before this has returned."""
        number = next(self._numbers)
        with self._state:
            self._attachments[number] = _Attachment(listener)
        try:
            pending, answer = self._call(wire.Attach(number=number), wire.Attached)
        except BaseException:
            with self._state:
                self._attachments.pop(number, None)
            raise
        return Snapshot(answer.host, answer.sequence, tuple(pending.records))

    def detach(self, listener: Listener) -> None:
        with self._state:
            found = [number for number, each in self._attachments.items() if each.listener == listener][:1]
        for number in found:
            with self._delivering, self._state:
                del self._attachments[number]
            with contextlib.suppress(ConnectionLost):
                self._call(wire.Detach(number=next(self._numbers), attachment=number), wire.Done)

    def plan(self, command: Command) -> Plan:
        ask = wire.AskPlan(number=next(self._numbers), command=cast("AnyCommand", command))
        return self._call(ask, wire.Planned)[1].plan

    def submit(self, command: Command, basis: int | None = None) -> Ref:
        ask = wire.Submit(number=next(self._numbers), command=cast("AnyCommand", command), basis=basis)
        return self._call(ask, wire.Submitted)[1].task

    def show(self) -> bool:
        """Ask the console that serves this engine without windows to show them. False: there is no such console."""
        return self._call(wire.Show(number=next(self._numbers)), wire.Done)[1].shown

    def close(self) -> None:
        """Leave; the engine goes on. May be called twice."""
        if self._closing:
            return
        self._closing = True
        with contextlib.suppress(ConnectionLost):
            self._send(wire.Close(number=next(self._numbers)))
        if threading.current_thread() is not self._reader:
            self._reader.join(_CLOSE_PATIENCE_S)
            with contextlib.suppress(OSError):
                self._link.shutdown(socket.SHUT_RDWR)
            self._reader.join()
        self._link.close()

    # --- asking ---
    def _call(self, request: wire.Request, expected: type[Answer]) -> tuple[_Pending, Answer]:
        pending = _Pending()
        with self._state:
            if self._lost:
                raise ConnectionLost(self._lost)
            self._pending[request.number] = pending
        try:
            self._send(request)
            pending.arrived.wait()
        finally:
            with self._state:
                self._pending.pop(request.number, None)
        answer = pending.answer
        if isinstance(answer, expected):
            return pending, answer
        if isinstance(answer, wire.Rejected | wire.Failed):
            raise wire.to_error(answer)
        raise ConnectionLost(self._reason("The engine gave an answer that was not asked for."))

    def _send(self, request: wire.Request) -> None:
        data = wire.frame(request)
        try:
            with self._sending:
                self._link.sendall(data)
        except OSError as error:
            self._reader_ends()
            raise ConnectionLost(self._reason(f"The engine can't be reached: {error.strerror}.")) from error

    def _reason(self, otherwise: str) -> str:
        with self._state:
            return self._lost or otherwise

    def _reader_ends(self) -> None:
        """A broken send: let the reader find out why, it may have been told."""
        with contextlib.suppress(OSError):
            self._link.shutdown(socket.SHUT_WR)
        if threading.current_thread() is not self._reader:
            self._reader.join(_CLOSE_PATIENCE_S)

    # --- the connection's thread ---
    def _read(self) -> None:
        reason = "The engine has ended."
        try:
            while (message := wire.read_frame(self._link, wire.MESSAGES)) is not None:
                if isinstance(message, wire.Goodbye):
                    reason = message.reason
                    break
                self._take(message)
        except (EngineError, OSError) as error:
            reason = str(error) if isinstance(error, EngineError) else f"The connection broke: {error.strerror}."
        except Exception:
            reason = "A listener of this program failed; its log has the details."
            log.exception("A listener failed")
        self._end(reason)

    def _take(self, message: wire.Message) -> None:
        if isinstance(message, wire.Told):
            self._deliver(message)
            return
        with self._state:
            pending = self._pending.get(message.number)
            if isinstance(message, wire.Attached) and message.number in self._attachments:
                self._attachments[message.number].sequence = message.sequence
        if pending is None:
            return
        if isinstance(message, wire.Records):
            pending.records += message.records
            return
        pending.answer = message
        pending.arrived.set()

    def _deliver(self, told: wire.Told) -> None:
        with self._delivering:
            with self._state:
                attachment = self._attachments.get(told.number)
            if attachment is None:
                return
            if told.batch.sequence != attachment.sequence + 1:
                raise wire.WireError(
                    f"Changes are missing: {told.batch.sequence} came after {attachment.sequence}. Connect again."
                )
            attachment.sequence = told.batch.sequence
            attachment.listener(told.batch)

    def _end(self, reason: str) -> None:
        with self._state:
            self._lost = reason
            waiting = list(self._pending.values())
        with contextlib.suppress(OSError):
            self._link.shutdown(socket.SHUT_RDWR)
        for pending in waiting:
            pending.arrived.set()
        if not self._closing and self.on_lost is not None:
            self.on_lost(reason)
