"""The path of a unix socket: taken from a server that was killed, never from one that lives."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

from engine.errors import EngineBusy, EngineError

_OWNER_ONLY = 0o600
_BACKLOG = 1024


class Endpoint:
    """A listening unix socket with mode 0600, whose path goes away with it."""

    def __init__(self, path: str | Path) -> None:
        """Listen at `path`. Raises EngineBusy when somebody serves it, EngineError when it can't be had."""
        self.path = Path(path)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with _locked_folder(self.path):
                _make_way(self.path)
                # The mode of the socket's own inode bounds that of its path, so it is never open to others,
                # and unlike a umask this doesn't touch what other threads create meanwhile.
                os.fchmod(self.socket.fileno(), _OWNER_ONLY)
                self.socket.bind(str(self.path))
                self.socket.listen(_BACKLOG)
                self._identity = _identity(self.path)
        except EngineError:
            self.socket.close()
            raise
        except OSError as error:
            self.socket.close()
            raise EngineError(f"The socket {self.path} can't be made: {error.strerror or error}.") from error

    def wake(self) -> None:
        """End an `accept` that is waiting; nobody can connect any more."""
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close, and remove the path unless it has become somebody else's."""
        self.socket.close()
        with contextlib.suppress(OSError), _locked_folder(self.path):
            if _identity(self.path) == self._identity:
                self.path.unlink()


@contextlib.contextmanager
def _locked_folder(path: Path) -> Iterator[None]:
    """One at a time in the folder: two servers that both find a stale socket must not remove each other's new one."""
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _identity(path: Path) -> tuple[int, int]:
    found = path.lstat()
    return found.st_dev, found.st_ino


def _make_way(path: Path) -> None:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise EngineError(f"{path} exists and is not a socket. Choose another path, or remove it.")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
        except OSError as error:
            raise EngineBusy(f"The socket {path} is in use ({error.strerror}). Choose another path.") from None
    raise EngineBusy(f"Another process serves the socket {path}. Stop it first, or choose another path.")
