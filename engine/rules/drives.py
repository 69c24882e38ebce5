"""Drive letters and folders: names of volumes on one host."""

from __future__ import annotations

import string
from collections.abc import Iterator

from engine.config import Config
from engine.plans import Problem
from engine.records import Group, GroupState, Kind, Ref, Volume

LETTERS = string.ascii_uppercase
_FIRST = "EFGHIJKLMNOPQRSTUVWXYZDCBA"
PATH_MAX = 1024


def letter_ok(letter: str, field: str = "letter") -> Problem | None:
    """One letter from A to Z."""
    if len(letter) == 1 and letter in LETTERS:
        return None
    shown = letter[:8] if letter.isprintable() else "this"
    return Problem(f"“{shown}” is no drive letter.", "Choose one from A to Z.", field=field)


def letter_free(config: Config, letter: str, own: Ref | None = None, field: str = "letter") -> Problem | None:
    """No other volume of this host has the letter."""
    holder = holder_of(config, letter, own)
    if holder is None:
        return None
    text = f"The drive letter {letter} is that of {holder.name} in {config.group(holder.group).name}."
    free = free_letter(config)
    return Problem(text, f"Choose another one, such as {free}." if free else "Take one away first.", holder.ref, field)


def holder_of(config: Config, letter: str, own: Ref | None = None) -> Volume | None:
    """The volume of an imported group that has a letter; `own` does not count."""
    found = [one for one in with_drives(config) if one.drive_letter == letter and one.ref != own]
    return min(found, key=lambda one: one.ref, default=None)


def free_letter(config: Config, but: tuple[str, ...] = ()) -> str:
    """The letter to propose: the first that nobody has, from E on; empty when there is none left."""
    taken = {volume.drive_letter for volume in with_drives(config)} | set(but)
    return next((letter for letter in _FIRST if letter not in taken), "")


def path_ok(path: str, field: str = "path") -> Problem | None:
    """An absolute path that is written in one way only; what stands there is looked at by the host."""
    if len(path) > PATH_MAX:
        return Problem(f"The path has {len(path)} characters; {PATH_MAX} is the most.", "Shorten it.", field=field)
    if not path.isprintable():
        return Problem("The path has a character that can't be shown.", "Choose another folder.", field=field)
    parts = path.split("/")[1:]
    if not path.startswith("/") or path == "/" or any(part in ("", ".", "..") for part in parts):
        help_ = "Give a whole path from / on, without . or .. and without / at the end."
        return Problem(f"“{path[:60]}” is no full path of a folder.", help_, field=field)
    return None


def path_unused(config: Config, path: str, own: Ref | None = None, field: str = "path") -> Problem | None:
    """No other volume of this host has the folder, or one in it, or one that it is in."""
    for volume in with_drives(config):
        theirs = volume.drive_path
        if volume.ref == own or not theirs:
            continue
        if theirs == path or theirs.startswith(f"{path}/") or path.startswith(f"{theirs}/"):
            text = f"The folder {path} is that of {volume.name} in {config.group(volume.group).name}"
            return Problem(f"{text} ({theirs}).", "Choose another folder.", volume.ref, field)
    return None


def drive_name(volume: Volume) -> str:
    """`E:`, the folder, or both; empty for a volume without either."""
    letter = f"{volume.drive_letter}:" if volume.drive_letter else ""
    return ", ".join(filter(None, (letter, volume.drive_path)))


def with_drives(config: Config) -> Iterator[Volume]:
    """The volumes of imported groups that have a letter or a folder, unordered."""
    for volume in config.every(Kind.VOLUME):
        if not isinstance(volume, Volume) or not (volume.drive_letter or volume.drive_path):
            continue
        group = config.get(volume.group)
        if isinstance(group, Group) and group.state is GroupState.IMPORTED:
            yield volume
