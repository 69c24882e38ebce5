"""A real engine on a small lab in a folder: started, stopped, killed, and read from outside."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from engine.commands import Command, CreateGroup, CreateVolume
from engine.config import Config
from engine.dataplane.request import Op, Request
from engine.engine import Engine
from engine.host import OpenedHost, start_host
from engine.lab import Lab, create_lab, mark_furnished
from engine.records import Disk, Group, Kind, Plex, Ref, RelocationMode, Task, Volume
from engine.units import MIB
from tests.engine.frail_lun import FrailLun

LUN = 96 * MIB


class EngineLab:
    """One host on a lab of 2 x 3 LUNs that nobody has furnished."""

    def __init__(self, folder: Path, host: str = "a", luns: int = 3, lun_size: int = LUN) -> None:
        self.folder = folder
        self.host = host
        self.lab = folder / "lab"
        if not (self.lab / "lab.json").exists():
            mark_furnished(self.lab, create_lab(self.lab, Lab(arrays=2, luns=luns, lun_size=lun_size)))
        self.opened: OpenedHost | None = None
        self.relocates = False

    @property
    def engine(self) -> Engine:
        assert self.opened is not None
        assert isinstance(self.opened.api, Engine)
        return self.opened.api

    @property
    def config(self) -> Config:
        return self.engine.committer.config

    def start(self, *, frail: bool = False, relocates: bool | None = None) -> EngineLab:
        """`frail`: each LUN is a `FrailLun`, which `lun` answers. Hot relocation is manual until the lab `relocates`:
        then it waits for nobody."""
        here = self.folder / self.host
        here.mkdir(exist_ok=True)
        self.opened = start_host(
            lab=str(self.lab),
            state=str(here / "state"),
            socket=str(here / "s"),
            opener=FrailLun if frail else None,
        )
        self.relocates = self.relocates if relocates is None else relocates
        self._set(self.relocates)
        return self

    def _set(self, relocates: bool) -> None:
        """Before anything is wrong with any disk."""
        mode = RelocationMode.AUTOMATIC if relocates else RelocationMode.MANUAL
        state = self.engine.state
        if state.settings.hot_relocation is not mode or state.settings.relocation_wait_s:
            state.change_settings(replace(state.settings, hot_relocation=mode, relocation_wait_s=0))
            self.engine.committer.commit(lambda edit: edit.put(state.settings))

    def lun(self, disk: Ref) -> FrailLun:
        """The device behind a disk of an engine that was started `frail`."""
        device = self.engine._luns.device(disk)
        assert isinstance(device, FrailLun)
        return device

    def kill(self) -> None:
        """End without an orderly stop of the volumes: their records go on saying ACTIVE."""
        self.engine._groups.volumes.stop_in_order = lambda group: None  # type: ignore[method-assign]
        self.stop()

    def stop(self) -> None:
        assert self.opened is not None
        self.opened.close()
        self.opened = None

    def restart(self) -> None:
        self.stop()
        self.start()

    def restart_frail(self) -> None:
        """As `restart`; each LUN is a `FrailLun` again, and a sound one."""
        self.stop()
        self.start(frail=True)

    # --- doing ---
    def do(self, command: Command) -> Task:
        """Submit and wait; the task must have completed."""
        ref = self.engine.submit(command)
        assert self.engine.wait(ref, 60)
        task = self.config.task(ref)
        assert task.state == "completed", task.result
        return task

    def make_group(self, count: int = 4, name: str = "dg") -> Group:
        disks = self.config.all(Kind.DISK, Disk)
        half = [disk for number in range(count) for disk in (disks[(number % 2) * len(disks) // 2 + number // 2],)]
        self.do(CreateGroup(name=name, disks=tuple(disk.ref for disk in half)))
        return self.group(name)

    def make_volume(self, name: str = "v", size: int = 24 * MIB, **choices: object) -> Volume:
        self.do(CreateVolume(group=self.group().ref, name=name, size=size, **choices))  # type: ignore[arg-type]
        return self.volume(name)

    # --- looking ---
    def group(self, name: str = "dg") -> Group:
        found = self.config.find(Kind.GROUP, name)
        assert isinstance(found, Group)
        return found

    def volume(self, name: str = "v") -> Volume:
        found = self.config.find(Kind.VOLUME, name, self.group().ref)
        assert isinstance(found, Volume)
        return found

    def plexes(self, name: str = "v") -> list[Plex]:
        return self.config.plexes_of(self.volume(name).ref)

    def write(self, data: bytes, offset: int = 0, name: str = "v") -> int:
        return self._io(name, Request(Op.WRITE, offset, len(data), memoryview(bytearray(data))))

    def read(self, offset: int, length: int, name: str = "v") -> bytes:
        buffer = bytearray(length)
        error = self._io(name, Request(Op.READ, offset, length, memoryview(buffer)))
        if error:
            raise OSError(error, os.strerror(error))
        return bytes(buffer)

    def flush(self, name: str = "v") -> int:
        return self._io(name, Request(Op.FLUSH))

    def _io(self, name: str, request: Request) -> int:
        io = self.engine.committer.ios[self.volume(name).ref]
        waiter = _Waiter(self.engine)
        slot = io.slot("test")
        try:
            io.execute([request], slot, waiter)
            return waiter.wait()
        finally:
            io.retire(slot)

    def plex_digest(self, plex: Ref) -> str:
        """What stands on the LUN files under a plex, in the order of the volume's bytes: layouts make no difference."""
        record = self.config.plex(plex)
        size = self.config.volume(record.volume).size
        columns = [bytearray() for _ in range(record.columns)]
        for subdisk in self.config.subdisks_of(plex):
            if subdisk.replaces is None:
                with open(self.config.disk(subdisk.disk).lun, "rb") as file:
                    file.seek(subdisk.disk_offset)
                    columns[subdisk.column] += file.read(subdisk.length)
        unit = record.stripe_unit or len(columns[0])
        found = hashlib.sha256()
        for row in range(-(-size // (unit * record.columns))):
            for number, column in enumerate(columns):
                start = (row * record.columns + number) * unit
                found.update(memoryview(column)[row * unit : row * unit + min(unit, max(0, size - start))])
        return found.hexdigest()

    def equal(self, name: str = "v") -> bool:
        return len({self.plex_digest(plex.ref) for plex in self.plexes(name)}) == 1

    def path_of(self, disk: Ref) -> Path:
        return Path(self.config.disk(disk).lun)


class _Waiter:
    def __init__(self, engine: Engine) -> None:
        self._changed = engine.runtime.condition()
        self._error: int | None = None

    def finish(self, request: Request, error: int) -> None:
        with self._changed:
            self._error = error
            self._changed.notify_all()

    def wait(self) -> int:
        with self._changed:
            assert self._changed.wait_for(lambda: self._error is not None, 60), "the request never ended"
        assert self._error is not None
        return self._error


def lab_fixture(
    disks: int = 4, *, luns: int = 3, frail: bool = False, relocates: bool | None = None
) -> Callable[[Path], Iterator[EngineLab]]:
    """A fixture for a module's `lab`: a host that runs, with a group of so many disks; none makes no group."""

    @pytest.fixture
    def lab(tmp_path: Path) -> Iterator[EngineLab]:
        made = EngineLab(tmp_path, luns=luns).start(frail=frail, relocates=relocates)
        if disks:
            made.make_group(disks)
        yield made
        if made.opened is not None:
            made.stop()

    return lab
