"""One client of the control socket: a thread that answers its requests, one ordered stream of what it is told."""

from __future__ import annotations

import contextlib
import logging
import socket
import struct
from typing import TYPE_CHECKING

from engine.errors import EngineError
from engine.remote import wire
from engine.remote.outbox import Outbox

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.api import EngineApi
    from engine.events import Batch, Listener
    from engine.runtime import Runtime, Thread

log = logging.getLogger(__name__)

HELLO_PATIENCE_S = 10
SEND_PATIENCE_S = 30
MOST_ATTACHMENTS = 16
_SECONDS = struct.Struct("@ll")


class Session:
    """Serves one client until it leaves, breaks the protocol, falls behind, or `end` is called."""

    def __init__(
        self, link: socket.socket, process: int, api: EngineApi, runtime: Runtime, show: Callable[[], bool]
    ) -> None:
        self.ended = False
        self._link = link
        self._process = process
        self._api = api
        self._show = show
        self._runtime = runtime
        self._outbox = Outbox(link, runtime)
        self._listeners: dict[int, Listener] = {}
        self._sender: Thread | None = None
        self._server: Thread | None = None
        self._verbs: dict[type[wire.Request], Callable[..., wire.Message | None]] = {
            wire.Attach: self._attach,
            wire.Detach: self._detach,
            wire.AskPlan: lambda ask: wire.Planned(number=ask.number, plan=api.plan(ask.command)),
            wire.Submit: lambda ask: wire.Submitted(number=ask.number, task=api.submit(ask.command, ask.basis)),
            wire.Show: self._ask_show,
        }

    def start(self) -> None:
        """Begin to serve, on threads of its own. RuntimeError, the socket closed: there are none to be had."""
        self._link.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _SECONDS.pack(SEND_PATIENCE_S, 0))
        with contextlib.suppress(OSError):
            wire.send_hello(self._link)  # eight bytes find room in a new socket
        try:
            self._sender = self._runtime.thread(f"control-send-{self._process}", self._outbox.run)
            self._server = self._runtime.thread(f"control-serve-{self._process}", self._run)
        except RuntimeError:
            self._outbox.finish(wire.Goodbye(reason="The engine has no thread left to serve another program."))
            if self._sender is not None:
                self._sender.join()
            self._link.close()
            raise

    def end(self, reason: str) -> None:
        """Tell the client why, and read no more of it."""
        self._outbox.finish(wire.Goodbye(reason=reason))
        with contextlib.suppress(OSError):
            self._link.shutdown(socket.SHUT_RD)

    def join(self, patience_s: float | None = None) -> None:
        """Wait until both threads are gone; a client that doesn't take its last words is cut off after `patience_s`."""
        if self._sender is None or self._server is None:
            return
        if patience_s is not None:
            self._sender.join(patience_s)
            if self._sender.is_alive():
                with contextlib.suppress(OSError):
                    self._link.shutdown(socket.SHUT_RDWR)
        self._sender.join()
        self._server.join()

    def _run(self) -> None:
        reason = ""
        try:
            if self._greeted():
                self._serve()
        except wire.WireError as error:
            reason = str(error)
            log.info("Client %d of the control socket: %s", self._process, reason)
        except OSError:
            reason = "The connection broke."  # whoever is gone needs no answer
        finally:
            self._leave(reason)

    def _greeted(self) -> bool:
        self._link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _SECONDS.pack(HELLO_PATIENCE_S, 0))
        version = wire.read_hello(self._link)
        self._link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _SECONDS.pack(0, 0))
        if version not in (None, wire.PROTOCOL):
            raise wire.WireError(f"Protocol {version} is not spoken here, but {wire.PROTOCOL}.")
        return version is not None

    def _serve(self) -> None:
        while (request := wire.read_frame(self._link, wire.REQUESTS)) is not None:
            if isinstance(request, wire.Close):
                self._outbox.finish(wire.Done(number=request.number))
                return
            answer = self._answer(request)
            if answer is not None:
                self._outbox.put(answer)
            self._outbox.wait_for_room()

    def _answer(self, request: wire.Request) -> wire.Message | None:
        try:
            return self._verbs[type(request)](request)
        except EngineError as error:
            return wire.to_message(request.number, error)
        except Exception as error:
            log.exception("A request of client %d failed: %s", self._process, type(request).__name__)
            return wire.to_message(request.number, error)

    def _leave(self, reason: str) -> None:
        assert self._sender is not None
        try:
            for listener in self._listeners.values():
                self._api.detach(listener)
        finally:
            self._outbox.finish(wire.Goodbye(reason=reason or "The connection was closed."))
            self._sender.join()
            self._link.close()
            self.ended = True

    # --- verbs ---
    def _attach(self, ask: wire.Attach) -> None:
        """Snapshot first, then every batch: what arrives in between waits."""
        if ask.number in self._listeners or len(self._listeners) >= MOST_ATTACHMENTS:
            raise EngineError(f"One program attaches {MOST_ATTACHMENTS} times at most, each with a number of its own.")
        stream = self._outbox.stream()

        def listener(batch: Batch) -> None:
            stream.put(wire.Told(number=ask.number, batch=batch), len(batch.events))

        self._listeners[ask.number] = listener
        try:
            snapshot = self._api.attach(listener)
        except BaseException:
            del self._listeners[ask.number]
            raise
        records = snapshot.records
        parts: list[wire.Message] = [
            wire.Records(number=ask.number, records=records[start : start + wire.RECORDS_AT_ONCE])
            for start in range(0, len(records), wire.RECORDS_AT_ONCE)
        ]
        parts.append(wire.Attached(number=ask.number, host=snapshot.host, sequence=snapshot.sequence))
        stream.open(parts)

    def _detach(self, ask: wire.Detach) -> wire.Done:
        listener = self._listeners.pop(ask.attachment, None)
        if listener is not None:
            self._api.detach(listener)
        return wire.Done(number=ask.number)

    def _ask_show(self, ask: wire.Show) -> wire.Done:
        return wire.Done(number=ask.number, shown=self._show())
