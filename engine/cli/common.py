"""What every program does: read its words, find the engine, do it, and end with the right status."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from engine.cli import output
from engine.cli.forms import Option, Tool, Usage, Words, help_text, parse

if TYPE_CHECKING:
    from engine.errors import EngineError
    from engine.events import Batch

DONE, REFUSED, WRONG_USAGE, NO_ENGINE = 0, 1, 2, 3

HELP = Option("-h", "Print this help.", long="--help")
JSON = Option("--json", "Answer as JSON: stable keys, sizes in bytes.")
SOCKET = Option("--socket", "Control socket of the engine (default: VEA_SOCKET, or the user's own).", takes="PATH")
_SIZE_MAX = 1 << 60
COMMON = (
    Option("-b", "Don't wait for the task; print its number.", long="--background"),
    JSON,
    Option("--plan", "Print what would happen, and change nothing."),
    Option("--basis", "Refuse when the plan of that transaction holds no more.", takes="NUMBER"),
    SOCKET,
    HELP,
)
GROUP = Option("-g", "Disk group that is meant.", takes="GROUP", long="--group")
FORCE = Option("-f", "Do it in spite of what would forbid it; --plan tells what that means.", long="--force")


def run(tool: Tool, arguments: Sequence[str] | None = None) -> int:
    """A client of the running engine, from its words to its exit status."""
    output.patient()
    try:
        words = read(tool, sys.argv[1:] if arguments is None else arguments)
        return DONE if words is None else _guarded(words)
    except Usage as error:
        output.complain(str(error))
        return WRONG_USAGE
    except BrokenPipeError:
        # Whoever read our output has had enough; the interpreter's own flush at exit must not complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return REFUSED


def read(tool: Tool, arguments: Sequence[str]) -> Words | None:
    """The words of a command line; None when only help was asked for, which has been printed."""
    if any(word in HELP.spellings for word in arguments):
        known = {form.literals[0] for form in tool.forms if form.literals}
        first = next((word for word in arguments if word in known), "")
        output.write(help_text(tool, first))
        return None
    return parse(tool, arguments)


def _guarded(words: Words) -> int:
    from engine.errors import CommandRejected, EngineError

    try:
        return _connected(words)
    except CommandRejected as rejected:
        output.complain(rejected.problems[0].typed_sentences)
        return REFUSED
    except EngineError as error:
        output.complain(str(error))
        return REFUSED
    except KeyboardInterrupt:
        return 130


def _connected(words: Words) -> int:
    from queue import SimpleQueue

    from engine.cli.session import Session
    from engine.remote.client import RemoteEngine
    from engine.remote.place import control_socket

    path = control_socket(words.options.get("--socket"))
    arrived: SimpleQueue[Batch | str] = SimpleQueue()
    engine = RemoteEngine.connect(path, arrived.put)
    if engine is None:
        output.complain(f"No engine is running at {path}. Start vxsvc or vea, or name its socket with --socket.")
        return NO_ENGINE
    with contextlib.closing(engine):
        session = Session(engine, words, arrived)
        status = words.form.run(session, words)
        sys.stdout.flush()
        return status


def size(text: str, *, most: bool = False) -> int:
    """A size as it was typed; `most` allows `max`. Usage when it is none, EngineError when it makes no sense."""
    from engine.commands import MAX_SIZE
    from engine.errors import EngineError
    from engine.units import parse_size

    if most and text == "max":
        return MAX_SIZE
    try:
        number = parse_size(text)
    except ValueError as error:
        raise Usage(str(error)) from None
    if number <= 0:
        raise EngineError("A size of 0 bytes makes no sense. Give at least 1m.")
    if number > _SIZE_MAX:
        raise _too_large(number)
    return number


def _too_large(number: int) -> EngineError:
    """What every planner would say; so large a number doesn't even travel."""
    from engine.errors import CommandRejected
    from engine.rules import size_ok

    problem = size_ok(number)
    assert problem is not None
    return CommandRejected((problem,))


def number(words: Words, key: str, otherwise: int) -> int:
    """A setting that is a whole number."""
    text = words.settings.get(key)
    if text is None:
        return otherwise
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise Usage(f"{key}={text[:20]} is not a number. Give {key}=2, for example.")
    return int(text)


def new_name(text: str) -> str:
    """A name that was typed for something new. An empty one would ask the engine to choose: nobody typed that."""
    from engine.errors import EngineError

    if not text:
        raise EngineError("The name is empty. Give a name of letters, digits, _ , - or . .")
    return text


def system_sentence(error: OSError) -> str:
    """What the system said, with the file that it said it of."""
    return f"{error.filename}: {error.strerror}." if error.filename else f"{error.strerror or error}."
