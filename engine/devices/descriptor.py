"""A device behind an open file descriptor: what image files, kernel block devices and memory have in common."""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from bisect import bisect_right
from contextlib import suppress
from itertools import accumulate
from typing import TYPE_CHECKING

from engine.devices.base import NO_SPACE, SECTOR, BaseDevice, Data, check_range
from engine.errors import DeviceError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_KEEP_SIZE = 0x01
_PUNCH_HOLE = 0x02
_ZERO_RANGE = 0x10
_ZEROS = memoryview(bytes(1 << 20))
_WRITE_STEP = 64 << 10
"""Longer writes go in such steps: one system call puts all of its bytes into one folio of the page cache, and ext4
looks at each block of a folio for every small write that follows: 22 us a 4 KiB write after steps of 1 MiB, 4 us after
these."""

_PARTS = 512
"""A system call takes 1,024 buffers at most."""

_BEGIN_WRITING = 2  # SYNC_FILE_RANGE_WRITE: neither waits for what it begins nor takes a report of a failure
_UNSUPPORTED = frozenset({errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.ENODEV, errno.ENOTTY})

_libc = ctypes.CDLL(None, use_errno=True)
_libc.fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
_libc.fallocate.restype = ctypes.c_int

_libc.sync_file_range.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)
_libc.sync_file_range.restype = ctypes.c_int

_preadv = os.preadv
_pwrite = os.pwrite
_lseek = os.lseek
_SEEK_END = os.SEEK_END


_MEMORY_FILE_SYSTEMS = frozenset({0x01021994, 0x858458F6})  # tmpfs, ramfs


def in_memory(descriptor: int) -> bool:
    """Whether the file lies in memory: then reading never waits, and RWF_NOWAIT is refused."""
    answer = ctypes.create_string_buffer(256)
    if _libc.fstatfs(descriptor, answer):
        return False
    return int.from_bytes(answer.raw[: ctypes.sizeof(ctypes.c_long)], sys.byteorder) in _MEMORY_FILE_SYSTEMS


def allocate(descriptor: int, mode: int, offset: int, length: int) -> None:
    """The system call fallocate with a mode, which `os` does not offer. OSError as ever."""
    while _libc.fallocate(descriptor, mode, offset, length):
        number = ctypes.get_errno()
        if number != errno.EINTR:
            raise OSError(number, os.strerror(number))


