"""An image file that fails on demand, for a whole engine: what `FaultyDevice` is for a layer."""

from __future__ import annotations

import errno
import threading
from typing import TYPE_CHECKING

from engine.devices.faulty import Failure
from engine.devices.file import FileDevice
from engine.errors import DeviceError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from engine.devices.base import Data


BLOCK = 4096


class FrailLun(FileDevice):
    """`spoil` makes places that can be neither read nor written in part until whole blocks are written over them.

    `fail` plans failures of `read`, `write`, `durable`, `zero`, `flush`; `at` limits them to some offsets."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self._failures: list[tuple[Failure, Callable[[int], bool]]] = []
        self.stalled = threading.Event()  # somebody waits at the barrier
        self.spoilt: set[int] = set()  # numbers of 4 KiB blocks
        self.barrier: threading.Event | None = None  # writes to the public region wait for it

    def fail(
        self,
        *verbs: str,
        nth: int = 1,
        number: int = errno.EIO,
        persistent: bool = False,
        at: Callable[[int], bool] = lambda offset: True,
    ) -> Failure:
        """Plan a failure with the errno `number`."""
        failure = Failure(nth, number, frozenset(verbs), persistent)
        self._failures.append((failure, at))
        return failure

    def heal(self) -> None:
        self._failures.clear()
        self.spoilt.clear()

    def spoil(self, offset: int, length: int) -> None:
        """Latent errors: the bytes are lost, and nobody has noticed yet."""
        self.spoilt |= set(range(offset // BLOCK, -(-(offset + length) // BLOCK)))

    def _meet_spoilt(self, offset: int, length: int, doing: str, *, whole: bool = False) -> None:
        """`whole`: blocks that are written as a whole are good again."""
        if not self.spoilt or not length:
            return
        if whole:
            self.spoilt -= set(range(-(-offset // BLOCK), (offset + length) // BLOCK))
        if not self.spoilt.isdisjoint(range(offset // BLOCK, (offset + length - 1) // BLOCK + 1)):
            raise DeviceError(errno.EIO, self.name, doing)

    def _meet(self, verb: str, offset: int, doing: str) -> None:
        for failure, at in self._failures:
            if at(offset) and failure.strikes(verb):
                if verb in ("durable", "flush"):
                    self.losses += failure.number != errno.ENOSPC
                raise DeviceError(failure.number, self.name, doing)

    def read_into(self, offset: int, into: memoryview) -> None:
        self._meet("read", offset, "Reading")
        self._meet_spoilt(offset, len(into), "Reading")
        super().read_into(offset, into)

    def try_read(self, offset: int, into: memoryview) -> bool:
        self._meet("read", offset, "Reading")
        self._meet_spoilt(offset, len(into), "Reading")
        return super().try_read(offset, into)

    def write(self, offset: int, data: Data, *, durable: bool = False) -> None:
        self._meet("durable" if durable else "write", offset, "Writing")
        self._meet_spoilt(offset, len(data), "Writing", whole=True)
        if self.barrier is not None and not durable:
            self.stalled.set()
            self.barrier.wait(60)
        super().write(offset, data, durable=durable)

    def write_gathered(self, offset: int, parts: Sequence[memoryview], *, step: int = 0) -> None:
        self.write(offset, b"".join(parts))

    def zero(self, offset: int, length: int, *, may_unmap: bool) -> None:
        self._meet("zero", offset, "Zeroing")
        super().zero(offset, length, may_unmap=may_unmap)

    def flush(self) -> None:
        self._meet("flush", 0, "Flushing")
        super().flush()
