"""Whether another host has taken a group meanwhile: asked before each write, and of each disk that comes back."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from engine.errors import DeviceError, MetadataError, RangeError
from engine.store.stamp import Stamp, read_stamp
from engine.store.transaction import Identity

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from engine.devices.base import BlockDevice
    from engine.records import Ref
    from engine.store.copy_reader import CopyContent
    from engine.store.label import Label
    from engine.store.roster import Roster


class Fence(NamedTuple):
    """Why this host may not write, empty when all is well; `taken` when another host has the group, or may have."""

    reason: str = ""
    taken: bool = False
    stamp: Stamp | None = None  # what stands there instead of ours


class Stamped(NamedTuple):
    """Where the stamps of one import stand: as good as the moment in which it was asked for."""

    serial: bytes
    places: tuple[tuple[BlockDevice, Label], ...]

    def is_strange(self) -> bool:
        """Whether any stamp is not that import's, or all are gone. What can't be read is no stranger's, and one disk
        without a stamp among others that have it is damaged, not taken."""
        gone = ours = 0
        for device, label in self.places:
            try:
                stamp = read_stamp(device, label)
            except (MetadataError, DeviceError, RangeError):
                continue
            if stamp is not None and stamp.serial != self.serial:
                return True
            gone, ours = gone + (stamp is None), ours + (stamp is not None)
        return gone > 0 and not ours


def look_for_fence(roster: Roster, copies: Iterable[Ref], serial: bytes) -> Fence:
    """Read the import stamps of the disks that hold copies: none may be another one's than that of import `serial`. A
    disk without any among others that have it was overwritten, which is no host's doing: hosts write stamps."""
    doubtful: list[str] = []
    gone: list[str] = []
    ours = 0
    for ref in copies:
        if not roster.works(ref):
            continue
        member = roster[ref]
        try:
            stamp = read_stamp(member.device, member.label)
        except MetadataError:
            doubtful.append(member.device.name)
            continue
        except (DeviceError, RangeError):
            continue  # its write will fail as well, and that is dealt with there
        if stamp is None:
            gone.append(member.device.name)
        elif stamp.serial != serial:
            return Fence(_taken(stamp, member.device.name), taken=True, stamp=stamp)
        else:
            ours += 1
    if gone and not ours:
        return Fence(_taken(None, ", ".join(gone)), taken=True)
    if doubtful and not ours:
        return Fence(f"The import stamp can't be read on {', '.join(doubtful)}: another host may have the group.")
    return Fence()


def refuse_strange(
    device: BlockDevice, label: Label, content: CopyContent, lineage: Sequence[tuple[int, bytes]], host: str
) -> None:
    """A disk that was away may come back with another import on it than those of `lineage`: that is not ours to
    overwrite, unless it is one of this `host` that was cut short before anything on the disk was used, as its copy of
    the configuration proves."""
    past, oldest = {serial for _, serial in lineage}, lineage[0][0]
    try:
        stamp = read_stamp(device, label)
    except MetadataError:
        stamp = None
    if stamp is not None and stamp.host and stamp.serial not in past and stamp.transaction > oldest:
        if stamp.host != host:
            raise MetadataError(_taken(stamp, device.name))
        if content.newest == Identity(stamp.transaction, stamp.serial):
            return  # its first transaction: the one that follows before any volume is served is not there
        if stamp.transaction != content.newest.number + 1:
            raise MetadataError(_went_apart(device.name))  # else that one would be there, as on all that keep a copy
    if content.newest.serial not in past and content.newest.number > oldest:
        raise MetadataError(_went_apart(device.name))


def _went_apart(device: str) -> str:
    return (
        f"The disk group was changed on {device} by another import while the disk was away. "
        "Deport the group and import it again to decide which side holds."
    )


def _taken(stamp: Stamp | None, device: str) -> str:
    if stamp is None or not stamp.host:
        return f"The import stamp on {device} was taken away by another program: this host may not write any more."
    return (
        f"The disk group was taken over by the host {stamp.host_name or stamp.host}, whose import stamp stands on "
        f"{device}. Nothing is written here any more."
    )
