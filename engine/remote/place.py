"""Where the sockets of this user's engine stand."""

from __future__ import annotations

import os
from pathlib import Path

from engine.errors import EngineError


def runtime_folder() -> Path:
    """Where sockets stand by default: the XDG runtime folder, or a folder of this user's own."""
    base = os.environ.get("XDG_RUNTIME_DIR")
    folder = Path(base, "vea-console") if base else Path(f"/tmp/vea-console-{os.getuid()}")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.lstat()
    except OSError as error:
        raise EngineError(f"{folder} can't be made: {error.strerror}. Give --socket.") from error
    if status.st_uid != os.getuid() or status.st_mode & 0o077:
        raise EngineError(f"{folder} must belong to you alone. Correct its owner and mode, or give --socket.")
    return folder


def control_socket(given: str | None) -> Path:
    """`--socket`, VEA_SOCKET, or the default place; absolute, since clients elsewhere are shown it."""
    named = given or os.environ.get("VEA_SOCKET")
    return Path(named).absolute() if named else runtime_folder() / "control.sock"


def nbd_socket(given: str | None, control: Path) -> Path:
    """`--nbd`, or `nbd.sock` beside the control socket."""
    return Path(given).absolute() if given else control.with_name("nbd.sock")
