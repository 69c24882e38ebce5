"""Which regions of a mirrored volume may differ: in memory, and on disk before any mirror is written.

A writer first notes that it touches a region and then looks whether the region is open. An open region is marked on
every place of the log; one that is not has to be marked first, which a group commit does for all that wait.
"""

from __future__ import annotations

import errno
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from engine.dataplane.map_place import write_pages

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from engine.dataplane.fine_map import FineMap
    from engine.dataplane.map_place import Keeper, MapPlace
    from engine.dataplane.map_writers import MapWriters
    from engine.dataplane.request import Request, Sink
    from engine.runtime import Runtime

WORTH = 4
"""Regions are closed when they are at least one in so many of those that are marked, or when nothing else is."""

STORM = 8
"""So many requests that wait for marks are a storm: each marks its group of `NEIGHBOURS` regions."""
NEIGHBOURS = 8


class _Waiting(NamedTuple):
    request: Request
    sink: Sink
    first: int
    stop: int


class _Turn:
    """One group commit: pages that go to every place, and what is true once they are there."""

    def __init__(self, pages: dict[int, bytes], batch: list[_Waiting], closes: bool) -> None:
        self.pages = pages
        self.batch = batch
        self.closes = closes
        self.left = 0
        self.failed: list[MapPlace] = []


