"""The LUNs that this host knows: their open devices, disk names and enclosures."""

from __future__ import annotations

import contextlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from engine.devices.block import KernelBlockDevice
from engine.devices.descriptor import DescriptorDevice
from engine.devices.file import FileDevice
from engine.devices.locks import DeviceLock
from engine.errors import DeviceError, EngineError
from engine.geometry import LUN_MIN
from engine.records import Kind, Ref
from engine.state_folder.host_state import KnownLun
from engine.units import format_size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from engine.state_folder.host_state import HostState

HostDevice = FileDevice | KernelBlockDevice


@dataclass(eq=False, slots=True)
class Lun:
    """One LUN. `device` is None while it cannot be opened; once open its descriptor stays for the engine's life."""

    path: str
    name: str
    enclosure: str
    device: HostDevice | None = None
    lock: DeviceLock | None = None
    disk: Ref | None = None  # the disk record that stands for it now
    remembered: bool = False  # which disk it is has been known since an earlier run, and no label has said so in this
    size: int = 0  # bytes, as last seen by an earlier run
    failing: bool = False  # the disk that it is has failed, and nobody has returned it to service
    errors: int = 0  # of that disk, that were mended
    copy_of: str = ""  # id of a disk in use that it was found to be a copy of
    leftover_of: str = ""  # id of a group that its label names and that does not have it, as last seen

    def present(self) -> bool:
        """Whether the path still leads to what is open here."""
        return self.device is not None and self.device.present()


class LunTable:
    """All LUNs of a host, by path and by disk."""

    def __init__(
        self,
        state: HostState,
        before_close: Callable[[HostDevice], None] = lambda device: None,
        opener: Callable[[str], HostDevice] | None = None,
    ) -> None:
        """`before_close` is told of each device that is about to be closed; `opener` stands in for `open_lun`."""
        self._state = state
        self._before_close = before_close
        self._open = opener or open_lun
        self._luns: dict[str, Lun] = {}
        self._by_disk: dict[Ref, Lun] = {}
        self._former: list[HostDevice] = []
        self._awaited: dict[str, str] = {}  # paths that led nowhere at the start, and their enclosures
        for known in state.luns:
            lun = self._luns[known.path] = Lun(known.path, known.name, known.enclosure, size=known.size)
            if known.disk:
                self.bind(lun, Ref(Kind.DISK, known.disk, state.host_id), known.name)
                lun.remembered = True
                lun.failing, lun.errors = known.failing, known.errors

    def __iter__(self) -> Iterator[Lun]:
        return iter(sorted(self._luns.values(), key=lambda lun: (len(lun.name), lun.name)))

    def __contains__(self, path: str) -> bool:
        return path in self._luns

    def add(self, path: str, enclosure: str = "", taken: Iterable[str] = ()) -> Lun:
        """Make a LUN known under the next free disk name. EngineError says why it cannot be one."""
        path = os.path.realpath(path)
        if path in self._luns:
            return self._luns[path]
        device = self._open(path)
        twin = next((lun for lun in self if _same(lun, device)), None)
        if twin is not None:
            device.close()
            raise EngineError(f"{path} is another name of {twin.path}, which is {twin.name} already.")
        lun = Lun(path, self._free_name(set(taken)), enclosure or _enclosure_of(path))
        lun.device, lun.lock = device, DeviceLock(device)
        self._luns[path] = lun
        self._remember()
        return lun

    def expect(self, path: str, enclosure: str = "") -> None:
        """As `add`; a path that leads nowhere is tried again at each look. EngineError says why it can't be now."""
        try:
            self.add(path, enclosure)
        except EngineError:
            self._awaited[path] = enclosure
            raise

    def add_expected(self) -> None:
        """Those that were not there, and are now."""
        for path, enclosure in list(self._awaited.items()):
            with contextlib.suppress(EngineError):
                self.add(path, enclosure)
                del self._awaited[path]

    def open_all(self) -> None:
        """Try to open what is not open."""
        for lun in self:
            if lun.device is None:
                with contextlib.suppress(EngineError):
                    device = self._open(lun.path)
                    lun.device, lun.lock = device, DeviceLock(device)

    def refresh(self) -> None:
        """Read the sizes of what is there anew. Under the control lock: what is made of them must follow at once."""
        for lun in self:
            if lun.device is not None and lun.present():
                with contextlib.suppress(DeviceError):
                    lun.device.refresh()

    def follow_names(self) -> None:
        """A LUN whose file stands under the path of another one now is known by that path from here on: it is open, so
        that it is what it was. Who has lost its path to it gets one that has been left."""
        astray = [lun for lun in self if isinstance(lun.device, DescriptorDevice) and not lun.present()]
        found = [(lun, other.path) for lun in astray for other in astray if _stands_at(lun, other.path)]
        paths = {lun.path: path for lun, path in found}
        if not paths:
            return
        others = [lun.path for lun in astray if lun.path not in paths]
        left = sorted({lun.path for lun in astray} - set(paths.values()))
        paths |= dict(zip(others, left, strict=True))
        enclosures = {lun.path: lun.enclosure for lun in astray}
        for lun in astray:
            del self._luns[lun.path]
        for lun in astray:
            self._take_path(lun, paths[lun.path], enclosures)
        self._remember()

    def _take_path(self, lun: Lun, path: str, enclosures: dict[str, str]) -> None:
        assert lun.device is not None
        lun.path, lun.enclosure = path, enclosures[path]
        lun.device.rename(path)
        self._luns[path] = lun

    def replaced(self) -> list[Lun]:
        """LUNs at whose path another file or device stands now than the one that is open."""
        return [lun for lun in self if lun.device is not None and not lun.present() and os.path.exists(lun.path)]

    def reopen(self, lun: Lun) -> None:
        """Open what stands at the path now. What was open before nobody uses any more; its descriptor is kept, because
        an operation that is on its way there must not meet another file under the same number."""
        device = self._open(lun.path)
        if lun.lock is not None:
            lun.lock.give_up()
        if lun.device is not None:
            self._before_close(lun.device)
            self._former.append(lun.device)
        lun.device, lun.lock = device, DeviceLock(device)
        lun.copy_of = ""

    def bind(self, lun: Lun, disk: Ref, name: str) -> None:
        """This LUN is that disk from now on."""
        remembered = lun.remembered and lun.disk == disk
        if lun.disk != disk:
            lun.failing, lun.errors = False, 0
        self.unbind(lun)
        lun.disk, lun.name, lun.remembered = disk, name, remembered
        self._by_disk[disk] = lun

    def unbind(self, lun: Lun) -> None:
        """Nobody knows which disk this LUN is."""
        if lun.disk is not None and self._by_disk.get(lun.disk) is lun:
            del self._by_disk[lun.disk]
        lun.disk, lun.remembered = None, False

    def of(self, disk: Ref) -> Lun | None:
        return self._by_disk.get(disk)

    def device(self, disk: Ref) -> HostDevice:
        """The open device of a disk. DeviceError (ENXIO) when its LUN is missing."""
        lun = self._by_disk.get(disk)
        if lun is None or lun.device is None:
            raise DeviceError(6, lun.name if lun else "a missing disk", "Opening")
        return lun.device

    def disk_of(self, device: object) -> Ref | None:
        """The disk behind a device of the data plane."""
        return next((lun.disk for lun in list(self._luns.values()) if lun.device is device), None)

    def forget(self, lun: Lun) -> None:
        """Close a LUN and take it off the list. Nothing on it changes."""
        self._close(lun)
        self._luns.pop(lun.path, None)
        self.unbind(lun)
        self._remember()

    def rename(self, lun: Lun, name: str) -> None:
        lun.name = name
        self._remember()

    def note_health(self, disk: Ref, *, failing: bool, errors: int) -> None:
        """What is known of a disk's health, for the runs that follow."""
        lun = self._by_disk.get(disk)
        if lun is not None and (lun.failing, lun.errors) != (failing, errors):
            lun.failing, lun.errors = failing, errors
            self._remember()

    def close(self) -> None:
        """Close every device, and with it every lock."""
        for lun in self._luns.values():
            self._close(lun)
        for device in self._former:
            device.close()
        self._remember()

    def _close(self, lun: Lun) -> None:
        if lun.lock is not None:
            lun.lock.give_up()
        if lun.device is not None:
            self._before_close(lun.device)
            lun.size = lun.device.size
            lun.device.close()
        lun.device = lun.lock = None

    def _remember(self) -> None:
        self._state.remember_luns([_known(lun) for lun in self])

    def _free_name(self, taken: set[str]) -> str:
        taken |= {lun.name for lun in self._luns.values()}
        return next(name for number in range(1 << 20) if (name := f"Harddisk{number}") not in taken)


