"""`vxsvc` as a process on a lab of its own, to be killed and started again, and the programs that talk to it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.engine.cli_program import command_line, environment

PATIENCE_S = 120


class Service:
    """The process; `folder` holds its lab, its state and its sockets."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = environment() | {"VEA_SOCKET": str(folder / "c")}
        self.process: subprocess.Popen[str] | None = None

    def create(self, lun_size: str = "192m") -> None:
        """A lab, and the engine started on it."""
        made = self.run("vea-lab", "create", "lab", "--lun-size", lun_size)
        assert made.returncode == 0, made.stderr
        self.start()

    def start(self) -> None:
        words = command_line(["vxsvc", "--lab", "lab", "--state", "state", "--socket", "c", "--nbd", "n"])
        self.process = subprocess.Popen(words, cwd=self.folder, env=self.environment, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"

    def end(self, number: signal.Signals) -> int:
        assert self.process is not None
        assert self.process.stdout is not None
        self.process.send_signal(number)
        status = self.process.wait(PATIENCE_S)
        self.process.stdout.close()
        return status

    def stop(self) -> None:
        """However the test ended: no process is left."""
        if self.process is not None and self.process.poll() is None:
            self.end(signal.SIGKILL)

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command_line(list(words)),
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def make(self, name: str, size: str, *layout: str) -> None:
        made = self.run("vxassist", "-g", "dg1", "make", name, size, *layout)
        assert made.returncode == 0, made.stderr

    def group(self) -> dict[str, Any]:
        groups: list[dict[str, Any]] = json.loads(self.run("vxprint", "--json").stdout)["groups"]
        return next(group for group in groups if group["name"] == "dg1")

    def uri(self, volume: str) -> str:
        return f"nbd+unix:///dg1/{volume}?socket={self.folder / 'n'}"


def needs(*tools: str) -> None:
    """Skip, by name, where a program isn't installed."""
    for tool in tools:
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")


def needs_loop_mounts() -> None:
    """Skip, by name, where file systems can't be mounted through fuse and a loop device."""
    needs("nbdfuse", "fusermount3", "losetup", "mkfs.ext4", "e2fsck")
    if os.getuid() != 0:
        pytest.skip("mounting takes root")
    for device in ("/dev/fuse", "/dev/loop-control"):
        try:
            os.close(os.open(device, os.O_RDWR))
        except OSError as error:
            pytest.skip(f"{device} can't be opened here: {error.strerror}")
    found = subprocess.run(["losetup", "--find"], capture_output=True, text=True, check=False)
    if found.returncode:
        pytest.skip(f"no loop device is to be had: {found.stderr.strip()}")
