"""Who on this host uses a LUN: mounts, swap, loop devices, layers of the kernel, other programs."""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from engine.devices.locks import locked_by

_ESCAPE = re.compile(r"\\([0-7]{3})")
_SYS_BLOCK = Path("/sys/block")
_SYS_DEV = Path("/sys/dev/block")
_SWAPS = Path("/proc/swaps")
_MOUNTS = Path("/proc/self/mountinfo")


def user_of(path: str, descriptor: int = -1) -> str:
    """A phrase that says who uses the file or block device at `path`, or "".

    `descriptor` is the caller's own open one: what is held through it counts as nobody's. OSError when the path leads
    nowhere.
    """
    status = os.stat(path)
    if stat.S_ISBLK(status.st_mode):
        numbers = list(_with_partitions(status.st_rdev))
        found = _mount_of(numbers) or _swap_of(path, numbers) or _holder_of(numbers)
        return found or _claim_of(path, descriptor)
    loop = _loop_of(path)
    if loop:
        numbers = list(_with_partitions(os.stat(f"/dev/{loop}").st_rdev)) if os.path.exists(f"/dev/{loop}") else []
        found = _mount_of(numbers) or _holder_of(numbers)
        return f"{found} through /dev/{loop}" if found else f"data in use by /dev/{loop}"
    return _swap_of(path, []) or _lock_of(path, descriptor)


def _with_partitions(number: int) -> Iterator[str]:
    """`8:0`, and the numbers of the partitions on it."""
    name = f"{os.major(number)}:{os.minor(number)}"
    yield name
    for part in sorted((_SYS_DEV / name).glob("*/partition")):
        yield (part.parent / "dev").read_text().strip()


def _mount_of(numbers: list[str]) -> str:
    for line in _MOUNTS.read_text(errors="replace").splitlines():
        fields = line.split(" ")
        rest = fields[fields.index("-") + 1 :]
        if fields[2] in numbers or _device_number(_plain(rest[1])) in numbers:
            return f"{rest[0]} file system mounted on {_plain(fields[4])}"
    return ""


def _swap_of(path: str, numbers: list[str]) -> str:
    try:
        lines = _SWAPS.read_text(errors="replace").splitlines()[1:]
    except OSError:
        return ""
    for line in lines:
        place = _plain(line.split()[0])
        if _device_number(place) in numbers or _same(place, path):
            return "swap space in use"
    return ""


def _holder_of(numbers: list[str]) -> str:
    for number in numbers:
        for holder in sorted((_SYS_DEV / number / "holders").glob("*")):
            return f"data in use by /dev/{holder.name}"
    return ""


def _loop_of(path: str) -> str:
    """Name of the loop device that a file backs, or ""."""
    for entry in sorted(_SYS_BLOCK.glob("loop*/loop/backing_file")):
        try:
            backing = entry.read_text().rstrip("\n")
        except OSError:
            continue  # given up meanwhile
        if _same(backing, path):
            return entry.parent.parent.name
    return ""


def _claim_of(path: str, descriptor: int) -> str:
    """Whether an exclusive open is refused; a claim of our own comes with a lock on our own descriptor."""
    if _locks_through(descriptor):
        return ""
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_EXCL | os.O_CLOEXEC | os.O_NONBLOCK))
    except OSError as error:
        return "data in use by another program or layer of the system" if error.errno == errno.EBUSY else ""
    return _lock_of(path, descriptor)


def _lock_of(path: str, descriptor: int) -> str:
    own = -1
    try:
        if descriptor < 0:
            own = descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        locked = locked_by(descriptor) is not None
    except OSError:
        return ""
    finally:
        if own >= 0:
            os.close(own)
    return "data locked by another program" if locked else ""


def _locks_through(descriptor: int) -> bool:
    try:
        return "\nlock:" in Path(f"/proc/self/fdinfo/{descriptor}").read_text()
    except OSError:
        return False


def _device_number(path: str) -> str:
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return ""
    if not stat.S_ISBLK(status.st_mode):
        return ""
    return f"{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}"


def _same(one: str, other: str) -> bool:
    try:
        return os.path.samefile(one, other)
    except (OSError, ValueError):
        return False


def _plain(text: str) -> str:
    """A name out of a table of the kernel, which writes blanks as octal numbers."""
    return _ESCAPE.sub(lambda match: chr(int(match[1], 8)), text)
