"""One talk with a mail server: plain, or kept secret by TLS; with a login where one is set. It ends within deadlines.

Certificates are verified against those that this host trusts. The password stands in a file that only the engine's user
can read: its path alone is kept, and the file is read for each talk.
"""

from __future__ import annotations

import os
import smtplib
import socket
import ssl
import stat
from typing import TYPE_CHECKING, NamedTuple

from engine.errors import EngineError
from engine.records import MailSecurity

if TYPE_CHECKING:
    from collections.abc import Callable
    from email.message import EmailMessage

MAIL_DEADLINE_S = 10.0
"""For each step of the talk with the mail server."""
_PASSWORD_MAX = 1024


class MailServer(NamedTuple):
    """Who takes mail, how it is spoken to, and from whom the mail says it comes."""

    name: str
    port: int
    sender: str
    security: MailSecurity = MailSecurity.NONE
    user: str = ""
    password_file: str = ""


class Talk(smtplib.SMTP):
    """A talk that ends before its next answer once it is given up: a connection that comes about in the very moment of
    `shut` is not there yet to be shut."""

    def __init__(self, server: MailServer, given_up: Callable[[], bool]) -> None:
        super().__init__(timeout=MAIL_DEADLINE_S)
        self._server = server
        self._given_up = given_up

    def post(self, message: EmailMessage) -> None:
        """Hand a mail over. EngineError says in one sentence why that was not possible."""
        server = self._server
        try:
            password = _password(server.password_file) if server.user else ""
            with self:
                self.connect(server.name, server.port)
                if server.security is MailSecurity.STARTTLS:
                    self._start_tls()
                if server.user:
                    self.login(server.user, password)
                self.send_message(message)
        except (smtplib.SMTPException, OSError, ValueError) as error:
            raise EngineError(
                f"The mail server {server.name}, port {server.port}, {_reason(error, server)}."
            ) from error

    def shut(self) -> None:
        """From another thread: whoever waits for the server's next word gets none."""
        connection = self.sock
        if connection is not None:
            socket.socket.shutdown(connection, socket.SHUT_RDWR)  # beneath TLS, whose state is the other thread's

    def getreply(self) -> tuple[int, bytes]:
        if self._given_up():
            raise smtplib.SMTPServerDisconnected("given up")
        return super().getreply()

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        made = socket.create_connection((host, port), timeout)
        return self._secured(made) if self._server.security is MailSecurity.TLS else made

    def _secured(self, connection: socket.socket) -> ssl.SSLSocket:
        """The same connection under TLS. It can be shut while both sides still shake hands."""
        context = ssl.create_default_context()
        secured = context.wrap_socket(connection, server_hostname=self._server.name, do_handshake_on_connect=False)
        self.sock = secured
        try:
            if self._given_up():
                raise smtplib.SMTPServerDisconnected("given up")
            secured.do_handshake()
        except BaseException:
            secured.close()
            raise
        return secured

    def _start_tls(self) -> None:
        """What was said in the open counts for nothing: the greeting is made again."""
        self.ehlo_or_helo_if_needed()
        if not self.has_extn("starttls"):
            raise smtplib.SMTPNotSupportedError("it does not offer STARTTLS")
        code, answer = self.docmd("STARTTLS")
        if code != 220:
            raise smtplib.SMTPResponseException(code, answer)
        assert self.sock is not None
        self.sock = self._secured(self.sock)
        self.file = None
        self.helo_resp, self.ehlo_resp = None, None
        self.esmtp_features, self.does_esmtp = {}, False


def _password(path: str) -> str:
    """The first line of the file. EngineError when others could read it too, or when it is no such file."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise EngineError(f"The password file {path} can't be read: {error.strerror or error}.") from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise EngineError(f"The password file {path} is no regular file.")
        if stat.S_IMODE(status.st_mode) & 0o077 or status.st_uid not in (os.geteuid(), 0):
            raise EngineError(f"Others than the engine's user can read the password file {path}: chmod 600 mends that.")
        line = os.read(descriptor, _PASSWORD_MAX).split(b"\n")[0].rstrip(b"\r")
    finally:
        os.close(descriptor)
    if not line or not line.isascii():
        raise EngineError(f"The first line of the password file {path} is no password of letters, digits and signs.")
    return line.decode()


def _reason(error: Exception, server: MailServer) -> str:
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        code, answer = next(iter(error.recipients.values()))
        return f"refused the address: {code} {_text(answer)}"
    if isinstance(error, smtplib.SMTPAuthenticationError):
        return f"does not accept this user name and password: {error.smtp_code} {_text(error.smtp_error)}"
    if isinstance(error, smtplib.SMTPResponseException):
        return f"answered: {error.smtp_code} {_text(error.smtp_error)}"
    if isinstance(error, smtplib.SMTPNotSupportedError):
        return "offers no STARTTLS there" if "STARTTLS" in str(error) else "takes no user name and password there"
    if isinstance(error, smtplib.SMTPException) and "authentication" in str(error):
        return "knows no way of logging in that is known here"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"can't prove that it is {server.name}: {error.verify_message.rstrip('.')}"
    if isinstance(error, TimeoutError):
        return f"did not answer within {MAIL_DEADLINE_S:.0f} s"
    if isinstance(error, ssl.SSLError):
        return "does not speak TLS there: try the other ports and kinds of security"
    return f"could not be spoken to: {getattr(error, 'strerror', '') or error}"


def _text(answer: bytes | str) -> str:
    text = answer.decode(errors="replace") if isinstance(answer, bytes) else answer
    return " ".join(text.split()).rstrip(".")
