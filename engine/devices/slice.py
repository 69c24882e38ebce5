"""A part of another device: what a subdisk is to its disk."""

from __future__ import annotations

from engine.devices.base import BaseDevice, BlockDevice, Data, check_range


class Slice(BaseDevice):
    """`length` bytes of `below` from `offset` on."""

    def __init__(self, below: BlockDevice, offset: int, length: int) -> None:
        check_range(below.name, below.size, offset, length)
        super().__init__(f"{below.name}[{offset}:{offset + length}]", length, below.block_size)
        self._below = below
        self._offset = offset
        self.discard_zeroes = below.discard_zeroes

    def _place(self, offset: int, length: int) -> int:
        check_range(self.name, self.size, offset, length)
        return self._offset + offset

    def read_into(self, offset: int, into: memoryview) -> None:
        self._below.read_into(self._place(offset, len(into)), into)

    def try_read(self, offset: int, into: memoryview) -> bool:
        return self._below.try_read(self._place(offset, len(into)), into)

    def write(self, offset: int, data: Data, *, durable: bool = False) -> None:
        self._below.write(self._place(offset, len(data)), data, durable=durable)

    def zero(self, offset: int, length: int, *, may_unmap: bool) -> None:
        self._below.zero(self._place(offset, length), length, may_unmap=may_unmap)

    def discard(self, offset: int, length: int) -> None:
        self._below.discard(self._place(offset, length), length)

    def flush(self) -> None:
        self._below.flush()
