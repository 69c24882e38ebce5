"""What a screen reader would be told of a widget, as the same nodes that the walk from outside gets from the bus."""

from __future__ import annotations

from typing import Any

from PySide6.QtGui import QAccessible, QAccessibleInterface
from PySide6.QtWidgets import QMenu, QWidget

Role, Said = QAccessible.Role, QAccessible.Text
ROLES = {
    Role.Button: "push button",
    Role.ButtonMenu: "push button",
    Role.CheckBox: "check box",
    Role.RadioButton: "radio button",
    Role.EditableText: "text",
    Role.ComboBox: "combo box",
    Role.SpinBox: "spin button",
    Role.Slider: "slider",
    Role.List: "list",
    Role.ListItem: "list item",
    Role.Table: "table",
    Role.Tree: "tree",
    Role.Cell: "table cell",
    Role.TreeItem: "table cell",
    Role.ColumnHeader: "table column header",
    Role.PageTab: "page tab",
    Role.MenuItem: "menu item",
    Role.PopupMenu: "popup menu",
    Role.Link: "link",
    Role.Window: "frame",
    Role.Dialog: "dialog",
    Role.AlertMessage: "alert",
    Role.StaticText: "label",
}
"""Qt's roles by the words of AT-SPI; all others keep Qt's own name."""


def spoken(widget: QWidget) -> dict[str, Any]:
    """Everything below a widget that can be seen."""
    return _node(QAccessible.queryAccessibleInterface(widget))


def menu_nodes(menu: QMenu) -> dict[str, Any]:
    """A menu with its entries; those that are grey say their reason as description, as `told` has it on the way."""
    entries = [
        _told("menu item", each.text().replace("&", ""), each.toolTip(), each.isEnabled()) for each in entries_of(menu)
    ]
    return _told("popup menu", menu.title().replace("&", "") or menu.accessibleName(), "", True, entries)


def entries_of(menu: QMenu) -> list[Any]:
    return [each for each in menu.actions() if not each.isSeparator() and each.isVisible()]


def _told(role: str, name: str, description: str, enabled: bool, children: list[Any] | None = None) -> dict[str, Any]:
    return {
        "role": role,
        "name": name,
        "description": description,
        "text": "",
        "labels": [],
        "box": None,
        "states": ["showing", *(["enabled"] if enabled else [])],
        "children": children or [],
    }


def _node(part: QAccessibleInterface) -> dict[str, Any]:
    role = ROLES.get(part.role(), part.role().name)
    children = [_node(child) for child in _children(part)]
    node = _told(role, part.text(Said.Name), part.text(Said.Description), not part.state().disabled, children)
    node["text"] = part.text(Said.Value) if role in ("text", "spin button") else ""
    node["labels"] = [_said(label) for label, _ in part.relations(QAccessible.RelationFlag.Label)]
    return node


def _said(part: QAccessibleInterface) -> str:
    return part.text(Said.Name)


def _children(part: QAccessibleInterface) -> list[QAccessibleInterface]:
    found = [child for number in range(part.childCount()) if (child := part.child(number)) is not None]
    return [child for child in found if child.isValid() and not child.state().invisible]
