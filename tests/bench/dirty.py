"""What the dirty region log costs a mirror's writes, and what it saves after a crash."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from engine.commands import LogType
from engine.units import MIB
from tests.bench.load import WRITES, Load, bring_in, fill, rate, spots
from tests.bench.options import Options
from tests.bench.place import Place
from tests.bench.product import LUN_OVERHEAD, Product
from tests.bench.rows import Pair

ROWS = ["dirty-log", "recovery"]
LONG_S = 5.0
"""The first writes to each region are part of a turn, which lasts at least so long."""
SPOTS = 16
"""In so many places the mirror is written before the crash; its regions have 1 MiB."""


@contextmanager
def dirty(place: Place, options: Options) -> Iterator[dict[str, Pair]]:
    """Two mirrors on the same two LUNs, one with a log and one without."""
    size = min(512 * MIB, options.size)
    product = Product(place, "dirty", 2 * size + LUN_OVERHEAD)
    for name, log in (("logged", LogType.DRL), ("bare", LogType.NONE)):
        product.make(name, size, product.disks, 2, log)
        fill(product.uri(name), size)

    def turn(name: str, load: Load) -> Callable[[], float]:
        def act() -> float:
            bring_in(product.lun_files())
            return rate(product.uri(name), load, size, max(options.seconds, LONG_S))

        return act

    try:
        yield {
            "dirty-log": Pair(turn("logged", WRITES), turn("bare", WRITES)),
            "recovery": Pair(lambda: recovery(product, size)),
        }
    finally:
        product.close()


def recovery(product: Product, size: int) -> float:
    """MiB that are copied after a kill -9: of a clean mirror that was then written in some places."""
    spots(product.uri("logged"), size, SPOTS)
    product.settle("logged")
    spots(product.uri("logged"), size, SPOTS)
    product.crash()
    return product.recovered("logged").bytes_copied / MIB
