"""Everything that one client is told, in order. Putting never waits; a client that falls too far behind is cut off."""

from __future__ import annotations

import contextlib
import socket
from collections import deque
from typing import TYPE_CHECKING

from engine.errors import EngineError
from engine.remote import wire

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.runtime import Runtime

WAITING_MAX = 100_000
"""Events that may wait for a client: some 20 seconds of 5,000 changes a second."""

MESSAGES_MAX = 4096
"""Messages that may wait before a client's next request is read: whoever asks has to listen, too."""

_SEND_AT_ONCE = 64
_TOO_SLOW = (
    f"More than {WAITING_MAX:,} changes waited for this program, which does not take them fast enough. "
    f"Connect again to begin from today's state."
)


class Outbox:
    """A queue of messages and the thread body that sends them. `finish` says the last word."""

    def __init__(self, link: socket.socket, runtime: Runtime) -> None:
        self._link = link
        self._changed = runtime.condition()
        self._waiting: deque[tuple[wire.Message, int]] = deque()
        self._weight = 0
        self._finished = False

    def put(self, message: wire.Message, weight: int = 0) -> None:
        """Queue a message. `weight` counts against what may wait."""
        with self._changed:
            self._put(message, weight)

    def finish(self, last: wire.Message) -> None:
        """Send what waits and this, then end. Only the first call counts."""
        with self._changed:
            self._put(last, 0)
            self._finished = True

    def stream(self) -> Stream:
        """A part of this outbox that holds back until it is opened."""
        return Stream(self)

    def wait_for_room(self) -> None:
        """Until so few messages wait that one more request may be read, or nothing will be sent any more."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._waiting) < MESSAGES_MAX or self._finished)

    def run(self) -> None:
        """Send until finished, or until the client is gone."""
        with contextlib.suppress(OSError):
            while batch := self._take():
                self._link.sendall(b"".join(map(_framed, batch)))
        with self._changed:
            self._finished = True
            self._waiting.clear()
            self._changed.notify_all()
        with contextlib.suppress(OSError):
            self._link.shutdown(socket.SHUT_RDWR)  # whoever still reads from it shall stop

    def _put(self, message: wire.Message, weight: int) -> None:
        if self._finished:
            return
        self._weight += weight
        if self._weight > WAITING_MAX:
            self._waiting.clear()
            self._finished = True
            message = wire.Goodbye(reason=_TOO_SLOW)
        self._waiting.append((message, weight))
        self._changed.notify_all()

    def _take(self) -> list[wire.Message]:
        with self._changed:
            self._changed.wait_for(lambda: bool(self._waiting) or self._finished)
            taken = [self._waiting.popleft() for _ in range(min(len(self._waiting), _SEND_AT_ONCE))]
            self._weight -= sum(weight for _, weight in taken)
            self._changed.notify_all()
            return [message for message, _ in taken]


class Stream:
    """Messages of one attachment: kept until its snapshot has been queued before them."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._kept: list[tuple[wire.Message, int]] | None = []

    def put(self, message: wire.Message, weight: int) -> None:
        """Never waits for the client."""
        with self._outbox._changed:
            if self._kept is not None:
                self._kept.append((message, weight))
            else:
                self._outbox._put(message, weight)

    def open(self, first: Sequence[wire.Message]) -> None:
        """Queue these, then what was kept, and from now on everything at once."""
        with self._outbox._changed:
            kept, self._kept = self._kept or [], None
            for message in first:
                self._outbox._put(message, 0)
            for message, weight in kept:
                self._outbox._put(message, weight)


def _framed(message: wire.Message) -> bytes:
    try:
        return wire.frame(message)
    except EngineError as error:
        if isinstance(message, wire.Told | wire.Records):
            return wire.frame(wire.Goodbye(reason=str(error)))
        return wire.frame(wire.to_message(message.number, error))
