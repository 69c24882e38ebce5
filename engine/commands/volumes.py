"""What is asked about volumes."""

from __future__ import annotations

from engine.commands.base import Command
from engine.records import Ref


class CreateVolume(Command, frozen=True, kw_only=True, tag=True):
    """A new volume. `size` MAX_SIZE asks for the largest; an empty `name` for the next free `VolumeN`."""

    group: Ref
    size: int
    name: str = ""
    striped: bool = False
    columns: int = 0  # 0: 2 when striped, else 1
    stripe_unit: int = 0  # 0: 64 KiB when striped
    mirrors: int = 1  # plexes in all, 1 to 32
    disks: tuple[Ref, ...] = ()  # () lets the engine choose
    across_enclosures: bool = False  # each mirror in an enclosure of its own
    force: bool = False  # two plexes or two columns may share a disk


class DeleteVolumes(Command, frozen=True, kw_only=True, tag=True):
    volumes: tuple[Ref, ...]
    force: bool = False  # disconnect clients


class GrowVolume(Command, frozen=True, kw_only=True, tag=True):
    """`size` is the new size in all; MAX_SIZE for the largest."""

    volume: Ref
    size: int
    disks: tuple[Ref, ...] = ()


class StartVolumes(Command, frozen=True, kw_only=True, tag=True):
    volumes: tuple[Ref, ...]


class StopVolumes(Command, frozen=True, kw_only=True, tag=True):
    volumes: tuple[Ref, ...]
    force: bool = False


class ResyncVolume(Command, frozen=True, kw_only=True, tag=True):
    """Make every plex that is not complete, or whose equality is in doubt, equal to the good one."""

    volume: Ref


class VerifyVolume(Command, frozen=True, kw_only=True, tag=True):
    """Compare all plexes byte by byte; changes nothing."""

    volume: Ref


class SetVolumeUsage(Command, frozen=True, kw_only=True, tag=True):
    """Which mirror serves reads: None balances them by layout."""

    volume: Ref
    preferred: Ref | None = None
