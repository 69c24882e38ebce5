"""The programs as processes of their own."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from engine.remote.client import RemoteEngine

ROOT = Path(__file__).parents[2]
PATIENCE_S = 60.0
_MODULES = {"vea-lab": "lab"}


def command_line(words: list[str]) -> list[str]:
    """How to start a program whose entry point is not installed."""
    module = _MODULES.get(words[0], words[0])
    return [sys.executable, "-c", f"from engine.cli.{module} import main; main()", *words[1:]]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


class Program:
    """A program under way. With `terminal` its standard error is one, so that it draws its progress."""

    def __init__(self, words: list[str], *, terminal: bool = False) -> None:
        self._screen, slave = pty.openpty() if terminal else (-1, subprocess.PIPE)
        self._process = subprocess.Popen(
            command_line(words), stdout=subprocess.PIPE, stderr=slave, text=True, env=environment()
        )
        self._drawn = ""
        if terminal:
            os.close(slave)

    def __enter__(self) -> Program:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate()
        if self._screen >= 0:
            os.close(self._screen)

    def draws(self, text: str) -> str:
        """Waits until this stands on its terminal; everything that was drawn so far."""
        while text not in self._drawn:
            assert select.select([self._screen], [], [], PATIENCE_S)[0], self._drawn
            self._drawn += os.read(self._screen, 4096).decode()
        return self._drawn

    def interrupt(self) -> None:
        """Ctrl+C."""
        self._process.send_signal(signal.SIGINT)

    def end(self) -> None:
        self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self._process.kill()

    def first_line(self) -> str:
        """Waits until it has written one."""
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def ended(self) -> tuple[int, str, str] | None:
        """Its result; None while it runs."""
        return None if self._process.poll() is None else self.result()

    def result(self) -> tuple[int, str, str]:
        """(status, standard output, standard error) at its end."""
        out, err = self._process.communicate(timeout=PATIENCE_S)
        if self._screen >= 0:
            with contextlib.suppress(OSError):  # the end of a terminal whose last program has left
                while piece := os.read(self._screen, 4096):
                    self._drawn += piece.decode()
        return self._process.returncode, out, err if self._screen < 0 else self._drawn


def program(words: list[str]) -> tuple[int, str, str]:
    """Run one to its end."""
    with Program(words) as running:
        return running.result()


@contextlib.contextmanager
def served(folder: Path, *more: str) -> Iterator[Program]:
    """vxsvc on a lab, ready; ended in order unless that has happened."""
    places = ["--lab", f"{folder}/lab", "--state", f"{folder}/state", "--socket", f"{folder}/c.sock"]
    with Program(["vxsvc", *places, *more]) as engine:
        line = engine.first_line()
        assert line == "ready\n", engine.result()
        yield engine
        engine.end()
        engine.result()


def connected(folder: Path) -> RemoteEngine:
    engine = RemoteEngine.connect(folder / "c.sock")
    assert engine is not None
    return engine
