"""What an object may be called."""

from __future__ import annotations

import string
from collections.abc import Collection

from engine.config import Config
from engine.plans import Problem
from engine.records import Kind, Ref

NAME_MAX = 31
_NAME_START = frozenset(string.ascii_letters + string.digits + "_")
_NAME_CHARACTERS = _NAME_START | frozenset("-.")


def name_ok(name: str, field: str = "name") -> Problem | None:
    """1 to 31 letters, digits, `_`, `-` or `.`, and neither `-` nor `.` first."""
    rule = f"Use 1 to {NAME_MAX} letters, digits, _ , - or . and begin with a letter, a digit or _ ."
    if not name:
        return Problem("The name is empty.", rule, field=field)
    if len(name) > NAME_MAX:
        return Problem(f"The name has {len(name)} characters; {NAME_MAX} is the most.", rule, field=field)
    bad = next((char for char in name if char not in _NAME_CHARACTERS), None)
    if bad is not None:
        return Problem(f"The name holds {_character(bad)}, which a name can't have.", rule, field=field)
    if name[0] not in _NAME_START:
        return Problem(f"The name begins with {_character(name[0])}.", rule, field=field)
    return None


def _character(char: str) -> str:
    named = {" ": "a space", "\n": "a line break", "\t": "a tab", "\r": "a carriage return"}
    if char in named:
        return named[char]
    return f"“{char}”" if char.isprintable() else f"the control character {ord(char)}"


def name_free(config: Config, kind: Kind, name: str, group: Ref | None, own: Ref | None = None) -> Problem | None:
    """Nothing else of this kind has the name, in the group or on the host."""
    found = config.find(kind, name, group)
    if found is None or found.ref == own:
        return None
    where = f" in {config.group(group).name}" if group else ""
    return Problem(f"There is a {kind.value} {name}{where} already.", "Choose another name.", found.ref, "name")


def next_name(prefix: str, taken: Collection[str], digits: int = 1) -> str:
    """`prefix` with the lowest number from 1 that is free: `Volume1`, `ev-01`."""
    number = 1
    while (name := f"{prefix}{number:0{digits}d}") in taken:
        number += 1
    return name
