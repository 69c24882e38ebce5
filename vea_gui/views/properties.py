"""Properties of an object: a window of its own that stays live; every value can be copied."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QFormLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from engine.records import Ref
from vea_gui.columns import properties, state_tip
from vea_gui.console import Console
from vea_gui.mirror import Change
from vea_gui.views.remedy_bar import RemedyBar
from vea_gui.words import KIND_NAMES, Tone, tone_of


class PropertiesWindow(QDialog):
    """Label and value for all there is to say about one object."""

    def __init__(self, console: Console, ref: Ref) -> None:
        super().__init__(console.window)
        self.console = console
        self.ref = ref
        self.values: list[QLineEdit] = []
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setModal(False)
        self.note = QLabel("", self)  # what is wrong with the object, or that it is gone
        self.note.setTextFormat(Qt.TextFormat.PlainText)
        self.note.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
        self.note.setContentsMargins(8, 8, 8, 0)
        self.note.setWordWrap(True)
        self.note.hide()
        self.remedies = RemedyBar(console, lambda: console.config.get(ref), self)
        self.form = QFormLayout()
        self.form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        self.form.setContentsMargins(16, 16, 16, 16)
        self.form.setSpacing(8)
        self._build()
        self._fill()
        console.changed.connect(self._changed)

    def as_text(self) -> str:
        """All labels and values, one pair a line."""
        record = self.console.config.get(self.ref)
        pairs = properties(self.console.mirror, record) if record is not None else []
        lines = [f"{label}: {value}" for label, value in pairs]
        return "\n".join([*lines, self.note.text()] if self.note.text() else lines)

    def _build(self) -> None:
        body = QWidget(self)
        body.setLayout(self.form)
        scroll = QScrollArea(self)
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QScrollArea.Shape.NoFrame)
        scroll.setWidget(body)
        scroll.setAccessibleName("Values")
        buttons = QDialogButtonBox(self)
        copy = QPushButton("Copy All", self)
        copy.clicked.connect(lambda: QGuiApplication.clipboard().setText(self.as_text()))
        close = QPushButton("Close", self)
        close.clicked.connect(self.close)
        close.setDefault(True)
        buttons.addButton(copy, QDialogButtonBox.ButtonRole.ActionRole)
        buttons.addButton(close, QDialogButtonBox.ButtonRole.RejectRole)
        layout = QVBoxLayout(self)
        layout.addWidget(self.note)
        layout.addWidget(self.remedies)
        layout.addWidget(scroll, 1)
        layout.addWidget(buttons)
        self.resize(self.fontMetrics().averageCharWidth() * 72, self.fontMetrics().height() * 26)

    def _fill(self) -> None:
        record = self.console.config.get(self.ref)
        if record is None:
            self._say("This object is not there any more. These are its last values.")
            self.remedies.hide()
            return
        self._say(state_tip(self.console.mirror, record) if tone_of(record) >= Tone.WARNING else "")
        self.remedies.update_ways()
        self.setWindowTitle(f"Properties of {KIND_NAMES[self.ref.kind][0]} {record.name}")
        for row, (label, value) in enumerate(properties(self.console.mirror, record)):
            if row == len(self.values):
                self._add_row(label)
            field = self.values[row]
            if field.text() != value:
                field.setText(value)
                field.setCursorPosition(0)

    def _say(self, text: str) -> None:
        if self.note.text() != text:
            self.note.setText(text)
        self.note.setVisible(bool(text))

    def _add_row(self, label: str) -> None:
        field = QLineEdit(self)
        field.setReadOnly(True)
        field.setAccessibleName(label)
        self.form.addRow(f"{label}:", field)
        self.values.append(field)

    def _changed(self, change: Change) -> None:
        if change.reset or change.renamed or self.ref in change.refresh:
            self._fill()
