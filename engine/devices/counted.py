"""A layer that counts."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from engine.devices.wrapper import Wrapper

if TYPE_CHECKING:
    from engine.devices.base import BlockDevice
    from engine.devices.wrapper import Verb


class CountedDevice(Wrapper):
    """Counts operations and bytes by verb, and keeps the order of the last operations in `log` when asked to."""

    def __init__(self, below: BlockDevice, *, keep_log: bool = False) -> None:
        super().__init__(below)
        self.operations: Counter[str] = Counter()
        self.bytes: Counter[str] = Counter()
        self.log: list[tuple[str, int, int]] = []
        self._keep_log = keep_log

    def _before(self, verb: Verb, offset: int, length: int) -> None:
        self.operations[verb] += 1
        self.bytes[verb] += length
        if self._keep_log:
            self.log.append((verb, offset, length))
