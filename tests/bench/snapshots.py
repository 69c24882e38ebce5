"""What snapshots cost: how long writers wait for a set, what a Snap Back copies, what FastResync takes of writes."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager

from engine.commands import AbortSnapshot, LogType, PrepareSnapshot, SnapBack, SnapChoice, TakeSnapshots
from engine.records import LinkSide, Plex, Task, Volume
from engine.units import KIB, MIB
from tests.bench.copies import provide_memory, settle, wait_until_freed
from tests.bench.dirty import LONG_S
from tests.bench.load import WRITES, Load, bring_in, changes, endless, fill, rate
from tests.bench.options import Options
from tests.bench.place import Place, end
from tests.bench.product import LUN_OVERHEAD, Product
from tests.bench.rows import Pair

PAUSES = ["snap-pause", "snap-pause-95", "snap-pause-most"]
BACKS = ["snap-back", "snap-back-bytes"]
WRITTEN = ["snap-writes"]

BUSY = 8
SETS = 40
BUSY_BYTES = 64 * MIB
BUSY_WRITES = Load("randwrite", "4k", 4)
CHANGED = 100
"""One in so many bytes has changed since the snapshot, in places of 4 KiB."""


@contextmanager
def pauses(place: Place, options: Options) -> Iterator[dict[str, Pair]]:
    """Sets of so many volumes, each of which somebody writes as fast as it goes."""
    product = Product(place, "pauses", BUSY * BUSY_BYTES + LUN_OVERHEAD)
    names = [f"busy{number}" for number in range(BUSY)]
    for name in names:
        _prepared(product, name, BUSY_BYTES)
    found: list[float] = []

    def waits() -> list[float]:
        if not found:
            writers = [place.start(endless(product.uri(name), BUSY_WRITES, BUSY_BYTES)) for name in names]
            try:
                found.extend(_wait_of_a_set(product, names) for _ in range(SETS))
            finally:
                for writer in writers:
                    end(writer)
        return sorted(found)

    try:
        yield {
            "snap-pause": Pair(lambda: statistics.median(waits())),
            "snap-pause-95": Pair(lambda: waits()[math.ceil(SETS * 0.95) - 1]),
            "snap-pause-most": Pair(lambda: waits()[-1]),
        }
    finally:
        product.close()


def _wait_of_a_set(product: Product, names: list[str]) -> float:
    """Seconds that writes waited; afterwards all are ready again."""
    taken = _take(product, *names)
    waited = max(volume.held_s for volume in taken)
    product.do(SnapBack(snapshots=tuple(volume.ref for volume in taken)))
    product.rest()
    return waited


class Backs:
    """A full volume on the first of two LUNs, and its snapshots on the second."""

    def __init__(self, place: Place, options: Options) -> None:
        self._size = options.size
        self.product = Product(place, "backs", options.size + LUN_OVERHEAD)
        _prepared(self.product, "full", options.size)
        self._copied: list[float] = []

    def back(self) -> float:
        """Seconds of a Snap Back of what has changed, from the command to the end of its task."""
        (snapshot,) = _take(self.product, "full")
        changes(self.product.uri("full"), self._size, self._size // CHANGED // (4 * KIB))
        self._settle()
        start = time.perf_counter()
        task = self.product.do(SnapBack(snapshots=(snapshot.ref,)))
        took = time.perf_counter() - start
        self._copied.append(task.bytes_copied / MIB)
        return took

    def whole(self) -> float:
        """Seconds of making the same plex anew, all of it."""
        plexes = [record for record in self.product.of(self.product.volume("full")) if isinstance(record, Plex)]
        ready = tuple(plex.ref for plex in plexes if plex.snap is not None)
        self.product.do(AbortSnapshot(plexes=ready))
        wait_until_freed(self.product.lun_files(), self._size)
        self._settle()
        start = time.perf_counter()
        _prepare(self.product, "full")
        return time.perf_counter() - start

    def _settle(self) -> None:
        settle(self.product.lun_files())
        provide_memory(self._size)

    def copied(self) -> float:
        """MiB that such a Snap Back copies: of those that were timed, each once."""
        if not self._copied:
            self.back()
        return self._copied.pop()


@contextmanager
def backs(place: Place, options: Options) -> Iterator[dict[str, Pair]]:
    """Snap Back after a hundredth of a full volume has changed, beside making all of the plex anew."""
    on = Backs(place, options)
    try:
        yield {
            "snap-back": Pair(on.back, on.whole),
            "snap-back-bytes": Pair(on.copied, lambda: options.size / MIB),
        }
    finally:
        on.product.close()


@contextmanager
def written(place: Place, options: Options) -> Iterator[dict[str, Pair]]:
    """Two volumes on the same LUN, one of which has a snapshot that has just been taken."""
    size = min(512 * MIB, options.size)
    product = Product(place, "written", 2 * size + LUN_OVERHEAD)
    _prepared(product, "watched", size)
    product.make("alone", size, product.disks[:1], 1, LogType.NONE)
    fill(product.uri("alone"), size)

    def turn(name: str) -> float:
        bring_in(product.lun_files())
        return rate(product.uri(name), WRITES, size, max(options.seconds, LONG_S))

    def watched() -> float:
        """With maps that know of nothing yet."""
        taken = _take(product, "watched")
        try:
            return turn("watched")
        finally:
            product.do(SnapBack(snapshots=(taken[0].ref,)))

    try:
        yield {"snap-writes": Pair(watched, lambda: turn("alone"))}
    finally:
        product.close()


def _prepared(product: Product, name: str, size: int) -> None:
    """A full volume on the first LUN, with a snap plex on the second."""
    product.make(name, size, product.disks[:1])
    fill(product.uri(name), size)
    _prepare(product, name)


def _prepare(product: Product, name: str) -> Task:
    return product.do(PrepareSnapshot(volume=product.volume(name).ref, disks=(product.disks[1].ref,)))


def _take(product: Product, *names: str) -> list[Volume]:
    """The snapshots of a set, once they are confirmed."""
    volumes = [product.volume(name) for name in names]
    product.do(TakeSnapshots(choices=tuple(SnapChoice(volume=volume.ref) for volume in volumes)))
    peers = {volume.ref for volume in volumes}
    found = [record for record in product.records() if isinstance(record, Volume)]
    return [
        volume
        for volume in found
        if any(link.peer in peers and link.side is LinkSide.SNAPSHOT for link in volume.links)
    ]
