"""Tasks of the host: progress, time left, and their controls."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QHBoxLayout, QToolButton, QVBoxLayout, QWidget

from engine.records import Kind, Task
from vea_gui import icons, theme
from vea_gui.console import Console
from vea_gui.models.table import Source, matching
from vea_gui.selection import Selection
from vea_gui.views.menus import Pick
from vea_gui.views.table_page import TablePage

BUTTONS = ("pause-task", "resume-task", "abort-task", "throttle-task", "undo-task", "clear-tasks")


class ActionButton(QToolButton):
    """A button of an action row: its reason is its tooltip, and is told when it is pressed in vain."""

    def __init__(
        self, console: Console, action: str, parent: QWidget, words: bool = False, pick: Pick | None = None
    ) -> None:
        super().__init__(parent)
        self.console = console
        self._pick: Pick = pick or (lambda: console.selection)
        self.row = console.actions.row(action)
        label = (self.row.toolbar or self.row.text).replace("&", "").rstrip(".")
        self.setText(label)
        self.setAccessibleName(label)
        self.setAutoRaise(True)
        self.setIconSize(QSize(20, 20))
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        style = Qt.ToolButtonStyle.ToolButtonTextBesideIcon if words else Qt.ToolButtonStyle.ToolButtonIconOnly
        self.setToolButtonStyle(style)
        self.clicked.connect(lambda: console.trigger(action, self._pick()))
        theme.signals().changed.connect(self._restyle)
        self._restyle()
        self.update_reason()

    def update_reason(self) -> None:
        """Grey while it is not possible, with the reason at hand for eyes and ears."""
        reason = self.row.reason(self._pick().on(self.console.config))
        if self.isEnabled() == bool(reason):
            self.setEnabled(not reason)
        if self.toolTip() != (reason or self.accessibleName()):
            self.setToolTip(reason or self.accessibleName())
            self.setAccessibleDescription(reason)

    def _restyle(self) -> None:
        self.setIcon(icons.icon(self.row.icon))


def listed_tasks() -> Source:
    """Tasks that have not been cleared."""
    return matching(Kind.TASK, lambda task: not task.cleared)


class TaskPanel(QWidget):
    """The Tasks tab at the bottom."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self.console = console
        self.page = TablePage(console, "Tasks", listed_tasks(), "tasks", newest_first="number")
        bar = QHBoxLayout()
        bar.setContentsMargins(4, 2, 4, 2)
        bar.setSpacing(4)
        self.buttons = [ActionButton(console, action, self, pick=self._meant) for action in BUTTONS]
        for button in self.buttons:
            bar.addWidget(button)
        bar.addStretch(1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addLayout(bar)
        layout.addWidget(self.page, 1)
        console.selection_changed.connect(self._refresh)
        console.changed.connect(self._refresh)

    def unfinished(self) -> list[Task]:
        """Tasks that have not ended: running, paused, waiting."""
        tasks = self.console.config.every(Kind.TASK)
        return [task for task in tasks if isinstance(task, Task) and not task.ended]

    def _meant(self) -> Selection:
        """What is picked; when no task is, the one that has not ended, where there is only one."""
        selection, unfinished = self.console.selection, self.unfinished()
        alone = len(unfinished) == 1 and not selection.of(Task)
        return self.console.at(unfinished[0].ref) if alone else selection

    def release(self) -> None:
        self.page.release()

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._refresh()

    def _refresh(self, _: object = None) -> None:
        if self.isVisible():
            for button in self.buttons:
                button.update_reason()
