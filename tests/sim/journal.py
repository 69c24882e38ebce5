"""Everything that happens in one run, line by line, and its digest."""

from __future__ import annotations

import hashlib
import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Journal:
    """The event log. Lines are kept only where somebody reads them; the digest always is."""

    def __init__(self, tell: Callable[[str], None] | None = None) -> None:
        self.lines = 0
        self.tell = tell
        self._digest = hashlib.sha256()

    def note(self, *words: object) -> None:
        """Add a line."""
        line = " ".join(map(str, words))
        self.lines += 1
        self._digest.update(line.encode() + b"\n")
        if self.tell is not None:
            self.tell(line)

    @property
    def digest(self) -> str:
        """SHA-256 of all lines so far."""
        return self._digest.hexdigest()


class Silence(Journal):
    """Where nobody asks what has happened."""

    def note(self, *words: object) -> None:
        """Nothing is kept of it."""


def sum_of(data: bytes) -> str:
    """A short word for bytes."""
    return f"{zlib.crc32(data):08x}"
