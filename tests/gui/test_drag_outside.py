"""The real mouse on a real display, and what a screen reader's bus tells: from outside, through X and AT-SPI."""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

NEEDED = ("Xvfb", "openbox", "xdotool", "dbus-daemon")
BUS = "/usr/libexec/at-spi-bus-launcher"
SYSTEM_PYTHON = "/usr/bin/python3"
DEADLINE_SECONDS = 60
ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(
    any(shutil.which(program) is None for program in NEEDED), reason="needs xvfb, openbox, xdotool and dbus"
)


class Outside:
    """A display with the window on it."""

    def __init__(self, folder: Path) -> None:
        self.log = (folder / "log").open("wb")
        read, write = os.pipe()
        self.x = subprocess.Popen(
            ["Xvfb", "-displayfd", str(write), "-screen", "0", "1280x960x24", "-nolisten", "tcp"],
            pass_fds=(write,),
            stderr=self.log,
        )
        os.close(write)
        with os.fdopen(read) as pipe:
            self.display = ":" + pipe.readline().strip()
        self.environment = os.environ | {
            "DISPLAY": self.display,
            "QT_QPA_PLATFORM": "xcb",
            "QT_LINUX_ACCESSIBILITY_ALWAYS_ON": "1",
            "XDG_RUNTIME_DIR": str(folder),
        }
        self.bus = subprocess.Popen(
            ["dbus-daemon", "--session", "--nofork", "--nosyslog", f"--address=unix:path={folder}/bus"], stderr=self.log
        )
        self.environment["DBUS_SESSION_BUS_ADDRESS"] = f"unix:path={folder}/bus"
        self.manager = subprocess.Popen(["openbox"], env=self.environment, stderr=self.log)
        self.reader: subprocess.Popen[bytes] | None = None
        if Path(BUS).exists():
            self.reader = subprocess.Popen([BUS, "--launch-immediately"], env=self.environment, stderr=self.log)
        self.window = subprocess.Popen(
            [sys.executable, "-m", "tests.gui.drag_window", str(folder / "state")],
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            cwd=ROOT,
        )
        self.left = b""

    def close(self) -> None:
        """End all of it, last things first."""
        assert self.window.stdin is not None
        assert self.window.stdout is not None
        self.window.stdin.close()
        for process in (self.window, self.reader, self.manager, self.bus, self.x):
            if process is None:
                continue
            if process is not self.window:
                process.terminate()
            try:
                process.wait(DEADLINE_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.window.stdout.close()
        self.log.close()

    def line(self, key: str) -> Any:
        """The next line that tells `key`."""
        assert self.window.stdout is not None
        until = time.monotonic() + DEADLINE_SECONDS
        while True:
            while b"\n" in self.left:
                one, _, self.left = self.left.partition(b"\n")
                found = json.loads(one) if one.startswith(b"{") else {}
                if key in found:
                    return found
            ready, _, _ = select.select([self.window.stdout], [], [], max(0.0, until - time.monotonic()))
            if not ready:
                pytest.fail(f"the window did not tell {key!r}")
            more = os.read(self.window.stdout.fileno(), 65536)
            if not more:
                pytest.fail("the window has ended")
            self.left += more

    def ask(self) -> dict[str, Any]:
        """What the window shows now."""
        assert self.window.stdin is not None
        self.window.stdin.write(b"\n")
        self.window.stdin.flush()
        return dict(self.line("places"))

    def until(self, carrying: bool) -> None:
        """Wait until the window has taken a block up, or let go of it: the mouse and our questions come two ways."""
        until = time.monotonic() + DEADLINE_SECONDS
        while self.ask()["carrying"] != carrying:
            if time.monotonic() > until:
                pytest.fail(f"carrying did not become {carrying}")

    def xdotool(self, *words: object) -> str:
        done = subprocess.run(
            ["xdotool", *map(str, words)], env=self.environment, check=True, capture_output=True, text=True, timeout=30
        )
        return done.stdout

    def drag_to(self, source: list[int], target: list[int]) -> None:
        """Press, and move in steps, as a hand does; the button stays down."""
        self.xdotool("mousemove", *source, "mousedown", 1)
        for step in range(1, 13):
            at = [round(a + (b - a) * step / 12) for a, b in zip(source, target, strict=True)]
            self.xdotool("mousemove", "--sync", *at)
        self.xdotool("mousemove", target[0] + 2, target[1] + 1)


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Outside]:
    found = Outside(tmp_path)
    try:
        found.xdotool("search", "--sync", "--onlyvisible", "--name", "^blocks$")
        yield found
    finally:
        found.close()


