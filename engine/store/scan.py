"""Looking at LUNs: whose they are, which groups they make, and which configuration of each group is the true one.

A scan only reads, and it reads past the page cache: other hosts may have written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from engine.errors import DeviceError, MetadataError, RangeError
from engine.records import Group
from engine.store.copy_reader import read_copy, rows_of
from engine.store.election import elect
from engine.store.found import DiskFound, GroupFound
from engine.store.image import Image
from engine.store.label import read_label
from engine.store.moves import MoveKind, moves_of
from engine.store.stamp import read_stamp
from engine.store.transaction import GroupPhase
from engine.units import format_size

if TYPE_CHECKING:
    from engine.devices.base import BlockDevice
    from engine.records import LeastStamp
    from engine.store.election import Elected
    from engine.store.label import Label
    from engine.store.stamp import Stamp

__all__ = ["DiskFound", "Found", "GroupFound", "scan"]


@dataclass
class Found:
    """What a scan has seen, by the caller's keys. A LUN in none of the three tables carries nothing of ours."""

    labels: dict[str, Label] = field(default_factory=dict)
    damaged: dict[str, str] = field(default_factory=dict)  # ours, but not to be used: why
    unreadable: dict[str, str] = field(default_factory=dict)  # the LUN does not answer: why
    groups: dict[str, GroupFound] = field(default_factory=dict)  # by group id
    duplicates: dict[str, tuple[str, ...]] = field(default_factory=dict)  # disk id -> keys that all claim to be it
    problems: tuple[str, ...] = ()


def scan(devices: Mapping[str, BlockDevice], copies: Mapping[str, str] | None = None) -> Found:
    """Read every LUN's label, stamp and configuration copy. Never raises for what stands on a LUN.

    `copies` has keys of LUNs that are known to be copies, with the disk id of their label: no group counts on them.
    """
    found = Found()
    problems: list[str] = []
    grouped: dict[str, list[DiskFound]] = {}
    for key in sorted(devices):
        disk = _look(key, devices[key], found)
        if disk is not None and disk.label.disk != (copies or {}).get(key):
            grouped.setdefault(disk.label.group, []).append(disk)
    _find_duplicates(found, problems)
    released = {bytes.fromhex(label.disk) for label in found.labels.values() if not label.group}
    for group, disks in sorted(grouped.items()):
        found.groups[group] = _group(group, disks, released)
    for each in found.groups.values():
        _follow_moves(found, each)
    problems.extend(f"{key}: {reason}" for key, reason in sorted((found.damaged | found.unreadable).items()))
    problems.extend(sentence for group in found.groups.values() for sentence in group.problems)
    found.problems = tuple(problems)
    return found


def _look(key: str, device: BlockDevice, found: Found) -> DiskFound | None:
    """Note what a LUN's label says; answers the disk when it belongs to a group."""
    try:
        label = read_label(device)
        if label is None:
            return None
        if device.size < label.public_offset:
            raise MetadataError(f"The LUN ends at byte {device.size}, before the public region of its label begins.")
        found.labels[key] = label
        return _read_disk(key, device, label) if label.group else None
    except MetadataError as error:
        found.damaged[key] = str(error)
    except (DeviceError, RangeError) as error:
        found.unreadable[key] = str(error)
    found.labels.pop(key, None)
    return None


def _read_disk(key: str, device: BlockDevice, label: Label) -> DiskFound:
    content = read_copy(device, label)
    try:
        return DiskFound(key, device, label, read_stamp(device, label), content)
    except MetadataError as error:
        return DiskFound(key, device, label, None, content, f"Its import stamp can't be believed: {error}")


def _find_duplicates(found: Found, problems: list[str]) -> None:
    keys: dict[str, list[str]] = {}
    for key, label in sorted(found.labels.items()):
        keys.setdefault(label.disk, []).append(key)
    for disk, same in sorted(keys.items()):
        if len(same) > 1:
            found.duplicates[disk] = tuple(same)
            problems.append(
                f"{' and '.join(same)} carry the label of the same disk: one is a copy of the other. "
                "Take the copy away, or initialize it as a disk of its own."
            )


