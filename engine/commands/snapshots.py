"""What is asked about snapshots."""

from __future__ import annotations

import enum

import msgspec

from engine.commands.base import Command
from engine.records import Quiesce, Ref


class PrepareSnapshot(Command, frozen=True, kw_only=True, tag=True):
    """A snap plex for a volume: a new mirror, or `plex`, one that it has."""

    volume: Ref
    plex: Ref | None = None
    disks: tuple[Ref, ...] = ()  # () lets the engine choose
    force: bool = False  # it may share disks with the volume's other mirrors


class AbortSnapshot(Command, frozen=True, kw_only=True, tag=True):
    """Snap plexes go, or are ordinary mirrors again if that is what they were."""

    plexes: tuple[Ref, ...]


class SnapChoice(msgspec.Struct, frozen=True, gc=False):
    """One volume of a set."""

    volume: Ref
    plex: Ref | None = None  # the snap plex that leaves; None: the first that is ready
    name: str = ""  # of the snapshot; empty: the next free `SnapVolumeNN`
    agent: str = ""  # path of the guest agent's socket; empty: what the host's settings say
    letter: str = ""  # the snapshot's drive letter
    path: str = ""  # the folder that the snapshot's file system is mounted in


class TakeSnapshots(Command, frozen=True, kw_only=True, tag=True):
    """Snapshots of volumes of one disk group, all of one instant."""

    choices: tuple[SnapChoice, ...]
    set_name: str = ""
    quiesce: Quiesce = Quiesce.AUTO
    limit_s: int = 0  # what can't be kept still within this time is not; 0: as the host's settings say


class Master(enum.StrEnum):
    """Whose bytes hold after a Snap Back."""

    ORIGINAL = "original"
    SNAPSHOT = "snapshot"


class SnapBack(Command, frozen=True, kw_only=True, tag=True):
    """Snapshots go back to their volumes: to be snap plexes again, or to be what the volumes are from now on."""

    snapshots: tuple[Ref, ...]
    master: Master = Master.ORIGINAL
    force: bool = False  # disconnect clients


class ClearSnapshots(Command, frozen=True, kw_only=True, tag=True):
    """Volumes and their snapshots forget each other for good."""

    volumes: tuple[Ref, ...]  # snapshots, or originals: those lose all of theirs


class RefreshSnapshots(Command, frozen=True, kw_only=True, tag=True):
    """Snapshots of one instant become snapshots of now, under their names: what has changed since is copied first."""

    snapshots: tuple[Ref, ...]
    force: bool = False  # disconnect their clients
    set_name: str = ""  # empty: as it was
    quiesce: Quiesce = Quiesce.AUTO
    limit_s: int = 0  # as for a Snap Shot
