"""The table on the terminal, and in docs/performance.md."""

from __future__ import annotations

import os
import platform
import statistics
import time
from pathlib import Path

import psutil

from engine.units import GIB, format_size
from tests.bench.options import Options
from tests.bench.place import ROOT
from tests.bench.rows import Result

PAGE = ROOT / "docs" / "performance.md"
_BEGIN, _END = "<!-- figures: begin -->", "<!-- figures: end -->"
_HEAD = ("row", "what", "beside", "own", "peer", "ratio", "spread", "goal", "floor", "reached")


def machine() -> str:
    """What it ran on, as far as it matters to the figures."""
    memory = psutil.virtual_memory().total / GIB
    return f"{os.cpu_count()} processors, {memory:.0f} GiB, Linux {platform.release().split('-')[0]}"


def file_system(folder: Path) -> str:
    """The type of the file system that a folder lies on."""
    found = [part for part in psutil.disk_partitions(all=True) if folder.resolve().is_relative_to(part.mountpoint)]
    return max(found, key=lambda part: len(part.mountpoint)).fstype if found else "unknown"


def cells(result: Result) -> tuple[str, ...]:
    """A row of the table, by `_HEAD`."""
    row, (low, high) = result.row, result.spread
    sign = "<=" if row.most else ">="
    peer = _figure(statistics.median(result.peer), row.unit) if result.peer else ""
    return (
        row.name,
        row.title,
        row.peer,
        _figure(statistics.median(result.own), row.unit),
        peer,
        f"{result.ratio:.2f}" if result.peer else "",
        f"{low:.2f} to {high:.2f}" if result.peer else f"{low:.3f} to {high:.3f} {row.unit}",
        f"{sign} {row.goal:g}",
        f"{sign} {row.bound:.3g}",
        row.verdict(result.ratio),
    )


def _figure(value: float, unit: str) -> str:
    return f"{value:.3f} {unit}" if unit == "s" else f"{value:.0f} {unit}" if value >= 100 else f"{value:.1f} {unit}"


def line(result: Result) -> str:
    """A row as text."""
    name, title, peer, own, other, ratio, spread, goal, floor, reached = cells(result)
    beside = f"{own} beside {other} of {peer}" if peer else own
    told = f"ratio {ratio} ({spread})" if ratio else f"({spread})"
    return f"{name:17} {reached:6} {told:30} goal {goal:7} floor {floor:8} {beside}; {title}"


def circumstances(options: Options) -> str:
    """When, where and how long."""
    day = time.strftime("%Y-%m-%d")
    return (
        f"{day}, {machine()}, files on {file_system(options.folder)}; medians of {options.pairs} pairs, "
        f"{options.seconds:g} s a turn, copies of {format_size(options.size)}; others had kept the "
        f"processors {options.busy_percent:.0f} % busy before"
    )


def publish(results: list[Result], options: Options) -> None:
    """Replace the figures on the page."""
    page = PAGE.read_text()
    before, rest = page.split(_BEGIN)
    _, after = rest.split(_END)
    rows = [_HEAD, tuple("---" for _ in _HEAD), *(cells(result) for result in results)]
    table = "\n".join("| " + " | ".join(row) + " |" for row in rows)
    PAGE.write_text(f"{before}{_BEGIN}\n{circumstances(options)}\n\n{table}\n{_END}{after}")
