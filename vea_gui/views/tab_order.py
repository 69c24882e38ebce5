"""The way of the Tab key: as things are read, from left to right and from top to bottom, whenever they were made."""

from __future__ import annotations

from collections.abc import Iterable

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QAbstractButton, QLayout, QScrollArea, QSplitter, QTabWidget, QWidget


def stops(root: QWidget) -> list[QWidget]:
    """Whatever in a widget the Tab key can come to, itself first, in the order of the layouts."""
    return [*([root] if _is_stop(root) else []), *(stop for part in _parts(root) for stop in stops(part))]


def step(order: Iterable[QWidget], here: QWidget | None, forward: bool) -> bool:
    """Go to the next (or the last) stop of an order that can be used now; False where there is none."""
    able = [stop for stop in order if stop is here or (stop.isVisible() and stop.isEnabled())]
    if here not in able or len(able) < 2:
        return False
    target = able[(able.index(here) + (1 if forward else -1)) % len(able)]
    reason = Qt.FocusReason.TabFocusReason if forward else Qt.FocusReason.BacktabFocusReason
    target.setFocus(reason)
    return True


def _is_stop(widget: QWidget) -> bool:
    """Of buttons of which one is chosen, Tab comes to that one; arrows go to the others."""
    group = widget.group() if isinstance(widget, QAbstractButton) else None
    if group is not None and group.exclusive() and group.checkedButton() is not None:
        return group.checkedButton() is widget
    return bool(widget.focusPolicy() & Qt.FocusPolicy.TabFocus) and widget.focusProxy() is None


def _parts(root: QWidget) -> list[QWidget]:
    """The widgets that a widget arranges."""
    match root:
        case QTabWidget():
            corner = root.cornerWidget(Qt.Corner.TopRightCorner)
            pages = [root.widget(number) for number in range(root.count())]
            return [each for each in (root.tabBar(), corner, *pages) if each is not None]
        case QSplitter():
            inside = [root.widget(number) for number in range(root.count())]
            return [each for each in inside if each is not None]
        case QScrollArea():
            body = root.widget()
            return [body] if body is not None else []
    layout = root.layout()
    return _arranged(layout) if layout is not None else []


def _arranged(layout: QLayout) -> list[QWidget]:
    found: list[QWidget] = []
    for number in range(layout.count()):
        item = layout.itemAt(number)
        widget, inner = (item.widget(), item.layout()) if item is not None else (None, None)
        if widget is not None:
            found.append(widget)
        elif inner is not None:
            found += _arranged(inner)
    return found
