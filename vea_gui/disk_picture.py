"""A plan as a picture of disks: what lies there, what it would take and what it would give back."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import NamedTuple

from engine.config import Config
from engine.plans import Plan, Range
from engine.records import Disk, Plex, Ref, Subdisk
from engine.states import volume_layout
from engine.units import format_size
from vea_gui.block_geometry import Bar, Span, lay_out
from vea_gui.block_names import block_label, owner
from vea_gui.block_rows import Item, ItemKind, disk_band
from vea_gui.colors import layout_name

MOST = 8
"""Disks that are shown; the rest is counted."""


class Part(enum.Enum):
    """What becomes of a piece of a disk."""

    STAYS = "stays"
    TAKEN = "new"
    GIVEN = "becomes free"
    FREE = "free"


class Piece(NamedTuple):
    """One block of the picture."""

    part: Part
    start: int  # bytes
    length: int
    layout: str  # under which colours and legends know it
    label: str


class Strip(NamedTuple):
    """One disk of the picture."""

    disk: Ref
    name: str
    size: int
    pieces: tuple[Piece, ...]

    def bar(self, width: int) -> Bar:
        """The pieces in so many pixels."""
        return lay_out([Span(piece.start, piece.length) for piece in self.pieces], self.size, width)

    @property
    def sentence(self) -> str:
        """`Harddisk4: 2.0 GiB new (ev-02)`: what a screen reader says of it."""
        changes = [
            f"{format_size(piece.length)} {piece.part.value}" + (f" ({piece.label})" if piece.label else "")
            for piece in self.pieces
            if piece.part in (Part.TAKEN, Part.GIVEN)
        ]
        return f"{self.name}: {', '.join(changes)}"


def strips(config: Config, plan: Plan) -> list[Strip]:
    """The disks that a plan touches, by name, at most `MOST` of them."""
    return [_strip(config, plan, disk) for disk in touched(config, plan)[:MOST]]


def touched(config: Config, plan: Plan) -> list[Ref]:
    """Every disk that a plan touches, in order of name."""
    refs = {each.disk for each in (*plan.allocates, *plan.frees)}
    disks = [disk for disk in map(config.get, refs) if isinstance(disk, Disk)]
    return [disk.ref for disk in sorted(disks, key=lambda disk: (len(disk.name), disk.name))]


def _strip(config: Config, plan: Plan, disk: Ref) -> Strip:
    band = disk_band(config, disk)
    taken = [each for each in plan.allocates if each.disk == disk]
    given = {each.offset for each in plan.frees if each.disk == disk}
    layouts = _layouts(config, plan)
    pieces: list[Piece] = []
    for item in band.items[1:]:
        if item.kind is ItemKind.SUBDISK:
            pieces.append(_present(config, item, given))
        else:
            pieces += _cut(
                item, [each for each in taken if item.start <= each.offset < item.start + item.length], layouts
            )
    record = config.disk(disk)
    return Strip(disk, record.name, band.extent, tuple(pieces))


def _present(config: Config, item: Item, given: set[int]) -> Piece:
    volume = owner(config, item.ref).volume
    layout = layout_name(volume.layout) if volume is not None else "log"
    part = Part.GIVEN if item.start in given else Part.STAYS
    return Piece(part, item.start, item.length, layout, block_label(config, item.ref))


def _cut(item: Item, taken: Iterable[Range], layouts: dict[tuple[Ref, int], str]) -> list[Piece]:
    """A free region with what the plan takes of it."""
    pieces: list[Piece] = []
    position, end = item.start, item.start + item.length
    for each in sorted(taken, key=lambda each: each.offset):
        if each.offset > position:
            pieces.append(Piece(Part.FREE, position, each.offset - position, "free", ""))
        layout = layouts.get((each.disk, each.offset), "concat")
        pieces.append(Piece(Part.TAKEN, each.offset, each.length, layout, each.label))
        position = each.offset + each.length
    if position < end:
        pieces.append(Piece(Part.FREE, position, end - position, "free", ""))
    return pieces


def _layouts(config: Config, plan: Plan) -> dict[tuple[Ref, int], str]:
    """(disk, offset) of each new subdisk -> the layout that its volume will have."""
    new = {record.ref: record for record in plan.puts}
    found = {}
    for record in plan.puts:
        plex = new.get(record.plex) or config.get(record.plex) if isinstance(record, Subdisk) else None
        if isinstance(record, Subdisk) and isinstance(plex, Plex):
            plexes = {each.ref: each for each in config.plexes_of(plex.volume)}
            plexes |= {each.ref: each for each in plan.puts if isinstance(each, Plex) and each.volume == plex.volume}
            found[record.disk, record.disk_offset] = layout_name(volume_layout(list(plexes.values())))
    return found
