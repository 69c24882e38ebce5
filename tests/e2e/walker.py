"""A console under test as its operator has it: seen through the accessibility bus, worked by mouse and keyboard."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.display import SYSTEM_PYTHON, Display, until
from tests.e2e.tools import Tools

AGENT = Path(__file__).with_name("atspi_agent.py")
PATIENCE = 60.0
QUIET = ("qt.accessibility.atspi:", "QSpiApplication::keyEventError", "QAccessibleTable::child: Invalid index")
"""Qt's bridge tells of questions about objects that are gone by now, and of a bus that was slow to take a key."""
Node = dict[str, Any]


class Reader:
    """The screen reader: asks the agent, which has the bus."""

    def __init__(self, display: Display) -> None:
        self._errors = (display.folder / "reader.log").open("wb")
        self._agent = subprocess.Popen(
            [SYSTEM_PYTHON, str(AGENT)],
            env=display.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
        )
        self._left = b""
        assert self._line(PATIENCE)["answer"] == "ready"

    def ask(self, do: str, within: float = 0.0, **more: Any) -> Any:
        """The answer, or None when there was none within the time."""
        assert self._agent.stdin is not None
        self._agent.stdin.write(json.dumps({"do": do, "within": within, **more}).encode() + b"\n")
        self._agent.stdin.flush()
        return self._line(within + PATIENCE)["answer"]

    def _line(self, seconds: float) -> dict[str, Any]:
        assert self._agent.stdout is not None
        end = time.monotonic() + seconds
        while b"\n" not in self._left:
            ready, _, _ = select.select([self._agent.stdout], [], [], max(0.0, end - time.monotonic()))
            more = os.read(self._agent.stdout.fileno(), 1 << 20) if ready else b""
            if not more:
                pytest.fail("the accessibility agent does not answer")
            self._left += more
        line, _, self._left = self._left.partition(b"\n")
        return dict(json.loads(line))

    def close(self) -> None:
        assert self._agent.stdin is not None
        assert self._agent.stdout is not None
        self._agent.stdin.close()
        try:
            self._agent.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._agent.kill()
            self._agent.wait()
        self._agent.stdout.close()
        self._errors.close()


