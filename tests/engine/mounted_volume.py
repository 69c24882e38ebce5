"""A volume's file system, mounted on this host: its export as a file by FUSE, the file by a loop device."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.filesystems.tools import path_of
from engine.quiesce.keeper import FIFREEZE, FITHAW

PATIENCE_S = 60.0


def run(*words: str) -> str:
    """What a program says; it must succeed."""
    program, *rest = words
    done = subprocess.run([path_of(program) or program, *rest], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{words} ended with {done.returncode}: {done.stdout}{done.stderr}"
    return done.stdout.strip()


@contextlib.contextmanager
def export_file(nbd: Path, export: str, folder: Path) -> Iterator[Path]:
    """The export as a file in a folder that is made for it."""
    folder.mkdir(parents=True)
    file = folder / "volume"
    program = subprocess.Popen(["nbdfuse", str(file), f"nbd+unix:///{export}?socket={nbd}"], stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + PATIENCE_S
        while not file.exists():
            if program.poll() is not None or time.monotonic() > until:
                pytest.fail("nbdfuse shows no volume")
            time.sleep(0.02)
        yield file
    finally:
        subprocess.run(["fusermount3", "-u", "-z", str(folder)], capture_output=True, check=False)
        try:
            program.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            program.kill()
            program.wait()


@contextlib.contextmanager
def mounted_file(file: Path, point: Path) -> Iterator[Path]:
    """The file system in a file, mounted; however it was left, it is thawed and unmounted."""
    point.mkdir(parents=True, exist_ok=True)
    device = run("losetup", "--find", "--show", str(file))
    try:
        run("mount", device, str(point))
        try:
            yield point
        finally:
            subprocess.run([path_of("fsfreeze") or "fsfreeze", "-u", str(point)], capture_output=True, check=False)
            if subprocess.run(["umount", str(point)], capture_output=True, check=False).returncode:
                subprocess.run(["umount", "-l", str(point)], capture_output=True, check=False)
    finally:
        subprocess.run(["losetup", "-d", device], capture_output=True, check=False)


@contextlib.contextmanager
def mounted_volume(nbd: Path, export: str, folder: Path) -> Iterator[Path]:
    """An ext4, made on an export and mounted."""
    with export_file(nbd, export, folder / "fuse") as file:
        run("mkfs.ext4", "-q", "-F", "-b", "4096", str(file))
        with mounted_file(file, folder / "files") as point:
            yield point


def is_frozen(point: Path) -> bool:
    """Whether it can't be frozen, as it is already; else it is left as it was found."""
    folder = os.open(point, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.ioctl(folder, FIFREEZE, 0)
        fcntl.ioctl(folder, FITHAW, 0)
    except OSError as error:
        if error.errno != errno.EBUSY:
            raise
        return True
    finally:
        os.close(folder)
    return False
