"""Reading what another host may have written: past the page cache."""

from __future__ import annotations

import mmap
import os
from typing import TYPE_CHECKING, Any

from engine.devices.descriptor import in_memory

if TYPE_CHECKING:
    from engine.devices.base import BlockDevice

_ALIGNMENT = 4096


def read(device: BlockDevice, offset: int, length: int) -> bytearray:
    """The bytes of a range. DeviceError and RangeError as ever."""
    buffer = bytearray(length)
    device.read_into(offset, memoryview(buffer))
    return buffer


def read_uncached(device: BlockDevice, offset: int, length: int) -> bytearray:
    """The bytes of a range as the LUN has them now; offset and length are multiples of 4 KiB.

    Read with O_DIRECT where the LUN's file system has it, else anew after the pages were dropped. Errors as `read`.
    """
    through = read(device, offset, length)  # checks the range, and meets the layers that tests put on top
    descriptor = getattr(device, "fd", -1)
    direct = _read_direct(descriptor, offset, length) if isinstance(descriptor, int) and descriptor >= 0 else None
    if direct is not None:
        return direct
    if drop_cache(device, offset, length):
        return read(device, offset, length)
    return through


def read_strictly(device: BlockDevice, offset: int, length: int) -> bytearray | None:
    """The bytes of a range as the medium has them, never from a cache; offset and length are multiples of 4 KiB.

    None when that cannot be told: the file system knows no direct reading, or the medium does not answer. What lies in
    memory, or has no descriptor, has no cache in between. Errors as `read`, when even that fails.
    """
    through = read(device, offset, length)
    descriptor = getattr(device, "fd", -1)
    if not isinstance(descriptor, int) or descriptor < 0 or in_memory(descriptor):
        return through
    return _read_direct(descriptor, offset, length)


def drop_cache(device: BlockDevice, offset: int, length: int) -> bool:
    """Let the next read of the range come from the LUN itself. False when no descriptor is below the device."""
    layer: Any = device
    while layer is not None:
        descriptor = getattr(layer, "fd", None)
        if isinstance(descriptor, int) and descriptor >= 0:
            os.posix_fadvise(descriptor, offset, length, os.POSIX_FADV_DONTNEED)
            return True
        layer = getattr(layer, "below", None)
    return False


def _read_direct(descriptor: int, offset: int, length: int) -> bytearray | None:
    """None when this file can't be read directly, or the read fell short."""
    try:
        direct = os.open(f"/proc/self/fd/{descriptor}", os.O_RDONLY | os.O_DIRECT | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        with mmap.mmap(-1, -(-length // _ALIGNMENT) * _ALIGNMENT) as buffer:
            with memoryview(buffer) as whole, whole[:length] as window:
                got = os.preadv(direct, (window,), offset)
            return bytearray(buffer[:length]) if got == length else None
    except OSError:
        return None
    finally:
        os.close(direct)
