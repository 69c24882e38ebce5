"""A volume as a file, for programs that know files: its own NBD export, mounted by nbdfuse."""

from __future__ import annotations

import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from engine.errors import EngineError
from engine.filesystems.tools import MOUNTER, UNMOUNTER, path_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from engine.runtime import Runtime

_READY_S, _LOOK_S, _GONE_S = 20.0, 0.02, 20.0


@contextmanager
def mounted(export: str, socket: str, runtime: Runtime, start: Callable[..., subprocess.Popen[bytes]]) -> Iterator[str]:
    """The path of a file that is the export while this lasts. EngineError when it can't be had."""
    uri = f"nbd+unix:///{quote(export)}?socket={quote(socket)}"
    with tempfile.TemporaryDirectory(prefix="vea-volume-", ignore_cleanup_errors=True) as folder:
        point, ready = Path(folder) / "mount", Path(folder) / "ready"
        point.mkdir()
        program = start([path_of(MOUNTER) or MOUNTER, "-P", str(ready), str(point / "volume"), uri])
        try:
            _await(program, ready, runtime)
            yield str(point / "volume")
        finally:
            subprocess.run([path_of(UNMOUNTER) or UNMOUNTER, "-u", str(point)], capture_output=True, check=False)
            _end(program)


def _await(program: subprocess.Popen[bytes], ready: Path, runtime: Runtime) -> None:
    if not comes_up(program, ready, runtime, _READY_S):
        program.kill()
        said = program.communicate()[1].decode(errors="replace").strip()
        raise EngineError(f"The volume could not be mounted by {MOUNTER}{f' ({said})' if said else ''}.")


def comes_up(program: subprocess.Popen[bytes], ready: Path, runtime: Runtime, within_s: float) -> bool:
    """Wait until the mount is there; False when nbdfuse has ended, or takes longer than that.

    It writes its number to the file `ready` once the mount is there; nothing else tells of it.
    """
    until = runtime.now() + within_s
    while not ready.exists():
        if program.poll() is not None or runtime.now() > until:
            return False
        runtime.sleep(_LOOK_S)
    return True


def _end(program: subprocess.Popen[bytes]) -> None:
    """It ends once its mount is gone; what was never mounted has ended already."""
    try:
        program.communicate(timeout=_GONE_S)
    except subprocess.TimeoutExpired:
        program.kill()
        program.communicate()
    except ValueError:
        program.wait()  # its last words have been read already
