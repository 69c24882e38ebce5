"""Disk groups."""

from __future__ import annotations

import enum

from engine.records.base import Record


class GroupState(enum.StrEnum):
    """Whether this host owns a group now."""

    IMPORTED = "Imported"
    DEPORTED = "Deported"
    FOREIGN = "Foreign"  # imported by another host, by its own word


class Group(Record, frozen=True, kw_only=True, tag="group"):
    """A disk group: the unit of configuration, import and deport."""

    state: GroupState = GroupState.IMPORTED
    transaction: int = 0
    # host
    owner: str = ""  # name of the host that has it, when that is not this one
    frozen: str = ""  # why no change can be made durable; empty when all is well
    # derived
    disks: int = 0
    volumes: int = 0
    size: int = 0
    free: int = 0
