"""What creating and growing share: zeroing subdisks that nobody can reach yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.tasks.steps import ZERO_BYTES, Zero, chunks

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from engine.records import Ref, Subdisk


def zero_subdisks(subdisks: Iterable[Subdisk], done: int) -> Iterator[Zero]:
    """Zero them one after the other, except for the first `done` bytes of them all."""
    for subdisk in subdisks:
        skip = min(done, subdisk.length)
        done -= skip
        for offset, length in chunks(skip, subdisk.length, ZERO_BYTES):
            yield Zero(subdisk.ref, offset, length)


def disks_of(subdisks: Iterable[Subdisk]) -> tuple[Ref, ...]:
    """The disks that these lie on, each once, in order."""
    return tuple(sorted({subdisk.disk for subdisk in subdisks}))
