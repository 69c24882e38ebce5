"""Volumes."""

from __future__ import annotations

import enum

from engine.records.base import Record, Ref


class VolumeLayout(enum.StrEnum):
    """Layout as the operator names it; derived from the plexes."""

    CONCAT = "Concatenated"
    STRIPE = "Striped"
    MIRROR = "Mirrored"
    MIRROR_STRIPE = "Mirrored Stripe"
    RAID5 = "RAID-5"


class VolumeStatus(enum.StrEnum):
    """Status texts of a volume."""

    HEALTHY = "Healthy"
    AT_RISK = "Healthy (At Risk)"
    RESYNCHING = "Resynching"
    FAILED_REDUNDANCY = "Failed Redundancy"
    FAILED = "Failed"
    STOPPED = "Stopped"
    MISSING = "Missing"
    INITIALIZING = "Initializing"


class Volume(Record, frozen=True, kw_only=True, tag="volume"):
    """A volume. `size` is what clients see: 0 until every plex has been zeroed."""

    group: Ref
    size: int = 0
    started: bool = True  # as the operator wants it; remembered across restarts
    preferred: Ref | None = None  # plex that reads go to; None balances them by region
    source: Ref | None = None  # the one plex to believe while the others are made identical to it
    fenced: str = ""  # why writes and flushes fail until the operator has acted
    # derived
    serving: bool = False  # clients can connect right now
    layout: VolumeLayout = VolumeLayout.CONCAT
    status: VolumeStatus = VolumeStatus.HEALTHY
    copies: int = 0  # complete plexes
