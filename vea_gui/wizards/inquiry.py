"""What is known about a form's answers: complaints, the command, its plan. Asks the engine; waits for nothing."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial
from typing import Any

from engine.commands import Command
from engine.config import Config
from engine.plans import Plan, Problem
from engine.units import format_exact, format_size
from vea_gui.console import Console
from vea_gui.operations import failure_title
from vea_gui.wizards.form import Answers, Field, FieldKind, Form, complaint, first_answers, followed
from vea_gui.words import error_sentence

_NUMBERS = itertools.count(1)


class Inquiry:
    """One for each open form. `told` is called whenever something here has changed."""

    def __init__(self, console: Console, form: Form, told: Callable[[], None]) -> None:
        self.console, self.form = console, form
        self.ended = False
        self.asking = False
        self.gone = False  # an object that the form is about
        self.last_edited = ""
        self.command: Command | None = None
        self.plan: Plan | None = None
        self.news = ""  # said above the plan: why it is another one now
        self.failure = ""
        self.maxima: dict[str, str] = {}
        self.beside: dict[str, str] = {}  # field -> why its answer is not good
        self.yet: set[str] = set()  # fields of these that nobody has answered so far
        self.reasons: list[str] = []  # everything that forbids it
        self.answers: dict[str, Any] = {}
        self._told = told
        self._topic = f"form {next(_NUMBERS)}"
        self._touched: set[str] = set()
        self._question = 0
        if self._still_there():
            self.answers = first_answers(form, self.config)

    @property
    def config(self) -> Config:
        return self.console.config

    def end(self, *_: object) -> None:
        """The form is closing: late answers are for nobody."""
        self.ended = True

    def answer(self, answers: Answers, edited: str) -> None:
        """The operator has changed a field."""
        self._touched.add(edited)
        self.last_edited = edited
        self.answers.update(answers)
        self.ask()

    def ask(self) -> None:
        """Find everything out again: the answers or the records have changed."""
        if self.ended:
            return
        self._question += 1
        self.news = self.failure = ""
        before, shown = self.command, self.plan
        self.command = self.plan = None
        self.asking = False
        if not self._still_there():
            self._told()
            return
        self.answers = followed(self.form, self.config, self.answers, self._touched)
        self._complain(())
        if not self.reasons:
            self.command = self.form.build(self.config, self.answers)
            if self.command == before and shown is not None and not shown.problems:
                self.plan = shown  # the records have changed: it stays until the new one is there
            self.asking = self.plan is None
            number = self._question
            self.console.plan(
                self.command,
                lambda plan: self._planned(number, plan),
                lambda error: self._failed(number, error),
                topic=self._topic,
            )
        self._ask_maxima()
        self._told()

    def replace(self, plan: Plan, news: str) -> None:
        """The engine answered with another plan."""
        self._question += 1
        self.asking, self.plan, self.news = False, plan, news
        self._complain(plan.problems)
        self._told()

    def fail(self, text: str) -> None:
        """It did not work; say why, and find out how things stand."""
        self.ask()
        self.failure = text
        self._complain(())
        self._told()

    def take_maximum(self, name: str) -> None:
        """Fill the largest size in as soon as it is known."""
        each = next(each for each in self.form.fields() if each.name == name)
        self._find_maximum(each, lambda size: self._take(name, size), "taken")

    # --- inside ---
    def _still_there(self) -> bool:
        self.gone = self.gone or any(ref not in self.config for ref in self.form.about)
        return not self.gone

    def _planned(self, number: int, plan: Plan) -> None:
        if self.ended or number != self._question:
            return
        self.asking, self.plan = False, plan
        self._complain(plan.problems)
        self._told()

    def _failed(self, number: int, error: BaseException) -> None:
        if self.ended or number != self._question:
            return
        self.asking, self.failure = False, error_sentence(error)
        self._complain(())
        self._told()

    def _complain(self, problems: tuple[Problem, ...]) -> None:
        """Sort every reason: beside the field that it is about, and into the list of all."""
        fields = self.form.fields()
        found = {each.name: complaint(each, self.config, self.answers) for each in fields}
        self.beside = {name: text for name, text in found.items() if text}
        self.yet = self.beside.keys() - self._touched
        self.reasons = [*self.beside.values()]
        for problem in problems:
            self.reasons.append(problem.sentences)
            place = self._place(problem.field)
            if place is not None:
                self.beside[place.name] = problem.sentences
        if self.failure:
            self.reasons.append(self.failure)

    def _place(self, problem_field: str) -> Field | None:
        """The field that a problem belongs beside: one that can be answered now."""
        takers = [each for each in self.form.fields() if each.takes(problem_field) and each.kind is not FieldKind.FACT]
        return next((each for each in takers if each.enabled(self.config, self.answers)), None)

    def _ask_maxima(self) -> None:
        for each in self.form.fields():
            if each.maximum is None:
                continue
            if each.enabled(self.config, self.answers):
                self._find_maximum(each, partial(self._tell_maximum, each.name), "told")
            else:
                self.maxima[each.name] = ""

    def _find_maximum(self, each: Field, then: Callable[[int], None], purpose: str) -> None:
        """Off the GUI thread: the search tries many sizes."""
        maximum = each.maximum
        assert maximum is not None
        config, answers = self.config, dict(self.answers)
        topic = f"{self._topic} {each.name} {purpose}"
        failed = partial(self.console.show_error, title=failure_title(f"Max Size of {self.form.title}"))
        self.console.session.bridge.call(lambda: maximum(config, answers), then, failed, topic)

    def _tell_maximum(self, name: str, size: int) -> None:
        if not self.ended:
            self.maxima[name] = _most(size)
            self._told()

    def _take(self, name: str, size: int) -> None:
        if self.ended:
            return
        self.answers[name] = size
        self._touched.add(name)
        self.last_edited = ""
        self.ask()


def _most(size: int) -> str:
    return f"At most {format_size(size)} ({format_exact(size)})." if size > 0 else "There is no room."
