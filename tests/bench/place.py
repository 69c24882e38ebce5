"""Where a run happens: a folder of its own, and processes that end with it."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

ROOT = Path(__file__).parents[2]
PATIENCE_S = 60.0
_WITH_US = ("setpriv", "--pdeathsig", "TERM")
"""No process outlives a bench that was killed. Processes are to be started by the main thread only."""

_SPINNER = """
import os
parent = os.getppid()
os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
while os.getppid() == parent:
    for _ in range(1_000_000):
        pass
"""


class Place:
    """A temporary folder and everything that runs in it; leaving ends the processes and removes the folder."""

    def __init__(self, parent: Path) -> None:
        self._undo = contextlib.ExitStack()
        self.folder = Path(tempfile.mkdtemp(prefix="vea-bench-", dir=parent))
        self._undo.callback(shutil.rmtree, self.folder, ignore_errors=True)

    def __enter__(self) -> Place:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._undo.close()

    def start(self, words: list[str], *, listens: Path | None = None) -> subprocess.Popen[str]:
        """Start a program; with `listens`, wait until somebody accepts connections there."""
        process = subprocess.Popen(
            [*_WITH_US, *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, env=environment()
        )
        self._undo.callback(end, process)
        if listens is not None:
            _wait_for(process, listens, words[0])
        return process

    def folder_for(self, name: str) -> Path:
        made = self.folder / name
        made.mkdir()
        return made


def environment() -> dict[str, str]:
    """Programs of this tree find it and keep what they have compiled, as installed ones; no window needs a display."""
    ours = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**ours, "PYTHONPATH": str(ROOT), "QT_QPA_PLATFORM": "offscreen"}


def end(process: subprocess.Popen[str]) -> None:
    """Ask it to end, and see that it has; also one that is stopped."""
    if process.poll() is None:
        process.terminate()
        process.send_signal(signal.SIGCONT)
        try:
            process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    if process.stdout is not None:
        process.stdout.close()


def line_of(process: subprocess.Popen[str], expected: str) -> None:
    """Wait until it has said this line, which must be its next."""
    assert process.stdout is not None
    line = process.stdout.readline().strip()
    if line != expected:
        raise RuntimeError(f"{process.args!r} said {line!r} instead of {expected!r}")


@contextlib.contextmanager
def awake(place: Place) -> Iterator[None]:
    """No processor goes to sleep meanwhile: one loop on each, which gives way to everything else."""
    spinners = [place.start([sys.executable, "-c", _SPINNER]) for _ in range(os.cpu_count() or 1)]
    try:
        yield
    finally:
        for spinner in spinners:
            end(spinner)


@contextlib.contextmanager
def stopped(process: subprocess.Popen[str]) -> Iterator[None]:
    """It gets no processor time meanwhile."""
    process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        process.send_signal(signal.SIGCONT)


def _wait_for(process: subprocess.Popen[str], path: Path, name: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"{name} ended with status {process.returncode} before it served")
        with socket.socket(socket.AF_UNIX) as link, contextlib.suppress(OSError):
            link.connect(str(path))
            return
        time.sleep(0.01)
    raise RuntimeError(f"{name} has not served {path} within {PATIENCE_S:.0f} s")
