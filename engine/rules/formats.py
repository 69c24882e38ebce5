"""Which file systems can be made, on which volumes, under which labels."""

from __future__ import annotations

from typing import NamedTuple

from engine.config import Config
from engine.plans import Problem
from engine.records import Host, Kind, Ref
from engine.units import MIB, format_size


class Kept(NamedTuple):
    """What a file system demands: the least size in bytes, the longest label in bytes, and what makes it."""

    least: int
    label: int
    package: str


FILE_SYSTEMS = {
    "ext4": Kept(4 * MIB, 16, "e2fsprogs"),
    "xfs": Kept(300 * MIB, 12, "xfsprogs"),
    "ntfs": Kept(4 * MIB, 32, "ntfs-3g"),
}


def format_problem(config: Config, file_system: str, label: str, size: int, about: Ref | None = None) -> Problem | None:
    """Why no file system of this kind and label can be made on so many bytes here."""
    kept = FILE_SYSTEMS.get(file_system)
    if kept is None:
        return Problem(
            f"{file_system[:20] or 'Nothing'} is no file system that can be made here.",
            f"Choose {', '.join(FILE_SYSTEMS)}.",
            about,
            "file_system",
        )
    if missing := can_make(config, file_system):
        return missing
    if size and size < kept.least:
        text = f"{file_system} needs a volume of {format_size(kept.least)} at least."
        return Problem(text, "Expand the volume, or choose another file system.", about, "file_system")
    return label_problem(file_system, label, about)


def can_make(config: Config, file_system: str) -> Problem | None:
    """This host has what makes a file system of the table."""
    if any(file_system in host.formats for host in config.all(Kind.HOST, Host)):
        return None
    text = f"This host has no programs that make {file_system} on a volume."
    return Problem(text, f"Install {FILE_SYSTEMS[file_system].package}, libnbd-bin and fuse3.", field="file_system")


def label_problem(file_system: str, label: str, about: Ref | None = None) -> Problem | None:
    """A label that the file system can keep."""
    kept = FILE_SYSTEMS[file_system]
    if not label.isprintable():
        return Problem("The label has a character that can't be shown.", "Leave it out.", about, "label")
    if file_system == "xfs" and " " in label:
        return Problem("A label of xfs has no blanks.", "Leave them out.", about, "label")
    if len(label.encode()) > kept.label:
        text = f"The label has {len(label.encode())} bytes; {kept.label} is the most of {file_system}."
        return Problem(text, "Shorten it.", about, "label")
    return None
