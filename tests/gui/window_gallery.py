"""A tour of the console on a sound lab and on one in trouble, at 1280x720. As a program: tells all of it, as JSON."""

from __future__ import annotations

import gc
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PySide6.QtWidgets import QApplication

from engine.commands import Command
from engine.errors import CommandRejected
from engine.records import Kind, Record, Ref
from tests.gui import sample_lab
from tests.gui.planned_engine import PlannedEngine
from tests.gui.test_actions import more_records
from tests.gui.tour import Tour
from vea_gui import theme
from vea_gui.actions.book import book
from vea_gui.console import Console
from vea_gui.sessions import Session
from vea_gui.settings import Settings
from vea_gui.views.main_window import MainWindow

SIZE = (1280, 720)
DEADLINE_S = 60.0
LABS = {"empty": lambda: [sample_lab.host()], "sound": sample_lab.records, "trouble": more_records}


class StillEngine(PlannedEngine):
    """Plans what is asked and takes it, but nothing changes: the next sight is of the same lab."""

    def submit(self, command: Command, basis: int | None = None) -> Ref:
        plan = self.plan(command)
        if plan.problems:
            raise CommandRejected(plan.problems)
        self.submitted.append(command)
        return self._new_ref(Kind.TASK)


@contextmanager
def opened(app: QApplication, records: list[Record]) -> Iterator[tuple[MainWindow, StillEngine]]:
    """A main window on a lab."""
    api = StillEngine(records, sample_lab.HOST)
    session = Session.open(api)
    end = time.monotonic() + DEADLINE_S
    while not session.bridge.attached:
        if time.monotonic() > end:
            raise TimeoutError("the console does not attach")
        app.processEvents()
    with tempfile.TemporaryDirectory() as state:
        settings = Settings(Path(state))
        window = MainWindow(Console(session, settings, book()))
        window.resize(*SIZE)
        window.show()
        yield window, api
        window.may_close = True
        window.close()
        settings.close()
    session.close()


def main(points: int) -> dict[str, object]:
    """What was seen, what was opened, and everything that is wrong."""
    gc.disable()  # as in the console: on a worker's thread it would take windows away
    app = QApplication(sys.argv[:1])
    app.setQuitOnLastWindowClosed(False)
    theme.apply(app, "light", points)
    sights: list[str] = []
    acted: set[str] = set()
    found: list[str] = []
    menus: list[int] = []
    for lab, records in LABS.items():
        with opened(app, records()) as (window, api):
            tour = Tour(window, api, whole_tabs=not points)
            tour.all()
            if window.size().toTuple() != SIZE:
                tour.found[f"the window needs {window.size().toTuple()} of {SIZE}"] = ""
        sights += [f"{lab}: {each}" for each in tour.sights]
        acted |= tour.acted
        menus.append(len(tour.menus))
        found += [f"{lab}: {where}: {what}" for what, where in tour.found.items()]
    return {"sights": sights, "acted": sorted(acted), "menus": sum(menus), "wrong": found}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(int(sys.argv[1]))))
