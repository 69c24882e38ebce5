"""Which file systems the engine itself needs: to freeze one of them would stop it for good."""

from __future__ import annotations

import os
import stat
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from engine.quiesce.mounts import Mounts


def own_devices(mounts: Mounts, paths: Iterable[str]) -> frozenset[str]:
    """The devices of the file systems that hold these paths, the engine's program, its output and what each lies on."""
    here = ("/", sys.prefix, sys.base_prefix, str(Path(__file__).parent), tempfile.gettempdir(), os.curdir)
    by_mount = {line.split(" ", 3)[0]: line.split(" ", 3)[2] for line in mounts.text.splitlines() if " - " in line}
    found: set[str] = set()
    for path in (*here, *paths):
        found |= _of_path(path, by_mount)
    for descriptor in (0, 1, 2):
        found |= _of_descriptor(descriptor, by_mount)
    return frozenset(lower for number in found for lower in mounts.under(number))


def _of_path(path: str, by_mount: dict[str, str]) -> set[str]:
    """A path that is not there yet is to be in its folder."""
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        parent = os.path.dirname(path)
        return _of_path(parent, by_mount) if parent not in ("", path) else set()
    try:
        found = _of_descriptor(descriptor, by_mount)
        status = os.fstat(descriptor)
    finally:
        os.close(descriptor)
    if stat.S_ISBLK(status.st_mode):
        found.add(f"{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}")
    return found


def _of_descriptor(descriptor: int, by_mount: dict[str, str]) -> set[str]:
    try:
        words = Path(f"/proc/self/fdinfo/{descriptor}").read_text().split()
        return {by_mount[words[words.index("mnt_id:") + 1]]}
    except (OSError, ValueError, KeyError):
        return set()
