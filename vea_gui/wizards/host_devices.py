"""The kernel's block devices, in words: what could become a LUN, and why others should not. No Qt."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from engine.units import format_size

SECTOR = 512
"""/sys counts in these, whatever the device's own block is."""
PASSING = ("ram", "zram", "fd")
"""Devices that lose their data, or are no disks."""


class Device(NamedTuple):
    """One block device. `used` says who has it now; empty when nobody does."""

    path: str
    size: int
    model: str
    used: str

    @property
    def words(self) -> str:
        """`/dev/sdb, 931.5 GiB, Samsung SSD`."""
        return ", ".join(filter(None, (self.path, format_size(self.size), self.model)))


def block_devices(sys: Path = Path("/sys/block"), mounts: Path = Path("/proc/self/mounts")) -> list[Device]:
    """Whole block devices with a size, by name. What cannot be read is left out."""
    mounted = _mounted(mounts)
    try:
        names = sorted(os.listdir(sys))
    except OSError:
        return []
    found = (_device(sys / name, mounted) for name in names if not name.startswith(PASSING))
    return [device for device in found if device is not None]


def _device(folder: Path, mounted: dict[str, str]) -> Device | None:
    size = _text(folder / "size")
    if not size.isdigit() or not int(size):
        return None
    names = (_text(folder / "device" / "vendor"), _text(folder / "device" / "model"))
    model = " ".join(name for name in names if name and not name.startswith("0x"))  # a number of a virtual device
    backing = _text(folder / "loop" / "backing_file")
    model = f"on {backing}" if backing else model
    return Device(f"/dev/{folder.name.replace('!', '/')}", int(size) * SECTOR, model, _used(folder, mounted))


def _used(folder: Path, mounted: dict[str, str]) -> str:
    """Why the system has it: a mount, a holder such as a mapping, a read-only device."""
    partitions = [each.name for each in folder.iterdir() if (each / "partition").exists()]
    for name in (folder.name, *sorted(partitions)):
        if name in mounted:
            return f"{name} is mounted on {mounted[name]}"
    for part in (folder, *(folder / name for name in partitions)):
        holders = _names(part / "holders")
        if holders:
            return f"{part.name} is used by {', '.join(holders)}"
    if _text(folder / "ro") == "1":
        return "read-only"
    return "has partitions" if partitions else ""


def _mounted(mounts: Path) -> dict[str, str]:
    """Kernel name -> mount point."""
    found: dict[str, str] = {}
    for line in _text(mounts).splitlines():
        source, point, *_ = line.split(" ")
        if source.startswith("/dev/"):
            found.setdefault(os.path.realpath(source).removeprefix("/dev/").replace("/", "!"), point)
    return found


def _names(folder: Path) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
