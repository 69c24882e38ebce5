"""Volumes."""

from __future__ import annotations

import enum

from engine.records.base import Record, Ref
from engine.records.maps import DirtyLog
from engine.records.quiesce import Freezable
from engine.records.snapshots import Link


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
    REBUILDING = "Rebuild (Regenerating)"
    FAILED_REDUNDANCY = "Failed Redundancy"
    FAILED_REDUNDANCY_AT_RISK = "Failed Redundancy (At Risk)"
    DEGRADED = "Degraded"
    DEGRADED_AT_RISK = "Degraded (At Risk)"
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
    dirty_log: DirtyLog | None = None  # None: not wanted, or not a mirror
    log_generation: str = ""  # RAID-5: entries of the log that carry another one never count
    parity_known: bool = True  # RAID-5: False until a parity resynchronization, after a crash without a log
    links: tuple[Link, ...] = ()  # to its snapshots, or to what it is a snapshot of
    drive_letter: str = ""  # A to Z: a name of it on the host that has its group
    drive_path: str = ""  # the folder of that host in which its file system is mounted
    # host
    content: str = ""  # what stands on it, as last seen: "ext4 file system"
    content_size: int = 0  # how many of its bytes that claims; 0 when that is not known
    dirty_bytes: int = 0  # that a copy after a crash would take, as of some seconds ago
    changed: tuple[tuple[str, int], ...] = ()  # (generation of a link, bytes changed since), as of some seconds ago
    apart: tuple[tuple[str, int], ...] = ()  # (generation of a link, bytes that a Snap Back copies), likewise
    held_s: float = 0.0  # a snapshot: how long writes to its set waited for it
    freezers: tuple[Freezable, ...] = ()  # what a Snap Shot can keep still on it, as of the last plan of one
    drive: str = ""  # the block file that shows it here, while there is one
    mounted: str = ""  # the folder in which its file system is mounted here
    drive_users: tuple[str, ...] = ()  # who uses that file or folder, as last seen
    drive_note: str = ""  # why its letter is a name only, or its folder is empty
    # derived
    serving: bool = False  # clients can connect right now
    layout: VolumeLayout = VolumeLayout.CONCAT
    status: VolumeStatus = VolumeStatus.HEALTHY
    copies: int = 0  # complete plexes
