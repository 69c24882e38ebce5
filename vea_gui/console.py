"""What actions, views and wizards know of the console: one of it for each main window."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtGui import QAccessible, QAccessibleAnnouncementEvent
from PySide6.QtWidgets import QDialog, QMenu, QMessageBox, QWidget

from engine.commands import Command, Refresh
from engine.config import Config
from engine.errors import EngineError
from engine.plans import Plan
from engine.records import Ref
from vea_gui import operations
from vea_gui.action_rows import ActionBook
from vea_gui.mirror import Mirror
from vea_gui.selection import FreeSpace, Selection
from vea_gui.sessions import Session
from vea_gui.settings import Settings
from vea_gui.tree_shape import Folder, Path, path_to
from vea_gui.views.message import confirm, message
from vea_gui.words import error_sentence, problem_lines


@dataclass
class ErrorEntry:
    """An error dialog that appeared."""

    time: float
    title: str
    text: str
    details: str = ""


@dataclass(eq=False)
class Errors:
    """All error dialogs of this process, for the Error Console."""

    entries: list[ErrorEntry] = field(default_factory=list)
    listeners: list[Callable[[], None]] = field(default_factory=list)

    def add(self, entry: ErrorEntry) -> None:
        self.entries.append(entry)
        for listener in self.listeners:
            listener()


class Frame(Protocol):
    """What actions ask of the window around a console."""

    def go(self, path: Path) -> None: ...
    def go_back(self) -> None: ...
    def go_forward(self) -> None: ...
    def go_up(self) -> None: ...
    def nowhere(self, way: str) -> str: ...
    def show_tab(self, ref: Ref | None, folder: str, title: str) -> None: ...
    def toggle(self, part: str) -> None: ...
    def is_shown(self, part: str) -> bool: ...
    def show_perspective(self, name: str) -> None: ...
    def perspective(self) -> str: ...
    def focus_address(self) -> None: ...
    def focus_filter(self) -> None: ...
    def choose_columns(self) -> None: ...
    def copy_table(self) -> None: ...
    def properties(self, selection: Selection) -> None: ...
    def new_window(self) -> None: ...
    def close_window(self) -> None: ...
    def leave(self) -> None: ...
    def search(self) -> None: ...
    def error_console(self) -> None: ...
    def control_panel(self, page: str) -> None: ...
    def event_notification(self) -> None: ...
    def preferences(self) -> None: ...
    def shortcuts(self) -> None: ...
    def about(self) -> None: ...


class Console(QObject):
    """One window's hand on the engine: records, what is picked, and the ways to change anything."""

    changed = Signal(object)  # Change
    selection_changed = Signal(object)  # Selection
    place_changed = Signal(object)  # Path: the tree's current place
    told = Signal(str)  # a reason or a short notice for the status bar
    taken_back = Signal(str)  # what was told and does not matter any more

    def __init__(
        self, session: Session, settings: Settings, actions: ActionBook | None = None, errors: Errors | None = None
    ) -> None:
        super().__init__()
        self.actions = actions if actions is not None else ActionBook(())
        self.session = session
        self.settings = settings
        self.errors = errors if errors is not None else Errors()
        self.window: QWidget | None = None
        self.selection = Selection(self.config)
        self.path: Path = ()
        self._frame: Frame | None = None
        self._about = Selection(self.config)  # the tree's place: what is meant when nothing is picked
        session.bridge.changed.connect(self._changed)

    @property
    def mirror(self) -> Mirror:
        return self.session.mirror

    @property
    def config(self) -> Config:
        """Today's records."""
        return self.session.mirror.config

    @property
    def host(self) -> Ref:
        return self.session.mirror.host

    @property
    def frame(self) -> Frame:
        """The window around this console; a RuntimeError before there is one."""
        if self._frame is None:
            raise RuntimeError("this console has no window yet")
        return self._frame

    def settle_in(self, window: QWidget, frame: Frame) -> None:
        """The window is there: dialogs get it as parent, actions as frame."""
        self.window, self._frame = window, frame

    def retire(self) -> None:
        """The window has closed: nothing more is told to its views."""
        self.session.bridge.changed.disconnect(self._changed)

    # --- picking ---
    def select(self, refs: Iterable[Ref], free: Iterable[FreeSpace] = ()) -> None:
        """Pick objects: every view of this window highlights them, none moves. Nothing: the tree's place."""
        selection = Selection(self.config, tuple(refs), free=tuple(free))
        if not selection.refs and not selection.free:
            selection = self._about.on(self.config)
        if selection != self.selection:
            self.selection = selection
            self.selection_changed.emit(selection)

    def stand_at(self, path: Path) -> None:
        """The tree's current place: it decides what the right side shows, and is what is picked now."""
        key = path[-1] if path else None
        self.path = path
        if isinstance(key, Folder):
            self._about = Selection(self.config, folder=key.name)
        else:
            self._about = Selection(self.config, (key,) if key is not None else ())
        self.place_changed.emit(path)
        self.select(())

    def show_in_tree(self, ref: Ref) -> None:
        """Move the tree to an object; Back returns."""
        path = path_to(self.config, self.host, ref)
        if path is not None:
            self.frame.go(path)

    def properties(self, ref: Ref) -> None:
        """Open the properties of an object."""
        self.frame.properties(self.at(ref))

    def refresh(self) -> None:
        """Have the sizes of LUNs read anew, and take everything that is shown anew from the engine."""
        self.submit(Refresh(), then=lambda _: self.session.bridge.attach())
        self.tell("Refreshed.")

    def at(self, *refs: Ref) -> Selection:
        """A selection for an action on these objects, leaving alone what is picked."""
        return Selection(self.config, refs)

    # --- asking and doing ---
    def plan(
        self,
        command: Command,
        then: Callable[[Plan], None],
        failed: Callable[[BaseException], None] | None = None,
        topic: str = "",
    ) -> None:
        """What the command would do, told to `then` on the GUI thread. A newer question of a `topic` replaces older."""
        self.session.plan(command, then, failed or self._failing(command), topic)

    def submit(
        self,
        command: Command,
        basis: int | None = None,
        then: Callable[[Ref], None] | None = None,
        failed: Callable[[BaseException], None] | None = None,
    ) -> None:
        """Do it. Without `failed`, an error gets a dialog that names the operation."""
        self.session.submit(command, basis, then, failed or self._failing(command))

    def carry_out(self, *commands: Command) -> None:
        """Plan them, ask once when a plan says so, and do them. A refusal of one shows its reasons; nothing is done."""
        plans: list[Plan] = []

        def planned(plan: Plan) -> None:
            plans.append(plan)
            if len(plans) == len(commands):
                self._planned(commands, plans)

        for command in commands:
            self.plan(command, planned)

    def ask(self, name: str, selection: Selection, *more: object) -> QDialog | None:
        """Open a wizard or dialog by its name in `vea_gui.wizards.REGISTRY`."""
        from vea_gui.wizards import REGISTRY  # wizards know the console, so the console meets them late

        dialog = REGISTRY[name](self, selection.on(self.config), *more)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.open()
        return dialog

    def trigger(self, action_id: str, selection: Selection | None = None) -> bool:
        """Run an action when it is possible; else tell why it is not. Answers whether it ran."""
        row = self.actions.row(action_id)
        chosen = (selection if selection is not None else self.selection).on(self.config)
        reason = row.hindrance(self, chosen)
        if reason:
            self.tell(reason)
            return False
        row.run(self, chosen)
        return True

    def menu_for(self, selection: Selection, parent: QWidget) -> QMenu:
        """The context menu of what is picked."""
        from vea_gui.views.menus import context_menu

        return context_menu(self, selection.on(self.config), parent)

    # --- telling ---
    def tell(self, text: str) -> None:
        """Into the status bar, and to a screen reader at once."""
        self.told.emit(text)
        if text and self.window is not None and QAccessible.isActive():
            QAccessible.updateAccessibility(QAccessibleAnnouncementEvent(self.window, text))

    def take_back(self, text: str) -> None:
        """What was told so does not matter any more; a newer word stays."""
        self.taken_back.emit(text)

    def show_error(self, error: BaseException | str, title: str = "") -> None:
        """An error dialog with Details that can be copied; the Error Console keeps it. `title` says what went wrong."""
        title = title or operations.failure_title(operations.UNNAMED)
        text = error if isinstance(error, str) else error_sentence(error)
        details = "" if isinstance(error, str) else _details(error)
        self.errors.add(ErrorEntry(time.time(), title, text, details))
        message(self.window, QMessageBox.Icon.Warning, title, text, details)

    def _failing(self, command: Command) -> Callable[[BaseException], None]:
        """Who shows the error of a command."""
        return lambda error: self.show_error(error, operations.failed(command))

    def _planned(self, commands: Sequence[Command], plans: Sequence[Plan]) -> None:
        refused = next((plan for plan in plans if plan.problems), None)
        ask_for_all = self.settings.preferences.confirm
        if refused is not None:
            self._refuse(refused)
        elif any(plan.confirm and (plan.destroys or plan.irreversible or ask_for_all) for plan in plans):
            confirm(self.window, plans, lambda: self._submit_all(commands, plans))
        else:
            self._submit_all(commands, plans)

    def _refuse(self, plan: Plan) -> None:
        title, reasons = operations.failure_title(plan.title), [problem.sentences for problem in plan.problems]
        self.errors.add(ErrorEntry(time.time(), title, reasons[0], "\n".join(reasons)))
        details = "\n".join(reasons) if len(reasons) > 1 else ""
        message(self.window, QMessageBox.Icon.Warning, title, reasons[0], details)

    def _submit_all(self, commands: Sequence[Command], plans: Sequence[Plan]) -> None:
        for command, plan in zip(commands, plans, strict=True):
            self.submit(command, plan.basis)

    def _changed(self, change: object) -> None:
        self.selection = self.selection.on(self.config)
        self.changed.emit(change)


def _details(error: BaseException) -> str:
    lines = problem_lines(error)
    if len(lines) > 1:
        return "\n".join(lines)
    return "" if lines or isinstance(error, EngineError) else f"{type(error).__name__}: {error}"
