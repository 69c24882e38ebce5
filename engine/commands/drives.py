"""What is asked about drive letters, folders and file systems."""

from __future__ import annotations

from engine.commands.base import Command
from engine.records import Ref


class ChangeDrive(Command, frozen=True, kw_only=True, tag=True):
    """Give a volume this drive letter and this folder, and no others; empty takes the one that it has away."""

    volume: Ref
    letter: str = ""  # A to Z
    path: str = ""  # an empty folder of this host, in full
    force: bool = False  # disconnect who uses its drive


class FormatVolume(Command, frozen=True, kw_only=True, tag=True):
    """Make an empty file system on a volume that nobody uses."""

    volume: Ref
    file_system: str = "ext4"  # ext4, xfs or ntfs
    label: str = ""
    quick: bool = True  # False: every byte of the volume is zeroed first
    force: bool = False  # in spite of what stands there