def open_lun(path: str) -> HostDevice:
    """Open what stands at a path as a LUN. EngineError in whole sentences when it cannot be one."""
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        raise EngineError(f"{path} cannot be a LUN: {error.strerror}. Check the path.") from error
    if not (stat.S_ISREG(mode) or stat.S_ISBLK(mode)):
        raise EngineError(f"{path} is neither an image file nor a block device. Choose one of these.")
    device: HostDevice = FileDevice(path) if stat.S_ISREG(mode) else KernelBlockDevice(path)
    if device.size < LUN_MIN:
        device.close()
        raise EngineError(
            f"{path} has {format_size(device.size)}; a LUN needs at least {format_size(LUN_MIN)}. Choose a larger one."
        )
    return device


def _known(lun: Lun) -> KnownLun:
    size = lun.device.size if lun.device is not None else lun.size
    disk = lun.disk.id if lun.disk is not None else ""
    return KnownLun(lun.path, lun.name, lun.enclosure, disk, size, lun.failing, lun.errors)


def _same(lun: Lun, device: HostDevice) -> bool:
    """Whether a LUN's open device is the very same file or kernel device: by a link, or by another node."""
    if lun.device is None:
        return False
    one, other = os.fstat(lun.device.fd), os.fstat(device.fd)
    if stat.S_ISBLK(one.st_mode) and stat.S_ISBLK(other.st_mode):
        return one.st_rdev == other.st_rdev
    return (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)


def _stands_at(lun: Lun, path: str) -> bool:
    """Whether what is open as a LUN stands at a path."""
    assert lun.device is not None
    try:
        there = os.stat(path)
    except OSError:
        return False
    here = os.fstat(lun.device.fd)
    return stat.S_IFMT(here.st_mode) == stat.S_IFMT(there.st_mode) and (
        here.st_rdev == there.st_rdev
        if stat.S_ISBLK(here.st_mode)
        else (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino)
    )


def _enclosure_of(path: str) -> str:
    """Image files stand in the enclosure named like their folder, devices in the host's own."""
    return "Host devices" if path.startswith("/dev/") else Path(path).parent.name or "Files"
