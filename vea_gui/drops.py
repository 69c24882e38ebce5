"""What it means to drop subdisks on a disk: a `MoveSubdisks` command, or the reason why not.

The same by mouse and by keyboard, and in the words of the planner: both ask `engine.rules`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple, TypeAlias

import msgspec

from engine.commands import Move, MoveSubdisks, Target
from engine.config import Config, Edit, Extent
from engine.plans import Problem
from engine.records import Disk, Kind, Ref, Subdisk
from engine.rules import can_move, can_take_subdisk, shares_disk
from engine.units import ALLOCATION_UNIT, align_down, align_up, format_size


class Piece(NamedTuple):
    """Where a subdisk, or a part of it, would lie."""

    subdisk: Ref
    disk: Ref
    offset: int
    length: int


class Drop(NamedTuple):
    """A drop that is possible. `split` asks to be confirmed: no single free region takes all of it."""

    pieces: tuple[Piece, ...]
    split: bool = False

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
        self._problems: dict[Ref, Problem | None] = {}
        self._whole: bool | None = None

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
        """`Harddisk3-01, 2.0 GiB` or `3 subdisks, 2.0 GiB`."""
        what = self.names[self.refs[0]] if len(self.refs) == 1 else f"{len(self.refs)} subdisks"
        return f"{what}, {format_size(self.length)}"

    def why_not(self, disk: Ref) -> Problem | None:
        """Why no part may lie on a disk, in the planner's words; room is another question."""
        if disk not in self._problems:
            self._problems[disk] = self._ask(disk)
        return self._problems[disk]

    def _ask(self, disk: Ref) -> Problem | None:
        for subdisk in self.subdisks:
            blocked = can_move(self.config, subdisk)
            if blocked is not None:
                return blocked
        nothing = [msgspec.structs.replace(subdisk, length=0) for subdisk in self.subdisks]
        return can_take_subdisk(self.config, nothing, disk) or self._meets_itself(disk)

    def _meets_itself(self, disk: Ref) -> Problem | None:
        """Why those that are lifted may not lie on a disk together."""
        config = self.config
        for before, after in pairwise(self.subdisks):
            config = moved(config, [Piece(before.ref, disk, before.disk_offset, before.length)])
            shared = shares_disk(config, after, disk)
            if shared is not None:
                return shared
        return None

    def glowing(self) -> list[Region]:
        """Free regions that take all of it; where there is none, all that could share it."""
        allowed = self._allowed()
        if self.fits_whole():
            return [region for region in allowed if region.extent.length >= self.length]
        return allowed if sum(usable(region.extent) for region in allowed) >= self.length else []

    def fits_whole(self) -> bool:
        """Whether any single free region takes all of it."""
        if self._whole is None:
            self._whole = any(region.extent.length >= self.length for region in self._allowed())
        return self._whole

    def _allowed(self) -> list[Region]:
        disks = [disk for disk in self.among if disk in self.config and self.why_not(disk) is None]
        return [Region(disk, extent) for disk in disks for extent in self.config.free(disk)]

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
        if extent.length >= self.length:
            return Drop(tuple(self._in_a_row(disk, _first_byte(extent, self.length, offset - grab, snap))))
        region = Region(disk, extent)
        if self.fits_whole() or region not in self.glowing():
            return self._no_room(region)
        return Drop(tuple(self._shared([region, *(each for each in self.glowing() if each != region)])), split=True)

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

    def refresh(self, config: Config) -> str:
        """Go on with a newer configuration. Answers why that is impossible, as one sentence; empty when it is not."""
        old, self.config = self.config, config
        self._problems.clear()
        self._whole = None
        for ref in self.refs:
            now, before = config.get(ref), old.get(ref)
            if not isinstance(now, Subdisk):
                return f"{self.names[ref]} is gone. Nothing was moved."
            if isinstance(before, Subdisk) and (now.disk, now.disk_offset) != (before.disk, before.disk_offset):
                return f"{now.name} lies elsewhere now. Nothing was moved."
        return ""

    def cancelled_over(self, before: Verdict | None, now: Verdict) -> str:
        """Why a target that was legal is none any more; empty when nothing has changed for the worse."""
        if isinstance(before, Drop) and isinstance(now, Problem):
            return f"{now.text} Nothing was moved."
        return ""


def moved(config: Config, pieces: Iterable[Piece]) -> Config:
    """The configuration as it would be if these subdisks lay elsewhere; for questions only."""
    edit = Edit(config)
    for piece in pieces:
        subdisk = edit.config.get(piece.subdisk)
        if isinstance(subdisk, Subdisk):
            edit.put(msgspec.structs.replace(subdisk, disk=piece.disk, disk_offset=piece.offset))
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


def disk_label(config: Config, ref: Ref) -> str:
    """The name of a disk, for sentences."""
    record = config.get(ref)
    return record.name if isinstance(record, Disk) else "-"
