"""The locks that order everything that touches more than one leg of the same bytes."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from engine.dataplane.table import REGION, REGION_SHIFT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from contextlib import AbstractContextManager

    from engine.runtime import Runtime

STRIPES = 64
"""Regions share this many locks, in turn: two regions that are 64 MiB apart have the same one."""


class RegionLocks:
    """Striped locks over 1 MiB regions of one volume, taken in ascending order so that nobody waits in a circle."""

    def __init__(self, runtime: Runtime) -> None:
        self.locks = tuple(runtime.lock() for _ in range(STRIPES))

    def hold(self, offset: int, length: int) -> AbstractContextManager[object]:
        """Keep everybody else out of the regions of this volume range; for use in a `with` statement."""
        if offset % REGION + length <= REGION:
            return self.locks[(offset >> REGION_SHIFT) % STRIPES]
        return self._hold_many(offset, length)

    def hold_all(self, ranges: Iterable[tuple[int, int]]) -> AbstractContextManager[None]:
        """As `hold` for several ranges (offset, length) at once."""
        return self._hold_indexes(sorted({index for span in ranges for index in self._indexes(*span)}))

    def _hold_many(self, offset: int, length: int) -> AbstractContextManager[None]:
        return self._hold_indexes(self._indexes(offset, length))

    @contextmanager
    def _hold_indexes(self, taken: list[int]) -> Iterator[None]:
        for index in taken:
            self.locks[index].acquire()
        try:
            yield
        finally:
            for index in reversed(taken):
                self.locks[index].release()

    def _indexes(self, offset: int, length: int) -> list[int]:
        first = offset >> REGION_SHIFT
        last = (offset + length - 1) >> REGION_SHIFT
        return sorted({region % STRIPES for region in range(first, min(last, first + STRIPES) + 1)})
