"""A mail server on a real socket: it takes mail, or refuses what it is told to refuse, and keeps what came.

With a certificate it speaks TLS, from the beginning or after STARTTLS, and takes who logs in as it was told."""

from __future__ import annotations

import base64
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

DEADLINE_S = 60.0


class SmtpStub:
    """Listens on a port of loopback. `refuse` makes it refuse every recipient; `silent` makes it never speak, and
    `deaf` makes it say nothing more once it was asked for STARTTLS.

    With a `login` it takes mail after this user name and password only, and says no word of them before TLS."""

    def __init__(self, context: ssl.SSLContext | None = None, *, at_once: bool = False, login: str = "") -> None:
        """`at_once`: TLS from the beginning. `login` is "NAME PASSWORD"."""
        self.context = context
        self.at_once = at_once
        self.login = login
        self.overheard = b""  # all that was said to it in the open
        self.deaf = False
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

    def asked_for_tls(self) -> None:
        """Wait until somebody has asked for STARTTLS and was told to begin."""
        with self._came:
            assert self._came.wait_for(lambda: b"starttls" in self.overheard.lower(), DEADLINE_S)

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
            with talk:
                self._greet(talk)

    def _greet(self, talk: socket.socket) -> None:
        if self.silent:
            talk.recv(1)
            return
        try:
            if not self.at_once:
                with talk.makefile("rwb") as lines:
                    if not self._talk(lines, secret=False):
                        return
            with self._secured(talk) as secret, secret.makefile("rwb") as lines:
                self._talk(lines, secret=True)
        except OSError:
            return  # whoever called has hung up: it did not like what it heard

    def _secured(self, talk: socket.socket) -> ssl.SSLSocket:
        assert self.context is not None
        return self.context.wrap_socket(talk, server_side=True)

    def _talk(self, lines, *, secret: bool) -> bool:  # type: ignore[no-untyped-def]
        """Until the end, or True once TLS is to begin."""

        def say(text: str) -> None:
            lines.write(text.encode() + b"\r\n")
            lines.flush()

        known = not self.login
        if secret == self.at_once:
            say("220 stub")
        for line in lines:
            if not secret:
                self.overheard += line
            verb = line[:4].upper()
            if verb == b"EHLO":
                say("\r\n".join(["250-stub", *self._offers(secret), "250 HELP"]))
            elif verb == b"STAR" and self.context is not None:
                say("220 go on")
                with self._came:
                    self._came.notify_all()
                if self.deaf:
                    lines.read()
                return not self.deaf
            elif verb == b"AUTH":
                known = base64.b64decode(line.split()[-1]).decode().split("\0")[1:] == self.login.split()
                say("235 welcome" if known else "535 no such user")
            elif verb == b"MAIL" and not known:
                say("530 who are you")
            elif verb == b"RCPT" and self.refuse:
                say(self.refuse)
            elif verb == b"DATA":
                say("354 go on")
                self._take(lines)
                say("250 taken")
            elif verb == b"QUIT":
                say("221 bye")
                return False
            else:
                say("250 fine")
        return False

    def _offers(self, secret: bool) -> list[str]:
        if not secret:
            return ["250-STARTTLS"] if self.context is not None else []
        return ["250-AUTH PLAIN"] if self.login else []

    def _take(self, lines) -> None:  # type: ignore[no-untyped-def]
        body = b""
        for line in lines:
            if line == b".\r\n":
                break
            body += line[1:] if line.startswith(b"..") else line
        with self._came:
            self._mails.append(message_from_bytes(body, policy=policy.default))  # type: ignore[arg-type]
            self._came.notify_all()


def certificate(folder: Path, *names: str) -> tuple[ssl.SSLContext, Path]:
    """A key with a certificate for these names (`DNS:...` or `IP:...`), and the file that whoever trusts it names."""
    key, cert = folder / "key.pem", folder / "cert.pem"
    subject = ["-subj", "/CN=stub", "-addext", f"subjectAltName={','.join(names)}"]
    new = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    subprocess.run([*new, "-days", "2", "-keyout", key, "-out", cert, *subject], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return context, cert


@contextmanager
def smtp_stub(context: ssl.SSLContext | None = None, *, at_once: bool = False, login: str = "") -> Iterator[SmtpStub]:
    """One that is closed at the end."""
    stub = SmtpStub(context, at_once=at_once, login=login)
    try:
        yield stub
    finally:
        stub.close()
