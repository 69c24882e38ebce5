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
REASONED_ROLES = frozenset({"push button", "toggle button", "menu item", "check menu item"})
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


def walk(node: Node) -> Iterator[Node]:
    yield node
    for each in node["children"]:
        yield from walk(each)


def _nameless(node: Node) -> Iterator[str]:
    if node["role"] in NAMED_ROLES and not node["name"].strip() and not any(node["labels"]):
        yield f"a {node['role']} at {node['box']} has no name"
    if node["role"] == "combo box" and not any(node["labels"]) and not node["description"]:
        yield f"the combo box that shows {node['name']!r} has no label"


def _unreadable(node: Node, excused: frozenset[str]) -> Iterator[str]:
    for text in {node["name"], node["description"], node["text"], *node["labels"]}:
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


def unreasoned(node: Node, off: bool = False) -> list[str]:
    """Names of disabled controls that do not say why. Below a part that is disabled as a whole, they need not."""
    found = []
    for each in node["children"]:
        dead = "enabled" not in each["states"]
        if dead and not off and each["role"] in REASONED_ROLES and not each["description"].strip():
            found.append(each["name"])
        found += unreasoned(each, dead)
    return found
