"""Equal copies. The plain reference that the fast table is tested against."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.devices.base import BaseDevice, BlockDevice, Data, check_range
from engine.errors import DeviceError
from engine.units import MIB

if TYPE_CHECKING:
    from collections.abc import Sequence


class Mirror(BaseDevice):
    """Writes go to every leg, each 1 MiB region is read from one leg. A failing leg fails the operation."""

    def __init__(self, legs: Sequence[BlockDevice], name: str = "mirror") -> None:
        super().__init__(name, min(leg.size for leg in legs), max(leg.block_size for leg in legs))
        self._legs = tuple(legs)
        self.discard_zeroes = all(leg.discard_zeroes for leg in legs)

    def read_into(self, offset: int, into: memoryview) -> None:
        check_range(self.name, self.size, offset, len(into))
        at, stop = offset, offset + len(into)
        while at < stop:
            region = at // MIB
            upto = min(stop, (region + 1) * MIB)
            self._legs[region % len(self._legs)].read_into(at, into[at - offset : upto - offset])
            at = upto

    def write(self, offset: int, data: Data, *, durable: bool = False) -> None:
        check_range(self.name, self.size, offset, len(data))
        for leg in self._legs:
            leg.write(offset, data, durable=durable)

    def zero(self, offset: int, length: int, *, may_unmap: bool) -> None:
        check_range(self.name, self.size, offset, length)
        for leg in self._legs:
            leg.zero(offset, length, may_unmap=may_unmap)

    def discard(self, offset: int, length: int) -> None:
        """On all legs or on none: legs that differ after a discard would be no mirror."""
        check_range(self.name, self.size, offset, length)
        if self.discard_zeroes:
            self.zero(offset, length, may_unmap=True)

    def flush(self) -> None:
        """Every leg is flushed even when one fails; the first failure is raised at the end."""
        failure: DeviceError | None = None
        for leg in self._legs:
            try:
                leg.flush()
            except DeviceError as error:
                failure = failure or error
        if failure:
            raise failure
