"""Tools > Event Notification: who is told of alerts, by mail or by a program, and a test of each rule."""

from __future__ import annotations

from dataclasses import replace

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QComboBox,
    QDialog,
    QFormLayout,
    QGridLayout,
    QGroupBox,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QListWidget,
    QPlainTextEdit,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from engine.plans import Plan
from vea_gui.console import Console
from vea_gui.notifications import FROM_WORDS, SECURITY_WORDS, Draft, RuleDraft
from vea_gui.views.tab_order import step, stops
from vea_gui.wizards.notice import Notice
from vea_gui.words import Tone, error_sentence

SENTENCE = "Decide who is told of alerts. The engine sends them by itself, also while no console is open."
WAYS = ("Send a mail", "Run a program")
PROGRAM_HINT = "It is run without a shell. The alert is in its environment (VEA_MESSAGE, VEA_CAUSE and others)."
PASSWORD_HINT = "A file with the password as its first line, which only the engine's user may read. Its path is kept."
NO_RULE = "Add a rule first, or pick one."
MOST_RULES = 64


class EventNotification(QDialog):
    """Nothing changes before OK; Send Test sends with what stands in the fields."""

    def __init__(self, console: Console) -> None:
        super().__init__(console.window)
        self.console = console
        settings = console.config.settings
        self.draft = Draft.of(settings) if settings is not None else Draft()
        self._filling = False
        self._sending = False
        self._problems: tuple[str, ...] = ()
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle("Event Notification")
        self._make_fields()
        self._build()
        self._connect()
        self._show_rules(0 if self.draft.rules else -1)
        self._ask()
        self.resize(self.fontMetrics().averageCharWidth() * 110, self.sizeHint().height())

    # --- building ---
    def _make_fields(self) -> None:
        self.server = self._line("Mail server")
        self.port = QSpinBox(self)
        self.port.setRange(1, 65_535)
        self.port.setAccessibleName("Port")
        self.mail_from = self._line("Sender")
        self.mail_from.setPlaceholderText("vea-console at this host")
        self.security = QComboBox(self)
        self.security.setAccessibleName("Security")
        for security, words in SECURITY_WORDS.items():
            self.security.addItem(words, security)
        self.user = self._line("User name")
        self.user.setPlaceholderText("without a login")
        self.password_file = self._line("Password file")
        self.password_file.setPlaceholderText("whole path; read for each mail")
        self.password_file.setToolTip(PASSWORD_HINT)
        self.rules = QListWidget(self)
        self.rules.setAccessibleName("Rules")
        self.severity = QComboBox(self)
        self.severity.setAccessibleName("Alerts")
        for severity, words in FROM_WORDS.items():
            self.severity.addItem(words, severity)
        self.way = QComboBox(self)
        self.way.setAccessibleName("Action")
        self.way.addItems(WAYS)
        self.address = self._line("Mail address")
        self.program = self._line("Program")
        self.program.setPlaceholderText("/usr/local/bin/page-me")
        self.arguments = QPlainTextEdit(self)
        self.arguments.setAccessibleName("Arguments")
        self.arguments.setPlaceholderText("One argument a line")
        self.arguments.setTabChangesFocus(True)
        self.arguments.setFixedHeight(4 * self.fontMetrics().lineSpacing())
        self.add = self._button("Add Rule", self._add)
        self.remove = self._button("Remove Rule", self._remove)
        self.test = self._button("Send Test", self._test)
        self.notice = Notice(Tone.ERROR, self)
        self.ok = self._button("OK", self._accept)
        self.ok.setDefault(True)
        self.cancel = self._button("Cancel", self.reject)

    def _line(self, name: str) -> QLineEdit:
        line = QLineEdit(self)
        line.setAccessibleName(name)
        return line

    def _button(self, text: str, run) -> QPushButton:  # type: ignore[no-untyped-def]
        button = QPushButton(text, self)
        button.setAccessibleName(text)
        button.clicked.connect(lambda _=False: run())
        return button

    def _build(self) -> None:
        sentence = QLabel(SENTENCE, self)
        sentence.setWordWrap(True)
        buttons = QHBoxLayout()
        buttons.addStretch(1)
        buttons.addWidget(self.ok)
        buttons.addWidget(self.cancel)
        middle = QHBoxLayout()
        middle.addLayout(self._list_side(), 2)
        middle.addWidget(self._rule_side(), 3)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(16, 16, 16, 16)
        layout.setSpacing(8)
        layout.addWidget(sentence)
        layout.addWidget(self._server_box())
        layout.addLayout(middle, 1)
        layout.addWidget(self.notice)
        layout.addLayout(buttons)

    def _server_box(self) -> QWidget:
        box = QGroupBox("Outgoing mail", self)
        grid = QGridLayout(box)
        fields = (
            (("Mail server:", self.server), ("Port:", self.port)),
            (("Sender:", self.mail_from), ("Security:", self.security)),
            (("User name:", self.user), ("Password file:", self.password_file)),
        )
        for line, row in enumerate(fields):
            for place, (text, widget) in enumerate(row):
                label = QLabel(text, box)
                label.setBuddy(widget)
                grid.addWidget(label, line, 2 * place)
                grid.addWidget(widget, line, 2 * place + 1)
        for place in (1, 3):
            grid.setColumnStretch(place, 1)
        return box

    def _list_side(self) -> QVBoxLayout:
        column, row = QVBoxLayout(), QHBoxLayout()
        label = QLabel("Rules:", self)
        label.setBuddy(self.rules)
        column.addWidget(label)
        column.addWidget(self.rules, 1)
        row.addWidget(self.add)
        row.addWidget(self.remove)
        row.addStretch(1)
        column.addLayout(row)
        return column

    def _rule_side(self) -> QWidget:
        self.editor = QGroupBox("The picked rule", self)
        self.form = QFormLayout(self.editor)
        self.hint = QLabel(PROGRAM_HINT, self)
        self.hint.setWordWrap(True)
        self.said = Notice(Tone.INFORMATION, self)
        rows = (
            ("Alerts:", self.severity),
            ("Action:", self.way),
            ("Mail address:", self.address),
            ("Program:", self.program),
            ("Arguments:", self.arguments),
        )
        for text, widget in rows:
            self.form.addRow(text, widget)
        self.form.addRow(self.hint)
        row = QHBoxLayout()
        row.addWidget(self.test)
        row.addWidget(self.said, 1)
        row.addStretch(0)
        self.form.addRow(row)
        return self.editor

    def _connect(self) -> None:
        self.server.setText(self.draft.server)
        self.port.setValue(self.draft.port)
        self.mail_from.setText(self.draft.sender)
        self.security.setCurrentIndex(list(SECURITY_WORDS).index(self.draft.security))
        self.user.setText(self.draft.user)
        self.password_file.setText(self.draft.password_file)
        self.security.currentIndexChanged.connect(self._secured)
        for line in (self.server, self.mail_from, self.user, self.password_file, self.address, self.program):
            line.textEdited.connect(self._edited)
        self.port.valueChanged.connect(self._edited)
        self.arguments.textChanged.connect(self._edited)
        self.severity.currentIndexChanged.connect(self._edited)
        self.way.currentIndexChanged.connect(self._edited)
        self.rules.currentRowChanged.connect(self._show_rule)

    def focusNextPrevChild(self, forward: bool) -> bool:
        """Tab goes as the dialog is read."""
        return step(stops(self), self.focusWidget(), forward) or super().focusNextPrevChild(forward)

    # --- rules ---
    def _show_rules(self, current: int) -> None:
        self._filling = True
        self.rules.clear()
        self.rules.addItems([_words(rule) for rule in self.draft.rules])
        self._filling = False
        self.rules.setCurrentRow(current)
        self._show_rule(current)

    def _show_rule(self, number: int) -> None:
        if self._filling:
            return
        self._filling = True
        rule = self.draft.rules[number] if 0 <= number < len(self.draft.rules) else RuleDraft()
        self.severity.setCurrentIndex(list(FROM_WORDS).index(rule.severity))
        self.way.setCurrentIndex(0 if rule.mail else 1)
        self.address.setText(rule.address)
        self.program.setText(rule.program)
        self.arguments.setPlainText(rule.arguments)
        self._filling = False
        self.said.say("")
        self._enable()

    def _add(self) -> None:
        self.draft = replace(self.draft, rules=(*self.draft.rules, RuleDraft()))
        self._show_rules(len(self.draft.rules) - 1)
        self._ask()
        self.address.setFocus()

    def _remove(self) -> None:
        number = self.rules.currentRow()
        rules = self.draft.rules
        self.draft = replace(self.draft, rules=(*rules[:number], *rules[number + 1 :]))
        self._show_rules(min(number, len(self.draft.rules) - 1))
        self._ask()

    def _edited(self, _: object = None) -> None:
        if self._filling:
            return
        self.draft = replace(
            self.draft,
            server=self.server.text(),
            port=self.port.value(),
            sender=self.mail_from.text(),
            user=self.user.text(),
            password_file=self.password_file.text(),
        )
        number = self.rules.currentRow()
        if 0 <= number < len(self.draft.rules):
            rule = RuleDraft(
                self.severity.currentData(),
                self.way.currentIndex() == 0,
                self.address.text(),
                self.program.text(),
                self.arguments.toPlainText(),
            )
            self.draft = self.draft.with_rule(number, rule)
            self.rules.item(number).setText(_words(rule))
        self.said.say("")
        self._ask()

    def _secured(self, _: int) -> None:
        self.draft = self.draft.secured(self.security.currentData())
        self._filling = True
        self.port.setValue(self.draft.port)
        self._filling = False
        self._edited()

    # --- asking ---
    def _ask(self) -> None:
        """What the engine says of it; nothing when it is all as it was."""
        self._problems = ()
        settings = self.console.config.settings
        if settings is not None and self.draft.changes(settings):
            asked = self.draft
            self.console.plan(
                asked.command(), lambda plan: self._planned(asked, plan), self._failed, topic="event notification"
            )
        self._enable()

    def _planned(self, asked: Draft, plan: Plan) -> None:
        if asked == self.draft:
            self._problems = tuple(problem.sentences for problem in plan.problems)
            self._enable()

    def _failed(self, error: BaseException) -> None:
        self._problems = (error_sentence(error),)
        self._enable()

    def _enable(self) -> None:
        picked = 0 <= self.rules.currentRow() < len(self.draft.rules)
        mail = self.way.currentIndex() == 0
        for widget in (self.address, self.program, self.arguments, self.hint):
            self.form.setRowVisible(widget, (widget is self.address) is mail)
        why = "" if picked else NO_RULE
        busy = "The test is under way." if self._sending else ""
        full = f"{MOST_RULES} rules are the most there can be." if len(self.draft.rules) >= MOST_RULES else ""
        reasons = {
            **dict.fromkeys((self.severity, self.way, self.address, self.program, self.arguments, self.remove), why),
            self.test: why or busy or "\n".join(self._problems),
            self.add: full,
            self.ok: "\n".join(self._problems),
        }
        for control, reason in reasons.items():
            control.setEnabled(not reason)
            control.setToolTip(reason)
            control.setAccessibleDescription(reason)
        self.notice.say("\n".join(self._problems))

    # --- doing ---
    def _test(self) -> None:
        number = self.rules.currentRow()
        to = self.draft.rules[number].to
        self._sending = True
        self.said.set_tone(Tone.INFORMATION)
        self.said.say("Sending...")
        self._enable()
        self.console.submit(
            self.draft.test(number),
            None,
            lambda _: self._tested(f"Sent to {to}.", Tone.GOOD),
            self._untested,
        )

    def _untested(self, error: BaseException) -> None:
        self._tested(error_sentence(error), Tone.ERROR)

    def _tested(self, text: str, tone: Tone) -> None:
        self._sending = False
        self.said.set_tone(tone)
        self.said.say(text)
        self._enable()

    def _accept(self) -> None:
        settings = self.console.config.settings
        if settings is None or not self.draft.changes(settings):
            self.accept()
            return
        self.console.submit(self.draft.command(), None, lambda _: self.accept(), self._failed)


def _words(rule: RuleDraft) -> str:
    return f"{FROM_WORDS[rule.severity]}: {rule.to}"
