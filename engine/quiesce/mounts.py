"""Which file systems of this host lie on which volume, by what the kernel tells of mounts and block devices.

From a volume to a client's process by its socket's peer; from there to its mount by FUSE or its NBD device; from these
to file systems by loop devices, partitions and mapped devices, and by files in file systems that were found so. Nothing
here waits for a file system: only `/proc` and `/sys` are read.
"""

from __future__ import annotations

import os
import re
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

_ESCAPED = re.compile(r"\\([0-7]{3})")
_BLOCK, _SYS = Path("/sys/dev/block"), Path("/sys/block")
_SECTOR = 512
_DEPTH_MAX = 16


class MountPoint(NamedTuple):
    """A line of the kernel's list."""

    number: str  # the device: "7:3"
    place: str
    kind: str  # "ext4", "fuse.nbdfuse"
    source: str

    @property
    def is_flushed(self) -> bool:
        """Whether a program of its own serves it from a block device: the system can flush it, but not freeze it."""
        return self.kind == "fuseblk"


class FileSystemOn(NamedTuple):
    """A mounted file system that lies on a volume; what lies in a file of another one is deeper."""

    mount: MountPoint
    depth: int


class Mounts:
    """What is mounted at one moment."""

    def __init__(self, text: str | None = None) -> None:
        self.text = _mount_list() if text is None else text

    @cached_property
    def points(self) -> tuple[MountPoint, ...]:
        """In the order of mounting."""
        found = []
        for line in self.text.splitlines():
            before, _, after = line.partition(" - ")
            words, rest = before.split(" "), after.split(" ")
            if len(words) >= 5 and len(rest) >= 2:
                found.append(MountPoint(words[2], _plain(words[4]), rest[0], _plain(rest[1])))
        return tuple(found)

    @cached_property
    def _by_place(self) -> dict[str, MountPoint]:
        return {point.place: point for point in self.points}  # the last one hides those before it

    def holding(self, path: str) -> MountPoint | None:
        """What is mounted where a path leads, by its words alone."""
        place = Path(path)
        return next((found for one in (place, *place.parents) if (found := self._by_place.get(str(one)))), None)

    def on(self, process_ids: frozenset[int], size: int) -> list[FileSystemOn]:
        """The file systems on a volume of so many bytes, which these processes and nobody else are clients of."""
        roots = {number for process in process_ids for number in self._served_by(process)}
        roots |= {number for number in _nbd_devices() if _nbd_owner(number) in process_ids}
        if not roots:
            return []
        found: dict[str, FileSystemOn] = {}
        for point in self.points:
            depth = self._depth(_device_of(point), roots, size)
            if (
                depth is not None
                and point.number not in found
                and (point.is_flushed or not point.kind.startswith("fuse"))
            ):
                found[point.number] = FileSystemOn(point, depth)
        return list(found.values())

    def _served_by(self, process: int) -> list[str]:
        """The FUSE mounts that a process serves: it has the device open, and names where its mount is."""
        try:
            opened = [os.readlink(entry.path) for entry in os.scandir(f"/proc/{process}/fd")]
            words = Path(f"/proc/{process}/cmdline").read_bytes().split(b"\0")[1:]
            here = os.readlink(f"/proc/{process}/cwd")
        except OSError:
            return []
        if "/dev/fuse" not in opened:
            return []
        paths = {os.path.normpath(os.path.join(here, os.fsdecode(word))) for word in words if word}
        paths |= {os.path.dirname(path) for path in paths}
        fuse = [point for point in self.points if point.kind.startswith("fuse")]
        named = [point.number for point in fuse if point.place in paths]
        if named or not fuse:
            return named
        paths = {os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path)) for path in paths}
        return [point.number for point in fuse if point.place in paths]

    def _depth(self, number: str, roots: set[str], size: int, depth: int = 0) -> int | None:
        """How many file systems lie between a device and a volume; None when it does not lie there."""
        if number in roots:
            return depth
        if depth > _DEPTH_MAX:
            return None
        for below in _below(number):
            if (found := self._depth(below, roots, size, depth)) is not None:
                return found
        file = _loop_file(number)
        holder = self.holding(file) if file else None
        if holder is None:
            return None
        if holder.number in roots:
            return depth if _end_of_loop(number) <= size else None
        return self._depth(_device_of(holder), roots, size, depth + 1)

    def under(self, number: str) -> set[str]:
        """The devices that one lies on, itself included, and those of the file systems that hold its files."""
        found, waiting = set(), [number]
        while waiting:
            one = waiting.pop()
            if one in found:
                continue
            found.add(one)
            waiting += _below(one)
            file = _loop_file(one)
            holder = self.holding(file) if file else None
            if holder is not None:
                waiting += [holder.number, _device_of(holder)]
        return found


def _mount_list() -> str:
    return Path("/proc/self/mountinfo").read_text(errors="surrogateescape")


def _plain(text: str) -> str:
    """The kernel writes blanks and the like as octal numbers."""
    return _ESCAPED.sub(lambda found: chr(int(found.group(1), 8)), text)


def _device_of(point: MountPoint) -> str:
    """The block device of a file system, also of one that has a number of its own, as btrfs has."""
    if not point.number.startswith("0:") or not point.source.startswith("/dev/"):
        return point.number
    try:
        number = os.stat(point.source).st_rdev
    except OSError:
        return point.number
    return f"{os.major(number)}:{os.minor(number)}" if number else point.number


def _below(number: str) -> list[str]:
    """The devices that a partition or a mapped device lies on."""
    folder = _BLOCK / number
    try:
        if (folder / "partition").exists():
            return [(folder.resolve().parent / "dev").read_text().strip()]
        return [(slave / "dev").read_text().strip() for slave in (folder / "slaves").iterdir()]
    except OSError:
        return []


def _loop_file(number: str) -> str:
    """The file behind a loop device; empty for every other one."""
    try:
        return (_BLOCK / number / "loop/backing_file").read_text().rstrip("\n")
    except OSError:
        return ""


def _end_of_loop(number: str) -> int:
    """How many bytes of its file a loop device needs."""
    try:
        offset = int((_BLOCK / number / "loop/offset").read_text())
        return offset + int((_BLOCK / number / "size").read_text()) * _SECTOR
    except (OSError, ValueError):
        return 0


def _nbd_devices() -> list[str]:
    found = []
    for folder in _SYS.glob("nbd*"):
        try:
            found.append((folder / "dev").read_text().strip())
        except OSError:
            continue
    return found


def _nbd_owner(number: str) -> int:
    """The process that has connected an NBD device; 0 while it is not connected."""
    try:
        return int((_BLOCK / number / "pid").read_text())
    except (OSError, ValueError):
        return 0
