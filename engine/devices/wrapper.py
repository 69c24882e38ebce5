"""A layer that passes everything on, and sees it pass: the base of the layers that fail, delay and count."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.devices.base import BaseDevice, BlockDevice, Data, check_range

if TYPE_CHECKING:
    from typing import Literal, TypeAlias

    Verb: TypeAlias = Literal["read", "write", "zero", "discard", "flush"]


class Wrapper(BaseDevice):
    """Calls `_before` with verb, offset and length ahead of each operation on `below`. A try_read counts as a read."""

    def __init__(self, below: BlockDevice) -> None:
        super().__init__(below.name, below.size, below.block_size)
        self.below = below
        self.discard_zeroes = below.discard_zeroes

    def _before(self, verb: Verb, offset: int, length: int) -> None:
        """Called before the operation happens; may raise or wait."""

    def read_into(self, offset: int, into: memoryview) -> None:
        check_range(self.name, self.size, offset, len(into))
        self._before("read", offset, len(into))
        self.below.read_into(offset, into)

    def try_read(self, offset: int, into: memoryview) -> bool:
        check_range(self.name, self.size, offset, len(into))
        self._before("read", offset, len(into))
        return self.below.try_read(offset, into)

    def write(self, offset: int, data: Data, *, durable: bool = False) -> None:
        check_range(self.name, self.size, offset, len(data))
        self._before("write", offset, len(data))
        self.below.write(offset, data, durable=durable)

    def zero(self, offset: int, length: int, *, may_unmap: bool) -> None:
        check_range(self.name, self.size, offset, length)
        self._before("zero", offset, length)
        self.below.zero(offset, length, may_unmap=may_unmap)

    def discard(self, offset: int, length: int) -> None:
        check_range(self.name, self.size, offset, length)
        self._before("discard", offset, length)
        self.below.discard(offset, length)

    def flush(self) -> None:
        self._before("flush", 0, 0)
        self.below.flush()
