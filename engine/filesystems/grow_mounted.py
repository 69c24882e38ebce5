"""A program of its own: makes an XFS that lies in a file larger, which only a mounted one can be.

It is run in a mount name space of its own, so that nobody else sees the mount, and whatever ends this program ends the
mount. It imports nothing of the engine.
"""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
import tempfile

_SEARCHED = "/usr/sbin:/sbin"
_OPTIONS = "loop,nosuid,nodev,noexec,nouuid"  # nouuid: a copy of it may be mounted elsewhere


def main(file: str, size: str) -> int:
    """Grow the file system in `file` to so many bytes, or the largest that is not more; the status of what failed."""
    os.environ["PATH"] = f"{os.environ.get('PATH', os.defpath)}:{_SEARCHED}"
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with open(file, "rb") as head:
        mark, block = struct.unpack(">4sI", head.read(8))
    if mark != b"XFSB":
        sys.exit("there is no XFS")
    with tempfile.TemporaryDirectory(prefix="vea-xfs-") as folder:
        if status := _run("mount", "-t", "xfs", "-o", _OPTIONS, file, folder):
            return status
        try:
            grown = _run("xfs_growfs", "-D", str(int(size) // block), folder)
        finally:
            left = _run("umount", folder)
    return grown or left


def _run(*command: str) -> int:
    """One program; its words go where this program's go."""
    return subprocess.run(command, stdin=subprocess.DEVNULL, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
