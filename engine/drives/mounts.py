"""What is mounted where, as the kernel tells it; nothing that is mounted is touched by asking."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

_ESCAPED = re.compile(r"\\([0-7]{3})")


class Mount(NamedTuple):
    """One mount: its number, the path that it is at, its type and what is mounted."""

    id: int
    point: str
    kind: str
    source: str


def mounts() -> list[Mount]:
    """All that this process sees, the older first."""
    return [_parsed(line) for line in Path("/proc/self/mountinfo").read_text(errors="surrogateescape").splitlines()]


def mount_at(point: str) -> Mount | None:
    """What is seen at a path, if something is mounted right there."""
    return next((mount for mount in reversed(mounts()) if mount.point == point), None)


def mounts_below(point: str) -> list[Mount]:
    """What is mounted inside of a folder."""
    return [mount for mount in mounts() if mount.point.startswith(f"{point}/")]


def backing_file(loop: str) -> str:
    """The file behind a loop device; empty when it has none."""
    try:
        return Path(f"/sys/block/{Path(loop).name}/loop/backing_file").read_text(errors="surrogateescape").rstrip("\n")
    except OSError:
        return ""


def loops_on(file: str) -> list[str]:
    """The loop devices behind which a file is."""
    found = (f"/dev/{path.name}" for path in Path("/sys/block").glob("loop*"))
    return sorted(loop for loop in found if backing_file(loop) == file)


def _parsed(line: str) -> Mount:
    fields = line.split(" ")
    middle = fields.index("-", 6)
    return Mount(int(fields[0]), _plain(fields[4]), fields[middle + 1], _plain(fields[middle + 2]))


def _plain(text: str) -> str:
    return _ESCAPED.sub(lambda found: chr(int(found[1], 8)), text)
