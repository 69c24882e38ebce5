"""A running task on a terminal: one line that is drawn over."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from engine.cli.rows import percent
from engine.units import format_band, format_size

if TYPE_CHECKING:
    from engine.records import Task

_WIDTH = 30


class Progress:
    """Draws on standard error when that is a terminal, else nothing."""

    def __init__(self) -> None:
        self._drawing = sys.stderr.isatty()
        self._drawn = 0

    def show(self, task: Task) -> None:
        """Draw how far it is."""
        if self._drawing and task.bytes_total:
            text = line(task)
            sys.stderr.write("\r" + text.ljust(self._drawn))
            sys.stderr.flush()
            self._drawn = len(text)

    def end(self) -> None:
        """Leave a clean line."""
        if self._drawn:
            sys.stderr.write("\r" + " " * self._drawn + "\r")
            sys.stderr.flush()
            self._drawn = 0


def line(task: Task) -> str:
    """`[#####.....] 42 %  430.0 MiB of 1.0 GiB, 8-11 s left`."""
    share = percent(task)
    bar = "#" * int(share * _WIDTH / 100)
    text = (
        f"[{bar.ljust(_WIDTH, '.')}] {share:.0f} %  {format_size(task.bytes_done)} of {format_size(task.bytes_total)}"
    )
    if task.state != "running":
        return f"{text}, {task.state}"
    if task.eta_low_s >= 0:
        return f"{text}, {format_band(task.eta_low_s, task.eta_high_s)} left"
    return text
