"""What it means to drop subdisks on a disk: a `MoveSubdisks` command, or the reason why not.

The same by mouse and by keyboard, and in the words of the planner: both ask `engine.rules`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeAlias

import msgspec

from engine.commands import Move, MoveSubdisks, Target
from engine.config import Config, Edit, Extent
from engine.plans import Problem
from engine.records import Kind, Plex, Record, Ref, Subdisk, Task, Volume
from engine.rules import can_move, can_take_subdisk, shares_disk
from engine.units import ALLOCATION_UNIT, align_down, align_up, format_size
from vea_gui.block_names import block_label
from vea_gui.mirror import task_objects


class Piece(NamedTuple):
    """Where a subdisk, or a part of it, would lie."""

    subdisk: Ref
    disk: Ref
    offset: int
    length: int


class Drop(NamedTuple):
    """A drop that is possible. With a `why` it has to be confirmed: it is not as simple as it looked."""

    pieces: tuple[Piece, ...]
    why: str = ""  # it is not all in one place

    @property
    def command(self) -> MoveSubdisks:
        """The command that does it."""
        moves: dict[Ref, list[Target]] = {}
        for piece in self.pieces:
            moves.setdefault(piece.subdisk, []).append(Target(piece.disk, piece.offset, piece.length))
        return MoveSubdisks(moves=tuple(Move(subdisk, tuple(targets)) for subdisk, targets in moves.items()))


class Region(NamedTuple):
    """Free space of a disk."""

    disk: Ref
    extent: Extent


Verdict: TypeAlias = Drop | Problem


class Lift:
    """Subdisks in the hand, held against today's configuration; `refresh` goes on with a newer one."""

    def __init__(self, config: Config, refs: Iterable[Ref], among: Sequence[Ref]) -> None:
        """`among` are the disks that could take them, in the order in which they are shown."""
        self.config = config
        found = [record for record in map(config.get, refs) if isinstance(record, Subdisk)]
        self.refs = tuple(sd.ref for sd in sorted(found, key=lambda sd: (sd.plex, sd.column, sd.plex_offset)))
        self.names = {sd.ref: sd.name for sd in found}
        self.among = tuple(among)
        self._forget()

    def _forget(self) -> None:
        self._problems: dict[Ref, Problem | None] = {}
        self._allowed: list[Region] | None = None
        self._apart: bool | None = None
        self._stuck: Problem | None = None  # why nothing lifted may move at all
        self._near: frozenset[Ref] | None = None  # disks with a part of its volumes; None: both not asked yet

    @property
    def subdisks(self) -> list[Subdisk]:
        """Their records of today."""
        return [record for record in map(self.config.get, self.refs) if isinstance(record, Subdisk)]

    @property
    def length(self) -> int:
        """Bytes in all."""
        return sum(subdisk.length for subdisk in self.subdisks)

    @property
    def label(self) -> str:
        """`ev-01 (Harddisk3-01), 2.0 GiB` or `3 subdisks, 2.0 GiB`: as its block is labelled in either view."""
        what = f"{len(self.refs)} subdisks"
        if len(self.refs) == 1:
            what = f"{block_label(self.config, self.refs[0])} ({self.names[self.refs[0]]})"
        return f"{what}, {format_size(self.length)}"

    def why_not(self, disk: Ref) -> Problem | None:
        """Why no part may lie on a disk, in the planner's words; room is another question."""
        if disk not in self._problems:
            self._problems[disk] = self._ask(disk)
        return self._problems[disk]

    def _ask(self, disk: Ref) -> Problem | None:
        if self._near is None:
            moves = [can_move(self.config, subdisk) for subdisk in self.subdisks]
            self._near = self._disks_of_volumes()
            self._stuck = next((problem for problem in moves if problem is not None), None)
        if self._stuck is not None:
            return self._stuck
        alone = disk not in self._near  # the rule about parts of one volume reads all that lies on a disk
        for subdisk in self.subdisks:
            nothing = msgspec.structs.replace(subdisk, length=0)
            blocked = can_take_subdisk(self.config, [nothing], disk, force=alone)
            if blocked is not None:
                return blocked
        return None

    def _disks_of_volumes(self) -> frozenset[Ref]:
        """The disks on which any part of the lifted volumes lies."""
        parts = (record for record in map(self.config.get, self._own(self.config)) if isinstance(record, Subdisk))
        return frozenset(part.disk for part in parts)

    def apart(self) -> bool:
        """Whether parts of one volume are lifted that may not lie on one disk together."""
        if self._apart is None:
            disk = next((region.disk for region in self.allowed()), None)
            self._apart = disk is not None and self._meets_itself(disk)
        return self._apart

    def _meets_itself(self, disk: Ref) -> bool:
        lifted = self.subdisks
        return any(shares_disk(self.config, each, disk, lifted[:n]) is not None for n, each in enumerate(lifted))

    def glowing(self) -> list[Region]:
        """Free regions that take all of it; where there is none, all that could share it."""
        allowed = self.allowed()
        if self.apart():
            return [region for region in allowed if region.extent.length >= self.subdisks[0].length]
        if self.fits_whole():
            return [region for region in allowed if region.extent.length >= self.length]
        return allowed if sum(usable(region.extent) for region in allowed) >= self.length else []

    def fits_whole(self) -> bool:
        """Whether any single free region takes all of it."""
        return any(region.extent.length >= self.length for region in self.allowed())

    def allowed(self) -> list[Region]:
        """Free regions of the disks that may take each of the lifted."""
        if self._allowed is None:
            disks = [disk for disk in self.among if disk in self.config and self.why_not(disk) is None]
            self._allowed = [Region(disk, extent) for disk in disks for extent in self.config.free(disk)]
        return self._allowed

    def over(self, disk: Ref, offset: int, grab: int = 0, snap: int = 0) -> Verdict:
        """What a drop at a byte of a disk would do.

        Bytes, too: `grab` is how far into what is lifted the pointer holds it, `snap` how near to the start of a free
        region counts as the start.
        """
        problem = self.why_not(disk)
        if problem is not None:
            return problem
        extent = next((each for each in self.config.free(disk) if each.start <= offset < each.end), None)
        if extent is None:
            return _occupied(self.config, disk, offset)
        if self.apart():
            return self._spread(Region(disk, extent), offset - grab, snap)
        if extent.length >= self.length:
            return Drop(tuple(self._in_a_row(disk, _first_byte(extent, self.length, offset - grab, snap))))
        region = Region(disk, extent)
        if self.fits_whole() or region not in self.glowing():
            return self._no_room(region)
        others = [each for each in self.glowing() if each != region]
        why = f"No free region takes all of {self.label}."
        return Drop(tuple(self._shared([region, *others])), why)

    def _spread(self, region: Region, wanted: int, snap: int) -> Verdict:
        """The first of them here, the others on disks that they may not share with it."""
        first = self.subdisks[0]
        if region.extent.length < first.length:
            return self._no_room(region)
        pieces = [Piece(first.ref, region.disk, _first_byte(region.extent, first.length, wanted, snap), first.length)]
        config = with_target(self.config, pieces[0])
        for subdisk in self.subdisks[1:]:
            found = self._elsewhere(config, subdisk)
            if found is None:
                text = f"No other disk has room for {subdisk.name}, which may not share one with {first.name}."
                return Problem(text, "Move them one by one, or free some space.", subdisk.ref)
            pieces.append(found)
            config = with_target(config, found)
        return Drop(tuple(pieces), "Parts of one volume may not share a disk.")

    def _elsewhere(self, config: Config, subdisk: Subdisk) -> Piece | None:
        for disk in dict.fromkeys(region.disk for region in self.allowed()):
            if can_take_subdisk(config, [subdisk], disk) is not None:
                continue
            for extent in config.free(disk):
                offset = _first_byte(extent, subdisk.length, extent.start, 0)
                if offset + subdisk.length <= extent.end:
                    return Piece(subdisk.ref, disk, offset, subdisk.length)
        return None

    def _no_room(self, region: Region) -> Problem:
        offset = align_up(region.extent.start, ALLOCATION_UNIT)
        found = can_take_subdisk(self.config, self.subdisks, region.disk, offset)
        return found or Problem("There is too little free space here.", "Choose a larger free region.", region.disk)

    def at(self, region: Region) -> Verdict:
        """What a drop at the start of a free region would do."""
        return self.over(region.disk, region.extent.start, snap=ALLOCATION_UNIT)

    def _in_a_row(self, disk: Ref, offset: int) -> Iterable[Piece]:
        for subdisk in self.subdisks:
            yield Piece(subdisk.ref, disk, offset, subdisk.length)
            offset += subdisk.length

    def _shared(self, regions: Sequence[Region]) -> Iterable[Piece]:
        """Fill regions in order, cutting where one ends."""
        left = [
            (region.disk, align_up(region.extent.start, ALLOCATION_UNIT), usable(region.extent)) for region in regions
        ]
        for subdisk in self.subdisks:
            missing = subdisk.length
            while missing and left:
                disk, offset, room = left.pop(0)
                length = min(missing, room)
                if length:
                    yield Piece(subdisk.ref, disk, offset, length)
                missing -= length
                if room > length:
                    left.insert(0, (disk, offset + length, room - length))

    def refresh(self, config: Config, changed: Iterable[Ref] | None = None) -> str:
        """Go on with a newer configuration, in which `changed` may differ (None: anything).

        Answers why that is impossible, as one sentence; empty when it is not.
        """
        old, self.config = self.config, config
        self._forget_about(old, changed)
        for ref in self.refs:
            now, before = config.get(ref), old.get(ref)
            if not isinstance(now, Subdisk):
                return f"{self.names[ref]} is gone. Nothing was moved."
            if isinstance(before, Subdisk) and (now.disk, now.disk_offset) != (before.disk, before.disk_offset):
                return f"{now.name} lies elsewhere now. Nothing was moved."
        return ""

    def _forget_about(self, old: Config, changed: Iterable[Ref] | None) -> None:
        """Ask anew only what changed records can answer otherwise: there may be thousands of others a second."""
        if changed is None:
            self._forget()
            return
        own = self._own(old) | self._own(self.config)
        for ref in changed:
            sides = (old.get(ref), self.config.get(ref))
            if ref in own or (ref.kind is Kind.TASK and any(_works_on(task, own) for task in sides)):
                self._forget()
                return
            for record in sides:
                disk = record.disk if isinstance(record, Subdisk) else ref if ref.kind is Kind.DISK else None
                if disk is not None:
                    self._problems.pop(disk, None)
                    self._allowed = self._apart = None

    def _own(self, config: Config) -> set[Ref]:
        """What is lifted, and all that the rules about it look at besides the disks: its volumes and their parts."""
        found: set[Ref] = set(self.refs)
        for subdisk in (record for record in map(config.get, self.refs) if isinstance(record, Subdisk)):
            plex = config.get(subdisk.plex)
            if isinstance(plex, Plex) and isinstance(volume := config.get(plex.volume), Volume):
                found |= {volume.ref, volume.group, subdisk.disk}
                for each in config.plexes_of(volume.ref):
                    found |= {each.ref, *(part.ref for part in config.subdisks_of(each.ref))}
        return found

    def cancelled_over(self, before: Verdict | None, now: Verdict) -> str:
        """Why a target that was legal is none any more; empty when nothing has changed for the worse."""
        if isinstance(before, Drop) and isinstance(now, Problem):
            return f"{now.text} Nothing was moved."
        return ""


