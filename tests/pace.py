"""How fast a machine is: a figure in seconds of processor time is that of a machine as the figures were taken on."""

from __future__ import annotations

import os
import time

REFERENCE_S = 0.005
"""Of `_work`, on a machine whose clicks take what the documents say."""
STRICT = bool(os.environ.get("VEA_STRICT_SPEED"))


def slowness() -> float:
    """By what a figure has to be multiplied to be fair on this machine at this moment; never less than 1.

    `VEA_STRICT_SPEED=1` holds every machine to the figures themselves.
    """
    if STRICT:
        return 1.0
    return max(1.0, min(_work() for _ in range(5)) / REFERENCE_S)


def _work() -> float:
    """Processor seconds for a fixed piece of work: objects, lists and texts, as a console's own."""
    begun = time.thread_time()
    rows = [(number * 7919 % 10_007, f"Volume{number}") for number in range(12_000)]
    rows.sort()
    found = {name: place for place, name in rows}
    if sum(found.values()) < 0:
        raise AssertionError
    return time.thread_time() - begun
