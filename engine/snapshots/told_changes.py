"""What has changed since a snapshot was taken, as clients of the snapshot and of its original may ask."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from engine.records import Link, LinkSide, Volume

if TYPE_CHECKING:
    from collections.abc import Iterable

    from engine.commit import Committer
    from engine.dataplane.fine_map import FineMap


def told_link(volume: Volume) -> Link | None:
    """The link whose map is told: to the volume that this is a snapshot of, or else to its newest snapshot."""
    return max(volume.links, key=lambda link: (link.side is LinkSide.SNAPSHOT, link.taken), default=None)


class ToldChanges:
    """Tells of one link, as long as somebody is connected. When it has ended, or its maps do not know any more,
    everything has changed."""

    def __init__(self, committer: Committer, volume: Volume) -> None:
        self._committer = committer
        self._volume = volume.ref
        self._link = told_link(volume)

    def changes(self, offset: int, length: int) -> Iterable[tuple[int, bool]]:
        """(bytes, changed) of each run of the range; what either side has written has changed."""
        maps = self._maps()
        if not maps or any(one.shift != maps[0].shift for one in maps):
            return ((length, True),)
        return _runs(maps, offset, length)

    def _maps(self) -> list[FineMap]:
        """Those of both sides; none when they do not tell everything."""
        link, config = self._link, self._committer.config
        if link is None:
            return []
        found: list[FineMap] = []
        for ref in (self._volume, link.peer):
            if not _tells(config.get(ref), link.generation):
                return []
            io = self._committer.ios.get(ref)
            known = io.maps.get(link.generation) if io is not None else None
            if known is None or known.fine is None:
                return []
            found.append(known.fine)
        return found


def _tells(record: object, generation: str) -> bool:
    return isinstance(record, Volume) and any(one.generation == generation and one.is_known for one in record.links)


def _runs(maps: list[FineMap], offset: int, length: int) -> Iterable[tuple[int, bool]]:
    shift = maps[0].shift
    first, stop = offset >> shift, ((offset + length - 1) >> shift) + 1
    cells = np.zeros(stop - first, np.uint8)
    for one in maps:
        found = np.frombuffer(one.cells[first:stop], np.uint8)
        cells[: len(found)] |= found
    edges = [first, *(np.flatnonzero(np.diff(cells)) + 1 + first).tolist(), stop]
    for low, high in pairwise(edges):
        start, end = max(low << shift, offset), min(high << shift, offset + length)
        yield end - start, bool(cells[low - first])
