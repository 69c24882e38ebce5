"""What no test has run of the parts that keep the bytes: measured with branches, and a failure when it is too much.

`python -m tests.coverage_gate` runs the tests that concern these parts, two halves at a time, and prints one line for
each part; `--missing` adds the lines that nothing has run.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from coverage import Coverage

from tests import figures

ROOT = Path(__file__).parents[1]
FLOOR_PERCENT = 95.0


@dataclass(frozen=True)
class Part:
    """Some modules, as globs from the root, that are measured together."""

    name: str
    modules: tuple[str, ...]
    without: tuple[str, ...] = ()


PARTS = (
    Part(
        "layouts",
        (
            "engine/dataplane/call.py",
            "engine/dataplane/fold.py",
            "engine/dataplane/parity.py",
            "engine/dataplane/perform.py",
            "engine/dataplane/raid5*.py",
            "engine/dataplane/regions.py",
            "engine/dataplane/stripes.py",
            "engine/dataplane/table.py",
            "engine/devices/concat.py",
            "engine/devices/mirror.py",
            "engine/devices/slice.py",
            "engine/devices/spread.py",
            "engine/devices/stripe.py",
        ),
        without=("raid5_log", "raid5_replay"),
    ),
    Part(
        "logs",
        (
            "engine/dataplane/dirty_map.py",
            "engine/dataplane/map_writers.py",
            "engine/dataplane/raid5_log*.py",
            "engine/dataplane/raid5_replay.py",
            "engine/store/dirty_pages.py",
        ),
    ),
    Part("store", ("engine/store/*.py",), without=("dirty_pages",)),
    Part("NBD server", ("engine/export/*.py",)),
)
"""What is measured. A new module of the data plane is named here by whoever adds it."""

HALVES = (
    (
        "tests/engine/test_store_*.py",
        "tests/engine/test_engine_luns.py",
        "tests/engine/test_engine_used.py",
        "tests/engine/test_engine_dirty.py",
        "tests/engine/test_engine_raid5_faults.py",
        "tests/engine/test_nbd_*.py",
    ),
    (
        "tests/engine/test_dataplane_*.py",
        "tests/engine/test_raid5_*.py",
        "tests/engine/test_dirty_*.py",
        "tests/engine/test_devices*.py",
    ),
)
SLOW = (
    "test_store_enumeration.py",
    "test_store_large.py",
    "test_store_model.py",
    "test_nbd_tools.py",
    "test_nbd_volume.py",
)
"""Files that prove more than they cover."""
LONG = (
    "flipped_bits or single_lost_write or thousand or planted or every_tear or mutated or however_a_stream "
    "or each_of_the_rules"
)
"""Single tests of that kind, as for `pytest -k`."""


MEASURED = ("engine.dataplane", "engine.devices", "engine.store", "engine.export")
EXCLUDED = (r"if TYPE_CHECKING:", r"^\s*\.\.\.$", r"\) -> .*: \.\.\.$")


def run(folder: Path) -> bool:
    """Run both halves at the same time; whether all their tests passed."""
    rc = folder / "rc"
    rc.write_text(f"[run]\nbranch = true\nconcurrency = thread\nsource = {','.join(MEASURED)}\n")
    running = [_start(number, rc) for number in range(len(HALVES))]
    done = [process.communicate()[0] for process in running]
    for text in (text for process, text in zip(running, done, strict=True) if process.returncode):
        print(text)
    return all(process.returncode == 0 for process in running)


def _start(number: int, rc: Path) -> subprocess.Popen[str]:
    files = [str(path) for glob in HALVES[number] for path in sorted(ROOT.glob(glob)) if path.name not in SLOW]
    words = [sys.executable, "-m", "coverage", "run", f"--rcfile={rc}", f"--data-file={rc.parent / f'half.{number}'}"]
    words += ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", f"not ({LONG})", *files]
    environment = {key: value for key, value in os.environ.items() if key != "VEA_SOAK"}
    return subprocess.Popen(
        words, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def measured(folder: Path, part: Part, *, missing: bool) -> float:
    """Percent of the part's lines and branches that were run."""
    modules = [path for glob in part.modules for path in ROOT.glob(glob)]
    chosen = [str(path) for path in modules if not any(path.stem.startswith(name) for name in part.without)]
    coverage = Coverage(data_file=str(folder / "all"), config_file=str(folder / "rc"))
    for pattern in EXCLUDED:
        coverage.exclude(pattern)
    coverage.load()
    text = StringIO()
    percent = coverage.report(include=chosen, file=text, show_missing=True, skip_covered=True)
    if missing:
        print(text.getvalue())
    return float(percent)


def main() -> int:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if not run(folder):
            print("coverage: a test has failed, so nothing is measured")
            return 1
        whole = Coverage(data_file=str(folder / "all"), config_file=str(folder / "rc"))
        whole.combine([str(folder / f"half.{number}") for number in range(len(HALVES))])
        whole.save()
        low, rows = [], []
        for part in PARTS:
            percent = measured(folder, part, missing="--missing" in sys.argv)
            low += [part.name] if percent < FLOOR_PERCENT else []
            rows.append((part.name, f"{percent:.1f} %"))
            print(f"coverage: {part.name}: {percent:.1f} % of lines and branches, at least {FLOOR_PERCENT:.0f} %")
    figures.publish("coverage", figures.table(("lines and branches that tests run", "share"), rows))
    return 1 if low else 0


if __name__ == "__main__":
    sys.exit(main())
