"""Client traffic on files that lie in the page cache, beside servers of other make."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.units import MIB
from tests.bench import peers
from tests.bench.load import (
    FLUSHED_WRITES,
    ONE_READ,
    ONE_WRITE,
    READS,
    SEQUENTIAL_READ,
    SEQUENTIAL_WRITE,
    WRITES,
    Load,
    bring_in,
    fill,
    rate,
)
from tests.bench.options import Options
from tests.bench.place import Place, awake
from tests.bench.product import LUN_OVERHEAD, Product
from tests.bench.rows import Pair

EXTENTS = 64
LUNS = 4
ROWS = [
    "read",
    "read-qemu",
    "write",
    "write-qemu",
    "mirror-read",
    "mirror-write",
    "one-read",
    "one-write",
    "sequential-read",
    "sequential-write",
    "flush",
]


@contextmanager
def traffic(place: Place, options: Options) -> Iterator[dict[str, Pair]]:
    """A plain and a mirrored volume; each of the three plexes has 64 extents on a LUN of its own."""
    size = min(512 * MIB, options.size) // (EXTENTS * MIB) * EXTENTS * MIB
    product = Product(place, "traffic", size + EXTENTS * MIB + LUN_OVERHEAD, LUNS)
    product.make_scattered("plain", size, EXTENTS, product.disks[:1])
    product.make_scattered("mirror", size, EXTENTS, product.disks[1:3])
    folder = place.folder_for("servers")

    def file(name: str) -> Path:
        path = folder / f"{name}.raw"
        path.touch()
        with path.open("r+b") as stream:
            stream.truncate(size)
        return path

    plain, mirror = product.uri("plain"), product.uri("mirror")
    kit, qemu = peers.nbdkit(place, file("kit")), peers.qemu_nbd(place, file("qemu"))
    quorum = peers.quorum(place, file("first"), file("second"))
    for uri in (plain, mirror, kit, qemu, quorum):
        fill(uri, size)

    luns = product.lun_files()
    files = {
        plain: luns[:1],
        mirror: luns[1:3],
        kit: [folder / "kit.raw"],
        qemu: [folder / "qemu.raw"],
        quorum: [folder / "first.raw", folder / "second.raw"],
    }

    def turn(uri: str, load: Load) -> Callable[[], float]:
        def act() -> float:
            bring_in(files[uri])
            return rate(uri, load, size, options.seconds)

        return act

    def pair(own: str, peer: str, load: Load) -> Pair:
        return Pair(turn(own, load), turn(peer, load))

    def alone(uri: str, load: Load) -> Callable[[], float]:
        def act() -> float:
            bring_in(files[uri])
            with awake(place):
                return rate(uri, load, size, options.seconds)

        return act

    try:
        yield {
            "read": pair(plain, kit, READS),
            "read-qemu": pair(plain, qemu, READS),
            "write": pair(plain, kit, WRITES),
            "write-qemu": pair(plain, qemu, WRITES),
            "mirror-read": pair(mirror, quorum, READS),
            "mirror-write": pair(mirror, quorum, WRITES),
            "one-read": Pair(alone(plain, ONE_READ), alone(qemu, ONE_READ)),
            "one-write": Pair(alone(plain, ONE_WRITE), alone(qemu, ONE_WRITE)),
            "sequential-read": pair(plain, kit, SEQUENTIAL_READ),
            "sequential-write": pair(plain, kit, SEQUENTIAL_WRITE),
            "flush": pair(plain, qemu, FLUSHED_WRITES),
        }
    finally:
        product.close()
