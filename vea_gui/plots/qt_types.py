"""Qt's classes come to be in Python when they are first asked for. The library of the plots asks for all of them, on
another thread: made there, while windows are at work, they can crash the process. So this thread makes them first.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from PySide6 import QtCore, QtGui, QtWidgets

MODULES = (QtCore, QtGui, QtWidgets)
TURN_S = 0.003
REST_MS = 5


def make_all() -> None:
    """All that are not there yet, at once: at most a tenth of a second, and nothing the second time."""
    for _ in _made():
        pass


def make_then(then: Callable[[], None], parent: QtCore.QObject) -> None:
    """All of them on this thread, a few in each turn, so that nobody waits; then `then`."""
    left = _made()
    timer = QtCore.QTimer(parent)
    timer.setInterval(REST_MS)

    def go_on() -> None:
        until = time.perf_counter() + TURN_S
        while time.perf_counter() < until:
            if next(left, None) is None:
                timer.stop()
                timer.deleteLater()
                then()
                return

    timer.timeout.connect(go_on)
    timer.start()


def _made() -> Iterator[str]:
    for module in MODULES:
        for name in dir(module):
            getattr(module, name)
            yield name
