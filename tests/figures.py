"""Figures of a run, written into docs/reliability.md between two marks of their own, when `VEA_PUBLISH` is set."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

REPORT = Path(__file__).parents[1] / "docs/reliability.md"


def publish(name: str, lines: Iterable[str], place: Path = REPORT) -> None:
    """Replace what stands between the marks called `name`; at the end of the page where there are none yet.

    Without `VEA_PUBLISH` nothing happens. Several processes may publish at a time.
    """
    if not os.environ.get("VEA_PUBLISH"):
        return
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    with place.open("r+", encoding="utf-8") as page:
        fcntl.flock(page, fcntl.LOCK_EX)
        before = page.read()
        if begin not in before:
            before = f"{before.rstrip()}\n\n{begin}\n{end}\n"
        head, rest = before.split(begin, 1)
        text = "\n".join((begin, *lines, end))
        page.seek(0)
        page.write(f"{head}{text}{rest.split(end, 1)[1]}")
        page.truncate()


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """A table of the page; numbers have their thousands marked."""
    lines = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    return lines + [
        f"| {' | '.join(f'{cell:,}' if isinstance(cell, int) else str(cell) for cell in row)} |" for row in rows
    ]
