"""Where the window is, as an address that can be edited, with back, forward and up."""

from __future__ import annotations

from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QWidget

from vea_gui.console import Console
from vea_gui.location import History, address, resolve
from vea_gui.views.task_panel import ActionButton

NOWHERE = {
    "back": "There is nowhere to go back to.",
    "forward": "There is nowhere to go forward to.",
    "up": "This is the top of the tree.",
}


class AddressBar(QWidget):
    """`vea://localhost/StorageAgent/DiskGroups/dg1`; Enter goes there, or says which part leads nowhere."""

    def __init__(self, console: Console, history: History) -> None:
        super().__init__()
        self.console = console
        self.history = history
        self._told = ""  # why it could not go where it was told to
        self.field = QLineEdit(self)
        self.field.setAccessibleName("Address")
        self.buttons = {name: ActionButton(console, name, self) for name in ("back", "forward", "up")}
        layout = QHBoxLayout(self)
        layout.setContentsMargins(4, 0, 4, 0)
        layout.setSpacing(2)
        for button in self.buttons.values():
            layout.addWidget(button)
        layout.addWidget(self.field, 1)
        self.field.returnPressed.connect(self._go)
        self.field.editingFinished.connect(self._left)

    def show_place(self) -> None:
        """The window is there now."""
        self._show()
        for name, button in self.buttons.items():
            reason = self.nowhere(name)
            button.setEnabled(not reason)
            button.setToolTip(reason)
            button.setAccessibleDescription(reason)

    def nowhere(self, way: str) -> str:
        """Why there is no place `back`, `forward` or `up`; empty when there is one."""
        possible = {
            "back": self.history.can_go_back(),
            "forward": self.history.can_go_forward(),
            "up": len(self.console.path) > 1,
        }
        return "" if possible[way] else NOWHERE[way]

    def _left(self) -> None:
        """What was typed in vain stands as long as it may be corrected."""
        if not self.field.hasFocus():
            self._show()

    def _show(self) -> None:
        self.console.take_back(self._told)
        text = address(self.console.config, self.console.path) if self.console.path else ""
        if self.field.text() != text:
            self.field.setText(text)

    def _go(self) -> None:
        try:
            path = resolve(self.console.config, self.console.host, self.field.text())
        except ValueError as error:
            self._told = str(error)
            self.console.tell(self._told)
            return
        self.console.frame.go(path)
        self._show()
