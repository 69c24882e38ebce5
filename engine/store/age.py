"""Whether a disk that comes back to a group in use has all that it had when it went."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.errors import MetadataError
from engine.records import Disk
from engine.store.copy_reader import read_copy
from engine.store.stamp import read_stamp

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.records import Record
    from engine.store.member import Member
    from engine.store.stamp import Stamp


def is_older(member: Member, record: Record | None, left: int, lineage: Sequence[tuple[int, bytes]]) -> bool:
    """Whether its stamp is an earlier one than its record tells, or its copy of the configuration ends before
    transaction `left`, which it took while it was in use. A record that tells of an import which is not in the group's
    `lineage` tells nothing. DeviceError when the disk can't be read."""
    least = record.least_stamp if isinstance(record, Disk) else None
    if read_copy(member.device, member.label).newest.number < left:
        return True
    order = [serial.hex() for _, serial in lineage]
    if least is None or least.serial not in order:
        return False
    stamp = _stamp_of(member)
    if stamp is None:
        return True
    if stamp.serial.hex() in order:
        known = order.index(least.serial), least.transaction
        return (order.index(stamp.serial.hex()), stamp.transaction) < known
    return stamp.transaction <= least.transaction


def _stamp_of(member: Member) -> Stamp | None:
    try:
        return read_stamp(member.device, member.label)
    except MetadataError:
        return None
