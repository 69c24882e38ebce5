"""How fast requests pass the data plane, without a socket. `python -m tests.bench.dataplane [seconds] [--profile]`.

Each line: thousands of requests a second, the median of five turns. The bare line is the same number of system calls in
a plain loop: what no engine in this language can beat.
"""

from __future__ import annotations

import cProfile
import os
import pstats
import statistics
import sys
import tempfile
import threading
from pathlib import Path
from random import Random
from time import perf_counter
from typing import TYPE_CHECKING

from engine.dataplane.flusher import Flusher
from engine.dataplane.fold import Piece, PlexLayout, fold
from engine.dataplane.pool import Pool
from engine.dataplane.request import Op, Request
from engine.dataplane.volume_io import VolumeIo
from engine.devices.file import FileDevice
from engine.runtime import ThreadRuntime
from engine.units import KIB, MIB

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from engine.dataplane.request import Sink

SIZE = 256 * MIB
EXTENTS = 64
DEPTH = 32
BLOCK = 4 * KIB


class Forget:
    """The cheapest sink."""

    def finish(self, request: Request, error: int) -> None:
        if error:
            raise OSError(error, os.strerror(error))


def layout(key: str, device: FileDevice, columns: int = 1) -> PlexLayout:
    """A plex cut in extents that lie on the LUN in another order."""
    column = SIZE // columns
    length = column * columns // EXTENTS
    places = list(range(EXTENTS))
    Random(1).shuffle(places)
    each = EXTENTS // columns
    pieces = tuple(
        Piece(number // each, number % each * length, length, device, places[number] * length)
        for number in range(each * columns)
    )
    return PlexLayout(key, columns, 64 * KIB, pieces)


def requests(op: Op, size: int) -> Iterator[list[Request]]:
    """Batches as one receive brings them, with the buffers of a connection."""
    random = Random(2)
    buffers = [memoryview(bytearray(os.urandom(size))) for _ in range(DEPTH)]
    while True:
        yield [Request(op, random.randrange(SIZE // size) * size, size, buffer) for buffer in buffers]


def rates(runs: dict[str, Callable[[list[Request]], None]], op: Op, size: int, seconds: float) -> dict[str, float]:
    """Thousands of requests a second, in interleaved turns; the making of requests is not counted."""
    source = requests(op, size)
    batches = [next(source) for _ in range(200)]
    turns: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(5):
        for name, run in runs.items():
            done, start = 0, perf_counter()
            while perf_counter() - start < seconds / 5:
                run(batches[done % len(batches)])
                done += 1
            turns[name].append(done * DEPTH / (perf_counter() - start) / 1000)
    return {name: statistics.median(found) for name, found in turns.items()}


class Ends:
    """A sink that lets the caller wait for a whole batch."""

    def __init__(self) -> None:
        self._ended = threading.Semaphore(0)

    def finish(self, request: Request, error: int) -> None:
        if error:
            raise OSError(error, os.strerror(error))
        self._ended.release()

    def wait(self, count: int) -> None:
        for _ in range(count):
            self._ended.acquire()


def cold(run: Callable[[list[Request]], None], luns: list[FileDevice], seconds: float) -> float:
    """Thousands of random 4 KiB reads a second when nothing is in the page cache at first."""
    for lun in luns:
        lun.flush()
        os.posix_fadvise(lun.fd, 0, 0, os.POSIX_FADV_DONTNEED)
    source = requests(Op.READ, BLOCK)
    done, start = 0, perf_counter()
    while perf_counter() - start < min(seconds, 0.3):  # longer, and most of it is hot
        run(next(source))
        done += DEPTH
    return done / (perf_counter() - start) / 1000


def waiting(volume: VolumeIo) -> Callable[[list[Request]], None]:
    sink, slot = Ends(), volume.slot("cold")

    def run(batch: list[Request]) -> None:
        volume.execute(batch, slot, sink)
        sink.wait(len(batch))

    return run


def bare(device: FileDevice) -> Callable[[list[Request]], None]:
    def run(batch: list[Request]) -> None:
        for request in batch:
            if request.op is Op.READ:
                os.preadv(device.fd, (request.buffer,), request.offset)  # type: ignore[arg-type]
            else:
                os.pwrite(device.fd, request.buffer, request.offset)  # type: ignore[arg-type]

    return run


def through(volume: VolumeIo, sink: Sink) -> Callable[[list[Request]], None]:
    slot = volume.slot("bench")
    return lambda batch: volume.execute(batch, slot, sink)


def main() -> None:
    seconds = float(next((word for word in sys.argv[1:] if not word.startswith("-")), "1"))
    runtime = ThreadRuntime()
    pool, flusher = Pool(runtime), Flusher(runtime)
    with tempfile.TemporaryDirectory() as folder:
        luns = []
        for number in range(2):
            path = Path(folder) / f"lun{number}.img"
            path.write_bytes(os.urandom(MIB) * (SIZE // MIB))
            luns.append(FileDevice(str(path)))
        tables = {
            "plain, 64 extents": [layout("a", luns[0])],
            "mirror": [layout("a", luns[0]), layout("b", luns[1])],
            "stripe of 4": [layout("a", luns[0], 4)],
        }
        volumes = {
            name: VolumeIo(name, fold(plexes, SIZE), lambda fault: None, pool, flusher, runtime)
            for name, plexes in tables.items()
        }
        runs = {"bare system calls": bare(luns[0])}
        runs |= {name: through(volume, Forget()) for name, volume in volumes.items()}
        columns = {
            f"{op.name.lower()} {size // KIB}k": rates(runs, op, size, seconds)
            for size in (BLOCK, MIB)
            for op in (Op.READ, Op.WRITE)
        }
        sys.stdout.write(f"{'':20}" + "".join(f"{title:>14}" for title in columns) + "   thousands a second\n")
        for name in runs:
            sys.stdout.write(f"{name:20}" + "".join(f"{figures[name]:14.1f}" for figures in columns.values()) + "\n")
        frozen = {name: cold(waiting(volume), luns, seconds) for name, volume in volumes.items()}
        frozen["bare, inline"] = cold(runs["bare system calls"], luns, seconds)
        for name, figure in frozen.items():
            sys.stdout.write(f"cold cache, {name:20}{figure:8.1f}\n")
        if "--profile" in sys.argv:
            profile(runs["plain, 64 extents"])
        for volume in volumes.values():
            volume.close()
        pool.close()
        flusher.close()
        for lun in luns:
            lun.close()


def profile(run: Callable[[list[Request]], None]) -> None:
    profiler = cProfile.Profile()
    source = requests(Op.READ, BLOCK)
    batches = [next(source) for _ in range(200)]
    profiler.enable()
    for batch in batches * 20:
        run(batch)
    profiler.disable()
    pstats.Stats(profiler).sort_stats("tottime").print_stats(12)


if __name__ == "__main__":
    main()
