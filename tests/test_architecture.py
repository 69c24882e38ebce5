"""Who may import whom: the contracts of pyproject.toml hold, and each of them catches an import planted in a copy."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
CONTRACTS = [contract["id"] for contract in SETTINGS["contracts"]]

PLANTED = [
    ("no-qt", "engine/tasks", "import PySide6.QtCore"),
    ("no-qt", "engine/store", "import pyqtgraph"),
    ("no-qt", "engine/remote", "import vea_gui"),
    ("data-plane", "engine/devices", "from engine import records"),
    ("data-plane", "engine/dataplane", "def late():\n    from engine.config import Config"),
    ("data-plane", "engine/devices", "import engine.brand_new"),
    ("language", "engine/plans.py", "import threading"),
    ("language", "engine/records", "import threading"),
    ("language", "engine/commands", "import socket"),
    ("language", "engine/api.py", "import engine.devices.planted"),
    ("pure-planners", "engine/planners", "from engine.store import planted"),
    ("pure-planners", "engine/planners", "import threading"),
    ("pure-planners", "engine/planners", "from engine.devices import planted"),
    ("pure-planners", "engine/allocate", "import socket"),
    ("pure-planners", "engine/allocate", "import engine.tasks.planted"),
    ("pure-planners", "engine/allocate", "import engine.planners"),
    ("pure-planners", "engine/rules", "import os"),
    ("pure-planners", "engine/rules", "from engine.store import planted"),
    ("engine-floors", "engine/store", "from engine.tasks import planted"),
    ("engine-floors", "engine/devices", "import engine.store.planted"),
    ("front-door", "vea_gui", "from engine.store import planted"),
    ("front-door", "vea_gui/views", "import engine.brand_new"),
    ("qt-free", "vea_gui", "from PySide6.QtCore import QObject"),
    ("console-layers", "vea_gui/views", "import vea_gui.actions.planted"),
    ("console-layers", "vea_gui/models", "import vea_gui.wizards.planted"),
    ("one-bridge", "vea_gui", "import threading"),
    ("one-bridge", "vea_gui/models", "from concurrent.futures import ThreadPoolExecutor"),
]


def check(folder: Path, *contracts: str) -> subprocess.CompletedProcess[str]:
    chosen = [word for contract in contracts for word in ("--contract", contract)]
    program = "from importlinter.cli import lint_imports_command as run; run()"
    return subprocess.run(
        [sys.executable, "-c", program, "--no-logo", "--no-cache", *chosen],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=240,
    )


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The product's source alone, where nothing can be spoiled."""
    for package in SETTINGS["root_packages"]:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


BESIDE = ("engine/devices", "engine/store", "engine/tasks", "vea_gui/actions", "vea_gui/wizards")
"""Packages in which a planted line may find something to import."""


def plant(folder: Path, place: str, line: str) -> Path:
    """A line in a file, or in a new module of a package; what it imports is made when it isn't there."""
    (folder / "engine/brand_new.py").touch()
    for package in BESIDE:
        (folder / package).mkdir(exist_ok=True)
        (folder / package / "__init__.py").touch()
        (folder / package / "planted.py").touch()
    target = folder / place
    if target.suffix != ".py":
        target.mkdir(exist_ok=True)
        (target / "__init__.py").touch()
        target = target / "newcomer.py"
    before = target.read_text() if target.exists() else ""
    target.write_text(f"{before}\n{line}\n")
    return target


def test_contracts_hold() -> None:
    run = check(ROOT)
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.parametrize(("contract", "place", "line"), PLANTED)
def test_planted_import_is_caught(contract: str, place: str, line: str, copy: Path) -> None:
    target = plant(copy, place, line)
    run = check(copy, contract)
    module = target.relative_to(copy).with_suffix("").as_posix().replace("/", ".").removesuffix(".__init__")
    assert run.returncode == 1, run.stdout + run.stderr
    assert "BROKEN" in run.stdout
    assert module in run.stdout


def test_each_contract_has_a_planted_import() -> None:
    assert {contract for contract, _, _ in PLANTED} == set(CONTRACTS)


def test_modules_without_contract_break_are_no_error(copy: Path) -> None:
    """A contract may name what isn't built yet, and a new harmless module needs no change of the contracts."""
    (copy / "engine/brand_new.py").write_text("from engine import units\n")
    run = check(copy)
    assert run.returncode == 0, run.stdout + run.stderr
