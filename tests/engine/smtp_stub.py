"""A mail server on a real socket: it takes mail, or refuses what it is told to refuse, and keeps what came."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage

DEADLINE_S = 60.0


class SmtpStub:
    """Listens on a port of loopback. `refuse` makes it refuse every recipient; `silent` makes it never speak."""

    def __init__(self) -> None:
        self.refuse = ""
        self.silent = False
        self._mails: list[EmailMessage] = []
        self._came = threading.Condition()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        self._thread = threading.Thread(target=self._serve, name="smtp stub")
        self._thread.start()

    def mails(self, least: int) -> list[EmailMessage]:
        """All mail, as soon as so many are there."""
        with self._came:
            assert self._came.wait_for(lambda: len(self._mails) >= least, DEADLINE_S), f"{len(self._mails)} mails came"
            return list(self._mails)

    def spoken_to(self) -> None:
        """Wait until somebody has connected."""
        with self._came:
            assert self._came.wait_for(lambda: bool(self._open), DEADLINE_S)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _serve(self) -> None:
        while True:
            try:
                talk, _ = self._listener.accept()
            except OSError:
                return
            with self._came:
                self._open.append(talk)
                self._came.notify_all()
            with talk, talk.makefile("rwb") as lines:
                if self.silent:
                    talk.recv(1)
                    continue
                self._talk(lines)

    def _talk(self, lines) -> None:  # type: ignore[no-untyped-def]
        def say(text: str) -> None:
            lines.write(text.encode() + b"\r\n")
            lines.flush()

        say("220 stub")
        for line in lines:
            verb = line[:4].upper()
            if verb == b"RCPT" and self.refuse:
                say(self.refuse)
            elif verb == b"DATA":
                say("354 go on")
                self._take(lines)
                say("250 taken")
            elif verb == b"QUIT":
                say("221 bye")
                return
            else:
                say("250 fine")

    def _take(self, lines) -> None:  # type: ignore[no-untyped-def]
        body = b""
        for line in lines:
            if line == b".\r\n":
                break
            body += line[1:] if line.startswith(b"..") else line
        with self._came:
            self._mails.append(message_from_bytes(body, policy=policy.default))  # type: ignore[arg-type]
            self._came.notify_all()


@contextmanager
def smtp_stub() -> Iterator[SmtpStub]:
    """One that is closed at the end."""
    stub = SmtpStub()
    try:
        yield stub
    finally:
        stub.close()
