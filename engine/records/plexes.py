"""Plexes, and the subdisks that they are made of."""

from __future__ import annotations

import enum

from engine.records.base import Record, Ref


class PlexLayout(enum.StrEnum):
    """How a plex maps volume offsets to its columns."""

    CONCAT = "concat"
    STRIPE = "stripe"


class PlexState(enum.StrEnum):
    """What is known of a plex's content. Only CLEAN and ACTIVE plexes are complete."""

    EMPTY = "EMPTY"  # allocated, not yet zeroed
    CLEAN = "CLEAN"  # stopped in order, equal to its fellows
    ACTIVE = "ACTIVE"  # may have been written since the last start
    FILLING = "FILLING"  # takes every write, no read, until a copy has completed
    STALE = "STALE"  # was left out of writes: needs a copy
    IOFAIL = "IOFAIL"  # left out of writes after an I/O error: suspect its disk
    OFFLINE = "OFFLINE"  # detached by the operator


class Plex(Record, frozen=True, kw_only=True, tag="plex"):
    """One whole instance of a volume's data."""

    volume: Ref
    layout: PlexLayout = PlexLayout.CONCAT
    columns: int = 1
    stripe_unit: int = 0  # bytes; 0 for concat
    state: PlexState = PlexState.EMPTY
    # derived
    complete: bool = False
    length: int = 0  # bytes of volume that its subdisks hold without a gap


class Subdisk(Record, frozen=True, kw_only=True, tag="subdisk"):
    """A contiguous range of one disk, in one column of one plex."""

    plex: Ref
    disk: Ref
    disk_offset: int  # from the first byte of the LUN
    plex_offset: int  # within its column
    length: int
    column: int = 0
    replaces: Ref | None = None  # the subdisk that this one takes over from when its copy has completed
