"""What a run was asked for."""

from __future__ import annotations

import argparse
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import psutil

from engine.units import GIB, parse_size
from tests.bench.rows import ROWS

_FILES = 5
"""The copies keep four files of the size, and a little more."""


@dataclass(frozen=True)
class Options:
    """`size` is that of what is copied, in bytes; `seconds` is the length of one turn of a client; `busy_percent` is
    how much of the processors others used before the run."""

    rows: tuple[str, ...]
    pairs: int
    seconds: float
    size: int
    folder: Path
    publish: bool
    strict: bool
    busy_percent: float


def read_options(words: list[str]) -> Options:
    """From the command line; ends the program when that makes no sense."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench", description="The engine's speed, each figure beside a peer in the same run."
    )
    names = [row.name for row in ROWS]
    parser.add_argument("--rows", nargs="+", choices=names, default=names, metavar="NAME", help=", ".join(names))
    parser.add_argument("--pairs", type=int, default=5, help="turns of each side (5)")
    parser.add_argument("--seconds", type=float, default=2.0, help="length of one turn of a client (2)")
    parser.add_argument("--size", help="what is copied, and read cold (4g, less where disk or memory are short)")
    parser.add_argument("--dir", type=Path, default=Path(tempfile.gettempdir()), help="where the files lie; best ext4")
    parser.add_argument("--publish", action="store_true", help="keep the figures in docs/performance.md")
    parser.add_argument("--strict", action="store_true", help="exit status 1 when a row falls short of its floor")
    given = parser.parse_args(words)
    size = parse_size(given.size) if given.size else _largest(given.dir)
    if given.pairs < 1 or given.seconds <= 0 or size < GIB // 8:
        parser.error("--pairs must be 1 or more, --seconds more than 0, --size 128m or more")
    busy = float(psutil.cpu_percent(1.0))
    return Options(tuple(given.rows), given.pairs, given.seconds, size, given.dir, given.publish, given.strict, busy)


def _largest(folder: Path) -> int:
    """4 GiB where the files fit on the disk with room to spare, and into memory; else as many whole GiB as do."""
    room = min(shutil.disk_usage(folder).free // (2 * _FILES), psutil.virtual_memory().available // _FILES)
    return max(min(int(room) // GIB, 4), 1) * GIB
