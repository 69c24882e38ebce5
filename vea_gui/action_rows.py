"""What an action row is, and a book of them. A row says where it stands, what it does, and why it cannot."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from engine.plans import Problem
from vea_gui.selection import Selection

if TYPE_CHECKING:
    from vea_gui.console import Console

Reason: TypeAlias = Problem | str | None
WhyNot: TypeAlias = Callable[[Selection], Reason]


def possible(_: Selection) -> Reason:
    """Nothing stands in the way."""
    return None


def asks(form: str) -> Callable[[Console, Selection], object]:
    """What a row does that opens this form for what is picked."""
    return lambda console, selection: console.ask(form, selection)


@dataclass(frozen=True)
class Action:
    """One thing an operator can do. `places` are the kinds of objects and folders in whose menus it stands."""

    id: str
    text: str
    run: Callable[[Console, Selection], object]
    places: tuple[str, ...] = ()
    why_not: WhyNot = possible
    menu: str = ""  # File, Tools, View or Help; the Actions menu follows from `places`
    submenu: str = ""
    shortcut: str = ""
    icon: str = ""
    toolbar: str = ""  # its short label there; empty: not there
    plural: str = ""  # the label for several objects, `{}` for how many; empty: for one object only
    checked: Callable[[Console], bool] | None = None  # an entry with a check mark
    section: int = 0  # a line is drawn where it changes
    names: Callable[[Selection], str] | None = None  # the label where it depends on what is picked
    stuck: Callable[[Console], str] | None = None  # why the window cannot do it where it stands; empty when it can

    def label(self, selection: Selection) -> str:
        """What the menu entry reads for what is picked."""
        if self.names is not None and (name := self.names(selection)):
            return name
        return self.plural.format(selection.count) if self.plural and selection.count > 1 else self.text

    def reason(self, selection: Selection) -> str:
        """Why it is not possible now and what would help, as sentences; empty when it is possible."""
        why = self.why_not(selection)
        return why.sentences if isinstance(why, Problem) else why or ""

    def hindrance(self, console: Console, selection: Selection) -> str:
        """The reason, of what is picked or of where the window stands; empty when there is none."""
        return self.reason(selection) or (self.stuck(console) if self.stuck is not None else "")

    def offered_for(self, selection: Selection) -> bool:
        """Whether the row stands in the context menu of what is picked."""
        return selection.place in self.places and (selection.count <= 1 or bool(self.plural))


class ActionBook:
    """All rows, in the order of the menus."""

    def __init__(self, rows: Iterable[Action]) -> None:
        self.rows = tuple(rows)
        self._by_id = {row.id: row for row in self.rows}
        if len(self._by_id) != len(self.rows):
            raise ValueError("two actions have one id")

    def row(self, action_id: str) -> Action:
        return self._by_id[action_id]

    def get(self, action_id: str) -> Action | None:
        return self._by_id.get(action_id)

    def for_menu(self, menu: str) -> list[Action]:
        """The rows of one fixed menu."""
        return [row for row in self.rows if row.menu == menu]

    def for_selection(self, selection: Selection) -> list[Action]:
        """The rows of the context menu, and of the Actions menu, for what is picked."""
        return sorted((row for row in self.rows if row.offered_for(selection)), key=lambda row: row.section)

    def on_toolbar(self) -> list[Action]:
        return [row for row in self.rows if row.toolbar]

    def with_shortcut(self) -> list[Action]:
        return [row for row in self.rows if row.shortcut]
