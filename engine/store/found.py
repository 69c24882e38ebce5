"""What a scan has found of one group."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from engine.errors import MetadataError
from engine.records import AnyRecord, Disk, Group, GroupState, LeastStamp
from engine.records.disks import AsFound
from engine.store.image import Image
from engine.store.moves import Move, MoveKind
from engine.store.rows import encode_row, is_disk, pack_ref
from engine.store.transaction import NEVER, GroupPhase, Identity

if TYPE_CHECKING:
    from collections.abc import Iterable

    from engine.devices.base import BlockDevice
    from engine.store.copy_reader import CopyContent
    from engine.store.election import Elected
    from engine.store.label import Label
    from engine.store.stamp import Stamp


class DiskFound(NamedTuple):
    """A LUN that carries the label of a group. `stamp` is None when there is none that can be believed."""

    key: str
    device: BlockDevice
    label: Label
    stamp: Stamp | None
    content: CopyContent
    problem: str = ""  # about its stamp


@dataclass
class GroupFound:
    """A group as its disks tell it. Disk ids are 32 hex digits."""

    id: str
    members: dict[str, DiskFound] = field(default_factory=dict)  # present and named by the configuration, by disk id
    elected: Elected | None = None
    rows: dict[bytes, bytes] = field(default_factory=dict)
    name: str = ""
    missing: tuple[tuple[str, str], ...] = ()  # id and disk name of members that are not here
    unclear: dict[str, tuple[str, ...]] = field(default_factory=dict)  # disk id -> keys that are equally it
    leftovers: tuple[str, ...] = ()  # keys of LUNs whose label names the group, but which it does not have (any more)
    outdated: tuple[str, ...] = ()  # ids of disks without a configuration copy, whose stamp is an earlier one
    owners: tuple[Stamp, ...] = ()  # stamps that hold; more than one when an import was cut short
    unknown_owner: bool = False  # somebody has the group, and no stamp that says who can be read
    blocked: tuple[str, ...] = ()  # why no import is possible at all
    problems: tuple[str, ...] = ()
    moves: tuple[Move, ...] = ()  # disks that are on their way to another group, or come from one
    joined: bool = False  # its disks are another group's, whatever their labels say
    undecided: str = ""  # why nobody can tell whether they are
    highest: int = 0  # transaction number that any disk has heard of

    def is_coming(self, disk: DiskFound) -> bool:
        """Whether a disk has been relabelled by a join that has not been finished: nothing there is relied on."""
        moves = (move for move in self.moves if move.kind is MoveKind.JOINED and move.whole)
        return disk.label.pending and any(disk.label.disk in move.disk_ids for move in moves)

    @property
    def identity(self) -> Identity:
        """The transaction that counts."""
        return self.elected.state.identity if self.elected else NEVER

    @property
    def phase(self) -> GroupPhase:
        return GroupPhase(self.elected.state.phase) if self.elected else GroupPhase.IMPORTED

    @property
    def stale(self) -> tuple[str, ...]:
        """Ids of disks that have lost acknowledged changes: their data may be as old as their configuration. An import
        that was cut short has found some of them."""
        if self.elected is None:
            return ()
        before = (disk for disk, told in self._as_found().items() if told.older)
        return tuple(dict.fromkeys((*(disk.hex() for disk in self.elected.stale), *self.outdated, *before)))

    @property
    def forced(self) -> bool:
        """Whether an import by force was cut short."""
        return any(told.forced for told in self._as_found().values())

    def ends(self) -> dict[str, int]:
        """By id of each disk that is here, the number of the last transaction that its copy of the configuration has
        taken, or had when an import that was cut short found it."""
        told = self._as_found()
        ends = {disk: member.content.newest.number for disk, member in self.members.items()}
        return {disk: min(end, told[disk].end) if disk in told else end for disk, end in ends.items()}

    def as_found(self, *, force: bool) -> dict[bytes, bytes]:
        """Rows of the disks that are here, which tell how an import that begins now has found them."""
        ends, older, forced = self.ends(), set(self.stale), force or self.forced
        rows = {}
        for disk in self._disks():
            if disk.ref.id in ends:
                told = AsFound(ends[disk.ref.id], disk.ref.id in older, forced)
                rows[pack_ref(disk.ref)] = encode_row(msgspec.structs.replace(disk, as_found=told))
        return rows

    def require(self) -> Elected:
        """The elected configuration. MetadataError when there is none."""
        if self.elected is None:
            raise MetadataError(" ".join(self.blocked) or "No configuration copy of the disk group can be read.")
        return self.elected

    def state(self, host: str) -> GroupState:
        """The group's state as the host with this id sees it."""
        if self.unknown_owner or any(stamp.host != host for stamp in self.owners):
            return GroupState.FOREIGN
        return GroupState.IMPORTED if self.owners else GroupState.DEPORTED

    def owner_names(self, host: str) -> str:
        """Names of the other hosts that have the group, for reading."""
        return ", ".join(sorted({stamp.host_name or stamp.host for stamp in self.owners if stamp.host != host}))

    def records(self, host: str) -> tuple[AnyRecord, ...]:
        """All its records, told by `host`, with the group's state as that host sees it."""
        number, state, owner = self.identity.number, self.state(host), self.owner_names(host)
        return all_shown(Image(self.rows).records(host), number, state, owner)

    def disk_names(self) -> dict[str, str]:
        """Name of each member by disk id."""
        return {disk.ref.id: disk.name for disk in self._disks()}

    def least_stamps(self) -> dict[str, LeastStamp]:
        """By disk id, how new the stamps of its disks have to be, as far as the configuration tells that."""
        return {disk.ref.id: disk.least_stamp for disk in self._disks() if disk.least_stamp is not None}

    def _as_found(self) -> dict[str, AsFound]:
        return {disk.ref.id: disk.as_found for disk in self._disks() if disk.as_found is not None}

    def _disks(self) -> list[Disk]:
        rows = {key: row for key, row in self.rows.items() if is_disk(key)}
        return [record for record in Image(rows).records("") if isinstance(record, Disk)]


def all_shown(
    records: Iterable[AnyRecord], transaction: int, state: GroupState, owner: str = ""
) -> tuple[AnyRecord, ...]:
    """Records as anybody sees them who does not read disks: their group is in this state."""
    return tuple(_shown(record, transaction, state, owner) for record in records)


def _shown(record: AnyRecord, transaction: int, state: GroupState, owner: str) -> AnyRecord:
    match record:
        case Group():
            return msgspec.structs.replace(record, transaction=transaction, state=state, owner=owner)
        case Disk(as_found=AsFound()):
            return msgspec.structs.replace(record, as_found=None)
    return record
