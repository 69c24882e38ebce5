"""Where one segment of a RAID-5 volume lies: never to be confused with a map of plain columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator

    from engine.dataplane.raid5 import Geometry
    from engine.devices.base import BlockDevice


class Target(NamedTuple):
    """One place of a column: its byte `x` lies at `x + delta` of `device`. `key` names the piece. One that is not
    `readable` is being filled."""

    device: BlockDevice
    delta: int
    key: Hashable
    readable: bool


class Column(NamedTuple):
    """One column in one segment: the place that it is read from, None when it is out, and all that writes go to."""

    reader: Target | None
    writers: tuple[Target, ...]


class Raid5Map:
    """The columns of one segment. `key` names the plex; `out` are the columns that cannot be read, and it is `whole`
    when there are none. It is `simple` when, besides, nothing is being filled."""

    __slots__ = ("columns", "geometry", "key", "out", "simple", "whole")

    def __init__(self, key: Hashable, geometry: Geometry, columns: tuple[Column, ...]) -> None:
        self.key = key
        self.geometry = geometry
        self.columns = columns
        self.out = tuple(number for number, column in enumerate(columns) if column.reader is None)
        self.whole = not self.out
        self.simple = self.whole and all(len(column.writers) == 1 for column in columns)

    def place(self, offset: int, length: int) -> tuple[Target, int] | None:
        """Target, and offset on its device, of a volume range inside one unit of a column that can be read."""
        geometry = self.geometry
        if offset % geometry.unit + length > geometry.unit:
            return None
        column, inside = geometry.place(offset)
        reader = self.columns[column].reader
        return None if reader is None else (reader, reader.delta + inside)

    def targets(self) -> Iterator[Target]:
        """Every place that is written, parity included."""
        return (target for column in self.columns for target in column.writers)

    def devices(self) -> Iterator[BlockDevice]:
        """The devices of these places."""
        return (target.device for target in self.targets())
