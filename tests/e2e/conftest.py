"""A display of its own for each test that looks from outside; tests say by name what a machine lacks for them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e import display as displays
from tests.e2e.display import Display
from tests.e2e.walker import Walker, walking


@pytest.fixture(scope="session")
def everything_there() -> None:
    """Skips, with the names, where programs for a walk from outside are missing."""
    if absent := displays.missing():
        pytest.skip(f"a walk from outside needs {absent}")


@pytest.fixture
def display(everything_there: None, tmp_path: Path) -> Iterator[Display]:
    with displays.opened(tmp_path / "display") as opened:
        yield opened


@pytest.fixture
def walker(display: Display, tmp_path: Path) -> Iterator[Walker]:
    """The console on a fresh lab of default numbers."""
    with walking(display, tmp_path / "console") as opened:
        yield opened
