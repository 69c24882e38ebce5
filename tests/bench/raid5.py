"""What parity and its log cost: whole rows beside a plain stripe of the same disks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from engine.commands import CreateVolume
from engine.units import MIB
from tests.bench.load import SEQUENTIAL_WRITE, bring_in, fill, rate
from tests.bench.options import Options
from tests.bench.place import Place
from tests.bench.product import LUN_OVERHEAD, Product
from tests.bench.rows import Pair

ROWS = ["raid5-write"]
COLUMNS = 5
"""So a request of 1 MiB is made of whole rows, and a sixth disk has the log."""


@contextmanager
def raid5(place: Place, options: Options) -> Iterator[dict[str, Pair]]:
    """A RAID-5 volume with its log, and a stripe on the disks of its columns."""
    size = min(512 * MIB, options.size)
    product = Product(place, "raid5", size + LUN_OVERHEAD, COLUMNS + 1)
    disks = tuple(disk.ref for disk in product.disks)
    product.do(CreateVolume(group=product.group, name="parity", size=size, raid5=True, columns=COLUMNS, disks=disks))
    stripe = disks[:COLUMNS]
    product.do(CreateVolume(group=product.group, name="plain", size=size, striped=True, columns=COLUMNS, disks=stripe))
    for name in ("parity", "plain"):
        fill(product.uri(name), size)

    def turn(name: str) -> Callable[[], float]:
        def act() -> float:
            bring_in(product.lun_files())
            return rate(product.uri(name), SEQUENTIAL_WRITE, size, options.seconds)

        return act

    try:
        yield {"raid5-write": Pair(turn("parity"), turn("plain"))}
    finally:
        product.close()
