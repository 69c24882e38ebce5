"""Where the window is, as an address that can be edited, with back, forward and up."""

from __future__ import annotations

from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QWidget

from vea_gui.console import Console
from vea_gui.location import History, address, resolve
from vea_gui.tree_shape import Path
from vea_gui.views.task_panel import ActionButton


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

    def show_path(self, path: Path) -> None:
        """The window is there now."""
        self._show()
        ways = {
            "back": (self.history.can_go_back(), "There is nowhere to go back to."),
            "forward": (self.history.can_go_forward(), "There is nowhere to go forward to."),
            "up": (len(path) > 1, "This is the top of the tree."),
        }
        for name, (possible, reason) in ways.items():
            self.buttons[name].setEnabled(possible)
            self.buttons[name].setToolTip("" if possible else reason)
            self.buttons[name].setAccessibleDescription("" if possible else reason)

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
