"""What a client asks of a volume, and where the answer goes: the seam between any export and the data plane."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.dataplane.dirty_map import DirtyMap


class Op(enum.IntEnum):
    """The verbs of a volume. STATUS asks which parts are known to be holes or zero."""

    READ = 0
    WRITE = 1
    FLUSH = 2
    ZERO = 3
    DISCARD = 4


class Request:
    """One client request, reused by nobody: mutable only so that the data plane can note its progress.

    `buffer` is the target of a READ and the payload of a WRITE (exactly `length` bytes), else None. It belongs to the
    caller and stays untouched and alive until the request's `Sink.finish`. `durable` is NBD's FUA. `may_unmap` lets a
    ZERO leave holes. `cookie` is the caller's own. `pins` are the places where it failed on some mirror, by the map
    that tells of them.
    """

    __slots__ = ("buffer", "cookie", "durable", "length", "may_unmap", "offset", "op", "pins", "started_s")

    def __init__(
        self,
        op: Op,
        offset: int = 0,
        length: int = 0,
        buffer: memoryview | None = None,
        *,
        durable: bool = False,
        may_unmap: bool = True,
        cookie: object = None,
    ) -> None:
        self.op = op
        self.offset = offset
        self.length = length
        self.buffer = buffer
        self.durable = durable
        self.may_unmap = may_unmap
        self.cookie = cookie
        self.pins: tuple[tuple[DirtyMap, int], ...] = ()
        self.started_s = 0.0


class Sink(Protocol):
    """Where requests end. Each request ends exactly once, in any order.

    `finish` is called on the thread that handed the batch in (while `execute` runs) or later on a thread of the data
    plane (page-cache miss, flush, parked request); it must not block for long and must not call the data plane.
    """

    def finish(self, request: Request, error: int) -> None:
        """`error` is 0 or an errno (EIO, ENOSPC, ESHUTDOWN)."""


class GatheringSink(Sink, Protocol):
    """A sink for which several ends at once cost less than one by one."""

    def finish_all(self, requests: Sequence[Request], error: int) -> None:
        """As `finish` for each of them."""


def finish_all(sink: Sink | GatheringSink, requests: Sequence[Request], error: int) -> None:
    """End several requests of one sink alike."""
    gather = getattr(sink, "finish_all", None)  # a tenth of what isinstance costs on a protocol
    if gather is not None:
        gather(requests, error)
        return
    for request in requests:
        sink.finish(request, error)
