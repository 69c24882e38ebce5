"""One disk of a group in hand: its device, its label, and what is done to both when it joins and leaves."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from engine.errors import DeviceError, MetadataError, RangeError
from engine.geometry import METADATA_BLOCK, public_length
from engine.store.label import initialize, label_is_whole, new_label, read_label, relabel, write_label
from engine.store.stamp import Stamp, read_stamp, write_stamp

if TYPE_CHECKING:
    from engine.devices.base import BlockDevice
    from engine.store.label import Label


@dataclass(frozen=True)
class Importer:
    """On whose behalf a group is imported: the host's id and name, and where time and fresh serials come from."""

    host: str
    name: str
    clock: Callable[[], float] = field(repr=False)  # seconds since the epoch
    serial: Callable[[], bytes] = field(repr=False)  # 16 random bytes


@dataclass
class Member:
    """A disk of a group that is here."""

    device: BlockDevice
    label: Label

    def stamp(self, stamp: Stamp) -> None:
        """Put an import stamp on it and see that it is there. MetadataError when the write was lost."""
        write_stamp(self.device, self.label, stamp)
        if read_stamp(self.device, self.label) != stamp:
            raise MetadataError(f"The import stamp on {self.device.name} did not become what was written.")

    def clear_stamp(self, last: Stamp) -> None:
        """Say that nobody has it, since the import of this stamp was given up."""
        write_stamp(self.device, self.label, msgspec.structs.replace(last, host="", host_name=""))

    def confirm(self) -> None:
        """The group's configuration names it: the label may say so without reserve, in both copies."""
        if self.label.pending or not label_is_whole(self.device):
            self.label = write_label(self.device, msgspec.structs.replace(self.label, pending=False))

    def resize(self) -> None:
        """Take over the device's new size. MetadataError when it ends before the public region does."""
        length = public_length(self.device.size, self.label.public_offset)
        if length < self.label.public_length:
            raise MetadataError(f"{self.device.name} has become smaller than its label says.")
        changed = msgspec.structs.replace(self.label, lun_size=self.device.size, public_length=length)
        self.label = write_label(self.device, changed)


def claim(device: BlockDevice, disk: str, group: str, created: float) -> Member:
    """Label a LUN as disk `disk` (32 hex digits) that is about to join `group`, with an empty private region.

    A LUN that already is this disk keeps its regions. ValueError when it is too small.
    """
    label = _label_of(device, disk) or new_label(disk, device.size, created)
    return Member(device, initialize(device, msgspec.structs.replace(label, group=group, pending=True)))


def reopened(device: BlockDevice, disk: str, group: str) -> Member:
    """A disk of a group that is back. MetadataError when this is not that one."""
    label = read_label(device)
    if label is None or label.disk != disk or label.group != group:
        raise MetadataError(f"{device.name} is not the disk that is missing.")
    return Member(device, label)


def adopt(device: BlockDevice, disk: str, group: str) -> Member:
    """As `claim`, of disk `disk` as it comes from another group. MetadataError when it is another one."""
    label = read_label(device)
    if label is None or label.disk != disk:
        raise MetadataError(f"{device.name} is not the disk that it was.")
    return Member(device, relabel(device, msgspec.structs.replace(label, group=group, pending=True)))


def release(device: BlockDevice) -> Label | None:
    """Make a disk one of no group; the group's metadata there is gone. Answers its label; None: it is not ours."""
    label = read_label(device)
    if label is None:
        return None
    label = write_label(device, msgspec.structs.replace(label, group="", pending=False))
    start = label.private_offset + METADATA_BLOCK
    device.zero(start, label.private_offset + label.private_length - start, may_unmap=False)
    return label


def give_back(group: str, devices: Iterable[BlockDevice]) -> None:
    """Undo the creation of a group, as far as the disks let it."""
    for device in devices:
        try:
            label = read_label(device)
            if label is not None and label.group == group:
                release(device)
        except (DeviceError, RangeError, MetadataError):
            continue


def make_disk(device: BlockDevice, disk: str, created: float) -> Label:
    """Make a LUN a disk of no group, whatever was on it: engine.store.probe tells what that is."""
    return initialize(device, new_label(disk, device.size, created))


def _label_of(device: BlockDevice, disk: str) -> Label | None:
    try:
        label = read_label(device)
    except MetadataError:
        return None
    return label if label is not None and label.disk == disk else None