class DescriptorDevice(BaseDevice):
    """Reads and writes through one descriptor that stays open for the device's life.

    Losing that descriptor would lose the kernel's memory of failed write-back, and the OFD lock with it.
    """

    def __init__(self, name: str, fd: int, size: int, block_size: int = SECTOR, reopen: str | None = None) -> None:
        super().__init__(name, size, block_size)
        self.path = name
        self.fd = fd
        self.losses = 0
        self.reads = self.writes = self.bytes_read = self.bytes_written = 0
        self._reopen = reopen
        self._sync_fd = -1
        self._dsync = os.RWF_DSYNC
        self._nowait = 0 if in_memory(fd) else os.RWF_NOWAIT

    def close(self) -> None:
        """Give the descriptor back, and every lock with it. Calling it again does nothing."""
        for descriptor in (self._sync_fd, self.fd):
            if descriptor >= 0:
                os.close(descriptor)
        self.fd = self._sync_fd = -1

    def rename(self, path: str) -> None:
        """What is open stands at this path now."""
        self.path = self.name = path
        if self._reopen is not None and not self._reopen.startswith("/proc/"):
            self._reopen = path

    def read_into(self, offset: int, into: memoryview) -> None:
        length = len(into)
        if offset < 0 or offset + length > self.size:
            check_range(self.name, self.size, offset, length)
        try:
            done = _preadv(self.fd, (into,), offset)
            while done < length:
                got = _preadv(self.fd, (into[done:],), offset + done)
                if not got:
                    raise OSError(errno.EIO, "the end came early")
                done += got
        except OSError as error:
            raise self._failed(error, "Reading") from error
        self.reads += 1
        self.bytes_read += length

    def counters(self) -> tuple[int, int, int, int]:
        """Reads, writes, bytes read, bytes written since it was opened; threads that count at once may lose a few."""
        return self.reads, self.writes, self.bytes_read, self.bytes_written

    def try_read(self, offset: int, into: memoryview) -> bool:
        """A read that is refused has been asked for: the kernel brings it in while nobody waits for it yet."""
        length = len(into)
        if offset < 0 or offset + length > self.size:
            check_range(self.name, self.size, offset, length)
        try:
            if _preadv(self.fd, (into,), offset, self._nowait) != length:
                return False
        except BlockingIOError:
            with suppress(OSError):  # a hint
                os.posix_fadvise(self.fd, offset, length, os.POSIX_FADV_WILLNEED)
            return False
        except OSError as error:
            if error.errno == errno.EOPNOTSUPP:
                return False
            raise self._failed(error, "Reading") from error
        self.reads += 1
        self.bytes_read += length
        return True

    def write(self, offset: int, data: Data, *, durable: bool = False) -> None:
        length = len(data)
        if offset < 0 or offset + length > self.size:
            check_range(self.name, self.size, offset, length)
        try:
            if _lseek(self.fd, 0, _SEEK_END) < offset + length:
                raise OSError(errno.EIO, "it has become shorter")
            self.writes += 1
            self.bytes_written += length
            if durable:
                self._write_durable(offset, data)
                return
            done = _pwrite(self.fd, data if length <= _WRITE_STEP else memoryview(data)[:_WRITE_STEP], offset)
            if done < length:
                self._write_rest(offset, memoryview(data), done, 0)
        except OSError as error:
            raise self._failed(error, "Writing") from error

    def write_gathered(self, offset: int, parts: Sequence[memoryview], *, step: int = 0) -> None:
        """As `write` of all parts one behind the other, about `step` bytes in a system call; 0: as many as there."""
        ends = list(accumulate(map(len, parts)))
        length = ends[-1] if ends else 0
        step = step or _WRITE_STEP
        check_range(self.name, self.size, offset, length)
        try:
            self._check_end(offset + length)
            self.writes += 1
            self.bytes_written += length
            first = done = 0
            while first < len(parts):
                last = min(max(bisect_right(ends, done + step), first + 1), first + _PARTS)
                self._write_group(offset + done, parts[first:last], ends[last - 1] - done, step)
                first, done = last, ends[last - 1]
        except OSError as error:
            raise self._failed(error, "Writing") from error

    def zero(self, offset: int, length: int, *, may_unmap: bool) -> None:
        check_range(self.name, self.size, offset, length)
        try:
            self._check_end(offset + length)
            if not self._allocate_zeros(offset, length, may_unmap):
                self._write_zeros(offset, length)
        except OSError as error:
            raise self._failed(error, "Zeroing") from error

    def discard(self, offset: int, length: int) -> None:
        check_range(self.name, self.size, offset, length)
        try:
            self._check_end(offset + length)
            if self.discard_zeroes and not self._punch(offset, length):
                self.discard_zeroes = False
        except OSError as error:
            raise self._failed(error, "Discarding") from error

    def write_back(self, offset: int, length: int) -> None:
        _libc.sync_file_range(self.fd, offset, length, _BEGIN_WRITING)

    def flush(self) -> None:
        try:
            os.fdatasync(self.fd)
        except OSError as error:
            self.losses += 1
            raise self._failed(error, "Flushing") from error

    def _failed(self, error: OSError, doing: str) -> DeviceError:
        return DeviceError(error.errno or errno.EIO, self.name, doing)

    def _check_end(self, end: int) -> None:
        if _lseek(self.fd, 0, _SEEK_END) < end:
            raise OSError(errno.EIO, "it has become shorter")

    def _write_rest(self, offset: int, data: memoryview, done: int, flags: int) -> None:
        """`flags` ask for a durable write: each system call would be one for the file system, so it is only one."""
        step = len(data) if flags else _WRITE_STEP
        while done < len(data):
            put = os.pwritev(self.fd, (data[done : done + step],), offset + done, flags)
            if not put:
                raise OSError(errno.EIO, "nothing more was taken")
            done += put

    def _write_group(self, offset: int, group: Sequence[memoryview], size: int, step: int) -> None:
        done = os.pwritev(self.fd, group, offset) if size <= step else 0
        if done < size:
            self._write_rest(offset, group[0] if len(group) == 1 else memoryview(b"".join(group)), done, 0)

    def _write_durable(self, offset: int, data: Data) -> None:
        """A failed synchronous write uses up the kernel's one report of failed write-back: count it as a loss.

        Not so when the device has no room for the data: then nothing was synchronized. Whoever fails meanwhile may have
        used up the report of ours: that is told once to a descriptor, whichever of its threads hears it.
        """
        known = self.losses
        try:
            if self._dsync:
                self._write_rest(offset, memoryview(data), 0, self._dsync)
            else:
                self._write_synced(offset, memoryview(data))
        except OSError as error:
            if error.errno in _UNSUPPORTED and self._dsync:
                self._dsync = 0
                self._write_durable(offset, data)
                return
            if error.errno in NO_SPACE:
                self._write_rest(offset, memoryview(data), 0, 0)  # raises when there is no room
            self.losses += 1
            raise
        if self.losses != known:
            raise OSError(errno.EIO, "a failure was reported meanwhile")

    def _write_synced(self, offset: int, data: memoryview) -> None:
        """Without RWF_DSYNC: a second, synchronous descriptor, which leaves the first one's error report alone."""
        if self._sync_fd < 0 and self._reopen is not None:
            self._sync_fd = os.open(self._reopen, os.O_WRONLY | os.O_DSYNC | os.O_CLOEXEC)
        descriptor = self._sync_fd if self._sync_fd >= 0 else self.fd
        done = 0
        while done < len(data):
            done += os.pwrite(descriptor, data[done:], offset + done)
        if self._sync_fd < 0:
            os.fdatasync(self.fd)

    def _allocate_zeros(self, offset: int, length: int, may_unmap: bool) -> bool:
        return (may_unmap and self._punch(offset, length)) or self._try(
            lambda: allocate(self.fd, _ZERO_RANGE | _KEEP_SIZE, offset, length)
        )

    def _punch(self, offset: int, length: int) -> bool:
        return self._try(lambda: allocate(self.fd, _PUNCH_HOLE | _KEEP_SIZE, offset, length))

    def _try(self, operation: Callable[[], None]) -> bool:
        try:
            operation()
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                raise
            return False
        return True

    def _write_zeros(self, offset: int, length: int) -> None:
        end = offset + length
        while offset < end:
            chunk = _ZEROS[: min(len(_ZEROS), end - offset)]
            self._write_rest(offset, chunk, 0, 0)
            offset += len(chunk)
