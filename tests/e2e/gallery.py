"""Opens everything that a console can show, from outside, and hands each sight to whoever looks at it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

import pytest

from tests.e2e.inventory import beyond, nameless, unreasoned, walk
from tests.e2e.steps import blocks
from tests.e2e.walker import Node, Walker, place

WORDS = re.compile("[A-Z][a-z ]+")
"""Cells with words of state and layout; of rows that have the same, one is looked at."""
MENUS = ("File", "Tools", "Actions", "View", "Help")
WITHOUT_DOTS = {"Properties"}
OF_MANY = {"Properties", "Rename..."}
"""Entries whose dialog differs with what it is about."""
SETTLE_S = 30.0
ONCE_S = 10.0
Look = Callable[[Node, str], None]


class Gallery:
    """A walk through one console. `look` gets every tree of nodes; `grey` collects entries that do not say why."""

    def __init__(self, walker: Walker, look: Look) -> None:
        self.walker, self.look = walker, look
        self.grey: list[str] = []
        self.cut: list[str] = []
        self.seen: set[str] = set()
        self._opened: set[str] = set()
        self._explained: set[str] = set()

    def all(self) -> None:
        """Menus, then every place of the tree with its tabs and context menus, a second window, then the logs."""
        self.menus()
        self.places()
        self.panels()
        self.second_window()
        self.walker.press("check box", "Logs")
        for title in ("Alert Log*", "Task Log*"):
            self.walker.click(self.walker.find(("page tab", title)))
            self.walker.find(("page tab", title), **{"with": ["selected"]})
            self.sight(f"Logs > {title}")

    def second_window(self) -> None:
        """New Window, and its end."""
        walker, reader = self.walker, self.walker.reader
        before = reader.ask("windows")
        walker.key("ctrl+n")
        if reader.ask("windows", SETTLE_S, but=before) is None:
            pytest.fail("New Window opened nothing")
        self.sight("a second window")
        walker.key("ctrl+w")
        walker.until(lambda: reader.ask("windows") == before, "the second window closes")

    def sight(self, where: str) -> None:
        """Look at every window that shows."""
        self.seen.add(where)
        for top in self.walker.reader.ask("tree", SETTLE_S):
            self.look(top, where)
            self.cut += [f"{where}: {line}" for line in beyond(top)]
            self.grey += [f"{where} > {name}" for name in unreasoned(top)]

    # --- the tree and its tabs ---
    def places(self) -> None:
        walker = self.walker
        walker.click(walker.find(("tree", ""), ("table cell", "localhost")), at=(0.3, 0.5))
        walker.key("asterisk")
        walker.find(("tree", ""), ("table cell", "dg1"))
        walker.key("Home")
        kinds: set[tuple[str, ...]] = set()
        last = ""
        while True:
            here = walker.find(("tree", ""), ("table cell", ""), **{"with": ["selected"]})
            if here["box"] == last:
                return
            last = here["box"]
            titles = self._titles()
            if titles not in kinds:
                kinds.add(titles)
                self.place(here["name"], titles)
                walker.click(
                    walker.find(("tree", ""), ("table cell", here["name"]), **{"with": ["selected"]}), at=(0.3, 0.5)
                )
            walker.key("Down")

    def _titles(self) -> tuple[str, ...]:
        return tuple(each["name"] for each in self.walker.find_all(("filler", "Views"), ("page tab", "")))

    def place(self, name: str, titles: Iterable[str]) -> None:
        """Every tab of a place, and the context menus of what is in it."""
        walker = self.walker
        for number, title in enumerate(titles, 1):
            walker.key(f"ctrl+{number}")
            walker.find(("page tab", title), **{"with": ["selected"]})
            self.sight(f"{name} > {title}")
            if title in ("Disk View", "Volume View"):
                self.block_menus(f"{name} > {title}")
            else:
                self.row_menus(title, f"{name} > {title}")

    def row_menus(self, title: str, where: str) -> None:
        cells = self.walker.find_all(("filler", "Views"), ("table", title), ("table cell", ""))
        rows: dict[int, list[Node]] = {}
        for cell in cells:
            if cell["box"]:
                rows.setdefault(cell["box"][1], []).append(cell)
        kinds: set[tuple[str, ...]] = set()
        for row in rows.values():
            kind = tuple(cell["name"] for cell in row if WORDS.fullmatch(cell["name"]))
            if kind not in kinds and row[0]["name"]:
                kinds.add(kind)
                self.context(row[0], f"{where} > {row[0]['name']}")

    def block_menus(self, where: str) -> None:
        kinds: set[str] = set()
        for block in blocks(self.walker):
            kind = "free" if block["name"].startswith("free") else block["name"].split(",")[1]
            if kind not in kinds and block["box"][2] > 4:
                kinds.add(kind)
                self.context(block, f"{where} > {block['name']}")

    # --- menus ---
    def menus(self) -> None:
        walker = self.walker
        for name in MENUS:
            bar = walker.find(("menu bar", "Menu"), ("menu item", name))
            self.menu(lambda bar=bar: walker.click(bar), f"menu {name}")  # type: ignore[misc]

    def context(self, node: Node, where: str) -> None:
        at = (0.02, 0.5) if node["box"][2] > 300 else (0.5, 0.5)
        self.menu(lambda: self.walker.click(node, button=3, at=at), where)

    def panels(self) -> None:
        """Console and Tasks, below."""
        for title in ("Console", "Tasks*"):
            self.walker.click(self.walker.find(("page tab", title)))
            self.sight(f"panel {title}")
            cells = self.walker.find_all(("filler", "Console and Tasks"), ("table", ""), ("table cell", ""))
            for cell in {each["box"][1]: each for each in reversed(cells) if each["box"] and each["name"]}.values():
                self.context(cell, f"panel {title} > {cell['name']}")

    def menu(self, open_it: Callable[[], None], where: str) -> None:
        """Look at a menu and its submenus, hear why entries are grey, and open what asks first."""
        entries = self._open_menu(open_it)
        if not entries:
            return
        [popup] = self.walker.reader.ask("tree", SETTLE_S, popup=True)
        self.look(popup, f"{where} > menu")
        self.seen.add(f"{where} > menu")
        kind = where.split(" > ")[-2] if " > " in where else where
        self.hear_reasons(entries, where, kind)
        self.walker.key("Escape")
        wanted = [e["name"] for e in entries if "enabled" in e["states"] and self._asks(e["name"])]
        for label in wanted:
            key = f"{kind}: {label}" if label in OF_MANY else label
            if key not in self._opened:
                self._opened.add(key)
                self.dialog(open_it, label, where)
        self._close_menu()

    def _open_menu(self, open_it: Callable[[], None], patience: float = 4.0) -> list[Node]:
        for within in (1.5, patience):  # a slow machine may take the button's release for a click on the menu
            self._close_menu()
            open_it()
            if entries := self.walker.reader.ask("popup", within):
                return [each for each in entries if each["role"] != "separator"]
        return []

    def _close_menu(self) -> None:
        if self.walker.reader.ask("nopopup", 0.3):
            return
        for within in (0.5, 2.0, SETTLE_S):  # a menu of a menu takes one key each
            self.walker.key("Escape")
            if self.walker.reader.ask("nopopup", within):
                return
        pytest.fail("a menu does not close")

    def _asks(self, label: str) -> bool:
        return label.endswith("...") or label in WITHOUT_DOTS

    def hear_reasons(self, entries: list[Node], where: str, kind: str) -> None:
        """Standing on a grey entry tells why, and what would help."""
        reader = self.walker.reader
        for entry in entries:
            if "enabled" in entry["states"] or (key := f"{kind}: {entry['name']}") in self._explained:
                continue
            self._explained.add(key)
            reader.ask("forget")
            x, y = place(entry)
            self.walker.display.xdotool("mousemove", x - 4, y, "mousemove", x, y)
            if not reader.ask("said", SETTLE_S):
                self.grey.append(f"{where} > {entry['name']}")

    # --- dialogs ---
    def dialog(self, open_it: Callable[[], None], label: str, where: str) -> None:
        """Open what an entry opens, look at every page of it, and leave it without doing anything."""
        walker, reader = self.walker, self.walker.reader
        before = reader.ask("windows")
        for patience in (ONCE_S, SETTLE_S):  # what changes meanwhile may make an entry grey in the moment of the click
            if not self._choose(open_it, label):
                return
            if label == "Columns...":  # a menu of its own
                for popup in reader.ask("tree", 1.0, popup=True) or ():
                    self.look(popup, f"{where} > {label}")
                self._close_menu()
                return
            if reader.ask("windows", patience, but=before) is not None:
                break
        else:
            pytest.fail(f"{where} > {label} opened nothing")
        for page in range(8):
            self._settle()
            shown = self._sight_of_dialog(f"{where} > {label} {page}")
            self.file_chooser(shown, f"{where} > {label}")
            if not self._next(shown):
                break
        for _ in range(3):
            if reader.ask("windows") == before:
                return
            now = reader.ask("windows")
            walker.key("Escape")
            reader.ask("windows", 5.0, but=now)
        if reader.ask("windows") != before:
            pytest.fail(f"{where} > {label} does not close: {reader.ask('windows')}")

    def _choose(self, open_it: Callable[[], None], label: str) -> bool:
        """Click an entry of the menu; False when it has become grey since."""
        entry = next(each for each in self._open_menu(open_it, SETTLE_S) if each["name"] == label)
        if "enabled" not in entry["states"]:
            self._close_menu()
            return False
        self.walker.click(entry)
        return True

    def _settle(self) -> None:
        """A plan is on its way while a button says so."""
        self.walker.reader.ask("gone", SETTLE_S, path=[["label", "Working out*"]])

    def _sight_of_dialog(self, where: str) -> Node:
        self.seen.add(where)
        top: Node = self.walker.reader.ask("tree", SETTLE_S)[-1]
        self.look(top, where)
        self.cut += [f"{where}: {line}" for line in beyond(top)]
        self.grey += [f"{where} > {name}" for name in unreasoned(top)]
        return top

    def file_chooser(self, dialog: Node, where: str) -> None:
        """What Browse opens: Qt's own dialog, whose words are names of files."""
        found = [each for each in walk(dialog) if each["role"] == "push button" and each["name"] == "Browse..."]
        if not found:
            return
        reader = self.walker.reader
        before = reader.ask("windows")
        self.walker.click(found[0])
        if reader.ask("windows", SETTLE_S, but=before) is None:
            pytest.fail(f"{where} > Browse... opened nothing")
        top = reader.ask("tree", SETTLE_S)[-1]
        self.seen.add(f"{where} > Browse...")
        self.cut += [f"{where} > Browse...: {line}" for line in (*beyond(top), *nameless(top))]
        self.walker.key("Escape")
        self.walker.until(lambda: reader.ask("windows") == before, "the file chooser closes")

    def _next(self, dialog: Node) -> bool:
        """To the next page of a wizard, when there is one."""
        found = [each for each in dialog["children"] if each["role"] == "push button" and each["name"] == "Next"]
        if not found or "enabled" not in found[0]["states"]:
            return False
        self.walker.click(found[0])
        return True
