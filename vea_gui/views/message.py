"""Message boxes that never block: the operator's answer arrives as a call."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QMessageBox, QTextEdit, QWidget

from engine.plans import Plan

ASK = QMessageBox.Icon.Question


def message(parent: QWidget | None, icon: QMessageBox.Icon, title: str, text: str, details: str = "") -> QMessageBox:
    """Say something; `OK` closes it."""
    box = _box(parent, icon, title, text, details)
    box.setStandardButtons(QMessageBox.StandardButton.Ok)
    box.button(QMessageBox.StandardButton.Ok).setText("OK")
    box.open()
    return box


def confirm(parent: QWidget | None, plans: Sequence[Plan], then: Callable[[], None]) -> QMessageBox:
    """Ask the question of one plan, or of several at once. Its button is the verb; Cancel is the default."""
    first = next(plan for plan in plans if plan.confirm)
    text = "\n".join(plan.confirm for plan in plans if plan.confirm)
    more = [line for plan in plans for line in plan.warnings]
    lost = [plan.irreversible for plan in plans if plan.irreversible.rstrip(".") not in text]  # not said twice
    more += [f"Cannot be undone: {each}" for each in lost]
    steps = [step.text for plan in plans for step in plan.steps]
    details = "\n".join(f"{number}  {step}" for number, step in enumerate(steps, 1))
    return ask(parent, first.title, text, first.confirm_button or first.title, then, "\n".join(more), details)


def ask(
    parent: QWidget | None,
    title: str,
    text: str,
    verb: str,
    then: Callable[[], None],
    more: str = "",
    details: str = "",
) -> QMessageBox:
    """Ask before something is done: `verb` does it, Cancel (the default) does not."""
    box = _box(parent, ASK, title, text, details)
    box.setInformativeText(more)
    do = box.addButton(verb, QMessageBox.ButtonRole.AcceptRole)
    cancel = box.addButton("Cancel", QMessageBox.ButtonRole.RejectRole)
    box.setDefaultButton(cancel)
    box.setEscapeButton(cancel)
    box.buttonClicked.connect(lambda button: then() if button is do else None)
    box.open()
    return box


def yes_or_no(parent: QWidget | None, title: str, text: str, then: Callable[[], None]) -> QMessageBox:
    """A warning whose answers are fixed: Yes does it, No (the default) does not."""
    box = _box(parent, QMessageBox.Icon.Warning, title, text, "")
    yes = box.addButton("Yes", QMessageBox.ButtonRole.YesRole)
    no = box.addButton("No", QMessageBox.ButtonRole.NoRole)
    box.setDefaultButton(no)
    box.setEscapeButton(no)
    box.buttonClicked.connect(lambda button: then() if button is yes else None)
    box.open()
    return box


def choose(
    parent: QWidget | None, title: str, text: str, more: str, choices: dict[str, Callable[[], None]]
) -> QMessageBox:
    """Offer several ways on, and Cancel, which is the default."""
    box = _box(parent, ASK, title, text, "")
    box.setInformativeText(more)
    ways = {box.addButton(label, QMessageBox.ButtonRole.AcceptRole): then for label, then in choices.items()}
    cancel = box.addButton("Cancel", QMessageBox.ButtonRole.RejectRole)
    box.setDefaultButton(cancel)
    box.setEscapeButton(cancel)
    box.buttonClicked.connect(lambda button: ways[button]() if button in ways else None)
    box.open()
    return box


def _box(parent: QWidget | None, icon: QMessageBox.Icon, title: str, text: str, details: str) -> QMessageBox:
    box = QMessageBox(parent)
    box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    box.setIcon(icon)
    box.setWindowTitle(title)
    box.setText(text)
    box.setTextFormat(Qt.TextFormat.PlainText)
    box.setTextInteractionFlags(
        Qt.TextInteractionFlag.TextSelectableByMouse | Qt.TextInteractionFlag.TextSelectableByKeyboard
    )
    if details:
        box.setDetailedText(details)
        for part in box.findChildren(QTextEdit):
            part.setAccessibleName("Details")
    return box
