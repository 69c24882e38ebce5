"""One page of the Control Panel: fields that show what is set, and Apply. Nothing changes before."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QScrollArea, QVBoxLayout, QWidget

from engine.config import Config
from engine.records import Kind
from vea_gui.console import Console
from vea_gui.mirror import Change
from vea_gui.wizards.form import Form
from vea_gui.wizards.form_page import FormPage
from vea_gui.wizards.inquiry import Inquiry
from vea_gui.wizards.notice import Notice
from vea_gui.words import Tone, error_sentence

NOTHING_CHANGED = "Nothing has been changed on this page."
ASKING = "The engine is being asked."
APPLIED = "Applied."


class SettingsPage(QWidget):
    """Shows a form of one page; what nobody has touched follows what others set."""

    def __init__(self, console: Console, make: Callable[[Config], Form], table: QWidget | None = None) -> None:
        super().__init__()
        self.console = console
        self.form = make(console.config)
        self.table = table  # what the settings are about, below them
        self._touched = False
        self._applying = False
        self.page = FormPage(self.form.pages[0], self)
        self.notice = Notice(Tone.ERROR, self)
        self.said = QLabel(self)
        self.apply = self._button(self.form.verb, self._apply)
        self.revert = self._button("Revert", self._begin)
        self.inquiry = Inquiry(console, self.form, self._show)
        self._build()
        self.page.changed.connect(self._edited)
        console.changed.connect(self._changed)
        self.destroyed.connect(lambda: self.inquiry.end())
        self._begin()

    # --- building ---
    def _button(self, text: str, run: Callable[[], object]) -> QPushButton:
        button = QPushButton(text, self)
        button.setAccessibleName(text)
        button.clicked.connect(lambda _=False: run())
        return button

    def _build(self) -> None:
        title, sentence = QLabel(self.form.title, self), QLabel(self.form.pages[0].sentence, self)
        font = title.font()
        font.setBold(True)
        title.setFont(font)
        sentence.setWordWrap(True)
        area = QScrollArea(self)
        area.setWidgetResizable(True)
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        area.setWidget(self.page)
        buttons = QHBoxLayout()
        buttons.addWidget(self.apply)
        buttons.addWidget(self.revert)
        buttons.addWidget(self.said, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(16, 16, 16, 16)
        layout.setSpacing(8)
        layout.addWidget(title)
        layout.addWidget(sentence)
        layout.addWidget(area, 1)
        layout.addWidget(self.notice)
        layout.addLayout(buttons)
        if self.table is not None:
            area.setMaximumHeight(self.page.sizeHint().height())
            layout.addWidget(self.table, 4)

    # --- answers ---
    def _begin(self) -> None:
        """Show what is set; what was typed and not applied is dropped."""
        self.inquiry.end()
        self._touched = False
        self.inquiry = Inquiry(self.console, self.form, self._show)
        self.inquiry.ask()

    def _edited(self, name: str) -> None:
        self._touched = True
        self.said.setText("")
        self.inquiry.answer(self.page.answers(), name)

    def _changed(self, change: Change) -> None:
        if change.touches(Kind.SETTINGS):
            self.inquiry.ask()

    def _show(self) -> None:
        found = self.inquiry
        self.page.refresh(self.console.config, found.answers)
        self.page.show_answers(found.answers, but=found.last_edited)
        self.page.show_reasons(found.beside if self._touched else {}, found.yet)
        beside = {notice.said for notice in self.page.reasons.values()}
        rest = [text for text in found.reasons if text not in beside] if self._touched else []
        self.notice.say("\n".join(rest))
        self._enable()

    def _enable(self) -> None:
        found = self.inquiry
        ready = self._touched and found.plan is not None and not found.plan.problems and not self._applying
        why_not = "\n".join(found.reasons) or ASKING if self._touched else NOTHING_CHANGED
        for button, on in ((self.apply, ready), (self.revert, self._touched and not self._applying)):
            button.setEnabled(on)
            button.setToolTip("" if on else why_not)
            button.setAccessibleDescription("" if on else why_not)

    # --- doing ---
    def _apply(self) -> None:
        plan, command = self.inquiry.plan, self.inquiry.command
        if plan is None or command is None:
            return
        self._applying = True
        self._enable()
        self.console.submit(command, plan.basis, lambda _: self._done(), self._failed)

    def _done(self) -> None:
        self._applying = False
        self.said.setText(APPLIED)
        self.console.tell(f"{self.form.title}: {APPLIED.lower()}")
        self._begin()

    def _failed(self, error: BaseException) -> None:
        self._applying = False
        self.inquiry.fail(error_sentence(error))
