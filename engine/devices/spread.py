"""What concat and stripe share: each byte of the device lies on exactly one of the devices below."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, NamedTuple

from engine.devices.base import BaseDevice, BlockDevice, Data, check_range

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class Part(NamedTuple):
    """A run of bytes on one device below; `start` is where it begins in the caller's buffer."""

    below: BlockDevice
    offset: int
    start: int
    length: int


class SpreadDevice(BaseDevice, ABC):
    """Cuts every operation into the parts that `_parts` names."""

    def __init__(self, name: str, size: int, below: Sequence[BlockDevice]) -> None:
        super().__init__(name, size, max(device.block_size for device in below))
        self._below = tuple(below)
        self.discard_zeroes = all(device.discard_zeroes for device in below)

    @abstractmethod
    def _parts(self, offset: int, length: int) -> Iterator[Part]: ...

    def read_into(self, offset: int, into: memoryview) -> None:
        check_range(self.name, self.size, offset, len(into))
        for part in self._parts(offset, len(into)):
            part.below.read_into(part.offset, into[part.start : part.start + part.length])

    def write(self, offset: int, data: Data, *, durable: bool = False) -> None:
        check_range(self.name, self.size, offset, len(data))
        view = memoryview(data)
        for part in self._parts(offset, len(data)):
            part.below.write(part.offset, view[part.start : part.start + part.length], durable=durable)

    def zero(self, offset: int, length: int, *, may_unmap: bool) -> None:
        check_range(self.name, self.size, offset, length)
        for part in self._parts(offset, length):
            part.below.zero(part.offset, part.length, may_unmap=may_unmap)

    def discard(self, offset: int, length: int) -> None:
        check_range(self.name, self.size, offset, length)
        for part in self._parts(offset, length):
            part.below.discard(part.offset, part.length)

    def flush(self) -> None:
        for below in self._below:
            below.flush()
