"""What the data plane tells the control thread, which alone decides."""

from __future__ import annotations

import enum
import errno
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.dataplane.request import Op
from engine.devices.base import NO_SPACE
from engine.errors import DeviceError, RangeError

if TYPE_CHECKING:
    from collections.abc import Hashable

    from engine.devices.base import BlockDevice

LEG_ERRORS = (DeviceError, RangeError)
"""What a leg raises when it fails; a RangeError is one too, as a LUN may have shrunk under its subdisks."""


class FaultKind(enum.StrEnum):
    """LEG: an operation on one leg failed, its request is parked. FLUSH: what was written to `device` since the last
    good flush is in doubt; FLUSHes are parked. NO_SPACE: the client has had its ENOSPC, the legs may differ in the
    range. FIRST_WRITE: the record on disk still says clean, writes are parked. DEFECT: a bug in here; the client has
    had its EIO. MAP: `device` has not taken a page of the dirty map, whose place there has the generation `piece`;
    writes to regions that are not marked yet wait for a decision. LOG: `device` has not taken an entry of a RAID-5
    log, whose copy there has the key `piece`; nothing has gone to any leg. BROKEN: a second column of a RAID-5 row has
    failed, so that none of them may be left out.
    """

    LEG = "leg"
    FLUSH = "flush"
    NO_SPACE = "enospc"
    FIRST_WRITE = "first-write"
    DEFECT = "defect"
    MAP = "dirty-map"
    LOG = "log"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. `offset` and `length` are the volume's; `plex` is the key of the plex and `piece` of the piece, if it
    was one that is being filled or one of a RAID-5 plex; `number` is the errno."""

    volume: str
    kind: FaultKind
    op: Op | None = None
    device: BlockDevice | None = None
    plex: Hashable = None
    piece: Hashable = None
    number: int = 0
    offset: int = 0
    length: int = 0

    @property
    def cause(self) -> tuple[object, ...]:
        """Faults with the same cause need one decision only. What can't be read may be writable, and the other way."""
        return (self.kind, self.device, self.plex, self.piece, self.op is Op.READ)


def errno_of(error: Exception) -> int:
    """The system's number behind a leg's error; EIO where it has none."""
    number = getattr(error, "errno", None)
    return number if isinstance(number, int) and number else errno.EIO


def kind_of(number: int, *, writing: bool, readable: bool) -> FaultKind:
    """A full thin LUN is no broken disk. A leg that is being filled misses the write for good: it can't be kept."""
    return FaultKind.NO_SPACE if writing and readable and number in NO_SPACE else FaultKind.LEG
