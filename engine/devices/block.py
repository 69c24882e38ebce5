"""A kernel block device that serves as a LUN."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import struct

from engine.devices.base import check_range
from engine.devices.descriptor import DescriptorDevice
from engine.errors import DeviceError

_BLKGETSIZE64 = 0x80081272
_BLKSSZGET = 0x1268
_BLKZEROOUT = 0x127F
_ULONGLONG = struct.Struct("=Q")
_INT = struct.Struct("=i")


class KernelBlockDevice(DescriptorDevice):
    """A device node such as /dev/sdb, opened once. DeviceError when it is no block device or cannot be opened.

    Discard never uses BLKDISCARD, whose result is undefined on many devices and would make mirrors differ: it punches,
    which the kernel does only where zeros are certain.
    """

    def __init__(self, path: str, *, writable: bool = True) -> None:
        try:
            fd = os.open(path, (os.O_RDWR if writable else os.O_RDONLY) | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as error:
            raise DeviceError(error.errno or errno.EIO, path, "Opening") from error
        try:
            if not stat.S_ISBLK(os.fstat(fd).st_mode):
                raise DeviceError(errno.ENOTBLK, path, "Opening as a block device")
            size, block_size = _ask_size(fd), _ask_block_size(fd)
        except OSError as error:
            os.close(fd)
            raise DeviceError(error.errno or errno.EIO, path, "Opening") from error
        super().__init__(path, fd, size, block_size, reopen=path)
        self.writable = writable

    def refresh(self) -> int:
        """Ask the kernel for the size again and return it, in bytes."""
        try:
            self.size = _ask_size(self.fd)
        except OSError as error:
            raise self._failed(error, "Asking for the size") from error
        return self.size

    def present(self) -> bool:
        """Whether the path still leads to the device that is open here and the kernel still knows its size."""
        try:
            there = os.stat(self.path)
            return there.st_rdev == os.fstat(self.fd).st_rdev and _ask_size(self.fd) > 0
        except OSError:
            return False

    def zero(self, offset: int, length: int, *, may_unmap: bool) -> None:
        check_range(self.name, self.size, offset, length)
        try:
            first, last = self._whole_blocks(offset, length)
            self._write_zeros(offset, first - offset)
            if last > first and not self._zero_blocks(first, last - first, may_unmap):
                self._write_zeros(first, last - first)
            self._write_zeros(last, offset + length - last)
        except OSError as error:
            raise self._failed(error, "Zeroing") from error

    def discard(self, offset: int, length: int) -> None:
        if self.discard_zeroes:
            self.zero(offset, length, may_unmap=True)
        else:
            check_range(self.name, self.size, offset, length)

    def _whole_blocks(self, offset: int, length: int) -> tuple[int, int]:
        """The part of the range that is whole blocks; empty at the range's end when there is none."""
        block, end = self.block_size, offset + length
        first, last = -(-offset // block) * block, end // block * block
        return (first, last) if first < last else (end, end)

    def _zero_blocks(self, offset: int, length: int, may_unmap: bool) -> bool:
        if may_unmap and self.discard_zeroes:
            if self._punch(offset, length):
                return True
            self.discard_zeroes = False
        argument = struct.pack("=QQ", offset, length)
        return self._try(lambda: _ioctl(self.fd, _BLKZEROOUT, argument))


def _ioctl(fd: int, number: int, argument: bytes) -> None:
    fcntl.ioctl(fd, number, argument)


def _ask_size(fd: int) -> int:
    return int(_ULONGLONG.unpack(fcntl.ioctl(fd, _BLKGETSIZE64, bytes(8)))[0])


def _ask_block_size(fd: int) -> int:
    return int(_INT.unpack(fcntl.ioctl(fd, _BLKSSZGET, bytes(4)))[0])
