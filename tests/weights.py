"""Which test files begin first: the longest, so that none is left over at the end; the console's come last."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SECONDS = {
    "tests/sim/test_sim_slice.py": 200,
    "tests/e2e/test_inventory_trouble.py": 110,
    "tests/e2e/test_inventory.py": 90,
    "tests/engine/test_soak_filesystem.py": 75,
    "tests/engine/test_engine_model.py": 70,
    "tests/sim/test_sim_planted.py": 70,
    "tests/engine/test_lun_mishaps_clients.py": 60,
    "tests/e2e/test_snapshot_walk.py": 60,
    "tests/gui/test_inventory.py": 60,
    "tests/gui/test_live_load.py": 50,
    "tests/engine/test_plan_truth.py": 35,
    "tests/gui/test_disk_view.py": 30,
    "tests/e2e/test_no_mouse.py": 30,
    "tests/engine/test_soak_processes.py": 28,
    "tests/engine/test_tasks_planted.py": 27,
    "tests/e2e/test_guest.py": 24,
    "tests/engine/test_rules_matter.py": 20,
    "tests/engine/test_engine_model_planted.py": 20,
    "tests/test_guards.py": 20,
    "tests/engine/test_cli_processes.py": 18,
    "tests/gui/test_bridge_load.py": 18,
    "tests/engine/test_dataplane_model.py": 16,
    "tests/engine/test_store_faults.py": 16,
    "tests/e2e/test_failing_disk.py": 15,
    "tests/e2e/test_walk.py": 14,
    "tests/engine/test_engine_life.py": 13,
    "tests/engine/test_engine_host.py": 13,
    "tests/engine/test_engine_luns.py": 11,
    "tests/engine/test_config.py": 11,
    "tests/gui/test_actions_walk.py": 10,
}
"""Of files that take long, on a quiet machine of two processors; of all others it does not matter."""


def longest_first(items: list[pytest.Item]) -> None:
    """Sort whole files; what is in one file stays in its order. Those of the console come last: once windows have been
    there, the guards have a million objects to look at after each test."""
    items.sort(key=lambda item: (place(item.path).startswith("tests/gui/"), -SECONDS.get(place(item.path), 0)))


def place(path: Path) -> str:
    """As in the table."""
    return path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else ""
