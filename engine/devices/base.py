"""The one protocol that every layer of storage offers and is built on."""

from __future__ import annotations

import errno
from typing import Protocol, TypeAlias

from engine.errors import RangeError

Data: TypeAlias = bytes | bytearray | memoryview
"""Bytes to be written; a memoryview must be flat (format B)."""

SECTOR = 512
"""The smallest block that any LUN has, in bytes."""


NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""The errors of a device that is sound but has no room, such as a thin LUN on a full file system."""


class BlockDevice(Protocol):
    """A run of `size` bytes in blocks of `block_size`. Operations block; offsets and lengths are bytes.

    Any range inside of the device is legal, aligned or not. `losses` counts the times that a flush or a
    durable write failed: from then on nobody knows what of the earlier writes is stable, whoever asked for
    that flush. `discard_zeroes` promises that zeroing with holes is cheap and exact. Every operation raises
    DeviceError (with the system's errno) when the device fails and RangeError when the caller asks for bytes
    that do not exist.
    """

    @property
    def name(self) -> str: ...

    @property
    def size(self) -> int: ...

    @property
    def block_size(self) -> int: ...

    @property
    def losses(self) -> int: ...

    @property
    def discard_zeroes(self) -> bool: ...

    def read_into(self, offset: int, into: memoryview) -> None:
        """Fill `into` with the bytes at `offset`."""

    def try_read(self, offset: int, into: memoryview) -> bool:
        """As `read_into` when that needs no waiting; else False, and nothing is promised about `into`."""

    def write(self, offset: int, data: Data, *, durable: bool = False) -> None:
        """Write `data` at `offset`. `durable` brings this range, and only it, to stable storage."""

    def zero(self, offset: int, length: int, *, may_unmap: bool) -> None:
        """Make the range read back as zeros; `may_unmap` allows the device to free its space."""

    def discard(self, offset: int, length: int) -> None:
        """The range is not needed: zero it where that frees space, else leave it as it is."""

    def write_back(self, offset: int, length: int) -> None:
        """A hint: begin to bring what has been written there to stable storage. Only `flush` proves that it is, and
        tells what failed."""

    def flush(self) -> None:
        """Bring every finished write to stable storage. After a failure all writes since the last good one
        are in doubt."""


class BaseDevice:
    """What most layers share: a name, a size, and the answers of a device with no short cuts."""

    losses = 0
    discard_zeroes = True

    def __init__(self, name: str, size: int, block_size: int = SECTOR) -> None:
        self.name = name
        self.size = size
        self.block_size = block_size

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"

    def try_read(self, offset: int, into: memoryview) -> bool:
        check_range(self.name, self.size, offset, len(into))
        return False

    def write_back(self, offset: int, length: int) -> None:
        """Nothing to do where nothing waits in a cache of the system's."""


def check_range(name: str, size: int, offset: int, length: int) -> None:
    """RangeError unless `offset` and `length` lie inside of a device of `size` bytes called `name`."""
    if offset < 0 or length < 0 or offset + length > size:
        raise RangeError(f"{length} bytes at {offset} lie outside of {name}, which has {size} bytes.")
