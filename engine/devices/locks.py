"""The write lock that says: the disks of this group are in use here.

An open file description lock, because a classical POSIX lock is dropped by any close of the same file. A kernel block
device is claimed with O_EXCL too, so that a mount, LVM or md cannot take it meanwhile.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from pathlib import Path

from engine.devices.block import KernelBlockDevice
from engine.devices.descriptor import DescriptorDevice
from engine.errors import DeviceError, EngineBusy

_F_OFD_GETLK = 36
_F_OFD_SETLK = 37
_FLOCK = struct.Struct("@hhqqi0q")  # l_type, l_whence, l_start, l_len, l_pid (0, or the kernel refuses)


class DeviceLock:
    """The exclusive lock on one LUN: taken and given up while the LUN's own descriptor stays open."""

    def __init__(self, device: DescriptorDevice) -> None:
        self.device = device
        self.held = False
        self._claim = -1

    def take(self) -> None:
        """Take the lock or raise EngineBusy, which names the holder where the kernel tells it. Twice is once."""
        if self.held:
            return
        if isinstance(self.device, KernelBlockDevice):
            self._claim = _claim_exclusively(self.device)
        try:
            _set_lock(self.device.fd, fcntl.F_WRLCK)
        except OSError as error:
            self._drop_claim()
            if error.errno in (errno.EAGAIN, errno.EACCES):
                raise EngineBusy(_who_has(self.device)) from error
            raise DeviceError(error.errno or errno.EIO, self.device.name, "Locking") from error
        self.held = True

    def give_up(self) -> None:
        """Let others have the LUN. Without a lock this does nothing."""
        if self.held:
            self.held = False
            if self.device.fd >= 0:
                _set_lock(self.device.fd, fcntl.F_UNLCK)
            self._drop_claim()

    def _drop_claim(self) -> None:
        if self._claim >= 0:
            os.close(self._claim)
            self._claim = -1


def holder(device: DescriptorDevice) -> str | None:
    """Who else holds a lock on `device` (`process 1234 (vea)`), or None when a lock could be taken."""
    pid = locked_by(device.fd)
    if pid is None:
        return None
    pids = [pid] if pid > 0 else _lock_owners(device.fd)
    return ", ".join(map(_process, pids)) or "another program"


def locked_by(fd: int) -> int | None:
    """The process whose lock is in the way, below 1 where the kernel names none; None when a lock could be taken."""
    asked = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
    kind, _, _, _, pid = _FLOCK.unpack(fcntl.fcntl(fd, _F_OFD_GETLK, asked))
    return None if kind == fcntl.F_UNLCK else pid


def _set_lock(fd: int, kind: int) -> None:
    fcntl.fcntl(fd, _F_OFD_SETLK, _FLOCK.pack(kind, os.SEEK_SET, 0, 0, 0))


def _claim_exclusively(device: KernelBlockDevice) -> int:
    try:
        return os.open(device.path, os.O_RDWR | os.O_EXCL | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        if error.errno == errno.EBUSY:
            raise EngineBusy(
                f"{device.name} is in use by the system or another program. Unmount or release it first."
            ) from error
        raise DeviceError(error.errno or errno.EIO, device.name, "Claiming") from error


def _who_has(device: DescriptorDevice) -> str:
    return f"{device.name} is locked by {holder(device) or 'another program'}. Close it there first."


def _process(pid: int) -> str:
    try:
        return f"process {pid} ({Path(f'/proc/{pid}/comm').read_text().strip()})"
    except OSError:
        return f"process {pid}"


def _lock_owners(fd: int) -> list[int]:
    """The processes whose open descriptors carry a lock on this file: the kernel names no owner for this kind."""
    status = os.fstat(fd)
    place = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino} "
    owners = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if any(_carries_lock(info, place) for info in (process / "fdinfo").iterdir()):
                owners.append(int(process.name))
        except OSError:
            continue  # gone meanwhile, or somebody else's
    return sorted(owners)


def _carries_lock(info: Path, place: str) -> bool:
    try:
        return any(line.startswith("lock:") and place in line for line in info.read_text().splitlines())
    except OSError:
        return False
