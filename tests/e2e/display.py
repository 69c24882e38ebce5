"""A display of its own with a window manager, a private D-Bus session and an accessibility bus; all of it ends again.

Every process carries a mark in its environment, so that `Display.close` finds what the buses have started.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

NEEDED = ("Xvfb", "openbox", "xdotool", "dbus-daemon")
LAUNCHER = Path("/usr/libexec/at-spi-bus-launcher")
SYSTEM_PYTHON = "/usr/bin/python3"
MARK = "VEA_TEST_DISPLAY"
END_SECONDS = 60.0
BUS_CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:path={}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
"""
"""No service folders: nothing of the desktop is started by asking for it."""
WINDOWS_CONFIG = """<?xml version="1.0"?>
<openbox_config xmlns="http://openbox.org/3.4/rc">
  <placement><policy>Smart</policy><center>yes</center></placement>
  <applications><application type="normal"><maximized>yes</maximized></application></applications>
</openbox_config>
"""
"""Main windows fill the screen."""


def missing() -> str:
    """What a walk from outside lacks on this machine; empty when everything is there."""
    absent = [program for program in NEEDED if shutil.which(program) is None]
    if not LAUNCHER.exists():
        absent.append("at-spi2-core")
    words = [SYSTEM_PYTHON, "-c", "import pyatspi"]
    if subprocess.run(words, capture_output=True, check=False).returncode != 0:
        absent.append("python3-pyatspi")
    return ", ".join(absent)


def until(seconds: float, done: Callable[[], object], what: str) -> None:
    """Wait for a fact that nobody tells of."""
    end = time.monotonic() + seconds
    while not done():
        if time.monotonic() > end:
            pytest.fail(f"{what} did not come true within {seconds:.0f} s")
        select.select([], [], [], 0.02)


def marked(mark: str) -> dict[int, str]:
    """Process id -> command line of every process that carries a mark."""
    needle = f"{MARK}={mark}".encode()
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            if needle in (entry / "environ").read_bytes().split(b"\0"):
                found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return found


class Display:
    """Processes on a display that nobody else sees. `environment` is what a program needs to appear on it."""

    def __init__(self, folder: Path, size: str = "1280x800") -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.mark = str(folder)
        self._log = (folder / "display.log").open("wb")
        self._processes: list[subprocess.Popen[bytes]] = []
        self.environment = {
            key: value for key, value in os.environ.items() if key not in ("WAYLAND_DISPLAY", "AT_SPI_BUS")
        }
        self.environment |= {MARK: self.mark, "XDG_RUNTIME_DIR": str(folder), "HOME": str(folder), "NO_AT_BRIDGE": "1"}
        try:
            self._start(size)
        except BaseException:
            self.close()
            raise

    def _start(self, size: str) -> None:
        read, write = os.pipe()
        screen = ["-screen", "0", f"{size}x24", "-nolisten", "tcp", "-noreset"]
        self.run(["Xvfb", "-displayfd", str(write), *screen], pass_fds=(write,))
        os.close(write)
        with os.fdopen(read) as pipe:
            self.environment["DISPLAY"] = ":" + pipe.readline().strip()
        bus = self.folder / "bus"
        config = self.folder / "bus.conf"
        config.write_text(BUS_CONFIG.format(bus))
        self.run(["dbus-daemon", f"--config-file={config}", "--nofork", "--nosyslog"])
        until(END_SECONDS, bus.exists, "the session bus")
        self.environment["DBUS_SESSION_BUS_ADDRESS"] = f"unix:path={bus}"
        self.environment |= {"QT_QPA_PLATFORM": "xcb", "QT_LINUX_ACCESSIBILITY_ALWAYS_ON": "1"}
        self.run([str(LAUNCHER), "--launch-immediately"])
        windows = self.folder / "windows.xml"
        windows.write_text(WINDOWS_CONFIG)
        self.run(["openbox", "--config-file", str(windows)])

    def run(self, words: list[str], pass_fds: tuple[int, ...] = ()) -> subprocess.Popen[bytes]:
        """A program that lives as long as the display."""
        process = subprocess.Popen(
            words, env=self.environment, stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log, pass_fds=pass_fds
        )
        self._processes.append(process)
        return process

    def xdotool(self, *words: object, check: bool = True, seconds: float = END_SECONDS) -> str:
        """Mouse, keyboard, windows."""
        try:
            done = subprocess.run(
                ["xdotool", *map(str, words)],
                env=self.environment,
                check=check,
                capture_output=True,
                text=True,
                timeout=seconds,
            )
        except subprocess.TimeoutExpired:
            if check:
                raise
            return ""
        return done.stdout

    def close(self) -> None:
        """End everything, the last first, and what they have started in turn."""
        for process in reversed(self._processes):
            process.terminate()
        for process in reversed(self._processes):
            try:
                process.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._log.close()
        self._end_strays()

    def _end_strays(self) -> None:
        """Daemons that the buses started: asked to end, and gone when this returns."""
        for pid in marked(self.mark):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        end = time.monotonic() + END_SECONDS
        while left := marked(self.mark):
            if time.monotonic() > end:
                raise AssertionError(f"still there after the display has gone: {left}")
            select.select([], [], [], 0.05)


@contextlib.contextmanager
def opened(folder: Path, size: str = "1280x800") -> Iterator[Display]:
    """A display for a with statement."""
    display = Display(folder, size)
    try:
        yield display
    finally:
        display.close()
