"""What a test must leave as it found it: threads, timers, descriptors, child processes, and a quiet log.

Each guard takes a picture before the test and compares afterwards. What a session or module fixture made is in the
picture already. Leftovers get a moment to end by themselves; then the test fails and names them.
"""

from __future__ import annotations

import gc
import logging
import os
import re
import select
import sys
import threading
import time
import traceback
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

GRACE_SECONDS = 30.0
"""How long what a test has asked to stop may take to be gone."""

QUIET_PATHS = ("/proc/", "/sys/", "/dev/null", "/dev/urandom", "/dev/random", "/usr/", "/etc/", "/memfd:")
"""Descriptors that libraries open once and keep: no test can close them."""


@dataclass(frozen=True)
class Picture:
    """What there was at one moment. Timers are held weakly: a guard must not keep alive what a test lets go."""

    threads: list[threading.Thread]
    timers: list[weakref.ref[Any]]
    descriptors: dict[int, str]
    children: frozenset[int]


def running_threads() -> list[threading.Thread]:
    """Threads that somebody started from Python; foreign threads that merely called into Python are not ours."""
    return [
        thread
        for thread in threading.enumerate()
        if thread is not threading.main_thread() and not isinstance(thread, threading._DummyThread)
    ]


def running_timers() -> list[Any]:
    """Active QTimers; none without Qt, or before somebody has made its application, without which none runs."""
    core = sys.modules.get("PySide6.QtCore")
    if core is None or core.QCoreApplication.instance() is None:
        return []
    shiboken = sys.modules["shiboken6"]
    core.QCoreApplication.sendPostedEvents(None, core.QEvent.Type.DeferredDelete.value)
    timers = (each for each in gc.get_objects() if isinstance(each, core.QTimer))
    return [timer for timer in timers if shiboken.isValid(timer) and timer.isActive()]


def open_descriptors() -> dict[int, str]:
    """Descriptor -> what it leads to. Event descriptors belong to Qt's and the kernel's loops and are not counted."""
    found = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{name}")
        except FileNotFoundError:  # the descriptor of this very listing
            continue
        if not target.startswith(("anon_inode:", *QUIET_PATHS)):
            found[int(name)] = target
    return found


def child_processes() -> dict[int, str]:
    """Process id -> command line of every child, also of those that other threads of ours have started."""
    found = {}
    for listing in Path("/proc/self/task").glob("*/children"):
        try:
            pids = listing.read_text().split()
        except OSError:  # the thread has ended meanwhile
            continue
        for pid in pids:
            try:
                words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            line = " ".join(word.decode(errors="replace") for word in words).strip()
            found[int(pid)] = line or "(ended, but nobody waited for it)"
    return found


def take_picture() -> Picture:
    return Picture(
        threads=running_threads(),
        timers=[weakref.ref(timer) for timer in running_timers()],
        descriptors=open_descriptors(),
        children=frozenset(child_processes()),
    )


def leftover_threads(before: Picture) -> list[str]:
    frames = sys._current_frames()
    found = []
    for thread in running_threads():
        if thread in before.threads:
            continue
        frame = frames.get(thread.ident or 0)
        where = "".join(traceback.format_stack(frame, limit=4)) if frame else "  (not running Python)\n"
        found.append(f"thread {thread.name!r}, now at\n{where}")
    return found


def leftover_timers(before: Picture) -> list[str]:
    known = [reference() for reference in before.timers]
    found = []
    for timer in running_timers():
        if any(timer is each for each in known):
            continue
        parent = timer.parent()
        owner = f"{type(parent).__name__} {parent.objectName()!r}" if parent is not None else "nobody"
        found.append(f"QTimer {timer.objectName()!r} every {timer.interval()} ms, owned by {owner}")
    return found


def leftover_descriptors(before: Picture) -> list[str]:
    new = {fd: to for fd, to in open_descriptors().items() if before.descriptors.get(fd) != to}
    if new:
        gc.collect()  # what only the collector can reach warns here, in the test that lost it
        new = {fd: to for fd, to in open_descriptors().items() if before.descriptors.get(fd) != to}
    return [f"descriptor {fd} to {to}" for fd, to in sorted(new.items())]


def leftover_children(before: Picture) -> list[str]:
    return [f"process {pid}: {line}" for pid, line in sorted(child_processes().items()) if pid not in before.children]


FINDERS: dict[str, Callable[[Picture], list[str]]] = {
    "threads": leftover_threads,
    "timers": leftover_timers,
    "descriptors": leftover_descriptors,
    "children": leftover_children,
}


def settled(find: Callable[[Picture], list[str]], before: Picture) -> list[str]:
    """What is left once it had its grace. A test that leaves nothing pays for one look only."""
    until = time.monotonic() + GRACE_SECONDS
    while (found := find(before)) and time.monotonic() < until:
        others = [thread for thread in running_threads() if thread not in before.threads]
        if others:
            others[0].join(0.05)
        else:
            select.select([], [], [], 0.05)
    return found


@pytest.fixture(autouse=True, scope="module")
def old_objects_set_aside() -> None:
    """What earlier files have left alive, a million objects at times, is no timer of this one: neither the guards nor
    the collector look at it again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def leaves_nothing(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fails a test that leaves threads, timers, descriptors or child processes behind.

    `@pytest.mark.keeps("threads", reason="...")` excuses one kind.
    """
    excused = {mark.args[0] for mark in request.node.iter_markers("keeps") if mark.kwargs["reason"]}
    before = take_picture()
    yield
    left = [line for kind, find in FINDERS.items() if kind not in excused for line in settled(find, before)]
    if left:
        pytest.fail("this test leaves behind:\n" + "\n".join(left), pytrace=False)


@dataclass(eq=False)
class LogWatch(logging.Handler):
    """Collects records of WARNING and above, from whichever thread, and knows which of them were announced."""

    allowed: list[re.Pattern[str]] = field(default_factory=list)
    expected: list[re.Pattern[str]] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(logging.WARNING)

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(f"{record.levelname} {record.name}: {record.getMessage()}")

    def complaints(self) -> list[str]:
        """Lines that nobody announced, and announced ones that never came."""
        known = self.allowed + self.expected
        unknown = [line for line in self.lines if not any(pattern.search(line) for pattern in known)]
        absent = [p.pattern for p in self.expected if not any(p.search(line) for line in self.lines)]
        return [f"unexpected: {line}" for line in unknown] + [f"never logged: {each}" for each in absent]


@pytest.fixture(autouse=True)
def log_is_quiet(request: pytest.FixtureRequest) -> Iterator[LogWatch]:
    """Fails a test that logs a WARNING or worse which `allow_log` or `expect_log` doesn't know."""
    watch = LogWatch()
    watch.allowed += [re.compile(mark.args[0]) for mark in request.node.iter_markers("allow_log")]
    root = logging.getLogger()
    root.addHandler(watch)
    yield watch
    root.removeHandler(watch)
    if complaints := watch.complaints():
        pytest.fail("the log:\n" + "\n".join(complaints), pytrace=False)


@pytest.fixture
def expect_log(log_is_quiet: LogWatch) -> Callable[[str], None]:
    """`expect_log(pattern)`: a line `LEVEL logger: text` that the pattern finds must be logged, else the test fails."""

    def expect(pattern: str) -> None:
        log_is_quiet.expected.append(re.compile(pattern))

    return expect
