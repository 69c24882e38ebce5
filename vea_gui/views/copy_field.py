"""A text to copy: shown whole, however long it is, with a Copy button beside it."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QFontDatabase, QGuiApplication, QResizeEvent, QTextOption
from PySide6.QtWidgets import QApplication, QFrame, QHBoxLayout, QPlainTextEdit, QPushButton, QSizePolicy, QWidget

from vea_gui.console import Console


class WholeText(QPlainTextEdit):
    """Read-only text that breaks anywhere and is as high as its lines."""

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setReadOnly(True)
        self.setTabChangesFocus(True)
        self.setWordWrapMode(QTextOption.WrapMode.WrapAnywhere)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFrameShape(QFrame.Shape.StyledPanel)
        self.setAccessibleName(name)
        self.restyle()

    def show_text(self, text: str) -> None:
        """Another text; what is selected stays when it is the same."""
        if text != self.toPlainText():
            self.setPlainText(text)
            self._fit()

    def restyle(self) -> None:
        """Take the fixed font in the size of the window's."""
        font = QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont)
        font.setPointSizeF(QApplication.font().pointSizeF())
        self.setFont(font)
        self._fit()

    def sizeHint(self) -> QSize:
        return QSize(self.fontMetrics().averageCharWidth() * 60, self.height())

    def minimumSizeHint(self) -> QSize:
        return QSize(self.fontMetrics().averageCharWidth() * 20, self.height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        document = self.document()
        lines = max(1.0, document.documentLayout().documentSize().height())  # this layout counts lines, not pixels
        spacing = self.fontMetrics().lineSpacing()
        height = round(lines * spacing + 2 * document.documentMargin()) + 2 * self.frameWidth()
        if height != self.height():
            self.setFixedHeight(height)


class CopyField(QWidget):
    """The text and its button. `what` is what it is called: `NBD address`, `line for QEMU`."""

    def __init__(self, console: Console, what: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.console = console
        self.what = what
        self.text = WholeText(what, self)
        self.button = QPushButton("Copy", self)
        self.button.setAccessibleName(f"Copy {what}")
        self.button.setToolTip(f"Copy the {what} to the clipboard")
        self.button.clicked.connect(self.copy)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        layout.addWidget(self.text, 1)
        layout.addWidget(self.button, 0, Qt.AlignmentFlag.AlignTop)

    def copy(self) -> None:
        """Put the text into the clipboard, and say so."""
        QGuiApplication.clipboard().setText(self.text.toPlainText())
        self.console.tell(f"The {self.what} is in the clipboard.")
