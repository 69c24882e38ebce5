"""A LUN in memory, for tests and scratch space; it has a descriptor like every other."""

from __future__ import annotations

import os

from engine.devices.base import SECTOR
from engine.devices.descriptor import DescriptorDevice


class MemoryDevice(DescriptorDevice):
    """Anonymous memory of `size` bytes, zero at first, gone when closed."""

    def __init__(self, name: str, size: int, block_size: int = SECTOR) -> None:
        fd = os.memfd_create("lun", os.MFD_CLOEXEC)
        os.ftruncate(fd, size)
        super().__init__(name, fd, size, block_size, reopen=f"/proc/self/fd/{fd}")
        self.path = ""  # it stands nowhere

    def refresh(self) -> int:
        """Read the size anew and return it, in bytes."""
        self.size = os.fstat(self.fd).st_size
        return self.size

    def present(self) -> bool:
        """Memory is there until it is closed."""
        return self.fd >= 0
