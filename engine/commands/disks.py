"""What is asked about LUNs and disks, and by which name an object goes."""

from __future__ import annotations

from engine.commands.base import Command
from engine.records import DiskUsage, Ref


class Rescan(Command, frozen=True, kw_only=True, tag=True):
    """Look again at every LUN: new ones, gone ones, other sizes, other labels."""


class Refresh(Command, frozen=True, kw_only=True, tag=True):
    """Read the sizes of known LUNs anew; nothing is searched."""


class AddLuns(Command, frozen=True, kw_only=True, tag=True):
    """Make LUNs known: paths of image files or of kernel block devices."""

    paths: tuple[str, ...]


class RemoveLuns(Command, frozen=True, kw_only=True, tag=True):
    """Forget LUNs that belong to no imported group. Nothing on them changes."""

    disks: tuple[Ref, ...]


class InitDisks(Command, frozen=True, kw_only=True, tag=True):
    """Write label and private region. Refuses what carries foreign data unless `force`."""

    disks: tuple[Ref, ...]
    force: bool = False


class SetDiskUsage(Command, frozen=True, kw_only=True, tag=True):
    disks: tuple[Ref, ...]
    usage: DiskUsage


class Rename(Command, frozen=True, kw_only=True, tag=True):
    """Another name for a group, volume, disk or subdisk."""

    object: Ref
    name: str
