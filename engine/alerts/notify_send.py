"""The two ways in which alerts leave the host: a mail, or a program that is run with them. Both end within a deadline.

A program is run by its path with its arguments, never by
a shell, and is told of the alert by its environment and its standard input.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import time
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from typing import TYPE_CHECKING, NamedTuple

from engine.alerts.mail import Talk
from engine.errors import EngineError
from engine.records import Severity

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.alerts.mail import MailServer

log = logging.getLogger(__name__)

PROGRAM_DEADLINE_S = 30.0
OUTPUT_LOGGED = 4096
"""So much of what a program prints is kept in the engine's log, bytes."""
RANK = {Severity.INFORMATION: 0, Severity.WARNING: 1, Severity.ERROR: 2}


class Notice(NamedTuple):
    """An alert in words, with nothing left to look up."""

    severity: Severity
    time: float  # seconds since the epoch
    what: str
    object: str = ""
    cause: str = ""
    remedy: str = ""

    def lines(self) -> str:
        """All of it, for somebody who reads it elsewhere."""
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self.time))
        rows = (("Object", self.object), ("Cause", self.cause), ("What to do", self.remedy))
        return "\n".join([f"{self.severity}, {when}", self.what, *(f"{name}: {text}" for name, text in rows if text)])


class Sender:
    """Sends one thing at a time. `abort`, from another thread, ends what runs and all that would follow."""

    def __init__(self, host: str) -> None:
        """`host` is the name by which the reader knows this host."""
        self.host = host
        self._process: subprocess.Popen[bytes] | None = None
        self._talk: Talk | None = None
        self._aborted = False

    def abort(self) -> None:
        """Give up at once."""
        self._aborted = True
        if self._process is not None:
            _kill(self._process)
        talk = self._talk
        if talk is not None:
            with contextlib.suppress(OSError):
                talk.shut()

    def mail(self, to: str, server: MailServer, notices: Sequence[Notice]) -> None:
        """One mail with all notices. EngineError says why it could not be handed over."""
        message = _message(self.host, to, server.sender or f"vea-console@{self.host}", notices)
        self._talk = Talk(server, lambda: self._aborted)
        try:
            self._talk.post(message)
        finally:
            self._talk = None

    def run(self, program: Sequence[str], notice: Notice) -> None:
        """Run a program to its end; its output goes to the engine's log. EngineError says what went wrong."""
        try:
            process = subprocess.Popen(
                program,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env={**os.environ, **_environment(self.host, notice)},
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", "") or str(error)
            raise EngineError(f"{program[0]} could not be run: {why}.") from error
        self._process = process
        if self._aborted:
            _kill(process)
        try:
            output, _ = process.communicate(notice.lines().encode(), PROGRAM_DEADLINE_S)
        except subprocess.TimeoutExpired:
            _kill(process)
            process.communicate()
            raise EngineError(f"{program[0]} ran longer than {PROGRAM_DEADLINE_S:.0f} s and was ended.") from None
        finally:
            self._process = None
        _log_output(program[0], output)
        if process.returncode:
            raise EngineError(f"{program[0]} ended with {_ending(process.returncode)}.{_last_line(output)}")


def _message(host: str, to: str, sender: str, notices: Sequence[Notice]) -> EmailMessage:
    worst = max(notices, key=lambda notice: RANK[notice.severity])
    more = f" (and {len(notices) - 1} more)" if len(notices) > 1 else ""
    message = EmailMessage()
    message["Subject"] = " ".join(f"[VEA {host}] {worst.severity}: {worst.what}{more}".split())
    message["From"], message["To"] = sender, to
    message["Date"], message["Message-ID"] = formatdate(localtime=True), make_msgid(domain="vea-console")
    message.set_content("\n\n".join(notice.lines() for notice in notices) + f"\n\nHost: {host}\n")
    return message


def _environment(host: str, notice: Notice) -> dict[str, str]:
    words = {
        "VEA_HOST": host,
        "VEA_SEVERITY": str(notice.severity),
        "VEA_MESSAGE": notice.what,
        "VEA_OBJECT": notice.object,
        "VEA_CAUSE": notice.cause,
        "VEA_REMEDY": notice.remedy,
        "VEA_TIME": f"{notice.time:.0f}",
    }
    return {name: text.replace("\0", " ") for name, text in words.items()}


def _ending(code: int) -> str:
    return f"status {code}" if code > 0 else f"signal {-code}"


def _last_line(output: bytes) -> str:
    lines = output[-OUTPUT_LOGGED:].decode(errors="replace").strip().splitlines()
    return f" It said: {lines[-1][:200].rstrip('.')}." if lines else ""


def _log_output(program: str, output: bytes) -> None:
    text = output[:OUTPUT_LOGGED].decode(errors="replace").strip()
    if text:
        log.info("%s said: %s", program, text)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """With all that it has started."""
    with contextlib.suppress(OSError):
        os.killpg(process.pid, signal.SIGKILL)
