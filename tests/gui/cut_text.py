"""Finds texts that a window does not show in full, controls without a name, and names that two controls share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from PySide6.QtGui import QAccessible, QAccessibleInterface
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSpinBox,
    QComboBox,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QTableWidget,
    QWidget,
)

SPOKEN = frozenset(
    {
        QAccessible.Role.Button,
        QAccessible.Role.Cell,
        QAccessible.Role.CheckBox,
        QAccessible.Role.ComboBox,
        QAccessible.Role.EditableText,
        QAccessible.Role.List,
        QAccessible.Role.ListItem,
        QAccessible.Role.RadioButton,
        QAccessible.Role.SpinBox,
        QAccessible.Role.Table,
    }
)
"""Roles that an operator acts on or reads one by one."""
CONTROLS = (QAbstractButton, QLineEdit, QComboBox, QAbstractSpinBox, QAbstractItemView, QPlainTextEdit)


def shown(window: QWidget) -> list[QWidget]:
    """Every part that can be seen, less the inner parts of Qt's own controls."""
    parts = [part for part in window.findChildren(QWidget) if part.isVisibleTo(window)]
    return [
        part for part in parts if not isinstance(part.parentWidget(), QComboBox | QAbstractSpinBox | QAbstractItemView)
    ]


def cut(window: QWidget) -> list[str]:
    """Texts that need more room than they have."""
    return [complaint for part in shown(window) for complaint in _cut(part)]


def _cut(part: QWidget) -> Iterator[str]:
    if isinstance(part, QLabel):
        needed = part.heightForWidth(part.width()) if part.wordWrap() else part.sizeHint().height()
        if part.height() < needed:
            yield f"{part.text()!r} has {part.height()} of {needed} pixels in height"
        if not part.wordWrap() and part.width() < part.sizeHint().width():
            yield f"{part.text()!r} has {part.width()} of {part.sizeHint().width()} pixels in width"
    elif isinstance(part, QAbstractButton | QComboBox):
        text = part.text() if isinstance(part, QAbstractButton) else part.currentText()
        for have, needed in zip(part.size().toTuple(), part.minimumSizeHint().toTuple(), strict=True):
            if text and have < needed:
                yield f"{text!r} has {have} of {needed} pixels"
    elif isinstance(part, QTableWidget):
        for row in range(part.rowCount()):
            needed = part.sizeHintForRow(row)
            if part.rowHeight(row) < needed - 4:  # the delegate's own margins
                yield f"step {row + 1} has {part.rowHeight(row)} of {needed} pixels"


def nameless(window: QWidget) -> list[str]:
    """Controls without a name, with another one than their label, or with the name of a neighbour of their kind."""
    controls = [part for part in shown(window) if isinstance(part, CONTROLS)]
    found = [f"{type(part).__name__} has no name" for part in controls if not part.accessibleName()]
    for part in controls:
        if isinstance(part, QAbstractButton) and part.text().replace("&", "") != part.accessibleName():
            found.append(f"{part.text()!r} is called {part.accessibleName()!r}")
    for label in (part for part in shown(window) if isinstance(part, QLabel) and part.buddy()):
        said, name = label.text().replace("&", "").rstrip(":"), label.buddy().accessibleName()
        if said != name and not isinstance(label.buddy(), QAbstractButton):
            found.append(f"{said!r} labels {name!r}")
    names = Counter((type(part).__name__, part.accessibleName()) for part in controls)
    return found + [f"{count} of {name}" for name, count in names.items() if count > 1]


def unsaid(window: QWidget) -> list[str]:
    """What a screen reader would meet without a name, or could not tell from its neighbour."""
    return list(_unsaid(QAccessible.queryAccessibleInterface(window), window.windowTitle()))


def _unsaid(part: QAccessibleInterface, path: str) -> Iterator[str]:
    name = part.text(QAccessible.Text.Name)
    if part.role() in SPOKEN and not name:
        yield f"{part.role().name} in {path} has no name"
    inner = [child for number in range(part.childCount()) if (child := part.child(number)) is not None]
    inner = [child for child in inner if not child.state().invisible]
    twins = Counter((child.role().name, child.text(QAccessible.Text.Name)) for child in inner if child.role() in SPOKEN)
    yield from (f"{count} of {twin} in {path}" for twin, count in twins.items() if count > 1)
    for child in inner:
        yield from _unsaid(child, f"{path} / {name}" if name else path)
