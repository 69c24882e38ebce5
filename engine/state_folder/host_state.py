"""What a host remembers by itself, in its state folder: who it is, which LUNs it knows, counters; logs beside it."""

from __future__ import annotations

import fcntl
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from engine.errors import EngineBusy, EngineError
from engine.records import Settings, settings_ref
from engine.runtime import ThreadRuntime
from engine.state_folder.host_log import HostLog

if TYPE_CHECKING:
    from engine.runtime import Runtime

log = logging.getLogger(__name__)

_FLUSH_NUMBERS = 64


class KnownLun(msgspec.Struct, frozen=True):
    """A LUN by its path, with the disk name that it keeps while it belongs to no group.

    `disk` is the id of the disk that it was and `size` its bytes, as last seen: what is shown of it while it is away.
    `failing` and `errors` are those of that disk: a restart mends no disk.
    """

    path: str
    name: str
    enclosure: str = ""
    disk: str = ""
    size: int = 0
    failing: bool = False
    errors: int = 0


class _Saved(msgspec.Struct):
    host_id: str
    name: str
    luns: list[KnownLun] = []
    next_number: int = 1  # of tasks and alerts: never used twice, also after a crash
    settings: Settings | None = None  # None: as they come


class HostState:
    """The state folder of one host, held by one engine at a time. Writes are atomic and durable."""

    def __init__(self, folder: Path, runtime: Runtime | None = None) -> None:
        self.folder = folder
        self._runtime = runtime or ThreadRuntime()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = _hold(folder / "lock")
        self._path = folder / "host.json"
        try:
            self._saved = self._load()
            self._number = self._saved.next_number
            self.save()
            self.log = HostLog(folder, self._saved.host_id)
        except BaseException:
            os.close(self._lock)
            raise

    @property
    def host_id(self) -> str:
        return self._saved.host_id

    @property
    def host_name(self) -> str:
        return self._saved.name

    @property
    def luns(self) -> tuple[KnownLun, ...]:
        return tuple(self._saved.luns)

    def remember_luns(self, luns: list[KnownLun]) -> None:
        """Replace the list of known LUNs. Where that cannot be written, it is by the next save that can."""
        if luns != self._saved.luns:
            self._saved.luns = luns
            self._try_save()

    @property
    def settings(self) -> Settings:
        """What the operator has set for this host."""
        return self._saved.settings or Settings(ref=settings_ref(self.host_id), name="Settings")

    def change_settings(self, settings: Settings) -> None:
        """Replace the settings, durably. EngineError, with nothing changed, when that cannot be written."""
        before, self._saved.settings = self._saved.settings, settings
        try:
            self.save()
        except OSError as error:
            self._saved.settings = before
            raise EngineError(
                f"{self._path} cannot be written ({error.strerror or error}). Make room in its file system, or "
                "correct its mode."
            ) from error

    def number(self) -> int:
        """The next number for a task or an alert. A block of numbers is reserved on disk before one is used.

        EngineError when none is left and the state folder cannot be written: a number is never used twice.
        """
        if self._number + _FLUSH_NUMBERS // 2 >= self._saved.next_number:
            self._try_save()
        if self._number >= self._saved.next_number:
            raise EngineError(f"{self._path} cannot be written. Make room in its file system, or correct its mode.")
        number, self._number = self._number, self._number + 1
        return number

    def reserve(self, number: int) -> None:
        """Numbers go on behind this one: a group has come that uses it."""
        if number >= self._number:
            self._number = number + 1
            self._try_save()

    def save(self) -> None:
        """Write the state through a new file, so that a crash leaves the old one or the new one."""
        self._write(self._number + _FLUSH_NUMBERS)

    def _try_save(self) -> None:
        """Nothing of the storage depends on this folder: what cannot be written there stops nothing at once."""
        try:
            self.save()
        except OSError as error:
            log.warning("%s could not be written: %s", self._path, error.strerror or error)

    def _write(self, next_number: int) -> None:
        """The numbers count as reserved only once that is durable, the renaming included."""
        temporary = self._path.with_suffix(".new")
        with temporary.open("wb") as file:
            file.write(msgspec.json.encode(msgspec.structs.replace(self._saved, next_number=next_number)))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self._path)
        folder = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        self._saved.next_number = next_number

    def close(self) -> None:
        """Let another engine use the folder. Closing again does nothing."""
        if self._lock < 0:
            return
        try:
            self._write(self._number)
        except OSError as error:
            log.warning("%s could not be written: %s", self._path, error.strerror or error)
        os.close(self._lock)
        self._lock = -1

    def _load(self) -> _Saved:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=_Saved)
        except FileNotFoundError:
            return _Saved(host_id=self._runtime.token(16).hex(), name=self._runtime.host_name())
        except (msgspec.MsgspecError, ValueError) as error:  # what is no text is a ValueError
            raise EngineError(
                f"{self._path} is damaged ({error}). Without it this host has no identity: restore it, or move it "
                "away to begin as a new host and import the groups with their host id cleared."
            ) from error


def _hold(path: Path) -> int:
    """An exclusive lock that ends with the process. EngineBusy when another engine has it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise EngineBusy(f"Another engine uses the state folder {path.parent}. Stop it, or give --state.") from error
    return descriptor
