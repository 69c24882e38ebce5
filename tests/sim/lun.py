"""A simulated LUN as one life of the engine has it open."""

from __future__ import annotations

import errno
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from engine.devices.base import SECTOR, BaseDevice, Data, check_range
from engine.errors import DeviceError
from tests.sim.journal import sum_of
from tests.sim.media import PAGE, Extent, Media, read

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from tests.sim.journal import Journal
    from tests.sim.runtime import SimRuntime


TIMEOUT_S = 30.0
"""So long an operation hangs that ends with ETIMEDOUT."""


@dataclass
class Troubles:
    """What is wrong with a LUN now. `errors`: verb -> (operations left until one fails, errno, for good)."""

    pulled: bool = False
    dead: bool = False  # every operation ends with EIO
    full: bool = False  # writes and zeroing end with ENOSPC
    mute_flushes: int = 0  # so many flushes fail from now on
    slow: float = 1.0
    errors: dict[str, tuple[int, int, bool]] = field(default_factory=dict)

    def strike(self, verb: str) -> int:
        """The errno that this operation ends with, 0 for none."""
        if self.pulled:
            return errno.ENXIO
        if self.dead:
            return errno.EIO
        if self.full and verb in ("write", "zero"):
            return errno.ENOSPC
        if verb == "flush" and self.mute_flushes:
            self.mute_flushes -= 1
            return errno.EIO
        return self._count_down(verb) or self._count_down("any")

    def heal(self) -> None:
        """Nothing is wrong any more; a loss that nobody has heard of yet will still be told."""
        self.pulled = self.dead = self.full = False
        self.errors.clear()

    def _count_down(self, verb: str) -> int:
        left, number, for_good = self.errors.get(verb, (0, 0, False))
        if left == 1:
            if not for_good:
                del self.errors[verb]
            return number
        if left:
            self.errors[verb] = (left - 1, number, for_good)
        return 0


class SimLun(BaseDevice):
    """A `HostDevice`: every operation takes time, is a switch point, and may be the last before a power cut.

    `moment` is told of each change before it begins, while it is in the cache only, and once it is done; `fate` may
    make any operation fail by answering an errno.
    """

    path: str
    fd = -1

    def __init__(
        self,
        path: str,
        media: Media,
        troubles: Troubles,
        runtime: SimRuntime,
        dice: Random,
        journal: Journal,
        moment: Callable[[str, str], None],
        fate: Callable[[str, str], int],
    ) -> None:
        super().__init__(path.rpartition("/")[2], media.size, SECTOR)
        self.path = path
        self.media = media
        self.troubles = troubles
        self.losses = 0
        self.closed = False
        self._runtime = runtime
        self._dice = dice
        self._journal = journal
        self._moment = moment
        self._fate = fate
        self._counts = [0, 0, 0, 0]

    # --- BlockDevice ---
    def read_into(self, offset: int, into: memoryview) -> None:
        check_range(self.name, self.size, offset, len(into))
        self._meet("read", offset, len(into), 60e-6)
        self._refuse_bad(offset, len(into))
        read(self.media.current, offset, into)
        self._counts[0] += 1
        self._counts[2] += len(into)

    def try_read(self, offset: int, into: memoryview) -> bool:
        check_range(self.name, self.size, offset, len(into))
        if self._dice.random() < 0.3:
            return False
        self._meet("read", offset, len(into), 0)
        self._refuse_bad(offset, len(into))
        read(self.media.current, offset, into)
        self._counts[0] += 1
        self._counts[2] += len(into)
        return True

    def read_uncached(self, offset: int, length: int) -> bytearray:
        """What stands below the cache: what was written and not flushed is flushed out first, as the kernel does."""
        check_range(self.name, self.size, offset, length)
        self._meet("read", offset, length, 60e-6)
        self._refuse_bad(offset, length)
        found, buffer = self.media.stable, bytearray(length)
        dirty = any(offset < part.offset + part.length and part.offset < offset + length for part in self.media.extents)
        read(self.media.current if dirty else found, offset, memoryview(buffer))
        return buffer

    def write(self, offset: int, data: Data, *, durable: bool = False) -> None:
        check_range(self.name, self.size, offset, len(data))
        taken = bytes(data)
        verb = "dsync" if durable else "write"
        self._journal.note(f"{self._runtime.clock:.6f}", self.name, verb, offset, len(taken), sum_of(taken))
        try:
            self._meet("write", offset, len(taken), 40e-6)
        except DeviceError:
            self.losses += durable
            raise
        self._moment(self.name, verb)
        extent = Extent(offset, len(taken), taken)
        self.media.take(extent)
        if durable:
            self._moment(self.name, "dsync half")
            self._wait(200e-6)
            self._meet("dsync", offset, len(taken), 0)
            self.media.settle(extent)
            self._moment(self.name, "dsync done")
        self._counts[1] += 1
        self._counts[3] += len(taken)

    def zero(self, offset: int, length: int, *, may_unmap: bool) -> None:
        check_range(self.name, self.size, offset, length)
        self._journal.note(f"{self._runtime.clock:.6f}", self.name, "zero", offset, length)
        self._meet("zero", offset, length, 80e-6)
        self._moment(self.name, "zero")
        self.media.take(Extent(offset, length, None))

    def discard(self, offset: int, length: int) -> None:
        self.zero(offset, length, may_unmap=True)

    def flush(self) -> None:
        self._journal.note(f"{self._runtime.clock:.6f}", self.name, "flush")
        self._moment(self.name, "flush")
        begun = self.media.taken
        try:
            self._meet("flush", 0, 0, 800e-6)
        except DeviceError:
            self.losses += 1
            if not self.troubles.pulled:
                self.media.lose(self._dice)
            raise
        self.media.flush(begun)
        self._moment(self.name, "flushed")

    # --- a LUN of a host ---
    def present(self) -> bool:
        return not self.troubles.pulled

    def refresh(self) -> int:
        self.size = self.media.size
        return self.size

    def counters(self) -> tuple[int, int, int, int]:
        return self._counts[0], self._counts[1], self._counts[2], self._counts[3]

    def close(self) -> None:
        self.closed = True

    # --- helpers ---
    def _meet(self, verb: str, offset: int, length: int, seconds: float) -> None:
        """Let time pass, and fail where trouble says so."""
        assert not self.closed, f"{self.name} is used after it was closed"
        if seconds:
            self._wait(seconds)
        else:
            self._runtime.point()
        number = self.troubles.strike(verb) or self._fate(self.path, verb)
        if number == errno.ETIMEDOUT:
            self._runtime.sleep(TIMEOUT_S)
        if number:
            self._journal.note(self.name, verb, "fails with", errno.errorcode[number])
            raise DeviceError(number, self.name, verb.capitalize())

    def _wait(self, seconds: float) -> None:
        self._runtime.sleep(seconds * self.troubles.slow * (0.5 + self._dice.random()))

    def _refuse_bad(self, offset: int, length: int) -> None:
        bad = self.media.bad
        if bad and any(page in bad for page in range(offset // PAGE, -(-(offset + length) // PAGE))):
            self._journal.note(self.name, "latent error", offset, length)
            raise DeviceError(errno.EIO, self.name, "Reading")
