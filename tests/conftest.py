"""What holds for every test: the guards, the display, the seeds."""

from __future__ import annotations

import os
import random
import secrets
import sys
import zlib
from pathlib import Path

import hypothesis
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))  # so that `tests.*` is found however pytest was started

from tests.guards import expect_log, leaves_nothing, log_is_quiet, old_objects_set_aside
from tests.weights import longest_first

__all__ = ["expect_log", "leaves_nothing", "log_is_quiet", "old_objects_set_aside", "seed"]

SOAK = bool(os.environ.get("VEA_SOAK"))

# Before anything imports Qt. A walk from outside starts the console in a process and with a display of its own.
os.environ["QT_QPA_PLATFORM"] = os.environ.get("VEA_TEST_PLATFORM", "offscreen")
os.environ.setdefault("DBUS_SESSION_BUS_ADDRESS", "disabled:")  # else Qt launches a bus that outlives the run

hypothesis.settings.register_profile(
    "ci",
    derandomize=True,
    database=None,
    print_blob=True,
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.register_profile(
    "soak", parent=hypothesis.settings.get_profile("ci"), derandomize=False, max_examples=5_000
)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "soak" if SOAK else "ci"))


def pytest_configure(config: pytest.Config) -> None:
    """Files are handed out in our order, where several workers take them: else those with the most tests come first."""
    if hasattr(config.option, "loadscopereorder"):
        config.option.loadscopereorder = False


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    longest_first(items)


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """A number to feed every random choice from: the same for a test each time, a new one in a soak.

    A failed test shows it; `VEA_SEED=...` runs it again.
    """
    chosen = os.environ.get("VEA_SEED")
    if chosen is not None:
        number = int(chosen)
    elif SOAK:
        number = secrets.randbits(32)
    else:
        number = zlib.crc32(request.node.nodeid.encode())
    print(f"seed: VEA_SEED={number}")
    random.seed(number)
    return number
