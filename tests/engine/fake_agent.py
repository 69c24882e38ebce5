"""A guest agent at a unix socket, as QEMU's is, and how it may go wrong."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

Answer = Callable[["FakeAgent", str], Any]


class FakeAgent:
    """Serves one client after the other until `close`. `answers` replaces its answer to a command: a function that
    answers what is returned, raises `Refused`, or answers bytes that are sent as they are."""

    def __init__(self, folder: Path, **answers: Answer) -> None:
        self.path = folder / "agent"
        self.frozen = False
        self.heard: list[str] = []
        self.released = threading.Event()  # what a test holds back
        self.changed = threading.Condition()
        self._answers = {name.replace("_", "-"): answer for name, answer in answers.items()}
        self._server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._server.bind(str(self.path))
        self._server.listen()
        self._link: socket.socket | None = None
        self._closed = False
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def close(self) -> None:
        self._closed = True
        self.released.set()
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(OSError, AttributeError):
            self._link.shutdown(socket.SHUT_RDWR)  # type: ignore[union-attr]
        self._thread.join()
        self._server.close()

    def await_heard(self, name: str, count: int = 1) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: self.heard.count(name) >= count, 60), self.heard

    def await_thawed(self) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: not self.frozen and "guest-fsfreeze-thaw" in self.heard, 60)

    def _serve(self) -> None:
        while not self._closed:
            try:
                link, _ = self._server.accept()
            except OSError:
                return
            self._link = link
            with link, contextlib.suppress(OSError), link.makefile("rb") as lines:
                for line in lines:
                    self._take(link, line)
            self._link = None

    def _take(self, link: socket.socket, line: bytes) -> None:
        asked = json.loads(line.lstrip(b"\xff"))
        name = asked["execute"]
        try:
            answer = self._answers[name](self, name) if name in self._answers else self._usual(name, asked)
        except Refused as refused:
            link.sendall(json.dumps({"error": {"class": "GenericError", "desc": str(refused)}}).encode() + b"\n")
        else:
            if isinstance(answer, bytes):
                link.sendall(answer)
            else:
                mark = b"\xff" if name == "guest-sync-delimited" else b""
                link.sendall(mark + json.dumps({"return": answer}).encode() + b"\n")
        with self.changed:
            self.heard.append(name)
            self.changed.notify_all()

    def _usual(self, name: str, asked: dict[str, Any]) -> Any:
        match name:
            case "guest-sync-delimited":
                return asked["arguments"]["id"]
            case "guest-get-osinfo":
                return {"id": "debian"}
            case "guest-fsfreeze-status":
                return "frozen" if self.frozen else "thawed"
            case "guest-fsfreeze-freeze":
                self.frozen = True
                return 2
            case "guest-fsfreeze-thaw":
                self.frozen = False
                return 2
        raise Refused(f"The command {name} has not been found")


class Refused(Exception):
    """The agent answers with an error."""


def refuse(agent: FakeAgent, name: str) -> Any:
    raise Refused("not in this guest")


def windows(agent: FakeAgent, name: str) -> Any:
    return {"id": "mswindows"}


def garbage(agent: FakeAgent, name: str) -> Any:
    return b'\xff{"return": [[[[\x00\n\n{}\n'


def too_much(agent: FakeAgent, name: str) -> Any:
    return b"\xff" + b"x" * (3 << 20)


def nested(agent: FakeAgent, name: str) -> Any:
    return b'{"return": ' + b"[" * 60_000 + b"\n"


def never(agent: FakeAgent, name: str) -> Any:
    agent.released.wait(100)
    return b""


def late(agent: FakeAgent, name: str) -> Any:
    """It freezes, and tells nobody until it is too late."""
    agent.frozen = True
    agent.released.wait(100)
    return 2


def nothing(agent: FakeAgent, name: str) -> Any:
    return 0
