"""Every test here lives in the simulator."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.sim.patches import simulated

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _simulated() -> Iterator[None]:
    with simulated():
        yield
