"""The perspective bar at the far left: System, Control Panel and Logs."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtWidgets import QButtonGroup, QToolButton, QVBoxLayout, QWidget

from vea_gui import icons, theme

PERSPECTIVES = {"system": "System", "control": "Control Panel", "logs": "Logs"}


class PerspectiveBar(QWidget):
    """One button for each perspective; the pressed one is shown."""

    chosen = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.setAccessibleName("Perspectives")
        self.group = QButtonGroup(self)
        self.buttons: dict[str, QToolButton] = {}
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.setSpacing(4)
        for name, label in PERSPECTIVES.items():
            button = QToolButton(self)
            button.setText(label)
            button.setAccessibleName(label)
            button.setCheckable(True)
            button.setAutoRaise(True)
            button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextUnderIcon)
            button.setIconSize(QSize(24, 24))
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            button.clicked.connect(lambda _=False, name=name: self.chosen.emit(name))
            self.group.addButton(button)
            self.buttons[name] = button
            layout.addWidget(button)
        layout.addStretch(1)
        theme.signals().changed.connect(self._restyle)
        self._restyle()

    def show_chosen(self, name: str) -> None:
        self.buttons[name].setChecked(True)

    def _restyle(self) -> None:
        width = 0
        for name, button in self.buttons.items():
            button.setIcon(icons.icon(name))
            width = max(width, button.sizeHint().width())
        for button in self.buttons.values():
            button.setMinimumWidth(width)
