"""The grammar of the command line: each sub-command is a row, and this module reads words by such rows.

A row's words are literal when they are written small, names when they are written LARGE. `NAME...` takes one or more,
`[NAME]` one or none, `[NAME...]` any number. Options may stand anywhere; `--` ends them. A form that knows settings
takes `key=value` words.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any


class Usage(Exception):
    """Wrong usage: one sentence."""


@dataclass(frozen=True)
class Option:
    """`-x`, or with `takes` an option that takes a value. `long` is its other spelling."""

    flag: str
    help: str
    takes: str = ""
    long: str = ""

    @property
    def spellings(self) -> tuple[str, ...]:
        return tuple(filter(None, (self.flag, self.long)))


@dataclass(frozen=True)
class Form:
    """One sub-command. `settings` maps each key to what it takes, for the help."""

    words: str
    help: str
    run: Callable[..., int]
    settings: dict[str, str] = field(default_factory=dict)
    options: tuple[Option, ...] = ()
    examples: tuple[str, ...] = ()

    @property
    def literals(self) -> tuple[str, ...]:
        return tuple(word for word in self.words.split() if word == word.lower())

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(word for word in self.words.split() if word != word.lower())


@dataclass(frozen=True)
class Tool:
    """One program: its name, what it is for, its sub-commands, and the options that all of them take."""

    name: str
    help: str
    forms: tuple[Form, ...]
    options: tuple[Option, ...]


@dataclass
class Words:
    """What was typed, by the names of the form."""

    form: Form
    named: dict[str, list[str]] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)
    options: dict[str, str] = field(default_factory=dict)

    def __getitem__(self, name: str) -> str:
        """The one word of a name that must be there."""
        return self.named[name][0]

    def many(self, name: str) -> list[str]:
        """All words of a name; empty when there is none."""
        return self.named.get(name, [])

    def option(self, flag: str, otherwise: str = "") -> str:
        """An option's value."""
        return self.options.get(flag, otherwise)

    def has(self, flag: str) -> bool:
        return flag in self.options


_SETTING = re.compile(r"[A-Za-z_]+=", re.ASCII)
_NEGATIVE = re.compile(r"-\d")


def parse(tool: Tool, arguments: Sequence[str]) -> Words:
    """Find the form that was meant. Usage says what is wrong."""
    for word in arguments:
        if not word.isprintable() and any(0xD800 <= ord(char) < 0xE000 for char in word):
            raise Usage("A word is not valid UTF-8. Type it in the encoding of this system.")
    plain, options = _split(tool, arguments)
    form, rest = _choose(tool, plain)
    words = Words(form, options=options)
    rest = list(_take_settings(tool, words, rest))
    _bind(tool, words, rest)
    allowed = {option.flag for option in (*tool.options, *form.options)}
    for flag in options:
        if flag not in allowed:
            raise Usage(f"{_called(tool, form)} has no option {flag}. See {tool.name} --help.")
    return words


