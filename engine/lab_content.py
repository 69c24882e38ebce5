"""What a new lab holds: disk group dg1 with a mirrored volume that carries an ext4 file system, and a striped one."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from engine.commands import CreateGroup, CreateVolume
from engine.dataplane.request import Op, Request
from engine.errors import EngineError
from engine.records import Disk, Group, Kind, Ref, Severity, Task, TaskState, Volume
from engine.units import MIB

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine.dataplane.volume_io import VolumeIo
    from engine.engine import Engine
    from engine.runtime import Runtime

GROUP = "dg1"
_FREE_LUNS = 6
_MKFS = ("/sbin/mkfs.ext4", "/usr/sbin/mkfs.ext4")
_FILES = {
    "readme.txt": "This file system lies on a mirrored volume. Its two copies are on two enclosures.\n",
    "orders/2026-01.csv": "order,customer,amount\n1,Nordwind,120.00\n2,Suedstern,75.50\n",
    "orders/2026-02.csv": "order,customer,amount\n3,Nordwind,310.25\n",
}


def furnish(engine: Engine) -> None:
    """Make dg1 and its two volumes when the lab's LUNs are all untouched; else leave everything as it is.

    What cannot be made is told by an alert: the lab opens all the same.
    """
    try:
        _furnish(engine)
    except (EngineError, OSError) as error:
        _say(engine, None, f"The disk group {GROUP} of the new lab was not made to its end.", str(error))


def _furnish(engine: Engine) -> None:
    config = engine.committer.config
    disks = config.all(Kind.DISK, Disk)
    if config.all(Kind.GROUP, Group) or any(disk.content for disk in disks) or len(disks) <= _FREE_LUNS:
        return
    engine.submit(CreateGroup(name=GROUP, disks=_balanced(disks, len(disks) - _FREE_LUNS)))
    group = engine.committer.config.find(Kind.GROUP, GROUP)
    assert isinstance(group, Group)
    size = min(
        512 * MIB, max(disk.largest_free for disk in engine.committer.config.disks_of(group.ref)) // 2 // MIB * MIB
    )
    mirrors = 2 if group.disks > 1 else 1
    enclosures = {disk.enclosure for disk in engine.committer.config.disks_of(group.ref)}
    _make(
        engine,
        CreateVolume(group=group.ref, name="ev", size=size, mirrors=mirrors, across_enclosures=len(enclosures) > 1),
    )
    if group.disks > 1:
        _make(engine, CreateVolume(group=group.ref, name="sv", size=size, striped=True))
    volume = engine.committer.config.find(Kind.VOLUME, "ev", group.ref)
    if isinstance(volume, Volume):
        _format(engine, volume)


def _balanced(disks: list[Disk], count: int) -> tuple[Ref, ...]:
    """The first disks of each enclosure in turn."""
    shelves: dict[Ref | None, list[Disk]] = {}
    for disk in disks:
        shelves.setdefault(disk.enclosure, []).append(disk)
    turns = [disk for turn in range(len(disks)) for shelf in shelves.values() for disk in shelf[turn : turn + 1]]
    return tuple(disk.ref for disk in turns[:count])


def _make(engine: Engine, command: CreateVolume) -> None:
    ref = engine.submit(command)
    engine.wait(ref)
    task = engine.committer.config.get(ref)
    if isinstance(task, Task) and task.state is not TaskState.COMPLETED:
        raise EngineError(f"{command.name} could not be made: {task.result}")


def _format(engine: Engine, volume: Volume) -> None:
    """Put an ext4 file system with the sample files on a volume; an alert says so when the tool is missing."""
    tool = shutil.which("mkfs.ext4") or next((path for path in _MKFS if os.path.exists(path)), None)
    if tool is None:
        _no_file_system(engine, volume, "The program mkfs.ext4 is not installed.")
        return
    try:
        _fill(engine, volume, tool)
    except subprocess.CalledProcessError as error:
        told = error.stderr.decode(errors="replace").strip().splitlines()
        _no_file_system(engine, volume, told[-1] if told else f"mkfs.ext4 failed (status {error.returncode}).")
    except OSError as error:
        _no_file_system(engine, volume, f"{error.strerror or error}.")


def _no_file_system(engine: Engine, volume: Volume, cause: str) -> None:
    _say(engine, volume.ref, f"{volume.name} has no file system.", cause)


def _say(engine: Engine, about: Ref | None, text: str, cause: str) -> None:
    remedy = "Install e2fsprogs, see to free space, and format the volume over its NBD export."
    engine.committer.alert(Severity.INFORMATION, text, about=about, cause=cause, remedy=remedy)


def _fill(engine: Engine, volume: Volume, tool: str) -> None:
    """Make the file system in an image beside the volume, then copy what is in it."""
    with tempfile.TemporaryDirectory(prefix="vea-lab-") as folder:
        image, root = Path(folder, "image"), Path(folder, "root")
        for name, text in _FILES.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        with image.open("wb") as file:
            file.truncate(volume.size)
        subprocess.run(
            [tool, "-q", "-F", "-L", volume.name, "-d", str(root), str(image)], check=True, capture_output=True
        )
        _copy_in(image, engine.committer.ios[volume.ref], engine.runtime)


class _Waiter:
    """A client of one volume that waits for each of its requests."""

    def __init__(self, io: VolumeIo, runtime: Runtime) -> None:
        self._io = io
        self._changed = runtime.condition()
        self._ended = False
        self._error = 0

    def finish(self, request: Request, error: int) -> None:
        with self._changed:
            self._ended, self._error = True, error
            self._changed.notify_all()

    def run(self, request: Request) -> None:
        slot = self._io.slot("lab")
        self._ended = False
        try:
            self._io.execute([request], slot, self)
            with self._changed:
                self._changed.wait_for(lambda: self._ended)
        finally:
            self._io.retire(slot)
        if self._error:
            raise OSError(self._error, os.strerror(self._error))


def _copy_in(image: Path, io: VolumeIo, runtime: Runtime) -> None:
    """Write the parts of an image that hold data; the rest of a new volume is zero already."""
    client = _Waiter(io, runtime)
    with image.open("rb") as file:
        for start, end in _data(file.fileno()):
            for offset in range(start, end, MIB):
                chunk = os.pread(file.fileno(), min(MIB, end - offset), offset)
                client.run(Request(Op.WRITE, offset, len(chunk), memoryview(bytearray(chunk))))
    client.run(Request(Op.FLUSH))


def _data(descriptor: int) -> Iterator[tuple[int, int]]:
    """The ranges of a sparse file that are not holes."""
    end = os.fstat(descriptor).st_size
    position = 0
    while position < end:
        try:
            start = os.lseek(descriptor, position, os.SEEK_DATA)
        except OSError:
            return
        position = os.lseek(descriptor, start, os.SEEK_HOLE)
        yield start, position
