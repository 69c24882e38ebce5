"""A step that failed, and what the operator is told about it."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from engine.errors import DeviceError
from engine.records import Disk

if TYPE_CHECKING:
    from engine.config import Config
    from engine.records import Ref

NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class StepFailed(Exception):
    """A LUN did not do what a step asked for. `disk` is None when nobody knows (any more) which disk it is."""

    def __init__(self, error: Exception, disk: Ref | None, *, writing: bool) -> None:
        super().__init__(str(error))
        self.error = error if isinstance(error, DeviceError) else DeviceError(errno.EIO, "", str(error))
        self.disk = disk
        self.writing = writing

    @property
    def number(self) -> int:
        """The system's error number; EIO where there is none."""
        return self.error.errno or errno.EIO

    @property
    def no_space(self) -> bool:
        """Whether the host is full, which is no fault of the LUN."""
        return self.writing and self.number in NO_SPACE

    def sentence(self, config: Config) -> str:
        """Which LUN, why, and what would help."""
        disk = config.get(self.disk)
        name = disk.name if isinstance(disk, Disk) else "a disk"
        lun = disk.lun if isinstance(disk, Disk) and disk.lun else self.error.device
        where = f"{name} ({lun})" if lun else name
        if self.no_space:
            return (
                f"The host has no space left for {where}. Free space in the file system that holds it and start again."
            )
        doing = "Writing to" if self.writing else "Reading from"
        why = os.strerror(self.number)
        return f"{doing} {where} failed: {why}. Check the LUN, or choose another disk, and start again."