def _group(group: str, disks: list[DiskFound], released: set[bytes]) -> GroupFound:
    found = GroupFound(group)
    problems: list[str] = []
    blocked: list[str] = []
    chosen = _without_clones(disks, problems, blocked, found.unclear)
    copies = {bytes.fromhex(disk.label.disk): disk.content for disk in chosen}
    found.elected = elect(copies, released)
    found.highest = max((content.newest.number for content in copies.values()), default=0)
    _read_configuration(found, blocked)
    if any(content.newer for content in copies.values()):
        blocked.append("A configuration copy was written by a newer version of this program. Use that one.")
    _sort_members(found, chosen)
    if found.elected is None and not found.leftovers:
        blocked.append(_no_copy(disks))
    _find_owners(found)
    found.outdated = tuple(_outdated(found))
    problems.extend(_remarks(found, chosen))
    found.blocked, found.problems = tuple(dict.fromkeys(blocked)), (*problems, *dict.fromkeys(blocked))
    return found


def _without_clones(
    disks: list[DiskFound], problems: list[str], blocked: list[str], unclear: dict[str, tuple[str, ...]]
) -> list[DiskFound]:
    """One LUN for each disk id: the only one with the newest configuration, or none when there are several."""
    chosen: list[DiskFound] = []
    by_id: dict[str, list[DiskFound]] = {}
    for disk in disks:
        by_id.setdefault(disk.label.disk, []).append(disk)
    for disk_id, same in sorted(by_id.items()):
        newest = max(disk.content.newest for disk in same)
        best = [disk for disk in same if disk.content.newest == newest]
        if len(best) == 1:
            chosen.append(best[0])
            problems.extend(
                f"{disk.key} is an old copy of {best[0].key}: its configuration ends with transaction "
                f"{disk.content.newest.number}, the other's with {newest.number}. It is not used."
                for disk in same
                if disk is not best[0]
            )
        else:
            unclear[disk_id] = tuple(disk.key for disk in best)
            keys = " and ".join(unclear[disk_id])
            blocked.append(f"{keys} are the same disk of the group, and nothing tells which of them is the original.")
    return chosen


def _read_configuration(found: GroupFound, blocked: list[str]) -> None:
    """Rows, name, and a check that every record can be read."""
    if found.elected is None:
        return
    try:
        found.rows = rows_of(found.elected.chain, found.elected.place)
        records = list(Image(found.rows).records(""))
        found.moves = moves_of(found.rows)
    except MetadataError as error:
        found.rows, found.elected = {}, None
        blocked.append(str(error))
        return
    found.name = next((record.name for record in records if isinstance(record, Group)), "")


def _sort_members(found: GroupFound, disks: list[DiskFound]) -> None:
    """Who is a member is for the configuration to say. A label that runs ahead or behind it is a leftover."""
    names = found.disk_names()
    here = {disk.label.disk: disk for disk in disks}
    if found.phase == GroupPhase.DESTROYED:
        found.leftovers = tuple(sorted(disk.key for disk in disks))
        return
    if found.elected is None:
        unborn = disks and all(disk.label.pending and not disk.content.damage for disk in disks)
        found.leftovers = tuple(sorted(disk.key for disk in disks)) if unborn else ()
        return
    found.members = {disk: here[disk] for disk in sorted(names) if disk in here}
    found.missing = tuple((disk, name) for disk, name in sorted(names.items()) if disk not in here)
    found.leftovers = tuple(sorted(disk.key for disk in disks if disk.label.disk not in names))


def _find_owners(found: GroupFound) -> None:
    """Stamps that hold: those of the newest import, or of one that has begun after it."""
    if found.elected is None or found.phase == GroupPhase.DESTROYED:
        return
    lineage = found.elected.lineage
    past = {serial for _, serial in lineage}
    current = lineage[-1][1] if lineage and found.phase == GroupPhase.IMPORTED else b""
    held: dict[bytes, Stamp] = {}
    for disk in found.members.values():
        stamp = disk.stamp
        if stamp is None or not stamp.host:
            continue
        later = stamp.serial not in past and bool(lineage) and stamp.transaction > lineage[0][0]
        if stamp.serial == current or later:
            held[stamp.serial] = stamp
    found.owners = tuple(stamp for _, stamp in sorted(held.items()))
    found.unknown_owner = found.phase == GroupPhase.IMPORTED and current not in held and not found.owners


