"""All that an engine tells its listeners, in order."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import msgspec

from engine.records import AnyRecord, Ref


class Upsert(msgspec.Struct, frozen=True, gc=False, tag=True):
    """A record is new or has changed."""

    record: AnyRecord


class Remove(msgspec.Struct, frozen=True, gc=False, tag=True):
    """A record is gone."""

    ref: Ref


class Sample(msgspec.Struct, frozen=True, gc=False, tag=True):
    """Traffic of one object (volume, disk, host) over the last interval."""

    ref: Ref
    time: float  # seconds since the epoch, end of the interval
    seconds: float  # its length
    reads: int = 0
    writes: int = 0
    read_bytes: int = 0
    write_bytes: int = 0
    busy_s: float = 0.0  # summed service times of all requests: divided by their number, the latency
    cpu_percent: float = 0.0  # of the host, for the host


Event: TypeAlias = Upsert | Remove | Sample


class Batch(msgspec.Struct, frozen=True, gc=False):
    """Events of one commit, in order. `sequence` rises by one: a gap means that something was lost."""

    sequence: int
    events: tuple[Event, ...]


Listener: TypeAlias = Callable[[Batch], None]
"""Called under the control lock: returns at once and never calls the engine."""
