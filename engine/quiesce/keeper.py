"""A program of its own: keeps one thing still until it is told to let go, and then lets go in any case.

It is told by the end of its standard input, which also comes when the engine is killed, and does not wait for that
longer than its limit. It says on its standard output, a line of JSON each, what became of it. Nothing else stops it:
what it waits for may be stuck in the kernel, and when that comes back late, it is still let go.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, Protocol

FIFREEZE, FITHAW = 0xC0045877, 0xC0045878
APPLICATION, FILE_SYSTEM = "application", "file system"
THAW_S = 60.0
"""A guest or a program that does not let go is asked again for so long."""
_TRY_S = 10.0
_WORDS_MAX = 300


class Stuck(Exception):
    """It can't be kept still, or can't be let go; the message is the end of a sentence."""


class Kept(Protocol):
    """Something that can be kept still."""

    begun: bool  # something may be still from now on

    def freeze(self, limit_s: float) -> str:
        """Keep it still; answers the level that this gives. Stuck when that is not possible."""

    def thaw(self) -> str:
        """Let it go; answers why it was not still any more, or nothing. Stuck when it can't be let go."""


class Mount:
    """A mounted file system."""

    def __init__(self, place: str, number: str) -> None:
        self._place, self._number = place, number
        self._folder = -1
        self.begun = False

    def freeze(self, limit_s: float) -> str:
        self._open()
        self.begun = True
        try:
            fcntl.ioctl(self._folder, FIFREEZE, 0)
        except OSError as error:
            self.begun = False
            busy = "it is frozen by somebody else" if error.errno == errno.EBUSY else None
            raise Stuck(busy or f"the system refuses to freeze it ({error.strerror})") from error
        return FILE_SYSTEM

    def thaw(self) -> str:
        if self._folder < 0:
            self._open()
        try:
            fcntl.ioctl(self._folder, FITHAW, 0)
        except OSError as error:
            if error.errno == errno.EINVAL:
                return "somebody else has thawed it"
            raise Stuck(f"the system refuses to thaw it ({error.strerror})") from error
        return ""

    def _open(self) -> None:
        """What is mounted there has to be what was found there."""
        try:
            self._folder = os.open(self._place, os.O_RDONLY | os.O_DIRECTORY | os.O_NONBLOCK | os.O_CLOEXEC)
            told = Path(f"/proc/self/fdinfo/{self._folder}").read_text().split()
            mount = told[told.index("mnt_id:") + 1]
            lines = [line.split(" ", 3) for line in Path("/proc/self/mountinfo").read_text().splitlines()]
        except (OSError, ValueError) as error:
            raise Stuck(f"it can't be opened ({error})") from error
        if [line[2] for line in lines if line[0] == mount] != [self._number]:
            raise Stuck("something else is mounted there now")


