"""A form on the screen: a wizard with a plan page, or a dialog with its plan below the fields."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QPoint, Qt, QTimer
from PySide6.QtGui import QKeySequence, QShowEvent
from PySide6.QtWidgets import (
    QCheckBox,
    QDialog,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QMessageBox,
    QPushButton,
    QScrollArea,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from engine.commands import Command
from engine.errors import CommandRejected
from engine.plans import Plan
from engine.records import Kind, Ref
from vea_gui.console import Console
from vea_gui.mirror import Change
from vea_gui.views.message import message, yes_or_no
from vea_gui.views.tab_order import step, stops
from vea_gui.wizards.form import PLAIN_VERB, Answers, Form
from vea_gui.wizards.form_page import FormPage
from vea_gui.wizards.inquiry import Inquiry
from vea_gui.wizards.notice import Notice
from vea_gui.wizards.plan_view import PlanView
from vea_gui.words import Tone, error_sentence, problem_lines

ASKING = "Working out what will happen..."
NOT_YET = "The plan appears here once the fields above are filled in."
CHANGED = "Things have changed since the plan was shown. This is the new plan; nothing has been done yet."
GONE = "What this is about is not there any more. Nothing was changed."
PLAN_TITLE = "Plan"
PLAN_SENTENCE = "This is what will happen. Nothing is changed before you choose Finish."
BUSY = "The engine is being asked to do it."
FIRST_PAGE, LAST_PAGE = "This is the first page.", "This is the last page. Choose Finish."
FIRST_NEXT = "Choose Next until the plan is shown."
FOLD_MS = 120
"""Changes of the records within so many milliseconds are one question."""
WIDE_CHARACTERS, HIGH_LINES, LOW_LINES = 124, 45, 26
SPACE_KINDS = frozenset({Kind.GROUP, Kind.DISK, Kind.VOLUME, Kind.PLEX, Kind.SUBDISK, Kind.ENCLOSURE})


class FormDialog(QDialog):
    """Shows a form's pages, keeps an `Inquiry` about the answers, and submits what it finds."""

    def __init__(self, console: Console, form: Form) -> None:
        super().__init__(console.window)
        self.console, self.form = console, form
        self.inquiry = Inquiry(console, form, self._show)
        self.pages = [FormPage(page, self) for page in form.pages]
        self.plan_view = PlanView(self)
        self.busy = False  # submitted, not yet answered
        self._put: QPoint | None = None  # where it was opened, until it has grown or was used
        self.setWindowTitle(form.title)
        self.setModal(True)
        self._build()
        self._fold = QTimer(self)
        self._fold.setSingleShot(True)
        self._fold.setInterval(FOLD_MS)
        self._fold.timeout.connect(self.inquiry.ask)
        for page in self.pages:
            page.changed.connect(self._edited)
            page.asked_maximum.connect(self._ask_maximum)
            page.asked_form.connect(lambda name, refs: self.console.ask(name, self.console.at(*refs)))
        console.changed.connect(self._changed)
        self.destroyed.connect(self.inquiry.end)
        self._go(0)
        self.inquiry.ask()
        self._resize()

    # --- what tests and accessibility see ---
    @property
    def plan(self) -> Plan | None:
        """The plan that is shown; None while there is none."""
        return self.inquiry.plan

    def control(self, name: str) -> QWidget:
        """The control of a field."""
        return next(page.controls[name] for page in self.pages if name in page.controls)

    # --- building ---
    def _build(self) -> None:
        self.title, self.sentence = QLabel(self), QLabel(self)
        font = self.title.font()
        font.setBold(True)
        if font.pointSizeF() > 0:
            font.setPointSizeF(font.pointSizeF() * 1.2)
        self.title.setFont(font)
        self.sentence.setWordWrap(True)
        self.notice = Notice(Tone.ERROR, self)
        self.stack = QStackedWidget(self)
        for widget in self._sheets():
            self.stack.addWidget(widget)
        line = QFrame(self)
        line.setFrameShape(QFrame.Shape.HLine)
        line.setFrameShadow(QFrame.Shadow.Sunken)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(16, 16, 16, 16)
        layout.setSpacing(8)
        layout.addWidget(self.title)
        layout.addWidget(self.sentence)
        layout.addSpacing(4)
        layout.addWidget(self.stack, 1)
        layout.addWidget(self.notice)
        layout.addWidget(line)
        layout.addLayout(self._buttons())

    def _sheets(self) -> list[QWidget]:
        """Each page in a scroll area of its own, so that nothing is ever cut."""
        if not self.form.wizard:
            body = QWidget(self)
            column = QVBoxLayout(body)
            column.setContentsMargins(0, 0, 0, 0)
            column.setSpacing(8)
            for page in self.pages:
                column.addWidget(page)
            column.addWidget(self.plan_view, 1)
            return [self._scrolled(body)]
        sheets = [self._scrolled(self._welcome())] if self._has_welcome() else []
        return [*sheets, *(self._scrolled(page) for page in self.pages), self._scrolled(self.plan_view)]

    def _has_welcome(self) -> bool:
        wanted = self.form.welcomes_always or self.console.settings.preferences.welcome_pages
        return bool(self.form.welcome) and wanted

    def _welcome(self) -> QWidget:
        sheet = QWidget(self)
        text = QLabel(self.form.welcome, sheet)
        text.setWordWrap(True)
        column = QVBoxLayout(sheet)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(text)
        column.addStretch(1)
        if not self.form.welcomes_always:
            skip = QCheckBox("Do not show this page again", sheet)
            skip.setAccessibleName(skip.text())
            skip.toggled.connect(lambda on: self.console.settings.change(welcome_pages=not on))
            column.addWidget(skip)
        return sheet

    def _scrolled(self, body: QWidget) -> QScrollArea:
        area = QScrollArea(self)
        area.setWidgetResizable(True)
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        area.setWidget(body)
        return area

    def _buttons(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setSpacing(8)
        self.help = self._button("Help", "F1", self._help)
        row.addWidget(self.help)
        row.addStretch(1)
        self.finish = self._button("Finish" if self.form.wizard else self.form.verb, "", self._finish)
        self.cancel = self._button("Cancel", "", self.reject)
        if self.form.wizard:
            self.finish.setShortcut(QKeySequence("Alt+F"))
            self.back = self._button("Back", "Alt+B", lambda: self._go(self.stack.currentIndex() - 1))
            self.next = self._button("Next", "Alt+N", lambda: self._go(self.stack.currentIndex() + 1))
            row.addWidget(self.back)
            row.addWidget(self.next)
        row.addWidget(self.finish)
        row.addWidget(self.cancel)
        return row

    def _button(self, text: str, key: str, act: Callable[[], object]) -> QPushButton:
        button = QPushButton(text, self)
        button.setAccessibleName(text)
        if key:
            button.setShortcut(QKeySequence(key))
        button.clicked.connect(lambda _=False: act())
        return button

    def _resize(self) -> None:
        metrics = self.fontMetrics()
        wide = max(self.sizeHint().width(), metrics.averageCharWidth() * WIDE_CHARACTERS)
        high = metrics.height() * (HIGH_LINES if self.form.wizard else LOW_LINES)
        screen = self.screen().availableGeometry().size()
        self.resize(min(wide, screen.width() - 40), min(high, screen.height() - 80))

    def _grow(self) -> None:
        """A dialog gets taller when its plan does, as far as that is pleasant; it never shrinks under the hand."""
        area = self.stack.currentWidget()
        if self.form.wizard or not isinstance(area, QScrollArea):
            return
        body = area.widget()
        layout = body.layout() if body is not None else None
        if layout is None:
            return
        missing = layout.totalHeightForWidth(area.viewport().width()) - area.viewport().height()
        room = self.screen().availableGeometry()
        limit = min(self.fontMetrics().height() * HIGH_LINES, room.height() - 80)
        if missing > 0 and self.height() < limit:
            high = min(self.height() + missing, limit)
            frame = self.frameGeometry().height() - self.height()
            place = self._put or self.pos()
            lowest = room.bottom() + 1 - high - frame  # its buttons stay on the screen
            self.move(place.x(), max(room.top(), min(place.y(), lowest)))
            self.resize(self.width(), high)
            self._put = None

    def showEvent(self, event: QShowEvent) -> None:
        """While a window manager puts its frame around a new window, what is known of its place may be a corner of the
        screen; growing then would take it there. So the place is kept that it was given."""
        super().showEvent(event)
        if not event.spontaneous():
            self._put = self.pos()

    # --- where we are ---
    @property
    def _offset(self) -> int:
        """How many sheets stand before the first page of fields."""
        return self.stack.count() - len(self.pages) - 1 if self.form.wizard else 0

    def _shown_pages(self) -> list[FormPage]:
        """The pages of fields that are in sight."""
        if not self.form.wizard:
            return self.pages
        number = self.stack.currentIndex() - self._offset
        return [self.pages[number]] if 0 <= number < len(self.pages) else []

    def _on_plan(self) -> bool:
        return not self.form.wizard or self.stack.currentIndex() == self.stack.count() - 1

    def _go(self, number: int) -> None:
        self.stack.setCurrentIndex(max(0, min(number, self.stack.count() - 1)))
        shown = self._shown_pages()
        if shown and (self.form.wizard or shown[0].page.sentence):
            title, sentence = shown[0].page.title, shown[0].page.sentence
        elif self._on_plan():
            title, sentence = PLAN_TITLE, PLAN_SENTENCE
        else:
            title, sentence = f"Welcome to the {self.form.name_of_wizard}", ""
        self.title.setText(title)
        self.sentence.setText(sentence)
        self.sentence.setVisible(bool(sentence))
        self.setAccessibleDescription(f"{title}. {sentence}")
        self._show()
        self._focus_first()

    def _focus_first(self) -> None:
        for page in self._shown_pages():
            for control in page.controls.values():
                target = control.focusProxy()
                if target is not None and control.isEnabled():
                    target.setFocus()
                    if isinstance(target, QLineEdit):
                        target.selectAll()  # a proposal is replaced by what is typed
                    return
        (self.finish if self._on_plan() else self.next).setFocus()

    def focusNextPrevChild(self, forward: bool) -> bool:
        """Tab goes through the fields as they are read, then Back, Next, Finish, Cancel, and Help."""
        order = [*(stop for stop in stops(self) if stop is not self.help), self.help]
        return step(order, self.focusWidget(), forward) or super().focusNextPrevChild(forward)

    # --- answers and plans ---
    def _edited(self, name: str) -> None:
        self._put = None  # it has long been where it is, or where it was moved to
        answers = {key: value for page in self.pages for key, value in page.answers().items()}
        self.inquiry.answer(answers, name)

    def _ask_maximum(self, name: str) -> None:
        self.inquiry.take_maximum(name)

    def _changed(self, change: Change) -> None:
        if change.reset or any(ref.kind in SPACE_KINDS for ref in change.records):
            self._fold.start()

    def _show(self) -> None:
        """Bring fields, reasons, plan and buttons in line with what is known."""
        found = self.inquiry
        if found.gone:
            self._show_gone()
            return
        for page in self.pages:
            page.refresh(self.console.config, found.answers)
            page.show_answers(found.answers, but=found.last_edited)
            page.show_reasons(found.beside, found.yet)
            for name, text in found.maxima.items():
                page.show_maximum(name, text)
        last = not self.form.wizard or self._on_plan() or self._shown_pages() == self.pages[-1:]
        beside_shown = {
            text for page in self._shown_pages() for text in (notice.said for notice in page.reasons.values())
        }
        rest = [text for text in found.reasons if text not in beside_shown]
        self.notice.say("\n".join(rest) if last else "")
        self._show_plan()
        self._enable()
        QTimer.singleShot(0, self, self._grow)

    def _show_plan(self) -> None:
        found = self.inquiry
        if found.plan is not None and not found.plan.problems:
            self.plan_view.show_plan(self.console.config, found.plan, found.news)
        elif found.asking:
            self.plan_view.clear(ASKING)
        else:
            self.plan_view.clear("" if self.form.wizard or found.reasons else NOT_YET)

    def _show_gone(self) -> None:
        for page in self.pages:
            page.setEnabled(False)
            page.setAccessibleDescription(GONE)
        self.plan_view.clear("")
        self.notice.say(GONE)
        self._enable()

    def _enable(self) -> None:
        found = self.inquiry
        ready = found.plan is not None and not found.plan.problems and not found.asking and not self.busy
        self.finish.setEnabled(ready and self._on_plan() and not found.gone)
        if self.form.is_named_by_plan:  # what destroys something is called by its name
            self.finish.setText((found.plan.confirm_button if ready and found.plan else "") or PLAIN_VERB)
            self.finish.setAccessibleName(self.finish.text())
        last = self.cancel if self._destroys() else self.finish
        if self.form.wizard:
            self.back.setEnabled(self.stack.currentIndex() > 0 and not self.busy)
            self.next.setEnabled(not self._on_plan() and not found.gone and not self._in_the_way())
            default = last if self._on_plan() else self.next
        else:
            default = last
        default.setDefault(True)
        self._explain()
        if not self._fields_to_answer() and self.finish.isEnabled() and self.focusWidget() is not self.cancel:
            last.setFocus()

    def _destroys(self) -> bool:
        """Whether data can't be had back after it: Enter in a field does not do that."""
        plan = self.inquiry.plan
        return self._on_plan() and plan is not None and bool(plan.destroys)

    def _explain(self) -> None:
        """A button that cannot be pressed says why."""
        why_not = "\n".join(self.inquiry.reasons) or (ASKING if self.inquiry.asking else BUSY if self.busy else "")
        on_plan = self._on_plan()
        told = {self.finish: why_not if on_plan else why_not or FIRST_NEXT}
        if self.form.wizard:
            told |= {self.back: BUSY if self.busy else FIRST_PAGE, self.next: LAST_PAGE if on_plan else why_not}
        for button, reason in told.items():
            text = "" if button.isEnabled() else reason or (GONE if self.inquiry.gone else NOT_YET)
            button.setToolTip(text)
            button.setAccessibleDescription(text)

    def _fields_to_answer(self) -> bool:
        """Whether anything on this page takes an answer."""
        return any(
            control.focusProxy() is not None for page in self._shown_pages() for control in page.controls.values()
        )

    def _in_the_way(self) -> bool:
        """Whether something on this page has to be mended first."""
        shown = self._shown_pages()
        if any(notice.said for page in shown for notice in page.reasons.values()):
            return True
        return bool(shown) and shown == self.pages[-1:] and bool(self.inquiry.reasons)

    # --- the end ---
    def _finish(self) -> None:
        plan, command = self.inquiry.plan, self.inquiry.command
        if plan is None or command is None:
            return
        warning = self.form.warns(plan, self.inquiry.answers)
        if warning:
            yes_or_no(self, self.form.title, warning, lambda: self._submit(command, plan))
        else:
            self._submit(command, plan)

    def _submit(self, command: Command, plan: Plan) -> None:
        if self.inquiry.ended or self.busy:
            return
        self.busy = True
        self._enable()
        answers = dict(self.inquiry.answers)
        self.console.submit(command, plan.basis, lambda task: self._taken(task, answers), self._refused)

    def _taken(self, task: Ref, answers: Answers) -> None:
        if self.form.begun is not None:
            self.form.begun(self.console, answers, task)
        if not self.inquiry.ended:
            self.accept()

    def _refused(self, error: BaseException) -> None:
        if self.inquiry.ended:
            return
        self.busy = False
        if isinstance(error, CommandRejected) and error.plan is not None:
            self.inquiry.replace(error.plan, CHANGED)
            return
        self.inquiry.fail("\n".join(problem_lines(error)) or error_sentence(error))

    def done(self, result: int) -> None:
        self.inquiry.end()
        self._fold.stop()
        super().done(result)

    def _help(self) -> None:
        pages = [page.page for page in self._shown_pages()]
        lines = [page.sentence for page in pages] or [PLAN_SENTENCE if self._on_plan() else self.form.welcome]
        hints = [f"{each.label}: {each.hint}" for page in pages for each in page.fields if each.hint]
        text = "\n\n".join(filter(None, [*lines, *hints]))
        message(self, QMessageBox.Icon.Information, f"Help on {self.form.title}", text)
