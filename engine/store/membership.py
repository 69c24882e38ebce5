"""Which disks of a group hold its configuration: up to five, over as many enclosures as there are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from engine.records import Ref

COPIES_MAX = 5


def choose_copies(
    candidates: Iterable[Ref], enclosures: Mapping[Ref, str], present: Iterable[Ref] = ()
) -> tuple[Ref, ...]:
    """The disks to hold a copy, sorted: those that do already stay, the others go to the least used enclosures."""
    free = sorted(set(candidates))
    chosen = [ref for ref in sorted(set(present)) if ref in free][:COPIES_MAX]
    used: dict[str, int] = {}
    for ref in chosen:
        used[enclosures.get(ref, "")] = used.get(enclosures.get(ref, ""), 0) + 1
    left = [ref for ref in free if ref not in chosen]
    while left and len(chosen) < COPIES_MAX:
        best = min(left, key=lambda ref: (used.get(enclosures.get(ref, ""), 0), ref))
        left.remove(best)
        chosen.append(best)
        used[enclosures.get(best, "")] = used.get(enclosures.get(best, ""), 0) + 1
    return tuple(sorted(chosen))
