"""Which test files begin first: the longest, so that no long one is left over when all others have ended."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SECONDS: dict[str, float] = {}
"""Of files that take long, on a quiet machine of two processors; of all others it does not matter."""


def longest_first(items: list[pytest.Item]) -> None:
    """Sort whole files; what is in one file stays in its order."""
    items.sort(key=lambda item: -SECONDS.get(place(item.path), 0.0))


def place(path: Path) -> str:
    """As in the table."""
    return path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else ""


def listed() -> Sequence[Path]:
    """The files that the table names."""
    return [ROOT / name for name in SECONDS]
