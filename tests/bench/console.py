"""What the console costs: the clients of an engine in its process, its start, and its clicks on a large lab."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from engine.units import MIB
from tests.bench.load import READS, fill, rate
from tests.bench.options import Options
from tests.bench.place import PATIENCE_S, Place, environment, line_of, stopped
from tests.bench.product import LUN_OVERHEAD, Product
from tests.bench.rows import Pair

BESIDE = ["beside-console"]
WINDOWS = ["start", "click", "stall"]
_PLAIN = 256 * MIB
_BUSY = 512 * MIB
_REST_MS = 10
"""The task beside the console copies up to 100 MiB/s: its progress is what shall be seen, not its bytes."""

_WINDOW = [sys.executable, "-m", "tests.bench.window"]


@contextmanager
def beside(place: Place, options: Options) -> Iterator[dict[str, Pair]]:
    """Two engines, one of them in a console's process; the one that isn't asked is stopped meanwhile."""
    lun = _PLAIN + _BUSY + LUN_OVERHEAD
    shown = Product(place, "console", lun, program=[*_WINDOW, "beside"])
    alone = Product(place, "alone", lun)
    for product in (shown, alone):
        product.make("plain", _PLAIN, [product.disks[0]])
        fill(product.uri("plain"), _PLAIN)
    line_of(shown.process, "shown")
    busy = shown.make("busy", _BUSY, [shown.disks[0]])

    def turn(product: Product, other: Product) -> float:
        with stopped(other.process):
            return rate(product.uri("plain"), READS, _PLAIN, options.seconds)

    def with_task() -> float:
        with shown.resyncing(busy, shown.disks[1], _REST_MS):
            return turn(shown, alone)

    try:
        yield {"beside-console": Pair(with_task, lambda: turn(alone, shown))}
    finally:
        shown.close()
        alone.close()


@contextmanager
def windows(place: Place, _: Options) -> Iterator[dict[str, Pair]]:
    """The console's start on the lab of `make run`, and its figures on a large one."""
    folder = place.folder_for("start")
    words = ["--lab", f"{folder}/lab", "--state", f"{folder}/state", "--socket", f"{folder}/c"]
    _start("usable", words)  # the first start makes the lab
    _start("bare", [])
    large: Callable[[], dict[str, Any]] = cache(lambda: json.loads(_run("large", [])[1]))
    yield {
        "start": Pair(lambda: _start("usable", words), lambda: _start("bare", [])),
        "click": Pair(lambda: max(large()["clicks"].values())),
        "stall": Pair(lambda: float(large()["stall"])),
    }


def _start(mode: str, words: list[str]) -> float:
    took, line = _run(mode, words)
    if line != "usable":
        raise RuntimeError(f"the window {mode!r} said {line!r}")
    return took


def _run(mode: str, words: list[str]) -> tuple[float, str]:
    """Seconds from starting a window's process to its line, and the line; it has ended in order afterwards."""
    start = time.perf_counter()
    process = subprocess.Popen([*_WINDOW, mode, *words], stdout=subprocess.PIPE, text=True, env=environment())
    assert process.stdout is not None
    with process.stdout as out:
        line = out.readline().strip()
        took = time.perf_counter() - start
    if process.wait(PATIENCE_S):
        raise RuntimeError(f"the window {mode!r} ended with status {process.returncode}")
    return took, line
