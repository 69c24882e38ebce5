"""What this host keeps still, on record in its state folder: an engine that is killed lets it go at its next start."""

from __future__ import annotations

import contextlib
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from engine.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from engine.runtime import Runtime

log = logging.getLogger(__name__)

_BOOT = Path("/proc/sys/kernel/random/boot_id")


class Entry(msgspec.Struct, frozen=True):
    """One thing: `by` and `words` are those of `keeper.main`, without a program's words, which today's settings say."""

    by: str
    words: tuple[str, ...]
    volume: str  # its id
    boot: str  # of the host: a mount ends with it


class FreezeJournal:
    """The file `frozen.json`. There is none while nothing is kept still."""

    def __init__(self, folder: Path, runtime: Runtime) -> None:
        self._path = folder / "frozen.json"
        self._lock = runtime.lock()
        self._entries: list[Entry] = []

    def left(self) -> tuple[Entry, ...]:
        """What an earlier run has left, which is on record until it is taken back."""
        try:
            found = msgspec.json.decode(self._path.read_bytes(), type=list[Entry])
        except FileNotFoundError:
            return ()
        except (OSError, msgspec.MsgspecError, ValueError) as error:
            log.warning("%s can't be read, and what it tells may still be frozen: %s", self._path, error)
            return ()
        with self._lock:
            self._entries += found
        return tuple(found)

    def add(self, entries: Iterable[Entry]) -> None:
        """Durable when this returns. EngineError, and nothing may be frozen, when it can't be written."""
        with self._lock:
            wanted = [*self._entries, *entries]
            try:
                self._write(wanted)
            except OSError as error:
                why = error.strerror or error
                raise EngineError(f"{self._path} can't be written ({why}), so nothing was frozen.") from error
            self._entries = wanted

    def remove(self, entry: Entry) -> None:
        """It has been let go."""
        with self._lock:
            if entry in self._entries:
                self._entries.remove(entry)
                try:
                    self._write(self._entries)
                except OSError as error:
                    log.warning("%s could not be written: %s", self._path, error.strerror or error)

    def _write(self, entries: list[Entry]) -> None:
        if not entries:
            with contextlib.suppress(FileNotFoundError):
                self._path.unlink()
            return
        draft = self._path.with_suffix(".new")
        with draft.open("wb") as file:
            file.write(msgspec.json.encode(entries))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self._path)
        folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def boot_id() -> str:
    """Which run of the host this is."""
    try:
        return _BOOT.read_text().strip()
    except OSError:
        return ""
