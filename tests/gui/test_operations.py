"""The title of an error says which operation could not be done."""

from __future__ import annotations

from typing import get_args

import pytest
from PySide6.QtWidgets import QMessageBox
from pytestqt.qtbot import QtBot

from engine.commands import AnyCommand, Command, DetachPlex, Move, MoveSubdisks, RemoveDisks, Rescan
from engine.errors import EngineError
from engine.records import Kind
from tests.gui.planned_engine import PlannedEngine
from tests.gui.sample_lab import disk, ref
from vea_gui import operations
from vea_gui.views.main_window import MainWindow

EVERY: list[type[Command]] = list(get_args(AnyCommand))


def test_every_command_has_a_name_of_its_own() -> None:
    assert EVERY
    assert set(operations.NAMES) == set(EVERY)
    assert len(set(operations.NAMES.values())) == len(EVERY)


def told(qtbot: QtBot, window: MainWindow) -> QMessageBox:
    qtbot.waitUntil(lambda: bool(window.findChildren(QMessageBox)))
    (box,) = window.findChildren(QMessageBox)
    return box


@pytest.mark.parametrize(
    ("command", "title"),
    [
        (Rescan(), "Rescan could not be done"),
        (MoveSubdisks(moves=(Move(ref(Kind.SUBDISK, 1)),)), "Move Subdisk could not be done"),
    ],
)
def test_the_error_of_a_command_names_it(
    qtbot: QtBot, window: MainWindow, api: PlannedEngine, monkeypatch: pytest.MonkeyPatch, command: Command, title: str
) -> None:
    def refuse(*_: object) -> None:
        raise EngineError("The disk did not answer.")

    monkeypatch.setattr(api, "submit", refuse)
    window.console.submit(command)
    box = told(qtbot, window)
    assert (box.windowTitle(), box.text()) == (title, "The disk did not answer.")
    assert window.console.errors.entries[-1].title == title
    box.accept()


@pytest.mark.parametrize(
    ("command", "title"),
    [
        (DetachPlex(plex=ref(Kind.PLEX, 3)), "Detach Mirror st-01 could not be done"),
        (RemoveDisks(disks=(disk(0).ref,)), "Remove Harddisk0 from its Disk Group could not be done"),
    ],
)
def test_a_refusal_names_operation_and_object(qtbot: QtBot, window: MainWindow, command: Command, title: str) -> None:
    window.console.carry_out(command)
    box = told(qtbot, window)
    assert box.windowTitle() == title
    assert window.console.errors.entries[-1].title == title
    box.accept()


def test_no_message_is_called_by_the_name_of_the_product(qtbot: QtBot, window: MainWindow) -> None:
    window.console.show_error(EngineError("The engine has stopped."))
    box = told(qtbot, window)
    assert box.windowTitle() == "The operation could not be done"
    box.accept()
