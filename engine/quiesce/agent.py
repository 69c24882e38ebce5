"""A conversation with a QEMU guest agent over its unix socket. Imports nothing of the engine.

Whatever the other end does - nothing, garbage, too much, too late - ends in an `AgentError` before the deadline.
"""

from __future__ import annotations

import json
import secrets
import socket
import time
from typing import Any

_LINE_MAX = 1 << 16
_SKIPPED_MAX = 1 << 20  # of answers that an earlier client has left behind
_WORDS_MAX = 200


class AgentError(Exception):
    """The agent could not be had; the message is the end of a sentence."""


class AgentRefuses(AgentError):
    """It has understood, and does not do it."""


class AgentTalk:
    """One connection. `limit_s` seconds are for all of it, until `extend` is called."""

    def __init__(self, path: str, limit_s: float) -> None:
        self._buffer = b""
        self._link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.extend(limit_s)
        try:
            self._link.settimeout(self._left())
            self._link.connect(path)
        except (OSError, ValueError) as error:
            self._link.close()
            raise AgentError(f"its socket can't be reached ({_reason(error)})") from error

    def __enter__(self) -> AgentTalk:
        return self

    def __exit__(self, *details: object) -> None:
        self.close()

    def close(self) -> None:
        self._link.close()

    def extend(self, limit_s: float) -> None:
        """From now on there are so many seconds."""
        self._until = time.monotonic() + limit_s

    def sync(self) -> None:
        """What an earlier client has asked for is not taken for an answer to us."""
        number = 2 + secrets.randbelow(1 << 30)
        self._send(b"\xff" + _command("guest-sync-delimited", id=number))
        skipped = 0
        while skipped < _SKIPPED_MAX:
            line = self._line()
            _, mark, answer = line.rpartition(b"\xff")
            if mark and _parsed(answer) == {"return": number}:
                return
            skipped += len(line) + 1
        raise AgentError("it sends too much")

    def ask(self, name: str) -> Any:
        """What a command returns."""
        self._send(_command(name))
        answer = _parsed(self._line())
        if not isinstance(answer, dict):
            raise AgentError("it answers what makes no sense")
        if "return" in answer:
            return answer["return"]
        error = answer.get("error")
        said = error.get("desc") if isinstance(error, dict) else None
        words = "".join(char for char in str(said)[:_WORDS_MAX] if char.isprintable()) if said else "nothing more"
        raise AgentRefuses(f"it refuses, and says: {words.rstrip('.')}")

    def is_windows(self) -> bool:
        """Whether the guest's programs are told before they are frozen, by its Volume Shadow Copy Service."""
        try:
            answer = self.ask("guest-get-osinfo")
        except AgentRefuses:  # an old one does not know the question
            return False
        return isinstance(answer, dict) and answer.get("id") == "mswindows"

    def _left(self) -> float:
        left = self._until - time.monotonic()
        if left <= 0:
            raise AgentError("it did not answer in time")
        return left

    def _send(self, data: bytes) -> None:
        try:
            self._link.settimeout(self._left())
            self._link.sendall(data)
        except OSError as error:
            raise AgentError(_gone(error)) from error

    def _line(self) -> bytes:
        while b"\n" not in self._buffer:
            if len(self._buffer) > _LINE_MAX:
                raise AgentError("it sends too much")
            self._receive()
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line

    def _receive(self) -> None:
        try:
            self._link.settimeout(self._left())
            data = self._link.recv(1 << 14)
        except OSError as error:
            raise AgentError(_gone(error)) from error
        if not data:
            raise AgentError("it has hung up")
        self._buffer += data


def _command(name: str, **arguments: int) -> bytes:
    command: dict[str, object] = {"execute": name}
    if arguments:
        command["arguments"] = arguments
    return json.dumps(command).encode() + b"\n"


def _parsed(line: bytes) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _gone(error: OSError) -> str:
    return "it did not answer in time" if isinstance(error, TimeoutError) else f"it is gone ({_reason(error)})"


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or "in time"