def _works_on(task: Record | None, refs: set[Ref]) -> bool:
    """Whether a task has to do with any of these."""
    return isinstance(task, Task) and not refs.isdisjoint(task_objects(task))


def with_target(config: Config, piece: Piece) -> Config:
    """The configuration with a subdisk's target beside it, as it is while it moves; for questions only."""
    edit = Edit(config)
    subdisk = config.get(piece.subdisk)
    if isinstance(subdisk, Subdisk):
        ref = Ref(Kind.SUBDISK, f"to:{subdisk.ref.id}", subdisk.ref.host)
        edit.put(msgspec.structs.replace(subdisk, ref=ref, disk=piece.disk, disk_offset=piece.offset))
    return edit.unsettled()


def usable(extent: Extent) -> int:
    """Whole allocation units in a free region, as bytes."""
    start = align_up(extent.start, ALLOCATION_UNIT)
    return max(0, align_down(extent.end - start, ALLOCATION_UNIT))


def _first_byte(extent: Extent, length: int, wanted: int, snap: int) -> int:
    """Where `length` bytes begin in a free region: on a whole mebibyte near `wanted`, or at the region's start."""
    low = align_up(extent.start, ALLOCATION_UNIT)
    high = align_down(extent.end - length, ALLOCATION_UNIT)
    if high < low:
        return extent.start
    offset = max(low, min(high, align_down(wanted, ALLOCATION_UNIT)))
    return low if offset - low <= snap else offset


def _occupied(config: Config, disk: Ref, offset: int) -> Problem:
    record = config.get(disk)
    name = record.name if record is not None else "The disk"
    for subdisk in config.subdisks_on(disk):
        if subdisk.disk_offset <= offset < subdisk.disk_offset + subdisk.length:
            return Problem(f"{subdisk.name} lies here.", f"Drop on free space of {name}.", subdisk.ref)
    return Problem(f"{name} has no free space here.", "Drop on free space.", disk)


def disks_for(config: Config, refs: Iterable[Ref]) -> list[Ref]:
    """The disks of the groups that subdisks belong to: all that could take them."""
    subdisks = [record for record in map(config.get, refs) if isinstance(record, Subdisk)]
    groups = dict.fromkeys(config.group_of(subdisk) for subdisk in subdisks)
    return [disk.ref for group in groups if group is not None for disk in config.disks_of(group)]


def can_lift(config: Config, refs: Iterable[Ref]) -> tuple[Ref, ...]:
    """Those of the refs that are subdisks of today."""
    return tuple(ref for ref in refs if ref.kind is Kind.SUBDISK and ref in config)
