"""A wizard or dialog as data: pages of fields, and the command that the answers make. No Qt."""

from __future__ import annotations

import enum
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from engine.commands import Command
from engine.config import Config
from engine.plans import Plan
from engine.records import Ref

if TYPE_CHECKING:
    from vea_gui.console import Console

PLAIN_VERB = "OK"

Answers: TypeAlias = Mapping[str, Any]
"""Field name -> what the operator has answered: str, int (sizes in bytes), bool, a choice's value, a tuple of Refs."""


class FieldKind(enum.Enum):
    """How a field is shown and what its answer is."""

    TEXT = "text"  # str
    SIZE = "size"  # int, bytes; -1 while it cannot be read
    NUMBER = "number"  # int
    CHOICE = "choice"  # value of one option; radio buttons
    COMBO = "combo"  # value of one option; a drop-down list
    CHECK = "check"  # bool
    LIST = "list"  # value of one row of a list; what cannot be taken says why
    LISTS = "lists"  # tuple of values; Available and Selected
    FACT = "fact"  # nothing to answer: a line of text
    PATHS = "paths"  # tuple of str, one path a line
    CALENDAR = "calendar"  # nothing to answer: two months; its options are days and what is on them
    MENDED = "mended"  # LISTS, and a button that opens a form for what can't be taken yet
    LINES = "lines"  # tuple of Line: several answers for each of several objects
    FILE = "file"  # str: the path of a file to write; empty: none


@dataclass(frozen=True)
class Option:
    """One thing that can be chosen. `why_not` forbids it and is shown beside it."""

    value: Any
    text: str
    why_not: str = ""


@dataclass(frozen=True)
class Mending:
    """What helps an option of MENDED that can't be taken: a button, the form that it opens, and why it would not."""

    label: str
    form: str
    why_not: Callable[[Config, Any], str]


@dataclass(frozen=True)
class Cell:
    """One answer of a line: one of `options`, or a text where there are none to choose from."""

    answer: Any
    options: tuple[Option, ...] | None = None


@dataclass(frozen=True)
class Line:
    """One object of LINES and what is answered for it."""

    value: Any
    title: str
    cells: tuple[Cell, ...]


def _always(config: Config, answers: Answers) -> bool:
    return True


def _fine(config: Config, answers: Answers) -> str:
    return ""


def _none(config: Config, answers: Answers) -> list[Option]:
    return []


def _no_lines(config: Config, answers: Answers) -> list[Line]:
    return []


def _no_warning(plan: Plan, answers: Answers) -> str:
    return ""


@dataclass(frozen=True)
class Field:
    """One row. Functions see today's records and all answers, so that fields can depend on each other."""

    name: str
    label: str
    kind: FieldKind
    default: Any = ""
    options: Callable[[Config, Answers], list[Option]] = _none
    enabled: Callable[[Config, Answers], bool] = _always
    off: str = ""  # why nothing can be answered while it is not enabled, and what would change that
    hides: bool = False  # while it is not enabled it is not shown either
    check: Callable[[Config, Answers], str] = _fine  # a reason while the answer is not good
    hint: str = ""
    sample: str = ""  # TEXT: what stands in the empty line: what empty means, and how an answer looks
    caption: str = ""  # CHECK: what stands before it, when its label alone would not say enough
    lowest: int = 0
    highest: int = 1 << 30
    maximum: Callable[[Config, Answers], int] | None = None  # SIZE: what `Max Size` fills in
    problems: tuple[str, ...] = ()  # the command's fields whose problems belong here; its own name always
    lists: tuple[str, str] = ("Available", "Selected")  # headings of LISTS
    mending: Mending | None = None  # MENDED
    heads: tuple[str, ...] = ()  # LINES: of the objects, then of each answer
    lines: Callable[[Config, Answers], list[Line]] = _no_lines

    def takes(self, problem_field: str) -> bool:
        """Whether a plan's problem with this field of the command belongs beside this row."""
        return bool(problem_field) and problem_field in (self.name, *self.problems)


@dataclass(frozen=True)
class Page:
    """What is decided together: a title and one sentence."""

    title: str
    sentence: str
    fields: tuple[Field, ...]


@dataclass(frozen=True)
class Form:
    """A whole wizard (several pages, then the plan) or dialog (one page with the plan below).

    `build` makes the command; it is asked only while no field's check complains.
    """

    name: str
    title: str
    pages: tuple[Page, ...]
    build: Callable[[Config, Answers], Command]
    verb: str = PLAIN_VERB
    welcome: str = ""  # text of a first page that can be skipped for good; wizards only
    wizard: bool = False
    about: tuple[Ref, ...] = ()  # objects without which it makes no sense
    answers: Mapping[str, Any] = field(default_factory=dict)  # instead of the fields' defaults
    fixed_verb: bool = False  # its button reads so, whatever the plan would call it
    welcomes_always: bool = False  # the first page cannot be skipped
    warns: Callable[[Plan, Answers], str] = _no_warning  # a question, answered by Yes or No before it is done
    begun: Callable[[Console, Answers, Ref], object] | None = None  # told the task, once the engine has taken it

    @property
    def is_named_by_plan(self) -> bool:
        """Whether its button is called as the plan says, where that has a word."""
        return self.verb == PLAIN_VERB and not self.fixed_verb and not self.wizard

    @property
    def name_of_wizard(self) -> str:
        """As the first page has it."""
        return self.title if self.title.endswith("Wizard") else f"{self.title} wizard"

    def fields(self) -> list[Field]:
        return [each for page in self.pages for each in page.fields]


def default_of(each: Field, config: Config, answers: Answers) -> Any:
    """A field's default under the answers that stand now."""
    return each.default(config, answers) if callable(each.default) else each.default


def first_answers(form: Form, config: Config) -> dict[str, Any]:
    """The defaults, in order, so that a default may depend on the answers before it."""
    answers: dict[str, Any] = {}
    for each in form.fields():
        given = each.name in form.answers
        answers[each.name] = form.answers[each.name] if given else default_of(each, config, answers)
    return answers


def followed(form: Form, config: Config, answers: Answers, touched: Collection[str]) -> dict[str, Any]:
    """The answers, where defaults that nobody has touched follow the answers that they depend on."""
    now = dict(answers)
    for each in form.fields():
        if callable(each.default) and each.name not in touched and each.name not in form.answers:
            now[each.name] = default_of(each, config, now)
    return now


def complaint(each: Field, config: Config, answers: Answers) -> str:
    """Why the answer of a field is not good; empty while it is, or while it does not matter."""
    if not each.enabled(config, answers):
        return ""
    if each.kind is FieldKind.SIZE and answers[each.name] < 0:
        return "This is not a size. Give a number, such as 10 or 1.5."
    if each.kind is FieldKind.LIST:
        chosen = next((option for option in each.options(config, answers) if option.value == answers[each.name]), None)
        if chosen is not None and chosen.why_not:
            return chosen.why_not
    return each.check(config, answers)
