"""An image file that serves as a LUN."""

from __future__ import annotations

import errno
import os
import stat

from engine.devices.base import SECTOR
from engine.devices.descriptor import DescriptorDevice
from engine.errors import DeviceError


class FileDevice(DescriptorDevice):
    """A regular file, opened once and kept open. DeviceError when it is no regular file or cannot be opened."""

    def __init__(self, path: str, *, writable: bool = True) -> None:
        flags = os.O_RDWR if writable else os.O_RDONLY
        try:
            fd = os.open(path, flags | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
        except OSError as error:
            raise DeviceError(error.errno or errno.EIO, path, "Opening") from error
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            os.close(fd)
            raise DeviceError(errno.EINVAL, path, "Opening as an image file")
        super().__init__(path, fd, status.st_size, SECTOR, reopen=f"/proc/self/fd/{fd}")
        self.writable = writable

    def refresh(self) -> int:
        """Read the size anew (the file may have been made longer or shorter) and return it, in bytes."""
        try:
            self.size = os.fstat(self.fd).st_size
        except OSError as error:
            raise self._failed(error, "Asking for the size") from error
        return self.size

    def fill(self, offset: int, length: int) -> None:
        """Zeros that are written and not only promised: a durable write into space that is merely reserved has the file
        system note that it holds something now, which takes as long again as the bytes."""
        self.zero(offset, length, may_unmap=False)
        try:
            self._write_zeros(offset, length)
        except OSError as error:
            raise self._failed(error, "Zeroing") from error
        self.write_back(offset, length)

    def present(self) -> bool:
        """Whether the path still leads to the file that is open here."""
        try:
            there = os.stat(self.path)
        except OSError:
            return False
        here = os.fstat(self.fd)
        return (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino)