class DirtyMap:
    """The map of one volume. `open` and `touched` have a byte for each region and are looked at without a lock.

    `sticky`: some mirror misses writes, or is in doubt: no region is closed until it is over. `lineage` names the
    knowledge that this map stands for: whoever counts bytes of it counts anew when it has another one. `fine` narrows
    what its regions tell, where somebody has kept the cells.
    """

    def __init__(
        self,
        size: int,
        region_size: int,
        page_regions: int,
        writers: MapWriters,
        runtime: Runtime,
        dirty: bytes | None = None,
        fine: FineMap | None = None,
    ) -> None:
        """`size` is the volume's, in bytes. `dirty` has a byte for each region, 1: it may differ; None: none does."""
        self.region_size = region_size
        self.shift = region_size.bit_length() - 1
        self.size = size
        self.lineage = runtime.token(16).hex()
        count = -(-size // region_size)
        self._marked = bytearray(dirty if dirty is not None else bytes(count))
        self.open = bytearray(self._marked)
        self.touched = bytearray(count)
        self.fine = fine
        self.counted = -1  # bytes that it told when somebody last asked, who held `counting` for that
        self.counting = runtime.lock()
        self.sticky = False
        self._page_regions = page_regions
        self._writers = writers
        self._changed = runtime.condition()
        self._keeper: Keeper | None = None
        self._places: tuple[MapPlace, ...] = ()
        self._joining: tuple[MapPlace, ...] = ()
        self._waiting: list[_Waiting] = []
        self._closing: bytearray | None = None  # regions that are about to be closed
        self._flushed = False  # what was written to them is stable
        self._pins: dict[int, set[int]] = {}  # by region, the numbers of the writes that have failed there
        self._pinned = self._asked = 0
        self._round = 0
        self._busy = self._told = False
        self._ended: Callable[[Request, Sink], None] | None = None  # what becomes of requests when the map has ended

    # --- the writers' side ---
    def note(self, offset: int, length: int) -> bool:
        """Touch first, then look: whether the range may be written now. False: `put` the request."""
        fine = self.fine
        if fine is not None:
            at = offset >> fine.shift
            if length and at == (offset + length - 1) >> fine.shift:
                fine.cells[at] = 1
            else:
                fine.add(offset, length)
        first, last = offset >> self.shift, (offset + length - 1) >> self.shift
        if first == last:
            self.touched[first] = 1
            return self.open[first] == 1
        if not length:
            return True
        self.touched[first : last + 1] = b"\1" * (last + 1 - first)
        return self.open.find(0, first, last + 1) < 0

    def pin(self, offset: int, length: int) -> int:
        """A write reached some mirrors and not others: until a copy makes them equal, or `unpin` gets this number."""
        with self._changed:
            if self.fine is not None:
                self.fine.add(offset, length)
            self._pinned += 1
            for region in range(offset >> self.shift, self._stop(offset, length)):
                self._pins.setdefault(region, set()).add(self._pinned)
            return self._pinned

    def unpin(self, offset: int, length: int, number: int) -> None:
        """That very write has gone to all mirrors after all, every byte of it."""
        with self._changed:
            for region in range(offset >> self.shift, self._stop(offset, length)):
                self._pins.get(region, set()).discard(number)
            self._pins = {region: pins for region, pins in self._pins.items() if pins}

    def put(self, request: Request, sink: Sink) -> None:
        """Mark the regions of a request, then run it again."""
        work: list[Callable[[], None]] = []
        with self._changed:
            ended = self._ended
            if ended is None:
                stop = self._stop(request.offset, request.length)
                self._waiting.append(_Waiting(request, sink, request.offset >> self.shift, stop))
                work = self._next()
        if ended is not None:
            ended(request, sink)
        self._do(work)

    # --- what is known ---
    @property
    def pinned(self) -> bool:
        """Whether a write has failed on some mirror, and no copy has made up for it."""
        return bool(self._pins)

    @property
    def is_marked(self) -> bool:
        """Whether any region may differ."""
        return self._marked.find(1) >= 0

    @property
    def dirty_bytes(self) -> int:
        """How many bytes a copy after a crash would take now."""
        with self._changed:
            return self._bytes(self._marked)

    @property
    def regions(self) -> bytes:
        """A byte for each region, 1: it may differ."""
        with self._changed:
            return bytes(self._marked)

    def runs(self) -> tuple[tuple[int, int], ...]:
        """What may differ now, as (offset, length), ascending. A copy of all that ends every doubt of this instant."""
        with self._changed:
            self._asked = self._pinned
            edges = np.flatnonzero(np.diff(np.frombuffer(self._marked, np.uint8), prepend=0, append=0))
            size = self.region_size
            spans = [(int(edges[at]) * size, int(edges[at + 1]) * size) for at in range(0, len(edges), 2)]
        return tuple((start, min(end, self.size) - start) for start, end in spans)

    def pins(self) -> tuple[tuple[int, int], ...]:
        """Where a write failed on some mirror, as (offset, length) of each region."""
        with self._changed:
            return tuple((region * self.region_size, self.region_size) for region in sorted(self._pins))

    # --- places ---
    def bind(self, keeper: Keeper) -> None:
        """Belong to a volume from now on."""
        self._keeper = keeper

    def join(self, place: MapPlace) -> bool:
        """Bring a new place up to date; from now on it gets every page, until `adopt` names it or leaves it out."""
        with self._changed:
            self._changed.wait_for(lambda: not self._busy)
            self._busy = True
            pages = {page: self._bits(page) for page in range(place.pages)}
        good = write_pages(place, pages)
        with self._changed:
            self._busy = False
            if good:
                self._joining += (place,)
            work = self._next()
            self._changed.notify_all()
        self._do(work)
        return good

    def adopt(self, places: Iterable[MapPlace]) -> None:
        """The configuration on disk names these and no others."""
        with self._changed:
            self._places, self._joining = tuple(places), ()
            self._told = False
            work = self._next()
        self._do(work)

    @property
    def places(self) -> tuple[MapPlace, ...]:
        """The places that count."""
        return self._places

    def resize(self, size: int, *, dirty: bool) -> None:
        """The volume has another size; `dirty`: some mirror does not have what is new. Nobody may be inside."""
        with self._changed:
            self._changed.wait_for(lambda: not self._busy)
            self._forget_closing()
            batch, self._waiting = self._waiting, []
            old, self.size = len(self.open), size
            self.fine = None
            count = -(-size // self.region_size)
            for regions in (self.touched, self._marked, self.open):
                del regions[count:]
                regions += bytes([dirty]) * (count - len(regions))
            self._pins = {region: pins for region, pins in self._pins.items() if region < count}
            self._busy = dirty and count > old
            pages = {page: self._bits(page) for page in self._pages_of(old, count)} if self._busy else {}
            places = (*self._places, *self._joining) if pages else ()
        for place in places:
            write_pages(place, pages)
        with self._changed:
            self._busy = False
            work = self._next()
            self._changed.notify_all()
        self._release(batch)
        self._do(work)

    def retry(self) -> None:
        """Whoever was told of a failed place has decided: what waits runs again."""
        with self._changed:
            self._told = False
            batch, self._waiting = self._waiting, []
            work = self._next()
        self._release(batch)
        self._do(work)

    def fail_waiting(self, number: int) -> None:
        """End what waits with this errno."""
        with self._changed:
            batch, self._waiting = self._waiting, []
            self._told = False
        for one in batch:
            one.sink.finish(one.request, number)

    def retire(self) -> None:
        """The volume has another map from now on, or none: what waits runs again."""
        keeper = self._keeper
        if keeper is not None:
            self._end(keeper.hand_to_pool)

    def close(self) -> None:
        """The volume ends: so does what waits."""
        self._end(lambda request, sink: sink.finish(request, errno.ESHUTDOWN))

    def _end(self, ended: Callable[[Request, Sink], None]) -> None:
        with self._changed:
            self._ended = ended
            self._changed.wait_for(lambda: not self._busy)
            batch, self._waiting = self._waiting, []
            self._places = self._joining = ()  # another map may have these pages now
        for one in batch:
            ended(one.request, one.sink)

    # --- closing regions ---
    def set_sticky(self, sticky: bool) -> None:
        """Whether some mirror misses writes or is in doubt. When that is over, so are the pins that a copy knew of."""
        with self._changed:
            if sticky and not self._flushed:
                self._forget_closing()
            elif not sticky and self.sticky:
                later = {region: {pin for pin in pins if pin > self._asked} for region, pins in self._pins.items()}
                self._pins = {region: pins for region, pins in later.items() if pins}
            if not sticky:
                self.fine = None  # all are equal: what may differ after a crash is a matter of regions
            self.sticky = sticky

    def begin_closing(self) -> int:
        """Choose the regions that nobody has touched since the last time, and let nobody write them unmarked.

        Not 0 when there are any: then everybody who is inside of the gate has to leave it once, `written_out` has to be
        called, a flush has to begin, and its outcome be told to `end_closing`, each with what was answered here.
        """
        with self._changed:
            touched = np.frombuffer(bytes(self.touched), np.uint8)
            self.touched[:] = bytes(len(self.touched))
            if self.sticky or self._ended or self._closing is not None or not self._places:
                return 0
            marked = np.frombuffer(bytes(self._marked), np.uint8)
            found = marked & (touched ^ 1)
            if self._pins:
                found[list(self._pins)] = 0
            count, total = int(found.sum()), int(marked.sum())
            if not count or (count * WORTH < total and bool(touched.any())):
                return 0
            self._closing, self._flushed = bytearray(found.tobytes()), False
            self._apply(self.open, self._closing, 0)
            self._round += 1
            return self._round

    def written_out(self, turn: int) -> None:
        """Nobody is inside any more who saw the regions open: those that were touched meanwhile stay as they are."""
        with self._changed:
            if self._closing is None or turn != self._round:
                return
            touched = np.frombuffer(bytes(self.touched), np.uint8)
            closing = np.frombuffer(bytes(self._closing), np.uint8)
            again = bytearray((closing & touched).tobytes())
            self._apply(self._closing, again, 0)
            self._apply(self.open, again, 1)

    def end_closing(self, turn: int, good: bool) -> None:
        """Everything that was written before is stable (`good`), or nobody knows."""
        work: list[Callable[[], None]] = []
        with self._changed:
            if turn == self._round and self._closing is not None and not self._flushed:
                if good:
                    self._flushed = True
                    self._closing_unpinned()
                else:
                    self._forget_closing()
                work = self._next()
        self._do(work)

    def _closing_unpinned(self) -> None:
        """A write that failed on some mirror between the choice and now keeps its region."""
        for region in self._pins:
            if self._closing is not None and self._closing[region]:
                self._closing[region] = 0
                self.open[region] = 1

    def _forget_closing(self) -> None:
        if self._closing is not None:
            self._apply(self.open, self._closing, 1)
        self._closing, self._flushed = None, False

    # --- group commit ---
    def _next(self) -> list[Callable[[], None]]:
        """With the lock held: what is to be done now, once it is released."""
        work: list[Callable[[], None]] = []
        if self._busy:
            return work
        keeper = self._keeper
        failed = [place for place in self._places if place.failed]
        if failed and keeper is not None:
            if not self._told:
                self._told = True
                work += [partial(keeper.map_failed, place) for place in failed]
            return work
        batch, self._waiting = self._widened(self._waiting), []
        pages: set[int] = set()
        for one in batch:
            self._keep_open(one.first, one.stop)
            pages.update(self._unmarked_pages(one.first, one.stop))
        closes = self._flushed and self._closing is not None
        if closes and self._closing is not None:
            pages.update(self._pages_with(self._closing))
        if not pages:
            self._flushed = False
            if closes:
                self._closing = None
            return [lambda: self._release(batch)] if batch else work
        self._busy = True
        bits = {page: self._bits(page, batch, self._closing if closes else None) for page in sorted(pages)}
        return self._write_all(_Turn(bits, batch, closes))

    def _widened(self, batch: list[_Waiting]) -> list[_Waiting]:
        """Many first touches at once are random writes, which are about to touch the neighbours as well: these are
        marked by the same page."""
        if len(batch) < STORM:
            return batch
        last = len(self.open)
        return [
            one._replace(
                first=one.first // NEIGHBOURS * NEIGHBOURS, stop=min(-(-one.stop // NEIGHBOURS) * NEIGHBOURS, last)
            )
            for one in batch
        ]

    def _keep_open(self, first: int, stop: int) -> None:
        """What is marked on disk needs no page to be open again: unless its page is on its way, it is not closed."""
        if self._closing is not None:
            self._closing[first:stop] = bytes(stop - first)
        self.open[first:stop] = self._marked[first:stop]

    def _write_all(self, turn: _Turn) -> list[Callable[[], None]]:
        places = (*self._places, *self._joining)
        turn.left = len(places)
        if not places:
            return [lambda: self._written(turn)]
        return [partial(self._writers.put, partial(self._write_one, turn, place)) for place in places]

    def _write_one(self, turn: _Turn, place: MapPlace) -> None:
        good = write_pages(place, turn.pages)
        with self._changed:
            turn.left -= 1
            if not good:
                turn.failed.append(place)
            last = not turn.left
        if last:
            self._written(turn)

    def _written(self, turn: _Turn) -> None:
        """All places have been written, well or not. A region counts as marked when all have it, as closed at once."""
        with self._changed:
            self._busy = False
            self._joining = tuple(place for place in self._joining if not place.failed)
            if turn.closes and self._closing is not None:
                self._apply(self._marked, self._closing, 0)
                self._closing, self._flushed = None, False
            good = not any(place.failed for place in self._places)
            for one in turn.batch if good else ():
                self._marked[one.first : one.stop] = b"\1" * (one.stop - one.first)
                self._keep_open(one.first, one.stop)
            if not good:
                self._waiting[:0] = turn.batch
            work = self._next()
            self._changed.notify_all()
        if good:
            self._release(turn.batch)
        self._do(work)

    def _release(self, batch: Sequence[_Waiting]) -> None:
        for one in batch:
            if self._keeper is not None:
                self._keeper.hand_to_pool(one.request, one.sink)

    def _do(self, work: Iterable[Callable[[], None]]) -> None:
        for part in work:
            part()

    # --- arithmetic ---
    def _stop(self, offset: int, length: int) -> int:
        return min(-(-(offset + length) >> self.shift) if length else offset >> self.shift, len(self.open))

    def _bytes(self, marked: bytearray) -> int:
        count = marked.count(1)
        short = -self.size % self.region_size if marked and marked[-1] else 0
        return count * self.region_size - short

    def _unmarked_pages(self, first: int, stop: int) -> set[int]:
        return {page for page in self._pages_of(first, stop) if self._lacks(page, first, stop)}

    def _lacks(self, page: int, first: int, stop: int) -> bool:
        low, high = page * self._page_regions, (page + 1) * self._page_regions
        return self._marked.find(0, max(first, low), min(stop, high)) >= 0

    def _pages_of(self, first: int, stop: int) -> range:
        return range(first // self._page_regions, -(-stop // self._page_regions))

    def _pages_with(self, regions: bytearray) -> set[int]:
        return {
            page
            for page in self._pages_of(0, len(regions))
            if regions.find(1, page * self._page_regions, (page + 1) * self._page_regions) >= 0
        }

    def _bits(self, page: int, batch: Sequence[_Waiting] = (), without: bytearray | None = None) -> bytes:
        """A page as it is to stand on disk."""
        low = page * self._page_regions
        high = min(low + self._page_regions, len(self._marked))
        regions = bytearray(self._page_regions)
        regions[: max(high - low, 0)] = self._marked[low:high]
        if without is not None and high > low:
            kept = np.frombuffer(regions[: high - low], np.uint8) & ~np.frombuffer(bytes(without[low:high]), np.uint8)
            regions[: high - low] = kept.tobytes()
        for one in batch:
            first, stop = max(one.first, low), min(one.stop, high)
            if first < stop:
                regions[first - low : stop - low] = b"\1" * (stop - first)
        return np.packbits(np.frombuffer(regions, np.uint8), bitorder="little").tobytes()

    @staticmethod
    def _apply(target: bytearray, where: bytearray, value: int) -> None:
        """Set the bytes of `target` that are 1 in `where`, and no other: writers of others may be under way."""
        at = where.find(1)
        while at >= 0:
            stop = where.find(0, at)
            stop = len(where) if stop < 0 else stop
            target[at:stop] = bytes([value]) * (stop - at)
            at = where.find(1, stop)


def unpacked(bits: bytes, count: int) -> bytes:
    """A byte for each of the first `count` regions of a page's bits."""
    return np.unpackbits(np.frombuffer(bits, np.uint8), count=count, bitorder="little").tobytes()
