"""Hands for the Snap sub-menu and its windows: by label and by mouse, patient with a slow machine."""

from __future__ import annotations

import pytest

from tests.e2e import steps
from tests.e2e.walker import Node, Walker

DEADLINE_S = 60.0
WIZARD, PREPARE, BACK = (steps.dialog(title) for title in ("Snap Shot Volume Wizard", "Prepare for", "Snap Back"))


def choose(walker: Walker, row: str, label: str, opens: tuple[str, str]) -> None:
    """Right-click a row, Snap, and an entry. A slow machine may take a release for a click: look, and try again."""
    for _ in range(3):
        walker.click(walker.find(("table", "Volumes"), ("table cell", row), within=DEADLINE_S), button=3)
        walker.click(walker.find(("", "Snap"), popup=True, within=DEADLINE_S))
        walker.click(walker.find(("", label), popup=True, within=DEADLINE_S, **{"with": ["enabled"]}))
        if walker.reader.ask("find", DEADLINE_S / 3, path=[opens]):
            return
        walker.key("Escape", "Escape")
    pytest.fail(f"Snap > {label} opened nothing\n{walker.outline()}")


def page(walker: Walker, shows: tuple[str, str]) -> None:
    """Next, once it is possible; pressed again only where the first press was lost."""
    for _ in range(3):
        walker.click(walker.find(WIZARD, ("push button", "Next"), within=DEADLINE_S, **{"with": ["enabled"]}))
        if walker.reader.ask("find", DEADLINE_S / 3, path=[WIZARD, shows]):
            return
    pytest.fail(f"Next did not lead to {shows}\n{walker.outline()}")


def pick(walker: Walker, name: str) -> Node:
    """Stand on a row of the available volumes."""
    path = (WIZARD, ("list", "Available Volumes"), ("list item", f"{name},*"))
    item = walker.find(*path, within=DEADLINE_S)
    walker.click(item, at=(0.05, 0.5))
    return walker.find(*path, within=DEADLINE_S, **{"with": ["selected"]})


def gone(walker: Walker, dialog: tuple[str, str]) -> None:
    if not walker.reader.ask("gone", DEADLINE_S, path=[dialog]):
        pytest.fail(f"still there: {dialog}\n{walker.outline()}")