class Walker(Tools):
    """A console on a lab, and hands to use it."""

    def __init__(self, display: Display, folder: Path, *words: str) -> None:
        super().__init__(folder, display.environment)
        self.display = display
        self._log = (folder / "console.log").open("ab")
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "vea_gui",
                "--lab",
                str(folder / "lab"),
                "--state",
                str(folder / "state"),
                "--socket",
                str(self.socket),
                *words,
            ],
            env=self.environment | {"PYTHONFAULTHANDLER": "1"},
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            cwd=folder,
        )
        try:
            self.reader = Reader(display)
        except BaseException:
            self._end()
            raise

    def close(self) -> None:
        """End the console in order; it must not have complained."""
        self.reader.close()
        self._end()
        said = self._said()
        assert not said, f"the console said on standard error: {said}"
        assert self.process.returncode == 0, f"the console ended with {self.process.returncode}"

    def _said(self) -> list[str]:
        lines = (self.folder / "console.log").read_text().splitlines()
        return [line for line in lines if line and not line.startswith(QUIET)]

    def _end(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._log.close()

    # --- seeing ---
    def find(self, *path: tuple[str, str], within: float = PATIENCE, **more: Any) -> Node:
        """The showing node at a path of (role, name), waited for."""
        node = self.reader.ask("find", within, path=path, **more)
        if node is None:
            pytest.fail(f"not there: {path} {more}\n{self.outline()}")
        return dict(node)

    def find_all(self, *path: tuple[str, str], **more: Any) -> list[Node]:
        """Every showing node at a path, now; none is fine."""
        return list(self.reader.ask("find", path=path, all=True, none=True, **more) or [])

    def gone(self, *path: tuple[str, str]) -> None:
        if not self.reader.ask("gone", PATIENCE, path=path):
            pytest.fail(f"still there: {path}")

    def outline(self) -> str:
        """Roles and names of everything that shows, for a failed test."""
        lines: list[str] = []

        def add(node: Node, depth: int) -> None:
            lines.append(f"{'  ' * depth}{node['role']} {node['name']!r} {node['text']!r} {' '.join(node['states'])}")
            for each in node["children"]:
                add(each, depth + 1)

        for top in self.reader.ask("tree", PATIENCE) or []:
            add(top, 0)
        return "\n".join(lines or self._last_words())

    def _last_words(self) -> list[str]:
        """Why nothing shows: how the console ended or, of one that hangs, where each of its threads is."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGABRT)
        return [f"nothing shows; the console ended with {self.process.wait(PATIENCE)}", *self._said()]

    # --- doing ---
    def click(self, node: Node, button: int = 1, times: int = 1, at: tuple[float, float] = (0.5, 0.5)) -> None:
        """Press a mouse button inside a node."""
        x, y = place(node, at)
        self.display.xdotool("mousemove", x, y, "click", "--repeat", times, "--delay", 40, button)

    def press(self, role: str, name: str, **more: Any) -> None:
        """Find what a label names and click on it, once it can be clicked."""
        self.click(self.find((role, name), **{"with": ["enabled"], **more}))

    def key(self, *keys: str) -> None:
        self.display.xdotool("key", "--delay", 30, *keys)

    def type(self, text: str) -> None:
        self.display.xdotool("type", "--delay", 15, text)

    def fill(self, node: Node, text: str) -> None:
        """Replace what stands in a field by typing."""
        self.click(node, times=1, at=(0.3, 0.5))
        self.key("ctrl+a")
        self.type(text)

    def entry(self, *labels: str) -> None:
        """Click through the popup menu that is opening."""
        for label in labels:
            self.click(self.find(("", label), popup=True))

    def drag(self, source: tuple[int, int], target: tuple[int, int], steps: int = 14, drop: bool = True) -> None:
        """Press, move as a hand does, and let go."""
        self.display.xdotool("mousemove", *source, "mousedown", 1)
        for step in range(1, steps + 1):
            at = [round(a + (b - a) * step / steps) for a, b in zip(source, target, strict=True)]
            self.display.xdotool("mousemove", *at)
        self.display.xdotool("mousemove", target[0] + 2, target[1] + 1)
        if drop:
            self.display.xdotool("mouseup", 1)

    # --- the keyboard ---
    def focus(self, since: int = -1, within: float = PATIENCE) -> Node | None:
        """The node that has the keyboard; with `since`, only after it has changed once more."""
        return self.reader.ask("focus", within, since=since)  # type: ignore[no-any-return]

    def step(self, *keys: str) -> Node:
        """Press keys that move the focus, and say where it rests then."""
        before = self.focus(within=10.0)
        self.key(*keys)
        after = self.focus(before["count"] if before else -1)
        if after is None:
            pytest.fail(f"{keys} did not move the focus from {before}")
        return after

    def walk_to(self, name: str, key: str = "Tab", most: int = 60) -> Node:
        """Press a key until the focus rests on a node whose name begins so."""
        seen = []
        for _ in range(most):
            node = self.step(key)
            if node["name"].startswith(name):
                return node
            seen.append(f"{node['role']} {node['name']!r}")
        pytest.fail(f"{key} never reached {name!r}, but {seen}")

    def until(self, done: Any, what: str, seconds: float = PATIENCE) -> None:
        until(seconds, done, what)


def place(node: Node, at: tuple[float, float] = (0.5, 0.5)) -> tuple[int, int]:
    """A point of a node on the screen."""
    assert node["box"] is not None, node
    x, y, width, height = node["box"]
    return round(x + width * at[0]), round(y + height * at[1])


@contextlib.contextmanager
def walking(display: Display, folder: Path, *words: str) -> Iterator[Walker]:
    """A console for a with statement."""
    folder.mkdir(parents=True, exist_ok=True)
    walker = Walker(display, folder, *words)
    try:
        yield walker
    finally:
        walker.close()
