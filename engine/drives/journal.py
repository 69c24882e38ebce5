"""What the engine has mounted, on disk before it is: what is left of one that was killed is found by it."""

from __future__ import annotations

import contextlib
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable

log = logging.getLogger(__name__)


class Entry(msgspec.Struct, frozen=True):
    """One drive: its file, the folder of its mount (empty: none), and the process that shows the file."""

    file: str
    folder: str = ""
    process_id: int = 0
    born: str = ""  # when that process began, as the kernel counts: another one has another


class Journal:
    """A file in the folder of drives, which nobody else can write."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / ".journal"

    @property
    def there(self) -> bool:
        return self._path.exists()

    def write(self, entries: Iterable[Entry]) -> None:
        """Replace it as a whole; without entries there is none. OSError when that can't be."""
        told = list(entries)
        if not told:
            self._path.unlink(missing_ok=True)
            return
        draft = self._path.with_suffix(".new")
        draft.write_bytes(msgspec.json.encode(told))
        draft.replace(self._path)

    def read(self) -> list[Entry]:
        """What was written last; nothing when there is none or it makes no sense."""
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=list[Entry])
        except FileNotFoundError:
            return []
        except (OSError, msgspec.MsgspecError, ValueError) as error:
            log.warning("%s can't be read: %s", self._path, error)
            return []


def born(process: int) -> str:
    """When a process began; empty when there is none, or it has ended and nobody has asked how."""
    with contextlib.suppress(OSError):
        status = Path(f"/proc/{process}/stat").read_text(errors="replace")
        state, *others = status[status.rindex(")") + 2 :].split()
        return "" if state in "ZX" else others[18]
    return ""


def is_still(entry: Entry) -> bool:
    """Whether the process of an entry is there, and is the same one."""
    return bool(entry.process_id and entry.born) and born(entry.process_id) == entry.born


def owned_folder(path: Path) -> str:
    """Make a folder for this user alone. Why it can't be used; empty when it can."""
    try:
        path.mkdir(mode=0o700, exist_ok=True)
        status = path.lstat()
    except OSError as error:
        return f"{path} can't be made: {error.strerror}."
    if not path.is_dir() or path.is_symlink() or status.st_uid != os.geteuid() or status.st_mode & 0o077:
        return f"{path} must be a folder of the engine's user alone. Correct its owner and mode."
    return ""