def _outdated(found: GroupFound) -> Iterator[str]:
    """Disks whose copy of the configuration does not tell how old they are, and whose stamp does: every member is
    stamped by each import, one that comes later is, too, and each stop in order stamps what is there and says so. What
    stands there is an old image, or has missed everything since."""
    if found.elected is None or found.phase == GroupPhase.DESTROYED or not found.elected.lineage:
        return
    telling = set(found.elected.state.copies).difference(found.elected.behind)
    members = {disk: member for disk, member in found.members.items() if bytes.fromhex(disk) not in telling}
    least = found.least_stamps() if members else {}
    for disk, member in members.items():
        if member.stamp is not None and _is_earlier(member.stamp, found, found.elected, least.get(disk)):
            yield disk


def _is_earlier(stamp: Stamp, found: GroupFound, elected: Elected, least: LeastStamp | None) -> bool:
    """Whether a stamp is of an earlier import than the newest, or of that one and no longer the disk's. One that is
    unknown is of an import that was cut short before it wrote anything else, and by a newer number after all others."""
    *past, current = (serial for _, serial in elected.lineage)
    if stamp.serial == current:
        return least is not None and least.serial == current.hex() and stamp.transaction < least.transaction
    return stamp.serial in past or stamp.transaction <= found.identity.number


def missing(disk: str, group: str) -> str:
    """The sentence about a disk whose LUN was not found."""
    return f"{disk} of the disk group {group} is missing."


def shrunk(disk: str, group: str) -> str:
    """The sentence about a disk whose LUN lacks bytes that its group may use."""
    return f"{disk} of the disk group {group} has become smaller."


def returned_old(disk: str, group: str) -> str:
    """The sentence about a disk whose configuration is older than that of its group."""
    return f"{disk} of the disk group {group} has come back as it was before."


def _follow_moves(found: Found, group: GroupFound) -> None:
    """Disks between two groups are nobody's to take, and belong to one of the two: the deciding one knows which."""
    for move in group.moves:
        moving = set(move.disk_ids)
        for other in (group, found.groups.get(move.other)):
            if other is not None and move.kind is not MoveKind.JOINING:
                other.leftovers = tuple(key for key in other.leftovers if found.labels[key].disk not in moving)
        if move.kind is not MoveKind.JOINING:
            continue
        target = found.groups.get(move.other)
        if target is None or target.elected is None or target.elected.doubts:
            group.undecided = (
                f"{group.name} was about to be joined to {move.name}, whose disks would tell whether it was, and can't "
                f"be read. Bring them back: by force {group.name} stays as it is, and if it was joined, {move.name} "
                "goes on without its disks."
            )
        if target is not None and _has_joined(target, group, move.token):
            group.joined, group.members, group.undecided = True, {}, ""


def _has_joined(target: GroupFound, source: GroupFound, token: bytes) -> bool:
    """Whether the target of a join has decided it."""
    told = any(move.kind is MoveKind.JOINED and move.token == token for move in target.moves)
    return told or not target.disk_names().keys().isdisjoint(source.disk_names())


def _remarks(found: GroupFound, disks: list[DiskFound]) -> list[str]:
    remarks = [f"{disk.key}: {damage}." for disk in disks for damage in disk.content.damage]
    remarks += [f"{disk.key}: {disk.problem}" for disk in disks if disk.problem]
    names = found.disk_names()
    remarks += [
        f"{shrunk(names.get(disk.label.disk, disk.key), found.name)} Its last {format_size(_overhang(disk))} are gone."
        for disk in disks
        if _overhang(disk) > 0
    ]
    number = found.identity.number
    for disk in found.stale:
        remarks.append(
            f"{returned_old(names.get(disk, disk[:8]), found.name)} The group is at transaction {number}: the disk was "
            "away while the group changed, writes to it were lost, or an old copy of its LUN was put back."
        )
    for _, name in found.missing:
        remarks.append(missing(name, found.name))
    return remarks


def _overhang(disk: DiskFound) -> int:
    return disk.label.public_offset + disk.label.public_length - disk.device.size


def _no_copy(disks: list[DiskFound]) -> str:
    keys = ", ".join(sorted(disk.key for disk in disks))
    damage = "; ".join(sorted({damage for disk in disks for damage in disk.content.damage}))
    return (
        f"{keys} belong to a disk group of which no configuration copy can be read"
        f"{f' ({damage})' if damage else ''}. Bring its other disks back, or initialize these by force."
    )
