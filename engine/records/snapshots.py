"""What a volume and its snapshot know of each other."""

from __future__ import annotations

import enum

import msgspec

from engine.records.base import Ref
from engine.records.maps import DirtyLog
from engine.records.quiesce import Consistency


class LinkSide(enum.StrEnum):
    """What the volume that has the link is."""

    ORIGINAL = "original"
    SNAPSHOT = "snapshot"


class Link(msgspec.Struct, frozen=True, gc=False):
    """One end of the link between a volume and its snapshot. It holds when the peer has the other end, of the same
    generation."""

    peer: Ref
    generation: str  # 32 hex digits, drawn when the snapshot was taken
    side: LinkSide
    changes: DirtyLog  # what has been written here since then; without a place nobody knows
    plex_name: str = ""  # of the plex that left
    converted: bool = False  # as its `SnapPlex` said
    taken: float = 0.0  # seconds since the epoch
    set_id: str = ""  # snapshots that were taken at one instant have the same one
    set_name: str = ""
    settled: bool = False  # what had been written when it was taken is on stable storage on both sides
    consistency: Consistency = Consistency.CRASH
    frozen: tuple[str, ...] = ()  # what was kept still while it was taken, in words
    frozen_s: float = 0.0  # for how long
    lower: str = ""  # why the consistency is no better, where better was wanted: whole sentences
    agent: str = ""  # path of the guest agent's socket that was named for it
    cells: str = ""  # which cells have been written, of a volume that was stopped in order; packed

    @property
    def is_known(self) -> bool:
        """Whether this end tells every region that has been written since."""
        return self.settled and bool(self.changes.places)
