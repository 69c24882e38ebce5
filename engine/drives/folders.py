"""Folders that file systems are mounted in: real ones, empty, and reached without a symbolic link."""

from __future__ import annotations

import os
import stat

import msgspec

from engine.drives.mounts import mount_at
from engine.errors import CommandRejected
from engine.plans import Problem


def folder_problem(path: str, field: str = "path") -> Problem | None:
    """Why nothing can be mounted at a path that is well-formed; None when something can."""
    try:
        os.close(open_folder(path))
    except CommandRejected as error:
        return msgspec.structs.replace(error.problems[0], field=field)
    return None


def open_folder(path: str) -> int:
    """A descriptor that leads to the folder and to nothing else, whatever its path leads to later.

    CommandRejected for one that is missing, that a link leads to, that is not empty or that something is mounted on.
    """
    descriptor = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in path.split("/")[1:]:
            descriptor = _step(descriptor, part, path)
        if mount_at(path) is not None:
            raise _refused(f"Something is mounted at {path} already.", "Choose another folder.")
        if not _is_empty(descriptor, path):
            raise _refused(f"The folder {path} is not empty.", "Choose an empty one.")
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _refused(text: str, help_: str) -> CommandRejected:
    return CommandRejected((Problem(text, help_, field="path"),))


def _step(parent: int, part: str, path: str) -> int:
    """One folder deeper; the parent is closed when that succeeds."""
    try:
        kind = os.stat(part, dir_fd=parent, follow_symlinks=False).st_mode
        if stat.S_ISLNK(kind):
            raise _refused(f"A symbolic link leads to {path} ({part}).", "Give the folder's own path.")
        if not stat.S_ISDIR(kind):
            raise _refused(f"{path} is no folder.", "Choose an empty folder.")
        child = os.open(part, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    except FileNotFoundError:
        raise _refused(f"There is no folder {path} on this host.", "Make it first.") from None
    except OSError as error:
        raise _refused(f"The folder {path} can't be reached ({error.strerror}).", "Choose another one.") from error
    os.close(parent)
    return child


def _is_empty(folder: int, path: str) -> bool:
    try:
        readable = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=folder)
        try:
            with os.scandir(readable) as entries:
                return next(entries, None) is None
        finally:
            os.close(readable)
    except OSError as error:
        raise _refused(f"The folder {path} can't be read ({error.strerror}).", "Choose another one.") from error
