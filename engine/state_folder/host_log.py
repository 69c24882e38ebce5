"""The logs of one host: tasks that have ended, and alerts; one JSON value a line, the newest last.

A task that changes after its end (cleared from the list) is written again: its last line holds.
"""

from __future__ import annotations

import contextlib
import logging
import os
from typing import TYPE_CHECKING, TypeVar

import msgspec

from engine import commands
from engine.records import Alert, Kind, Task

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path
    from typing import BinaryIO

    from engine.records import Ref

Entry = TypeVar("Entry", Task, Alert)

log = logging.getLogger(__name__)

TASKS_KEPT = 200
"""Ended tasks that a start lists again; the log goes further back."""
_ALERTS_KEPT = 300
_LOG_BYTES_MAX = 4 << 20
_NUMBER_DIGITS_MAX = 15


class HostLog:
    """Two files that only grow, each with one older part. Best effort: nothing fails because it cannot be logged."""

    def __init__(self, folder: Path, host_id: str) -> None:
        self._folder = folder
        self._host_id = host_id

    def add_tasks(self, tasks: Iterable[Task]) -> None:
        """Append ended tasks."""
        self._append("tasks.jsonl", [msgspec.json.encode(task) for task in tasks])

    def add_alert(self, alert: Alert) -> None:
        self._append("alerts.jsonl", [msgspec.json.encode(alert)])

    def tasks(self) -> list[Task]:
        """The newest ended tasks of this host, oldest first. A line that is torn, or says what cannot be, is left out;
        of a command for undo that cannot be read, only that is."""
        found = self._newest("tasks", Task, TASKS_KEPT)
        return [task if _can_be_decoded(task.undo) else msgspec.structs.replace(task, undo="") for task in found]

    def alerts(self) -> list[Alert]:
        """The newest alerts, oldest first."""
        return self._newest("alerts", Alert, _ALERTS_KEPT)

    def _newest(self, name: str, kind: type[Entry], most: int) -> list[Entry]:
        found: dict[Ref, Entry] = {}
        for line in self._backwards(name):
            with contextlib.suppress(msgspec.MsgspecError, ValueError):  # what is no text is a ValueError
                entry = msgspec.json.decode(line, type=kind)
                if self._is_ours(entry):
                    found.setdefault(entry.ref, entry)
            if len(found) == most:
                break
        return sorted(found.values(), key=lambda entry: int(entry.ref.id))

    def _backwards(self, name: str) -> Iterator[bytes]:
        for file in (f"{name}.jsonl", f"{name}.jsonl.1"):
            with contextlib.suppress(OSError):
                yield from reversed((self._folder / file).read_bytes().splitlines())

    def _is_ours(self, entry: Task | Alert) -> bool:
        ref, ended = entry.ref, not isinstance(entry, Task) or entry.ended
        kind = Kind.TASK if isinstance(entry, Task) else Kind.ALERT
        number = ref.id.isascii() and ref.id.isdigit() and len(ref.id) <= _NUMBER_DIGITS_MAX
        return ended and number and ref.kind is kind and ref.host == self._host_id

    def _append(self, name: str, lines: list[bytes]) -> None:
        path = self._folder / name
        try:
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_size > _LOG_BYTES_MAX:
                    path.replace(path.with_name(name + ".1"))
            with path.open("a+b") as file:
                file.write(_line_end_missing(file) + b"".join(line + b"\n" for line in lines))
        except OSError as error:
            log.warning("%s could not be written: %s", path, error.strerror or error)


def _line_end_missing(file: BinaryIO) -> bytes:
    """What a crash tore off takes no later line with it."""
    if not file.seek(0, os.SEEK_END):
        return b""
    file.seek(-1, os.SEEK_END)
    return b"" if file.read(1) == b"\n" else b"\n"


def _can_be_decoded(undo: str) -> bool:
    try:
        return not undo or bool(commands.decode(undo))
    except (msgspec.MsgspecError, ValueError):
        return False
