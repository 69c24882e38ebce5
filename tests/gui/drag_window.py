"""A Disk View in a window of its own, for tests that come from outside: it tells what it shows, is asked and says.

Run as `python -m tests.gui.drag_window FOLDER`. Every line on standard output is one JSON object; a line on standard
input asks for the places of all blocks, the end of it ends the program.
"""

from __future__ import annotations

import gc
import json
import sys
from pathlib import Path

import msgspec
from PySide6.QtCore import QSocketNotifier, Qt
from PySide6.QtWidgets import QApplication

from tests.gui.block_lab import GROUP, close_console, open_console, sample_lab
from vea_gui import theme
from vea_gui.views.disk_view import DiskView


def say(**what: object) -> None:
    """One line for whoever started this."""
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def main(folder: str) -> int:
    gc.disable()
    app = QApplication([])
    theme.apply(app, "light")
    console = open_console(sample_lab(), Path(folder))
    console.told.connect(lambda text: say(told=text))
    console.ask = lambda name, selection, *more: say(asked=name, more=msgspec.to_builtins(more))
    page = DiskView(console, GROUP)
    page.setWindowTitle("blocks")
    page.setGeometry(40, 60, 1100, 820)
    page.show()
    page.view.setFocus()

    def places() -> None:
        if not sys.stdin.readline():
            app.quit()
            return
        view = page.view
        found = {}
        for row in range(view.blocks.rowCount()):
            index = view.blocks.index(row)
            at = view.viewport().mapToGlobal(view.visualRect(index).center())
            found[index.data(Qt.ItemDataRole.AccessibleTextRole)] = [at.x(), at.y()]
        say(places=found, carrying=view.hand.carrying)

    watch = QSocketNotifier(sys.stdin.fileno(), QSocketNotifier.Type.Read)
    watch.activated.connect(places)
    code = app.exec()
    close_console(console)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
