"""Where maps of regions lie on disks."""

from __future__ import annotations

import msgspec

from engine.records.base import Ref


class LogPlace(msgspec.Struct, frozen=True, gc=False):
    """One copy of a dirty region log: pages in the dirty maps area of a disk. Pages of another generation, 32 hex
    digits drawn anew whenever the place is, never count."""

    disk: Ref
    first_page: int
    pages: int
    generation: str


class DirtyLog(msgspec.Struct, frozen=True, gc=False):
    """A map of a volume's regions: the dirty region log, which tells what may differ between its mirrors after a crash,
    or what has been written since a snapshot. Without a place left it is no more kept, and everything is copied."""

    region_size: int  # bytes, a power of two
    places: tuple[LogPlace, ...] = ()
