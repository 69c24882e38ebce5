"""A layer that fails on demand: the n-th operation, once or from then on, wholly or torn."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.devices.base import check_range
from engine.devices.wrapper import Wrapper
from engine.errors import DeviceError

if TYPE_CHECKING:
    from engine.devices.base import BlockDevice, Data
    from engine.devices.wrapper import Verb


@dataclass
class Failure:
    """Fails the `countdown`-th matching operation from now on. No verbs means every verb."""

    countdown: int
    number: int = errno.EIO
    verbs: frozenset[str] = frozenset()
    persistent: bool = False
    torn_bytes: int = 0
    hits: int = 0

    def strikes(self, verb: str) -> bool:
        if (self.verbs and verb not in self.verbs) or (self.hits and not self.persistent):
            return False
        self.countdown -= 1
        if self.countdown > 0:
            return False
        self.hits += 1
        return True


class FaultyDevice(Wrapper):
    """Passes everything on until a failure planned by `fail` strikes. `operations` counts all that came."""

    def __init__(self, below: BlockDevice) -> None:
        super().__init__(below)
        self.operations = 0
        self.losses = 0
        self._failures: list[Failure] = []

    def fail(
        self,
        *verbs: Verb,
        nth: int = 1,
        number: int = errno.EIO,
        persistent: bool = False,
        torn_bytes: int = 0,
    ) -> Failure:
        """Plan a failure with the errno `number`. A torn write leaves its first `torn_bytes` on the device below."""
        failure = Failure(nth, number, frozenset(verbs), persistent, torn_bytes)
        self._failures.append(failure)
        return failure

    def heal(self) -> None:
        """Forget every planned failure."""
        self._failures.clear()

    def write(self, offset: int, data: Data, *, durable: bool = False) -> None:
        check_range(self.name, self.size, offset, len(data))
        failure = self._struck("write")
        if failure:
            self.below.write(offset, memoryview(data)[: failure.torn_bytes])
            self.losses += durable
            raise DeviceError(failure.number, self.name, "Writing")
        self.below.write(offset, data, durable=durable)

    def flush(self) -> None:
        try:
            super().flush()
        except DeviceError:
            self.losses += 1
            raise

    def _struck(self, verb: str) -> Failure | None:
        self.operations += 1
        struck = [failure for failure in self._failures if failure.strikes(verb)]
        return struck[0] if struck else None

    def _before(self, verb: Verb, offset: int, length: int) -> None:
        failure = self._struck(verb)
        if failure:
            raise DeviceError(failure.number, self.name, f"{verb.capitalize()} of {length} bytes")
