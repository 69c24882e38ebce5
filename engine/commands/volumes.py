"""What is asked about volumes."""

from __future__ import annotations

import enum

from engine.commands.base import MAX_SIZE, Command
from engine.records import Ref


class LogType(enum.StrEnum):
    """Which log a volume gets. DEFAULT is what its layout has: `drl` for mirrors, `raid5` for RAID-5."""

    DEFAULT = "default"
    DRL = "drl"
    RAID5 = "raid5"
    NONE = "none"


class CreateVolume(Command, frozen=True, kw_only=True, tag=True):
    """A new volume. `size` MAX_SIZE asks for the largest; an empty `name` for the next free `VolumeN`."""

    group: Ref
    size: int
    name: str = ""
    striped: bool = False
    raid5: bool = False  # then not `striped`, and one plex only
    columns: int = 0  # parity included; 0: 2 when striped, 3 of RAID-5, else 1
    stripe_unit: int = 0  # 0: 64 KiB when striped, 16 KiB of RAID-5
    mirrors: int = 1  # plexes in all, 1 to 32
    disks: tuple[Ref, ...] = ()  # () lets the engine choose
    across_enclosures: bool = False  # each mirror in an enclosure of its own
    force: bool = False  # two plexes or two columns may share a disk
    log: LogType = LogType.DEFAULT
    letter: str = ""  # its drive letter
    path: str = ""  # the folder that its file system is mounted in
    file_system: str = ""  # made on it once it is there; empty: none
    label: str = ""
    quick: bool = True


class DeleteVolumes(Command, frozen=True, kw_only=True, tag=True):
    volumes: tuple[Ref, ...]
    force: bool = False  # disconnect clients


class GrowVolume(Command, frozen=True, kw_only=True, tag=True):
    """`size` is the new size in all; MAX_SIZE for the largest."""

    volume: Ref
    size: int
    disks: tuple[Ref, ...] = ()


class ShrinkVolume(Command, frozen=True, kw_only=True, tag=True):
    """`size` is the new size in all: what lies behind it is lost."""

    volume: Ref
    size: int
    force: bool = False  # disconnect clients, and cut off what a file system or partition table still claims


class ResizeFileSystem(Command, frozen=True, kw_only=True, tag=True):
    """Have the file system's own programs resize it. `size` MAX_SIZE makes it as large as the volume."""

    volume: Ref
    size: int = MAX_SIZE


class AddColumn(Command, frozen=True, kw_only=True, tag=True):
    """One more column for every striped mirror; `disks` says where it goes, () lets the engine choose."""

    volume: Ref
    disks: tuple[Ref, ...] = ()


class StartVolumes(Command, frozen=True, kw_only=True, tag=True):
    volumes: tuple[Ref, ...]
    force: bool = False  # RAID-5 that lacks a column and whose parity may be wrong: what cannot be known is guessed


class StopVolumes(Command, frozen=True, kw_only=True, tag=True):
    volumes: tuple[Ref, ...]
    force: bool = False


class ResyncVolume(Command, frozen=True, kw_only=True, tag=True):
    """Make every plex that is not complete, or whose equality is in doubt, equal to the good one."""

    volume: Ref


class VerifyVolume(Command, frozen=True, kw_only=True, tag=True):
    """Compare all plexes byte by byte, past the page cache; changes nothing."""

    volume: Ref


class ScrubVolume(Command, frozen=True, kw_only=True, tag=True):
    """Compare all plexes, and make them equal to `source` where they differ: in the places that the last verification
    has found, or everywhere when there was none."""

    volume: Ref
    source: Ref


class AddLog(Command, frozen=True, kw_only=True, tag=True):
    """A log for a volume that has none, or one copy more of it. DEFAULT: the one that its layout has."""

    volume: Ref
    log: LogType = LogType.DEFAULT
    disks: tuple[Ref, ...] = ()  # () lets the engine choose


class RemoveLog(Command, frozen=True, kw_only=True, tag=True):
    """A volume without its log: after a crash all of its redundancy is made anew."""

    volume: Ref


class SetVolumeUsage(Command, frozen=True, kw_only=True, tag=True):
    """Which mirror serves reads: None balances them by layout."""

    volume: Ref
    preferred: Ref | None = None
