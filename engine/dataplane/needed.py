"""What a map of regions tells, as far as its cells are known: what has to be copied, and how much that is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from engine.dataplane.fine_map import FineMap, Needed, of_regions

if TYPE_CHECKING:
    from engine.dataplane.dirty_map import DirtyMap
    from engine.dataplane.fine_map import Runs


def needed(dirty: DirtyMap) -> tuple[str, Runs]:
    """As its runs, but no more than differs, and a name for what a position in these runs counts in."""
    runs, fine = dirty.runs(), dirty.fine
    if fine is None:
        return dirty.lineage, runs
    found = fine.needed(dirty.regions, dirty.region_size)
    return f"{dirty.lineage} {found.gap}", found.runs


def finest(dirty: DirtyMap) -> FineMap:
    """What differs now, in a map of its own."""
    fine = dirty.fine
    return fine.plus() if fine is not None else of_regions(dirty.size, dirty.region_size, dirty.regions)


def together(*maps: DirtyMap) -> Needed:
    """What any of these maps of one size tells of."""
    cells, regions = finest(maps[0]), np.frombuffer(maps[0].regions, np.uint8)
    for one in maps[1:]:
        cells, regions = cells.plus(finest(one)), regions | np.frombuffer(one.regions, np.uint8)
    return cells.needed(regions.tobytes(), maps[0].region_size)


def needed_bytes(dirty: DirtyMap) -> int:
    """How much differs. Counted anew only after writes; for maps whose regions are never closed."""
    with dirty.counting:
        if dirty.counted < 0 or dirty.touched.find(1) >= 0:
            dirty.touched[:] = bytes(len(dirty.touched))  # before cells are looked at: who sets one later touches again
            dirty.counted = together(dirty).length
        return dirty.counted
