"""The servers and copy programs that the engine is compared with, on files of their own."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

from engine.units import MIB
from tests.bench.place import Place, end

_QSD = "qemu-storage-daemon"


def nbdkit(place: Place, file: Path) -> str:
    """nbdkit's file plugin; answers the export's URI."""
    path = file.with_suffix(".nbdkit")
    place.start(["nbdkit", "-f", "-U", str(path), "file", str(file)], listens=path)
    return _uri(path)


def qemu_nbd(place: Place, file: Path) -> str:
    """qemu-nbd through the page cache, with its threads."""
    path = file.with_suffix(".qemu")
    options = ["-t", "-e", "8", "-f", "raw", "--cache=writeback", "--aio=threads"]
    place.start(["qemu-nbd", *options, "-k", str(path), str(file)], listens=path)
    return _uri(path)


def quorum(place: Place, first: Path, second: Path) -> str:
    """QEMU's storage daemon: writes to both files, reads from the first that answers."""
    path = first.with_suffix(".quorum")
    both = "driver=quorum,node-name=q,vote-threshold=1,read-pattern=fifo,children.0=a,children.1=b"
    words = [
        _QSD,
        "--blockdev",
        f"file,node-name=a,filename={first}",
        "--blockdev",
        f"file,node-name=b,filename={second}",
    ]
    words += ["--blockdev", both, "--nbd-server", f"addr.type=unix,addr.path={path},max-connections=8"]
    words += ["--export", "nbd,id=e,node-name=q,name=,writable=on"]
    place.start(words, listens=path)
    return _uri(path)


def written(file: Path, size: int) -> Path:
    """A file full of bytes that don't repeat within a MiB; it is in the page cache afterwards."""
    block = os.urandom(MIB)
    with file.open("wb") as stream:
        for _ in range(size // MIB):
            stream.write(block)
        os.fdatasync(stream.fileno())
    return file


def dd(source: Path, target: Path) -> float:
    """Seconds that dd takes for a copy that is on stable storage at its end."""
    words = ["dd", "bs=1M", "conv=notrunc,fdatasync", "status=none", f"if={source}", f"of={target}"]
    start = time.perf_counter()
    subprocess.run(words, check=True)
    return time.perf_counter() - start


def mirror_job(place: Place, source: Path, target: Path) -> float:
    """Seconds that QEMU's mirror job takes from its start to being ready, and the target to stable storage."""
    path = target.with_suffix(".monitor")
    words = [_QSD, "--blockdev", f"file,node-name=s,filename={source},read-only=on"]
    words += ["--blockdev", f"file,node-name=d,filename={target}"]
    words += ["--chardev", f"socket,id=c,path={path},server=on,wait=off", "--monitor", "chardev=c"]
    daemon = place.start(words)
    try:
        with _Monitor(path, daemon) as monitor:
            return _mirror(monitor, target)
    finally:
        end(daemon)


def _mirror(monitor: _Monitor, target: Path) -> float:
    start = time.perf_counter()
    monitor.ask("blockdev-mirror", **{"job-id": "j", "device": "s", "target": "d", "sync": "full"})
    monitor.wait("BLOCK_JOB_READY")
    descriptor = os.open(target, os.O_RDWR)
    os.fdatasync(descriptor)
    os.close(descriptor)
    took = time.perf_counter() - start
    monitor.ask("block-job-cancel", device="j")
    monitor.wait("BLOCK_JOB_COMPLETED")
    return took


class _Monitor:
    """QMP, as far as a mirror job needs it."""

    def __init__(self, path: Path, daemon: subprocess.Popen[str]) -> None:
        self._link = socket.socket(socket.AF_UNIX)
        deadline = time.monotonic() + 10
        while self._link.connect_ex(str(path)):
            if daemon.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("the storage daemon offers no monitor")
            time.sleep(0.01)
        self._lines = self._link.makefile("r")
        self._next("QMP")
        self.ask("qmp_capabilities")

    def __enter__(self) -> _Monitor:
        return self

    def __exit__(self, *_: object) -> None:
        self._lines.close()
        self._link.close()

    def ask(self, verb: str, **arguments: Any) -> None:
        self._link.sendall(json.dumps({"execute": verb, "arguments": arguments}).encode() + b"\n")

    def wait(self, event: str) -> None:
        while self._next().get("event") != event:
            pass

    def _next(self, key: str = "") -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self._lines.readline())
        if "error" in found or (key and key not in found):
            raise RuntimeError(f"the storage daemon answers {found}")
        return found


def _uri(path: Path) -> str:
    return f"nbd+unix:///?socket={path}"
