"""Brings an open form to each of its pages, and on each page to each thing that can be chosen there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from PySide6.QtWidgets import QApplication

from tests.gui.cut_text import shown
from vea_gui.wizards.control import Control
from vea_gui.wizards.controls import CheckControl, ChoiceControl, ComboControl
from vea_gui.wizards.dialog import FormDialog

Until = Callable[[Callable[[], object], str], None]
SETTLED = 12
"""Turns of the event loop in which a layout finds its sizes."""
MOST_OF_A_LIST = 3
"""Entries of a drop-down list that are tried; they differ in their words only, which one look has all of."""


def variants(dialog: FormDialog, until: Until) -> Iterator[str]:
    """Names of what is to be seen, while it is to be seen."""
    known(dialog, until)
    for page in range(dialog.stack.count()):
        yield f"page {page}"
        yield from _choices(dialog, page, until)
        if page + 1 < dialog.stack.count():
            if not dialog.next.isEnabled():
                return
            dialog.next.click()
            known(dialog, until)


def known(dialog: FormDialog, until: Until) -> None:
    """Everything about the answers is known."""
    found = dialog.inquiry
    until(lambda: found.gone or (not found.asking and bool(found.plan or found.reasons)), "the form does not settle")
    for _ in range(SETTLED):
        QApplication.processEvents()


def _choices(dialog: FormDialog, page: int, until: Until) -> Iterator[str]:
    """Each answer of each field that chooses; it is taken back before the next field's turn."""
    for control in [each for each in shown(dialog) if isinstance(each, Control) and each.isEnabled()]:
        for name, choose in _ways(control):
            choose()
            known(dialog, until)
            if name:
                yield f"page {page} with {name}"


def _ways(control: Control) -> list[tuple[str, Callable[[], object]]]:
    """What can be chosen; the last is what was chosen before."""
    if isinstance(control, CheckControl):
        return [(control.field.label, control.tick.click), ("", control.tick.click)]
    if isinstance(control, ChoiceControl):
        buttons = [each for each in control.group.buttons() if each.isEnabled()]
        ways = [(each.text(), each.click) for each in buttons if not each.isChecked()]
        return [*ways, *(("", each.click) for each in buttons if each.isChecked())]
    if isinstance(control, ComboControl):
        now, count = control.combo.currentIndex(), control.combo.count()
        rows = [row for row in range(count) if row != now][:MOST_OF_A_LIST]
        ways = [(control.combo.itemText(row), partial(_pick, control, row)) for row in rows]
        return [*ways, ("", partial(_pick, control, now))] if rows else []
    return []


def _pick(control: ComboControl, row: int) -> None:
    control.combo.setCurrentIndex(row)
    control.combo.activated.emit(row)
