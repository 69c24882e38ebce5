"""The windows that are measured, each a process of its own: `python -m tests.bench.window MODE [options of vea]`.

usable   the console on an engine in this process; says `usable` and leaves
beside   the same, and it stays: says `ready`, and `shown` once the first volume's live plot is there
bare     a window of Qt alone, with pyqtgraph loaded; says `usable` and leaves
large    10,000 volumes: says what clicks and stalls took, as JSON
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vea_gui.app import Application

_LOOK_MS = 50


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def console(words: list[str], on_ready: Callable[[Application], None]) -> None:
    """What `vea` does, and `on_ready` when its window is open."""
    from engine.host import open_host
    from vea_gui import app
    from vea_gui.__main__ import arguments

    given = arguments().parse_args(words)
    host = open_host(lab=given.lab, state=given.state, socket=given.socket, nbd=given.nbd)
    try:
        app.run(host.api, host.state, None, on_ready)
    finally:
        host.close()


def usable(words: list[str]) -> None:
    def ready(made: Application) -> None:
        from PySide6.QtCore import QTimer  # not before the engine, as in `vea`: Qt reads each later module once more

        attached = made.session.bridge.attached

        def look() -> None:
            if not made.session.bridge.attached or not made.windows[0].isVisible():
                QTimer.singleShot(1, look)
                return
            made.app.processEvents()  # it paints, and would take a click next
            say("usable")
            made.app.quit()

        QTimer.singleShot(0 if attached else 1, look)

    console(words, ready)


def beside(words: list[str]) -> None:
    from PySide6.QtCore import QTimer

    from engine.records import Kind, Volume

    def ready(made: Application) -> None:
        window = made.windows[0]
        window.resize(1280, 720)
        timer = QTimer(made)

        def look() -> None:
            volumes = made.session.mirror.config.all(Kind.VOLUME, Volume)
            if not volumes or not volumes[0].size:
                return
            timer.stop()
            window.bottom.setCurrentWidget(window.tasks)
            window.show_tab(volumes[0].ref, "", "Performance")
            page = window.right.page()
            say("shown" if type(page).__name__ == "PerformanceTab" else f"{type(page).__name__}, no live plot")

        timer.timeout.connect(look)
        timer.start(_LOOK_MS)
        say("ready")

    console(words, ready)


def bare(_: list[str]) -> None:
    import pyqtgraph
    from PySide6.QtCore import QTimer
    from PySide6.QtWidgets import QApplication, QLabel, QMainWindow

    app = QApplication([])
    window = QMainWindow()
    window.setCentralWidget(QLabel(f"pyqtgraph {pyqtgraph.__version__}"))
    window.resize(1100, 700)
    window.show()

    def look() -> None:
        app.processEvents()
        say("usable")
        app.quit()

    QTimer.singleShot(0, look)
    app.exec()


def large(_: list[str]) -> None:
    from tests.bench import many_volumes

    say(many_volumes.figures())


MODES = {each.__name__: each for each in (usable, beside, bare, large)}

if __name__ == "__main__":
    MODES[sys.argv[1]](sys.argv[2:])
