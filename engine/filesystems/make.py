"""Makes an empty file system in a file."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from engine.errors import EngineError
from engine.filesystems.resize import failed
from engine.filesystems.tools import MAKERS, path_of
from engine.units import MIB

if TYPE_CHECKING:
    from engine.filesystems.resize import Worker
    from engine.records import Task, Volume

_EDGE = MIB
"""So many bytes at either end are zeroed, so that nothing finds what stood there before."""
_TOLD_EACH = 64 * MIB


def make(worker: Worker, task: Task, volume: Volume, file: str) -> str:
    """What was made, in a sentence. EngineError says why it was not."""
    kind, label = task.params.file_system, task.params.label
    maker = MAKERS.get(kind)
    if maker is None:
        raise EngineError(f"No program is known that makes {kind}.")
    _clear(worker, task, volume.size, file)
    program, *options = maker.arguments
    named = [maker.label, label] if label else []
    status, said = worker.run([path_of(program) or program, *options, *named, file])
    if status:
        raise failed(program, status, said, file)
    _settle(file)
    return f"{volume.name} has an empty {kind} file system{f' with the label {label}' if label else ''} now."


def _clear(worker: Worker, task: Task, size: int, file: str) -> None:
    zeros = bytes(_EDGE)
    with open(file, "r+b", buffering=0) as content:
        if task.params.quick:
            for offset in {0, max(0, size - _EDGE)}:
                _write(content.fileno(), zeros[: size - offset], offset)
        else:
            for offset in range(0, size, _EDGE):
                _write(content.fileno(), zeros[: size - offset], offset)
                if offset % _TOLD_EACH == 0:
                    worker.progress(task.ref, offset)
            worker.progress(task.ref, size)
        _sync(content.fileno())


def _write(descriptor: int, data: bytes, offset: int) -> None:
    try:
        while data:
            done = os.pwrite(descriptor, data, offset)
            data, offset = data[done:], offset + done
    except OSError as error:
        raise EngineError(f"Zeroing the volume failed: {error.strerror or error}.") from error


def _sync(descriptor: int) -> None:
    try:
        os.fsync(descriptor)
    except OSError as error:
        raise EngineError(f"Flushing the volume failed: {error.strerror or error}.") from error


def _settle(file: str) -> None:
    with open(file, "r+b", buffering=0) as content:
        _sync(content.fileno())
