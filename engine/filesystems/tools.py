"""Which programs make a file system, and make it larger or smaller while nobody uses it, and how they are called."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from typing import NamedTuple

from engine.filesystems import grow_mounted

FILE, SIZE, KIBIBYTES = "{file}", "{size}", "{kibibytes}"
MOUNTER, UNMOUNTER = "nbdfuse", "fusermount3"
SEARCHED = ("/usr/sbin", "/sbin")


class Call(NamedTuple):
    """One program with its arguments; it has done its work when it ends with one of these statuses."""

    arguments: tuple[str, ...]
    good: frozenset[int] = frozenset({0})
    within: tuple[str, ...] = ()  # what it calls itself; it mounts, so the engine has to be root

    @property
    def name(self) -> str:
        """Which program the operator knows it by."""
        return self.within[-1] if self.within else self.arguments[0]

    @property
    def there(self) -> bool:
        """Whether this host has everything that it takes."""
        if not all(path_of(program) for program in (self.arguments[0], *self.within)):
            return False
        return not self.within or (os.geteuid() == 0 and os.access("/dev/loop-control", os.R_OK | os.W_OK))

    def filled(self, file: str, size: int) -> tuple[str, ...]:
        """The arguments for a file and a size in bytes."""
        values = {FILE: file, SIZE: str(size), KIBIBYTES: f"{size >> 10}K"}
        return tuple(values.get(argument, argument) for argument in self.arguments)


_CHECKED = frozenset({0, 1})  # 1: something was corrected
_EXT = (
    Call(("e2fsck", "-f", "-p", FILE), _CHECKED),
    Call(("resize2fs", FILE, KIBIBYTES)),
    Call(("e2fsck", "-f", "-n", FILE)),
)
_NTFS = (
    Call(("ntfsresize", "--no-action", "--force", "--size", SIZE, FILE)),
    Call(("ntfsresize", "--force", "--force", "--size", SIZE, FILE)),
)
_ALONE = ("unshare", "--mount", "--propagation", "private")
_XFS = (
    Call((*_ALONE, sys.executable, "-I", grow_mounted.__file__, FILE, SIZE), within=("mount", "umount", "xfs_growfs")),
    Call(("xfs_repair", "-f", "-n", FILE)),
)
CALLS: Mapping[str, tuple[Call, ...]] = {
    "ext2 file system": _EXT,
    "ext3 file system": _EXT,
    "ext4 file system": _EXT,
    "ntfs file system": _NTFS,
    "xfs file system": _XFS,
}
"""Content of a volume -> the programs that resize it, in order."""


class Maker(NamedTuple):
    """A program that makes an empty file system in a file, and the option that names it."""

    arguments: tuple[str, ...]
    label: str = "-L"


MAKERS: Mapping[str, Maker] = {
    "ext4": Maker(("mkfs.ext4", "-q", "-F", "-E", "nodiscard")),
    "xfs": Maker(("mkfs.xfs", "-q", "-f", "-K")),
    "ntfs": Maker(("mkfs.ntfs", "-q", "-F", "-f")),
}
"""File system -> what makes it."""


def path_of(program: str) -> str | None:
    """Where a program is; None when it is not installed."""
    return shutil.which(program, path=os.pathsep.join((os.environ.get("PATH", os.defpath), *SEARCHED)))


def resizable() -> tuple[str, ...]:
    """The kinds of content that the programs of this host can resize."""
    if no_files():
        return ()
    return tuple(kind for kind, calls in CALLS.items() if all(call.there for call in calls))


def makeable() -> tuple[str, ...]:
    """The file systems that the programs of this host can make on a volume."""
    return () if no_files() else tuple(kind for kind, maker in MAKERS.items() if path_of(maker.arguments[0]))


def no_files() -> str:
    """Why volumes can't be shown as files here, and what would help; empty when they can."""
    if path_of(MOUNTER) is None or path_of(UNMOUNTER) is None:
        return "This host can't show volumes as files: install libnbd-bin and fuse3, and start the engine again."
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        return "This host can't show volumes as files: /dev/fuse is missing, or not open to the engine's user."
    return ""


def no_mounts() -> str:
    """Why file systems of volumes can't be mounted here, and what would help; empty when they can."""
    if found := no_files():
        return found
    if os.geteuid() != 0:
        return "File systems are mounted only by an engine that runs as root."
    if not os.access("/dev/loop-control", os.R_OK | os.W_OK):
        return "This host can't mount files: load the kernel module loop, and start the engine again."
    return ""