def _split(tool: Tool, arguments: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    known = {spelling: option for option in _options(tool) for spelling in option.spellings}
    plain: list[str] = []
    options: dict[str, str] = {}
    waiting = iter(arguments)
    for word in waiting:
        if word == "--":
            plain += waiting
        elif not word.startswith("-") or word == "-" or _NEGATIVE.match(word):
            plain.append(word)
        else:
            _take_option(tool, known, word, waiting, options)
    return plain, options


def _take_option(
    tool: Tool, known: dict[str, Option], word: str, waiting: Iterator[str], options: dict[str, str]
) -> None:
    name, equals, value = word.partition("=") if word.startswith("--") else (word[:2], word[2:], word[2:])
    option = known.get(name)
    if option is None:
        raise Usage(f"{tool.name} has no option {shown(name)}. See {tool.name} --help.")
    if not option.takes:
        if equals:
            raise Usage(f"The option {name} takes no value. See {tool.name} --help.")
        options[option.flag] = ""
        return
    if not equals:
        following = next(waiting, None)
        if following is None:
            raise Usage(f"The option {name} needs a value: {name} {option.takes}.")
        value = following
    options[option.flag] = value


def _options(tool: Tool) -> Iterator[Option]:
    yield from tool.options
    for form in tool.forms:
        yield from form.options


def _choose(tool: Tool, plain: list[str]) -> tuple[Form, list[str]]:
    """The form whose literal words come first; the one with most of them."""
    found = [form for form in tool.forms if tuple(plain[: len(form.literals)]) == form.literals]
    if not found:
        firsts = dict.fromkeys(" ".join(form.literals) for form in tool.forms)
        said = f"{tool.name} doesn't know {shown(plain[0])}" if plain else f"{tool.name} needs to know what to do"
        raise Usage(f"{said}. It knows: {', '.join(firsts)}.")
    form = max(found, key=lambda each: len(each.literals))
    return form, plain[len(form.literals) :]


def _take_settings(tool: Tool, words: Words, rest: list[str]) -> Iterator[str]:
    known = words.form.settings
    for word in rest:
        if not known or not _SETTING.match(word):
            yield word
            continue
        key, _, value = word.partition("=")
        key = key if key in known else key.lower()
        if key not in known:
            raise Usage(f"{_called(tool, words.form)} knows {', '.join(known)}, but not {shown(key)}.")
        if key in words.settings:
            raise Usage(f"{key} was given twice.")
        words.settings[key] = value


def _bind(tool: Tool, words: Words, rest: list[str]) -> None:
    names = words.form.names
    for place, name in enumerate(names):
        bare = name.strip("[].")
        needed = sum(not other.startswith("[") for other in names[place + 1 :])
        if "..." in name:
            taken, rest = rest[: len(rest) - needed], rest[len(rest) - needed :] if needed else []
        else:
            enough = not name.startswith("[") or len(rest) > needed
            taken, rest = (rest[:1], rest[1:]) if enough else ([], rest)
        if not taken and not name.startswith("["):
            raise Usage(f"{bare} is missing: {tool.name} {usage(words.form)}.")
        words.named[bare] = taken
    if rest:
        raise Usage(f"{shown(rest[0])} is too much: {tool.name} {usage(words.form)}.")


def _called(tool: Tool, form: Form) -> str:
    return " ".join((tool.name, *form.literals))


def usage(form: Form) -> str:
    """One line: the words of a form with its settings and options."""
    options = [f"[{option.flag}{' ' + option.takes if option.takes else ''}]" for option in form.options]
    settings = [f"[{key}={takes}]" for key, takes in form.settings.items()]
    return " ".join(filter(None, (form.words, *settings, *options)))


def help_text(tool: Tool, first: str = "") -> str:
    """What `--help` prints; with `first` only of the sub-commands that begin so."""
    forms = [form for form in tool.forms if form.words.split()[:1] == [first]] or list(tool.forms)
    lines = [tool.help, "", "Usage:"]
    for form in forms:
        lines += [f"  {tool.name} {usage(form)}".rstrip(), f"      {form.help}"]
    options = dict.fromkeys((*(option for form in forms for option in form.options), *tool.options))
    lines += ["", "Options:"]
    lines += [f"  {_spelled(option):24} {option.help}" for option in options]
    lines += ["", "Examples:"]
    examples = [example for form in forms for example in form.examples]
    lines += [f"  {example}" for example in examples or [each for form in tool.forms for each in form.examples]]
    return "\n".join(lines)


def _spelled(option: Option) -> str:
    return ", ".join(f"{name} {option.takes}".strip() for name in option.spellings)


def shown(word: Any) -> str:
    """A word as it may stand in a sentence: on one line, and not endless."""
    text = str(word)
    text = text if len(text) <= 40 else text[:39] + "…"
    return text if text and text.isprintable() and " " not in text else ascii(text)
