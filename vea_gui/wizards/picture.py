"""The disks that a plan touches, as rows of parts to scale: what is there, what it takes, what it frees. No Qt."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import NamedTuple

from engine.config import Config, Edit
from engine.plans import Plan, Range
from engine.records import Disk, Ref, Subdisk
from engine.units import format_size
from vea_gui.block_names import block_layout, disk_place, free_word, owner


class Fate(enum.IntEnum):
    """What becomes of a part."""

    STAYS = 0
    FREE = 1
    TAKEN = 2
    FREED = 3


class Part(NamedTuple):
    """A range of a disk; bytes from the LUN's start."""

    start: int
    length: int
    fate: Fate
    layout: str = "free"
    label: str = ""

    @property
    def words(self) -> str:
        """`new: ev-02, 2.0 GiB at 9 MiB`."""
        size = f"{format_size(self.length)} at {format_size(self.start)}"
        return {
            Fate.TAKEN: f"new: {self.label}, {size}",
            Fate.FREED: f"becomes free: {self.label}, {size}",
            Fate.FREE: f"{self.label}, {size}",
            Fate.STAYS: f"{self.label}, {size}",
        }[self.fate]


class DiskRow(NamedTuple):
    """One disk of the picture."""

    disk: Ref
    name: str
    place: str
    extent: int  # bytes that the bar shows
    parts: tuple[Part, ...]

    @property
    def words(self) -> str:
        """The row in words: what changes, and what is free after."""
        changes = [part.words for part in self.parts if part.fate in (Fate.TAKEN, Fate.FREED)]
        return f"{self.name}: {'; '.join(changes)}."


def picture(config: Config, plan: Plan) -> list[DiskRow]:
    """A row for each disk that gives or gets space, in the order of the plan."""
    after = _after(config, plan)
    disks = dict.fromkeys(given.disk for given in (*plan.allocates, *plan.frees))
    return [_row(config, after, plan, disk) for ref in disks if isinstance(disk := after.get(ref), Disk)]


def _after(config: Config, plan: Plan) -> Config:
    edit = Edit(config)
    for record in plan.puts:
        edit.put(record)
    for ref in plan.drops:
        edit.drop(ref)
    return edit.result()[0]


def _row(config: Config, after: Config, plan: Plan, disk: Disk) -> DiskRow:
    taken = _ranges(plan.allocates, disk.ref)
    freed = _ranges(plan.frees, disk.ref)
    parts = [_part(given, Fate.TAKEN, after, _at(after, given)) for given in taken]
    parts += [_part(given, Fate.FREED, config, _at(config, given)) for given in freed]
    covered = {(part.start, part.length) for part in parts}
    for subdisk in after.subdisks_on(disk.ref):
        if (subdisk.disk_offset, subdisk.length) not in covered:
            here = Range(disk.ref, subdisk.disk_offset, subdisk.length, after.plex(subdisk.plex).name)
            parts.append(_part(here, Fate.STAYS, after, subdisk))
    word = free_word(after, disk.ref)
    parts += [gap._replace(label=word) for gap in _gaps(after, disk, parts)]
    parts.sort()
    return DiskRow(disk.ref, disk.name, disk_place(after, disk), disk.size, tuple(parts))


def _gaps(after: Config, disk: Disk, parts: Iterable[Part]) -> Iterable[Part]:
    """Free regions less what becomes free: that is drawn as such."""
    freed = sorted((part for part in parts if part.fate is Fate.FREED), key=lambda part: part.start)
    for gap in after.free(disk.ref):
        start = gap.start
        for part in freed:
            if start <= part.start < gap.end:
                if part.start > start:
                    yield Part(start, part.start - start, Fate.FREE)
                start = max(start, part.start + part.length)
        if start < gap.end:
            yield Part(start, gap.end - start, Fate.FREE)


def _ranges(ranges: Iterable[Range], disk: Ref) -> list[Range]:
    return [given for given in ranges if given.disk == disk and given.length]


def _part(given: Range, fate: Fate, config: Config, subdisk: Subdisk | None) -> Part:
    layout = block_layout(owner(config, subdisk.ref)) if subdisk is not None else "concat"
    label = config.plex(subdisk.plex).name if subdisk is not None else given.label
    return Part(given.offset, given.length, fate, layout, label)


def _at(config: Config, given: Range) -> Subdisk | None:
    found = (sd for sd in config.subdisks_on(given.disk) if given.offset < sd.disk_offset + sd.length)
    return next((sd for sd in found if sd.disk_offset < given.offset + given.length), None)