def place(shown: dict[str, Any], name: str) -> list[int]:
    return next(at for each, at in shown["places"].items() if each.startswith(name))


def test_the_mouse_drags_a_block_onto_free_space(outside: Outside) -> None:
    shown = outside.ask()
    source = place(shown, "ev-01, mirrored")
    target = next(at for name, at in shown["places"].items() if name.startswith("free") and "Harddisk4 " in name)
    outside.drag_to(source, target)
    outside.until(carrying=True)
    outside.xdotool("mouseup", 1)
    asked = outside.line("asked")
    assert asked["asked"] == "move_subdisk"
    [[move]] = asked["more"]
    assert move["subdisk"][:2] == ["subdisk", "d0-01"]
    assert move["targets"][0]["disk"][:2] == ["disk", "d4"]
    outside.until(carrying=False)


def test_a_forbidden_disk_escape_and_the_right_button_move_nothing(outside: Outside) -> None:
    shown = outside.ask()
    source = place(shown, "ev-01, mirrored")
    forbidden = next(at for name, at in shown["places"].items() if name.startswith("free") and "Harddisk6 " in name)
    legal = next(at for name, at in shown["places"].items() if name.startswith("free") and "Harddisk4 " in name)
    outside.drag_to(source, forbidden)
    outside.until(carrying=True)
    outside.xdotool("mouseup", 1)
    outside.until(carrying=False)
    outside.drag_to(source, legal)
    outside.until(carrying=True)
    outside.xdotool("key", "Escape")
    outside.xdotool("mouseup", 1)
    outside.until(carrying=False)
    outside.drag_to(source, legal)
    outside.until(carrying=True)
    outside.xdotool("mousedown", 3)
    assert outside.line("told")["told"] == "Nothing was moved."
    outside.xdotool("mouseup", 3, "mouseup", 1)
    outside.until(carrying=False)
    outside.drag_to(source, legal)
    outside.until(carrying=True)
    outside.xdotool("mouseup", 1)
    assert outside.line("asked")["asked"] == "move_subdisk"


READ_BLOCKS = """
import json, pyatspi, time
until = time.monotonic() + 60
view = None
while view is None and time.monotonic() < until:
    for app in pyatspi.Registry.getDesktop(0):
        view = view or pyatspi.findDescendant(app, lambda each: each.name == "Disk View")
found = []
while time.monotonic() < until:
    found = []
    for child in view:
        box = child.queryComponent().getExtents(pyatspi.DESKTOP_COORDS)
        states = child.getState()
        found.append({
            "name": child.name,
            "role": child.getRoleName(),
            "box": [box.x, box.y, box.width, box.height],
            "focused": states.contains(pyatspi.STATE_FOCUSED),
            "selected": states.contains(pyatspi.STATE_SELECTED),
            "description": child.description,
        })
    if any(each["focused"] and each["selected"] and each["name"].startswith("free") for each in found):
        break  # the key has arrived
print(json.dumps(found))
"""


def has_pyatspi() -> bool:
    """Whether the system's own Python can read the accessibility bus."""
    if not Path(BUS).exists() or not Path(SYSTEM_PYTHON).exists():
        return False
    return subprocess.run([SYSTEM_PYTHON, "-c", "import pyatspi"], capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not has_pyatspi(), reason="needs at-spi2-core and python3-pyatspi")
def test_a_screen_reader_sees_every_block_in_its_place(outside: Outside) -> None:
    shown = outside.ask()["places"]
    at = place({"places": shown}, "ev-01, mirrored")
    outside.xdotool("mousemove", *at, "click", 1)
    outside.xdotool("key", "Right")
    done = subprocess.run(
        [SYSTEM_PYTHON, "-c", READ_BLOCKS],
        env=outside.environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=True,
    )
    blocks = {block["name"]: block for block in json.loads(done.stdout)}
    assert set(blocks) == set(shown)
    ev = blocks["ev-01, mirrored, 900 MiB, Harddisk0 at 33 MiB"]
    assert ev["role"] == "list item"
    left, top, width, height = ev["box"]
    assert left < at[0] < left + width
    assert top < at[1] < top + height
    assert [name for name, block in blocks.items() if block["focused"]] == ["free, 100 MiB, Harddisk0 at 933 MiB"]
    assert [name for name, block in blocks.items() if block["selected"]] == ["free, 100 MiB, Harddisk0 at 933 MiB"]
    moving = next(block for name, block in blocks.items() if name.startswith("web-01") and "Harddisk3 at" in name)
    assert "Moving to Harddisk10, 61 %" in moving["description"]
