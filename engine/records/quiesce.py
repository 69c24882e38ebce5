"""How well what stands on a volume was prepared for its snapshot, and what can prepare it."""

from __future__ import annotations

import enum

import msgspec


class Consistency(enum.StrEnum):
    """What whoever reads a snapshot finds."""

    APPLICATION = "application-consistent"  # programs had brought all that they keep to their files
    FILE_SYSTEM = "file-system-consistent"  # a file system that needs no repair, all that was written in it
    CRASH = "crash-consistent"  # what a power cut at that instant would have left


class Quiesce(enum.StrEnum):
    """How writers are kept still while a snapshot is taken."""

    AUTO = "auto"  # by whatever is found; what can't be kept still is told
    FS = "fs"  # by the file systems that are mounted on this host, or not at all
    AGENT = "agent"  # by the guests' agents, or not at all
    NONE = "none"  # not: as a power cut would leave it


class FreezeBy(enum.StrEnum):
    """Who keeps writers still while a snapshot is taken."""

    MOUNT = "mount"  # this host: a file system on the volume that is mounted here
    AGENT = "agent"  # a virtual machine's guest agent
    PROGRAM = "program"  # a program of the site


class Freezable(msgspec.Struct, frozen=True, gc=False):
    """Something on a volume that can be kept still, as it was found a moment ago."""

    by: FreezeBy
    what: str  # in words: "the ext4 file system at /srv/db"
    level: Consistency = Consistency.CRASH  # what it gives
    place: str = ""  # the mount point, the path of the socket, or the program
    number: str = ""  # what tells it from others at the same place: a file system's device ("7:3"), arguments
    depth: int = 0  # a file system in a file of another one is deeper, and frozen first
    problem: str = ""  # why it can't be kept still: a whole sentence; empty when it can
    flush_only: bool = False  # it can't be frozen, and is flushed right before the snapshot


class Quiescing(msgspec.Struct, frozen=True, gc=False):
    """What the operator has set for one volume."""

    volume: str  # its id
    agent: str = ""  # path of the guest agent's socket
    program: tuple[str, ...] = ()  # with its arguments; `freeze` or `thaw` is added, and no shell sees it
