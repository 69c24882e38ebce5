"""Whole copies and what they cost others: resync, Move Subdisk, a cold cache, reads beside a resync."""

from __future__ import annotations

import mmap
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.commands import Move, MoveSubdisks, Target
from engine.records import Subdisk
from engine.units import MIB
from tests.bench import peers
from tests.bench.load import READS, fill, rate
from tests.bench.options import Options
from tests.bench.place import Place
from tests.bench.product import LUN_OVERHEAD, Product
from tests.bench.rows import Pair

FREED_S = 30.0

ROWS = ["cold", "resync", "resync-dd", "move", "move-dd", "beside-resync"]


class Copies:
    """A full volume on the first of two LUNs, and beside it two files of its size."""

    def __init__(self, place: Place, options: Options) -> None:
        self._place, self._options = place, options
        self.product = Product(place, "copies", options.size + LUN_OVERHEAD)
        self.first, self.second = self.product.disks
        self.volume = self.product.make("full", options.size, [self.first])
        self.uri = self.product.uri("full")
        fill(self.uri, options.size)
        folder = place.folder_for("files")
        self.source = peers.written(folder / "source.raw", options.size)
        self.target = folder / "target.raw"
        self.target.touch()
        os.truncate(self.target, options.size)
        self.qemu = peers.qemu_nbd(place, self.source)

    def resync(self) -> float:
        """MiB/s of filling a new mirror."""
        self._settle_luns()
        start = time.perf_counter()
        self.product.add_mirror(self.volume, self.second)
        took = time.perf_counter() - start
        self.product.drop_mirror(self.volume)
        return self._speed(took)

    def move(self) -> float:
        """MiB/s of moving the volume's subdisk to the other LUN; back again is not counted."""
        took = self._move()
        self._move()
        return self._speed(took)

    def dd(self) -> float:
        self._settle_files()
        return self._speed(peers.dd(self.source, self.target))

    def mirror_job(self) -> float:
        self._settle_files()
        return self._speed(peers.mirror_job(self._place, self.source, self.target))

    def beside_resync(self) -> float:
        with self.product.resyncing(self.volume, self.second):
            return self.alone()

    def alone(self) -> float:
        return rate(self.uri, READS, self._options.size, self._options.seconds)

    def cold(self, uri: str, files: list[Path]) -> Callable[[], float]:
        """Reads from files that have just left the page cache."""

        def turn() -> float:
            for path in files:
                forget(path)
            return rate(uri, READS, self._options.size, self._options.seconds)

        return turn

    def _settle_luns(self) -> None:
        """Freed space goes back to the host beside the commands: a turn begins when the target is a hole again."""
        luns = self.product.lun_files()
        wait_until_freed(luns, self._options.size)
        self._settle(luns)

    def _settle_files(self) -> None:
        """The peers' target has as little to begin with as the engine's: both allocate what they write."""
        os.truncate(self.target, 0)
        os.truncate(self.target, self._options.size)
        self._settle([self.source, self.target])

    def _settle(self, paths: list[Path]) -> None:
        settle(paths)
        provide_memory(self._options.size)

    def _move(self) -> float:
        self._settle_luns()
        (subdisk,) = (found for found in self.product.of(self.volume) if isinstance(found, Subdisk))
        other = self.second if subdisk.disk == self.first.ref else self.first
        start = time.perf_counter()
        self.product.do(MoveSubdisks(moves=(Move(subdisk.ref, (Target(other.ref),)),)))
        return time.perf_counter() - start

    def _speed(self, seconds: float) -> float:
        return self._options.size / MIB / seconds


@contextmanager
def copies(place: Place, options: Options) -> Iterator[dict[str, Pair]]:
    """Everything on one full volume."""
    on = Copies(place, options)
    try:
        yield {
            "cold": Pair(on.cold(on.uri, on.product.lun_files()), on.cold(on.qemu, [on.source])),
            "resync": Pair(on.resync, on.mirror_job),
            "resync-dd": Pair(on.resync, on.dd),
            "move": Pair(on.move, on.mirror_job),
            "move-dd": Pair(on.move, on.dd),
            "beside-resync": Pair(on.beside_resync, on.alone),
        }
    finally:
        on.product.close()


def forget(path: Path) -> None:
    """Nothing of the file is left in the page cache."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)


def provide_memory(size: int) -> None:
    """A virtual machine's host may take free memory back, and giving it again costs far more than a copy of that size:
    what a turn needs for its target has been used a moment before, whoever's turn it is."""
    mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | mmap.MAP_POPULATE).close()


def wait_until_freed(luns: list[Path], size: int) -> None:
    """Until the files of these two LUNs take little more than `size` bytes."""
    deadline = time.monotonic() + FREED_S
    while sum(path.stat().st_blocks for path in luns) * 512 > size + 2 * LUN_OVERHEAD:
        if time.monotonic() > deadline:
            raise TimeoutError("Freed space was not given back to the host.")
        time.sleep(0.01)


def settle(paths: list[Path]) -> None:
    """Nobody inherits what another has left unwritten, and everything that is there lies in the page cache."""
    os.sync()
    buffer = memoryview(bytearray(MIB))
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            at = 0
            while (found := _next_data(descriptor, at)) >= 0:
                at = found + os.preadv(descriptor, [buffer], found)
        finally:
            os.close(descriptor)


def _next_data(descriptor: int, at: int) -> int:
    """Where the next bytes behind `at` are that are no hole; -1 when there are none."""
    try:
        return os.lseek(descriptor, at, os.SEEK_DATA)
    except OSError:
        return -1
