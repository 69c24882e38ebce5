"""What an engine that was killed has left mounted: its journal names it, and nothing else is touched."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from engine.drives.drive import remove_file
from engine.drives.journal import is_still
from engine.drives.mounts import backing_file, mount_at
from engine.errors import EngineError
from engine.filesystems.tools import UNMOUNTER, path_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from engine.drives.journal import Entry
    from engine.filesystems.programs import Programs
    from engine.runtime import Runtime

log = logging.getLogger(__name__)

_PROGRAM_S, _ENDS_S, _LOOK_S = 60.0, 20.0, 0.02


def clean(entries: Iterable[Entry], folder: Path, programs: Programs, runtime: Runtime) -> None:
    """Unmount each folder and each file that is still there, and end the process that showed it."""
    for entry in entries:
        file = Path(entry.file)
        if file.parent != folder:
            log.warning("%s is not in %s and is left alone", file, folder)
            continue
        _clean_folder(entry, programs)
        _clean_file(entry, programs)
        _end(entry, runtime)
        remove_file(file)


def _clean_folder(entry: Entry, programs: Programs) -> None:
    """Only where the file of this very drive is what is mounted there."""
    for way in ([], ["-l"]):
        found = mount_at(entry.folder) if entry.folder else None
        if found is None or backing_file(found.source) not in (entry.file, f"{entry.file} (deleted)"):
            return
        _run(programs, entry, "umount", *way, entry.folder)


def _clean_file(entry: Entry, programs: Programs) -> None:
    for way in (["-u"], ["-u", "-z"]):
        found = mount_at(entry.file)
        if found is None or not found.kind.startswith("fuse"):
            return
        _run(programs, entry, UNMOUNTER, *way, entry.file)


def _end(entry: Entry, runtime: Runtime) -> None:
    until = runtime.now() + _ENDS_S
    with contextlib.suppress(ProcessLookupError, PermissionError):
        while is_still(entry):
            late = runtime.now() > until
            os.kill(entry.process_id, signal.SIGKILL if late else signal.SIGTERM)
            if late:
                return
            runtime.sleep(_LOOK_S)


def _run(programs: Programs, entry: Entry, name: str, *arguments: str) -> None:
    try:
        program = programs.start([path_of(name) or name, *arguments], said=subprocess.DEVNULL)
    except EngineError as error:
        log.warning("%s", error)
        return
    try:
        program.wait(_PROGRAM_S)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if is_still(entry):
                os.kill(entry.process_id, signal.SIGKILL)  # it answers nobody, and keeps all that wait for it
        program.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            program.wait(_ENDS_S)