class Flush(Mount):
    """A mounted file system that no system call freezes: what was written to it goes to its device, and that is all."""

    def freeze(self, limit_s: float) -> str:
        self._open()
        program = subprocess.Popen(
            ["sync", "-f", self._place], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        said, late = _watch(program, limit_s)
        if late:
            raise Stuck(f"it was not flushed within {limit_s:.0f} s")
        raise Stuck(f"it could not be flushed: {said}" if program.wait() else "it was flushed only")


class Guest:
    """A virtual machine whose agent listens at a socket."""

    def __init__(self, path: str) -> None:
        self._path = path
        self.begun = False

    def freeze(self, limit_s: float) -> str:
        from engine.quiesce.agent import AgentError, AgentTalk

        try:
            with AgentTalk(self._path, limit_s) as agent:
                agent.sync()
                level = APPLICATION if agent.is_windows() else FILE_SYSTEM
                if agent.ask("guest-fsfreeze-status") != "thawed":
                    raise Stuck("it is frozen by somebody else")
                self.begun = True
                count = agent.ask("guest-fsfreeze-freeze")
        except AgentError as error:
            raise Stuck(str(error)) from error
        if isinstance(count, bool) or not isinstance(count, int) or count < 1:
            raise Stuck("it has frozen no file system")
        return level

    def thaw(self) -> str:
        """Asked again, by new connections, until it does it: one that hangs now may hear of it later."""
        from engine.quiesce.agent import AgentError, AgentTalk

        until = time.monotonic() + THAW_S
        while True:
            begun = time.monotonic()
            try:
                with AgentTalk(self._path, _TRY_S) as agent:
                    agent.sync()
                    lost = agent.ask("guest-fsfreeze-status") != "frozen"
                    agent.ask("guest-fsfreeze-thaw")
                    return "it was not frozen any more" if lost else ""
            except AgentError as error:
                if time.monotonic() > until:
                    raise Stuck(str(error)) from error
            threading.Event().wait(max(0.0, begun + 1.0 - time.monotonic()))


class Program:
    """A program of the site: `freeze` or `thaw` is its last argument."""

    def __init__(self, *words: str) -> None:
        self._words = words
        self.begun = False

    def freeze(self, limit_s: float) -> str:
        self.begun = True
        self._run("freeze", limit_s)
        return APPLICATION

    def thaw(self) -> str:
        self._run("thaw", THAW_S)
        return ""

    def _run(self, verb: str, limit_s: float) -> None:
        try:
            program = subprocess.Popen(
                [*self._words, verb],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                start_new_session=True,
                cwd="/",
            )
        except (OSError, ValueError) as error:
            raise Stuck(f"it could not be started ({error})") from error
        said, late = _watch(program, limit_s)
        if late:
            os.killpg(program.pid, signal.SIGKILL)  # and what it has started; it has not been waited for yet
        status = program.wait()
        if late:
            raise Stuck(f"it did not end within {limit_s:.0f} s")
        if status:
            raise Stuck(f"it ended with status {status}{f': {said}' if said else ''}")


def _watch(program: subprocess.Popen[bytes], limit_s: float) -> tuple[str, bool]:
    """Its last words, and whether it is too late; what it leaves behind may keep the pipe open, and nobody waits."""
    until, said = time.monotonic() + limit_s, b""
    assert program.stderr is not None
    pipes = [program.stderr.fileno()]
    ended = os.pidfd_open(program.pid)
    try:
        while True:
            ready, _, _ = select.select([*pipes, ended], [], [], max(0.0, until - time.monotonic()))
            if pipes and pipes[0] in ready:
                piece = os.read(pipes[0], 4096)
                said = (said + piece)[-_WORDS_MAX:]
                pipes = pipes if piece and time.monotonic() < until else []
            elif ready:
                break
            elif time.monotonic() >= until:
                return "", True
    finally:
        os.close(ended)
        program.stderr.close()
    words = "".join(char if char.isprintable() else " " for char in said.decode(errors="replace"))
    return " ".join(words.split()).rstrip("."), False


def say(**told: Any) -> None:
    """Whoever listened may be gone; that changes nothing."""
    with contextlib.suppress(OSError):
        os.write(1, json.dumps(told).encode() + b"\n")


def keep(kept: Kept, limit_s: float, longest_s: float) -> int:
    """Still, until standard input ends or it has been so for `longest_s`."""
    begun = time.monotonic()
    try:
        level = kept.freeze(limit_s)
    except Stuck as stuck:
        say(said="failed", why=str(stuck), half=kept.begun)
        return let_go(kept, begun) if kept.begun else 1
    say(said="frozen", level=level, at=begun)
    select.select([0], [], [], longest_s)
    return let_go(kept, begun)


def let_go(kept: Kept, begun: float) -> int:
    at = time.monotonic()
    try:
        lost = kept.thaw()
    except Stuck as stuck:
        say(said="stuck", why=str(stuck))
        return 1
    say(said="thawed", at=at, lasted=time.monotonic() - begun, lost=lost)
    return 0


def main(verb: str, by: str, limit_s: str, longest_s: str, *words: str) -> int:
    """`keep` or `thaw` a `mount` (its place and number), an `agent` (its socket) or a `program` (with arguments).

    `keep flush` brings what was written to a mount to its device.
    """
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    kept: Kept = {"mount": Mount, "flush": Flush, "agent": Guest, "program": Program}[by](*words)
    if verb == "thaw":
        return let_go(kept, time.monotonic())
    return keep(kept, float(limit_s), float(longest_s))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
