"""What is wrong with what a screen reader sees: rules over trees of nodes, as the agent tells them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from tests.e2e.walker import Node

NAMED_ROLES = frozenset(
    {"push button", "toggle button", "check box", "radio button", "text", "entry", "combo box", "spin button", "slider"}
    | {"list", "table", "tree", "list item", "menu item", "check menu item", "radio menu item", "menu", "page tab"}
    | {"link", "frame", "dialog", "alert"}
)
"""Roles that an operator acts on, or that stand for a whole."""
REASONED_ROLES = frozenset(
    {"push button", "toggle button", "check box", "radio button", "menu item", "check menu item", "radio menu item"}
    | {"text", "entry", "combo box", "spin button", "slider", "list", "table", "list item"}
)
"""Roles that say why when they are grey: actions, and fields that an answer goes into."""
ARROWS = frozenset({"Scroll Left", "Scroll Right"})
"""Qt's own, beside tabs that need more room: grey at an end, as a scroll bar is."""
PLACED_ROLES = frozenset({"push button", "check box", "radio button", "text", "combo box", "spin button", "label"})
SCROLLS = frozenset({"scroll pane", "viewport", "table", "tree", "list", "page tab list", "tool bar"})
"""Parts that bring what is outside of them into sight."""
UNREADABLE = (
    (re.compile("_"), "an underscore"),
    (re.compile(r"0x[0-9a-fA-F]"), "a hexadecimal number"),
    (re.compile(r"\bNone\b"), "None"),
    (re.compile("Traceback"), "a traceback"),
    (re.compile(r"\d{13}"), "more than 12 digits"),
    (re.compile(r"<[A-Za-z_.]+ (object|at) "), "a Python object"),
)


def complaints(node: Node, where: str, excused: frozenset[str] = frozenset()) -> Iterator[str]:
    """Everything wrong in a tree; `excused` are texts that are somebody's own names, such as paths."""
    for each in walk(node):
        for line in (*_nameless(each), *_unreadable(each, excused), *_twins(each)):
            yield f"{where}: {line}"


def nameless(node: Node) -> list[str]:
    """Controls that nobody can tell by name."""
    return [line for each in walk(node) for line in _nameless(each)]


def walk(node: Node) -> Iterator[Node]:
    yield node
    for each in node["children"]:
        yield from walk(each)


def beyond(top: Node) -> list[str]:
    """Controls and texts of a window that stand, in part, outside of it; what scrolls is left out."""
    return list(_beyond(top, top["box"])) if top["box"] else []


def _beyond(node: Node, frame: list[int]) -> Iterator[str]:
    for each in node["children"]:
        whole = each["box"] is None or _within(each["box"], frame)
        if not whole and each["role"] in PLACED_ROLES:
            yield f"the {each['role']} {each['name']!r} at {each['box']} is cut by its window at {frame}"
        if whole and each["role"] not in SCROLLS:  # what is larger than its window scrolls in it
            yield from _beyond(each, frame)


def _within(box: list[int], frame: list[int]) -> bool:
    ends = [(box[side] + box[side + 2], frame[side] + frame[side + 2]) for side in (0, 1)]
    return all(box[side] >= frame[side] - 1 and ends[side][0] <= ends[side][1] + 1 for side in (0, 1))


def _nameless(node: Node) -> Iterator[str]:
    if node["role"] in NAMED_ROLES and not node["name"].strip() and not any(node["labels"]):
        yield f"a {node['role']} at {node['box']} has no name"
    if node["role"] == "combo box" and not any(node["labels"]) and not node["description"]:
        yield f"the combo box that shows {node['name']!r} has no label"


def _unreadable(node: Node, excused: frozenset[str]) -> Iterator[str]:
    for text in {node["name"], node["description"], node["text"], *node["labels"]}:
        if text.startswith("/dev/") or " is mounted on /" in text:
            continue  # a device of this host, with what others have made of it
        left = text
        for each in excused:
            left = left.replace(each, "")
        for pattern, what in UNREADABLE:
            if pattern.search(left):
                yield f"the {node['role']} {text!r} has {what}"


def _twins(node: Node) -> Iterator[str]:
    """Children that a reader cannot tell apart; cells of a table repeat values by right."""
    named = [(each["role"], each["name"]) for each in node["children"] if each["role"] in NAMED_ROLES and each["name"]]
    for (role, name), count in Counter(named).items():
        if count > 1 and role != "combo box":
            yield f"{count} times {role} {name!r} below {node['role']} {node['name']!r}"


def unreasoned(node: Node, said: bool = False) -> list[str]:
    """Names of disabled controls that do not say why, neither by themselves nor by the group that is disabled."""
    found = []
    for each in node["children"]:
        dead = "enabled" not in each["states"]
        told = dead and (said or bool(each["description"].strip()))
        if dead and not told and each["role"] in REASONED_ROLES and each["name"] not in ARROWS:
            found.append(each["name"] or each["role"])
        found += unreasoned(each, told)
    return found
