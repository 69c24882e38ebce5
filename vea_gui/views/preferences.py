"""Preferences: what is chosen shows at once; Cancel brings back what was."""

from __future__ import annotations

import dataclasses

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QCheckBox, QComboBox, QDialog, QDialogButtonBox, QFormLayout, QPushButton, QSpinBox

from vea_gui.console import Console

THEMES = {"system": "System", "light": "Light", "dark": "Dark"}
SMALLEST, LARGEST = 6, 36


class PreferencesDialog(QDialog):
    """Theme, font size, motion, confirmations."""

    def __init__(self, console: Console) -> None:
        super().__init__(console.window)
        self.settings = console.settings
        self._before = self.settings.preferences
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle("Preferences")
        chosen = self._before
        self.theme = QComboBox(self)
        for name, label in THEMES.items():
            self.theme.addItem(label, name)
        self.theme.setCurrentIndex(list(THEMES).index(chosen.theme))
        self.points = QSpinBox(self)
        self.points.setRange(SMALLEST - 1, LARGEST)
        self.points.setSpecialValueText("System size")
        self.points.setSuffix(" pt")
        self.points.setValue(chosen.font_points or SMALLEST - 1)
        self.still = QCheckBox("Reduced motion", self)
        self.still.setChecked(chosen.reduced_motion)
        self.confirm = QCheckBox("Confirm before every change", self)
        self.confirm.setToolTip("What destroys data is confirmed in any case.")
        self.confirm.setChecked(chosen.confirm)
        self.welcome = QCheckBox("Begin wizards with a Welcome page", self)
        self.welcome.setChecked(chosen.welcome_pages)
        self._build()
        self.theme.currentIndexChanged.connect(self._apply)
        self.points.valueChanged.connect(self._apply)
        for box in (self.still, self.confirm, self.welcome):
            box.toggled.connect(self._apply)

    def reject(self) -> None:
        self.settings.change(**dataclasses.asdict(self._before))
        super().reject()

    def _build(self) -> None:
        form = QFormLayout(self)
        form.setSpacing(8)
        form.setContentsMargins(16, 16, 16, 16)
        for label, widget in (("Theme:", self.theme), ("Font size:", self.points)):
            widget.setAccessibleName(label.rstrip(":"))
            form.addRow(label, widget)
        for box in (self.still, self.confirm, self.welcome):
            form.addRow(box)
        buttons = QDialogButtonBox(self)
        ok = QPushButton("OK", self)
        ok.setDefault(True)
        buttons.addButton(ok, QDialogButtonBox.ButtonRole.AcceptRole)
        buttons.addButton(QPushButton("Cancel", self), QDialogButtonBox.ButtonRole.RejectRole)
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        form.addRow(buttons)

    def _apply(self) -> None:
        points = self.points.value()
        self.settings.change(
            theme=self.theme.currentData(),
            font_points=points if points >= SMALLEST else 0,
            reduced_motion=self.still.isChecked(),
            confirm=self.confirm.isChecked(),
            welcome_pages=self.welcome.isChecked(),
        )
