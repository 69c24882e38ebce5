"""Devices one after the other."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING

from engine.devices.spread import Part, SpreadDevice

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from engine.devices.base import BlockDevice


class Concat(SpreadDevice):
    """The bytes of each device below, in the given order."""

    def __init__(self, below: Sequence[BlockDevice], name: str = "concat") -> None:
        self._ends = tuple(accumulate(device.size for device in below))
        super().__init__(name, self._ends[-1], below)

    def _parts(self, offset: int, length: int) -> Iterator[Part]:
        stop, at = offset + length, offset
        for device, end in zip(self._below, self._ends, strict=True):
            begin = end - device.size
            upto = min(stop, end)
            if at < upto:
                yield Part(device, at - begin, at - offset, upto - at)
                at = upto
