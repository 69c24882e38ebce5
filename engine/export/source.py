"""What the NBD server asks of the engine: exports by name, and one started volume behind each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

from engine.dataplane.request import Request, Sink


@dataclass(frozen=True, slots=True)
class ClientInfo:
    """Who is connected: the peer's process and user as the kernel names them.

    `id` is unique within one server, `since_s` is seconds since the epoch, `program` the process's own short
    name, or empty when it can't be told.
    """

    id: int
    export: str
    pid: int
    uid: int
    gid: int
    program: str
    since_s: float


class Extent(NamedTuple):
    """A run of bytes with one allocation state. A hole needn't read as zeros; `zero` promises that it does."""

    length: int
    hole: bool
    zero: bool


class ExportFacts(NamedTuple):
    """What is told of an export without opening it. `size` is in bytes."""

    size: int
    read_only: bool = False
    description: str = ""
    tells_changes: bool = False  # what has changed since a snapshot was taken


class ExportSource(Protocol):
    """One started volume, used by every connection to it at once.

    The size (in bytes) is read once for each connection: NBD has no resize, a new size shows on reconnect.
    """

    @property
    def size(self) -> int: ...

    def slot(self, name: str) -> Any:
        """A data thread's own place at the volume's gate, for the life of a connection."""

    def retire(self, slot: Any) -> None:
        """Give a slot back; no request of it is unfinished any more."""

    def execute(self, batch: Sequence[Request], slot: Any, sink: Sink) -> None:
        """Start every request; each ends exactly once by `sink.finish`, meanwhile or later from another thread.

        The batch belongs to the caller again at return. Offsets and lengths are within the volume.
        """


@runtime_checkable
class KnowsAllocation(Protocol):
    """A source that can also tell which parts of it are holes or zero; without it all is reported as data."""

    def allocation(self, offset: int, length: int) -> Iterable[Extent]:
        """Extents from `offset` on, without gaps, none of length 0; fewer or more bytes than asked are fine."""


@runtime_checkable
class KnowsChanges(Protocol):
    """An opened export that can also tell what has changed since a snapshot was taken."""

    def changes(self, offset: int, length: int) -> Iterable[tuple[int, bool]]:
        """(bytes, changed) of each run from `offset` on, without gaps; fewer or more bytes than asked are fine. What
        is told as unchanged has been so all the time until now."""


class Opened(Protocol):
    """An export in use by one client, until `close`."""

    source: ExportSource
    read_only: bool

    def close(self) -> None:
        """The client is gone and its slot given back; called exactly once."""


class Exports(Protocol):
    """What the server may serve. Called from several threads at once; an export is opened only at GO."""

    def names(self) -> Sequence[str]:
        """The names of all started volumes, as GROUP/VOLUME."""

    def describe(self, name: str) -> ExportFacts | None:
        """What INFO tells about an export, or None when there is none of this name; registers nobody."""

    def open(self, name: str, client: ClientInfo) -> Opened | None:
        """Register the client and hand out the volume, or None when there is none of this name."""
