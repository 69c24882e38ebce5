"""What of the engine is put under the simulator from outside: switch points in plain attribute accesses of the data
plane, locks of LUNs, and who uses one."""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any
from unittest import mock

import engine.dataplane.dirty_map
import engine.dataplane.gate
import engine.dataplane.raid5_marks
import engine.dataplane.volume_io
import engine.disk_groups.claims
import engine.luns

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine.dataplane.table import Table
    from tests.sim.folder import HostFolder
    from tests.sim.lun import SimLun
    from tests.sim.runtime import SimRuntime


class Now:
    """The runtime and the host's folder of the life that is being lived."""

    runtime: SimRuntime
    folder: HostFolder


class SimSlot(engine.dataplane.gate.Slot):
    """A slot whose table is set in two steps."""

    __slots__ = ("_table",)

    @property  # type: ignore[override]
    def table(self) -> Table | None:
        return self._table

    @table.setter
    def table(self, table: Table | None) -> None:
        Now.runtime.point()
        self._table = table


class Written(set[Any]):
    """The devices that a volume has written."""

    def add(self, device: Any) -> None:
        Now.runtime.point()
        super().add(device)


class Touched(bytearray):
    """The regions that somebody writes: whoever notes one looks a moment later whether he may."""

    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__(key, value)
        Now.runtime.point()


class SimLunLock:
    """The lock on one LUN; no other process competes for it here."""

    def __init__(self, device: SimLun) -> None:
        self.device = device
        self.held = False

    def take(self) -> None:
        self.held = True

    def give_up(self) -> None:
        self.held = False


_plain_map_init = engine.dataplane.dirty_map.DirtyMap.__init__


def _dirty_map_init(self: Any, *args: Any, **kwargs: Any) -> None:
    _plain_map_init(self, *args, **kwargs)
    self.touched = Touched(self.touched)


_plain_init = engine.dataplane.volume_io.VolumeIo.__init__


def _volume_io_init(self: Any, *args: Any, **kwargs: Any) -> None:
    _plain_init(self, *args, **kwargs)
    self.written = Written(self.written)


_replace = os.replace


def _sim_fsync(descriptor: int) -> None:
    Now.folder.synced(descriptor)


def _sim_replace(*args: Any, **kwargs: Any) -> None:
    _replace(*args, **kwargs)
    Now.folder.renamed()


PATCHES: tuple[tuple[Any, str, Any], ...] = (
    (engine.dataplane.gate, "Slot", SimSlot),
    (engine.dataplane.volume_io.VolumeIo, "__init__", _volume_io_init),
    (engine.dataplane.dirty_map.DirtyMap, "__init__", _dirty_map_init),
    (engine.dataplane.raid5_marks, "STREAM", 0),  # what clients write here is little
    (engine.dataplane.raid5_marks, "RANGE", 64 << 10),
    (engine.luns, "DeviceLock", SimLunLock),
    (engine.luns, "_same", lambda lun, device: lun.path == device.path),
    (os, "fsync", _sim_fsync),
    (os, "replace", _sim_replace),
    (engine.disk_groups.claims, "user_of", lambda path, descriptor=-1: ""),
)


@contextmanager
def simulated() -> Iterator[None]:
    """While this lasts, engines of this process live in `Now.runtime`."""
    with ExitStack() as stack:
        for holder, name, stand_in in PATCHES:
            stack.enter_context(mock.patch.object(holder, name, stand_in))
        yield
