"""The flat, immutable map that I/O runs on: volume range -> legs."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from engine.dataplane.stripes import column_offset

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator

    from engine.dataplane.raid5 import Geometry
    from engine.dataplane.raid5_map import Raid5Map
    from engine.devices.base import BlockDevice

REGION_SHIFT = 20
"""Regions are 1 MiB: a block is always read from the same good plex, and locks cover whole regions."""

REGION = 1 << REGION_SHIFT


class Leg(NamedTuple):
    """One column inside of a segment: byte `x` of the column lies at `x + delta` of `device`."""

    device: BlockDevice
    delta: int


class Run(NamedTuple):
    """Bytes that are one piece on a device; `start` is their place in the caller's buffer."""

    device: BlockDevice
    offset: int
    start: int
    length: int


Port: TypeAlias = "tuple[Callable[[int, memoryview], bool], int, PlexMap]"


class PlexMap:
    """Where one plex, or a piece that is being filled beside it, keeps the bytes of one segment.

    `key` names the plex and `piece` the piece where the map is of a piece only. Columns without bytes here are None.
    A map that is not `readable` takes writes but is not complete yet.
    """

    __slots__ = ("columns", "key", "piece", "readable", "unit")

    def __init__(
        self, key: Hashable, piece: Hashable, unit: int, columns: tuple[Leg | None, ...], *, readable: bool
    ) -> None:
        self.key = key
        self.piece = piece
        self.unit = unit
        self.columns = columns
        self.readable = readable

    def place(self, offset: int, length: int) -> tuple[BlockDevice, int] | None:
        """Device and offset of a range that is one run; None when it is several runs, or none."""
        columns, unit = self.columns, self.unit
        if len(columns) == 1:
            leg, at = columns[0], offset
        else:
            turn, inside = divmod(offset, unit)
            if inside + length > unit:
                return None
            row, column = divmod(turn, len(columns))
            leg, at = columns[column], row * unit + inside
        return None if leg is None else (leg.device, leg.delta + at)

    def runs(self, offset: int, length: int) -> Iterator[Run]:
        """The pieces on devices of the volume range; the range must lie in this map's segment."""
        columns, unit = self.columns, self.unit
        count = len(columns)
        if count == 1:
            leg = columns[0]
            if leg is not None:
                yield Run(leg.device, leg.delta + offset, 0, length)
            return
        at, stop = offset, offset + length
        while at < stop:
            turn, inside = divmod(at, unit)
            row, column = divmod(turn, count)
            size = min(unit - inside, stop - at)
            leg = columns[column]
            if leg is not None:
                yield Run(leg.device, leg.delta + row * unit + inside, at - offset, size)
            at += size

    def spans(self, offset: int, length: int) -> Iterator[tuple[int, Run]]:
        """The volume range by columns: (column, run); `start` of a run means nothing, as the bytes are interleaved."""
        for column, leg in enumerate(self.columns):
            first = column_offset(self.unit, len(self.columns), column, offset)
            size = column_offset(self.unit, len(self.columns), column, offset + length) - first
            if leg is not None and size:
                yield column, Run(leg.device, leg.delta + first, 0, size)

    def devices(self) -> Iterator[BlockDevice]:
        """The devices of the columns that have bytes here."""
        return (leg.device for leg in self.columns if leg is not None)


class Segment:
    """A volume range `start <= x < end` in which each column of each plex lies in one subdisk.

    `ports` is there for the short path: when every reader has one column it holds (try_read, delta, reader) of each,
    else it is empty. `shared` says that a write touches more than one leg of the same bytes. A segment of a RAID-5
    volume has `parity` and none of the others.
    """

    __slots__ = ("discards", "end", "parity", "ports", "readers", "shared", "start", "writers")

    def __init__(
        self,
        start: int,
        end: int,
        readers: tuple[PlexMap, ...],
        writers: tuple[PlexMap, ...],
        parity: Raid5Map | None = None,
    ) -> None:
        self.start = start
        self.end = end
        self.readers = readers
        self.writers = writers
        self.parity = parity
        self.shared = parity is not None or len(writers) > 1
        self.discards = all(device.discard_zeroes for device in self.devices())
        self.ports = _ports(readers)

    def devices(self) -> Iterator[BlockDevice]:
        """Every device that is read or written here; one may come more than once."""
        if self.parity is not None:
            return self.parity.devices()
        return (device for writer in self.writers for device in writer.devices())

    def reader(self, offset: int) -> PlexMap:
        """The map that the region of `offset` is read from; IndexError never, as `readers` is checked before."""
        readers = self.readers
        return readers[0] if len(readers) == 1 else readers[(offset >> REGION_SHIFT) % len(readers)]


def _ports(readers: tuple[PlexMap, ...]) -> tuple[Port, ...]:
    if any(len(reader.columns) != 1 for reader in readers):
        return ()
    return tuple((leg.device.try_read, leg.delta, reader) for reader in readers for leg in reader.columns if leg)


class Table:
    """All segments of a volume, in order and without gaps. Never changed; swapped as a whole.

    `transaction` is the configuration's number that made it. While `writable` is False the record on disk still says
    that all plexes are equal and clean: writes are parked until that has been changed. `raid5` is the geometry of a
    RAID-5 volume. Of a volume that is `held` back no client reads anything.
    """

    __slots__ = ("held", "raid5", "segments", "size", "starts", "transaction", "writable")

    def __init__(
        self, segments: tuple[Segment, ...], size: int, transaction: int = 0, *, writable: bool = True
    ) -> None:
        self.segments = segments
        self.starts = [segment.start for segment in segments]
        self.size = size
        self.transaction = transaction
        self.writable = writable
        self.held = False
        parity = segments[0].parity if segments else None
        self.raid5: Geometry | None = parity.geometry if parity is not None else None

    def find(self, offset: int) -> Segment:
        """The segment of the byte at `offset`, which must lie inside of the volume."""
        return self.segments[bisect_right(self.starts, offset) - 1]

    def parts(self, offset: int, length: int) -> Iterable[tuple[Segment, int, int]]:
        """The range cut at segments: (segment, offset, length) of each."""
        if not length:
            return ()
        segment = self.find(offset)
        return ((segment, offset, length),) if offset + length <= segment.end else self._cut(offset, offset + length)

    def _cut(self, offset: int, stop: int) -> Iterator[tuple[Segment, int, int]]:
        while offset < stop:
            segment = self.find(offset)
            size = min(segment.end, stop) - offset
            yield segment, offset, size
            offset += size

    @property
    def served(self) -> bool:
        """Whether every byte can be read from somewhere."""
        return all(segment.readers or segment.parity is not None for segment in self.segments)

    def devices(self) -> set[BlockDevice]:
        """Every device that any segment reads or writes."""
        return {device for segment in self.segments for device in segment.devices()}
