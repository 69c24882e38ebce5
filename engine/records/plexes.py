"""Plexes, and the subdisks that they are made of."""

from __future__ import annotations

import enum

import msgspec

from engine.records.base import Record, Ref


class PlexLayout(enum.StrEnum):
    """How a plex maps volume offsets to its columns."""

    CONCAT = "concat"
    STRIPE = "stripe"
    RAID5 = "raid5"  # columns take turns, one of them in each row holds the parity of the others
    LOG = "log"  # no copy of the data: the journal of a RAID-5 volume's writes


class PlexState(enum.StrEnum):
    """What is known of a plex's content. Only CLEAN and ACTIVE plexes are complete."""

    EMPTY = "EMPTY"  # allocated, not yet zeroed
    CLEAN = "CLEAN"  # stopped in order, equal to its fellows
    ACTIVE = "ACTIVE"  # may have been written since the last start
    FILLING = "FILLING"  # takes every write, no read, until a copy has completed
    STALE = "STALE"  # was left out of writes: needs a copy
    IOFAIL = "IOFAIL"  # left out of writes after an I/O error: suspect its disk
    OFFLINE = "OFFLINE"  # detached by the operator


class SnapPlex(msgspec.Struct, frozen=True, gc=False):
    """What makes a plex a snap plex: written as any mirror, ready to leave as a snapshot, and no copy to count on."""

    converted: bool = False  # it was a mirror before: Snap Abort makes it one again


class Plex(Record, frozen=True, kw_only=True, tag="plex"):
    """One whole instance of a volume's data."""

    volume: Ref
    layout: PlexLayout = PlexLayout.CONCAT
    columns: int = 1
    stripe_unit: int = 0  # bytes; 0 for concat
    state: PlexState = PlexState.EMPTY
    tracked: bool = False  # out of date, but the dirty region log knows every region that it has missed
    left_at: int = 0  # the group's transaction when it was left out: its disks' copies of the configuration end there
    snap: SnapPlex | None = None  # None: a mirror like any other
    # derived
    complete: bool = False
    length: int = 0  # bytes of volume that its subdisks hold without a gap


class PieceState(enum.StrEnum):
    """What is known of one subdisk of a RAID-5 plex. Mirrors leave out whole plexes instead."""

    GOOD = "GOOD"
    FILLING = "FILLING"  # takes every write, no read, until it has been rebuilt from the other columns
    STALE = "STALE"  # misses writes: parity stands for it


class Origin(msgspec.Struct, frozen=True, gc=False):
    """Where a subdisk lay before hot relocation took it to a spare."""

    disk: Ref
    disk_offset: int


class Subdisk(Record, frozen=True, kw_only=True, tag="subdisk"):
    """A contiguous range of one disk, in one column of one plex."""

    plex: Ref
    disk: Ref
    disk_offset: int  # from the first byte of the LUN
    plex_offset: int  # within its column
    length: int
    column: int = 0
    replaces: Ref | None = None  # the subdisk that this one takes over from when its copy has completed
    state: PieceState = PieceState.GOOD  # of a RAID-5 plex
    origin: Origin | None = None  # None: it lies where the operator put it
