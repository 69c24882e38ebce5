"""What the programs write: JSON, aligned tables, sentences on standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any


def write_json(value: Any) -> None:
    """One JSON value on standard output."""
    print(json.dumps(value, indent=2, ensure_ascii=False))


def write(text: str) -> None:
    print(text)


def complain(sentence: str) -> None:
    """What, why and what would help, on one line of standard error."""
    print(" ".join(sentence.split()), file=sys.stderr)


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[str] = ()) -> str:
    """Aligned columns; those named in `right` are aligned to the right."""
    widths = [
        max(len(head), *(len(row[place]) for row in rows)) if rows else len(head) for place, head in enumerate(heads)
    ]
    lines = [_line(heads, heads, widths, right), *(_line(row, heads, widths, right) for row in rows)]
    return "\n".join(lines)


def _line(cells: Sequence[str], heads: Sequence[str], widths: Sequence[int], right: Sequence[str]) -> str:
    placed = [
        cell.rjust(width) if head in right else cell.ljust(width)
        for cell, head, width in zip(cells, heads, widths, strict=True)
    ]
    return "  ".join(placed).rstrip()


def patient() -> None:
    """Let no character that the terminal can't show end a program."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
