"""What parity and its log cost: whole rows beside a plain stripe of the same disks, a column made anew beside dd."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.commands import CreateVolume, ReactivateDisk, Rescan
from engine.records import Disk, Subdisk
from engine.units import GIB, MIB
from tests.bench import peers
from tests.bench.load import SEQUENTIAL_WRITE, bring_in, fill, rate, spots, synced_rate
from tests.bench.options import Options
from tests.bench.place import Place
from tests.bench.product import LUN_OVERHEAD, Product
from tests.bench.rows import Pair

ROWS = ["raid5-write"]
SYNCED = ["raid5-synced"]
REBUILD = ["rebuild"]
COLUMNS = 5
"""So a request of 1 MiB is made of whole rows, and a sixth disk has the log."""


@contextmanager
def raid5(place: Place, options: Options) -> Iterator[dict[str, Pair]]:
    """A RAID-5 volume with its log, and a stripe on the disks of its columns. A log that has to make space flushes
    these disks: what the stripe has left in the page cache is written before, and not in the turn of the other."""
    size = min(512 * MIB, options.size)
    with _both(place, "raid5", size, lambda uri: rate(uri, SEQUENTIAL_WRITE, size, options.seconds)) as pair:
        yield {ROWS[0]: pair}


@contextmanager
def synced(place: Place, options: Options) -> Iterator[dict[str, Pair]]:
    """The same for what has reached the disks."""
    size = min(2 * GIB, options.size)
    with _both(place, "synced", size, lambda uri: synced_rate(uri, size)) as pair:
        yield {SYNCED[0]: pair}


@contextmanager
def _both(place: Place, name: str, size: int, measure: Callable[[str], float]) -> Iterator[Pair]:
    product = Product(place, name, size + LUN_OVERHEAD, COLUMNS + 1)
    disks = tuple(disk.ref for disk in product.disks)
    product.do(CreateVolume(group=product.group, name="parity", size=size, raid5=True, columns=COLUMNS, disks=disks))
    stripe = disks[:COLUMNS]
    product.do(CreateVolume(group=product.group, name="plain", size=size, striped=True, columns=COLUMNS, disks=stripe))
    for volume in ("parity", "plain"):
        fill(product.uri(volume), size)

    def turn(volume: str) -> Callable[[], float]:
        def act() -> float:
            settled(product.lun_files())
            return measure(product.uri(volume))

        return act

    try:
        yield Pair(turn("parity"), turn("plain"))
    finally:
        product.close()


class Rebuild:
    """A full RAID-5 volume, one of whose disks is away for a moment again and again, and two files as long as a
    column."""

    def __init__(self, place: Place, options: Options) -> None:
        self._size = min(2 * GIB, options.size)
        self.product = Product(place, "rebuild", self._size // (COLUMNS - 1) + LUN_OVERHEAD, COLUMNS + 1)
        disks = tuple(disk.ref for disk in self.product.disks)
        create = CreateVolume(
            group=self.product.group, name="parity", size=self._size, raid5=True, columns=COLUMNS, disks=disks
        )
        self.product.do(create)
        fill(self.product.uri("parity"), self._size)
        volume = self.product.volume("parity")
        piece = max(
            (found for found in self.product.of(volume) if isinstance(found, Subdisk)), key=lambda at: at.length
        )
        self._disk, self._bytes = self._of(piece), piece.length
        folder = place.folder_for("files")
        self._source = peers.written(folder / "source.raw", piece.length)
        self._target = peers.written(folder / "target.raw", piece.length)

    def rebuild(self) -> float:
        """MiB/s of making a column anew, from the operator's command to its end on stable storage."""
        away = Path(self._disk.lun + ".away")
        Path(self._disk.lun).rename(away)
        self.product.do(Rescan())
        spots(self.product.uri("parity"), self._size, 16)
        away.rename(self._disk.lun)
        self.product.do(Rescan())
        settled(self.product.lun_files())
        with self.product.rebuilds("parity") as ended:
            start = time.perf_counter()
            self.product.do(ReactivateDisk(disk=self._disk.ref))
            task = ended()
            took = time.perf_counter() - start
        if task.bytes_copied != self._bytes:
            raise RuntimeError(f"{task.bytes_copied} bytes were made anew instead of {self._bytes}")
        return self._bytes / MIB / took

    def dd(self) -> float:
        """MiB/s of as many bytes from file to file: neither side has anything to allocate."""
        settled([self._source, self._target])
        return self._bytes / MIB / peers.dd(self._source, self._target)

    def _of(self, piece: Subdisk) -> Disk:
        return next(disk for disk in self.product.disks if disk.ref == piece.disk)


def settled(files: list[Path]) -> None:
    """Nothing is left to be written for others, and all of it lies in the page cache."""
    os.sync()
    bring_in(files)


@contextmanager
def rebuild(place: Place, options: Options) -> Iterator[dict[str, Pair]]:
    """One column of a volume that nobody uses."""
    on = Rebuild(place, options)
    try:
        yield {"rebuild": Pair(on.rebuild, on.dd)}
    finally:
        on.product.close()
