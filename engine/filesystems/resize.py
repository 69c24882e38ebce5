"""Resizes the file system in a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from engine.errors import EngineError
from engine.filesystems.superblocks import HEAD, content_of
from engine.filesystems.tools import CALLS, path_of
from engine.units import format_size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.records import Ref, Task, Volume

SAID_MAX = 400


class Worker(Protocol):
    """Who runs programs for a task, and tells how far it is."""

    def run(self, command: Sequence[str]) -> tuple[int, str]: ...

    def progress(self, task: Ref, done: int) -> None: ...


def resize(worker: Worker, task: Task, volume: Volume, file: str) -> str:
    """What was done, in a sentence. EngineError says which program did not do it, in its words."""
    calls = CALLS.get(volume.content)
    if calls is None:
        raise EngineError(f"No program is known that resizes what stands on {volume.name}.")
    for call in calls:
        name, *rest = call.filled(file, task.params.size)
        status, said = worker.run([path_of(name) or name, *rest])
        if status not in call.good:
            raise failed(call.name, status, said, file)
    return f"The {volume.content} on {volume.name} has {format_size(_size_of(file))} now."


def failed(program: str, status: int, said: str, file: str) -> EngineError:
    """A program's failure as a sentence."""
    words = " ".join(said.replace(file, "the volume").split())
    return EngineError(f"{program} ended with status {status}: {words[-SAID_MAX:] or 'it said nothing'}")


def _size_of(file: str) -> int:
    """What it claims to have; programs may round a size down."""
    with open(file, "rb") as content:
        found = content_of(content.read(HEAD))
    return found.size if found is not None else 0
