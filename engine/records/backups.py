"""Backups of disk groups' configurations, as this host's state folder holds them."""

from __future__ import annotations

from engine.records.base import Kind, Record, Ref


class Backup(Record, frozen=True, kw_only=True, tag="backup"):
    """A group's configuration as it was before a change. `name` says which group and when: `dg1, transaction 17`."""

    group: Ref  # which may be gone since
    group_name: str
    number: int  # rises for each backup of a group
    transaction: int
    time: float  # seconds since the epoch
    reason: str  # title of the change that came after it
    disks: int = 0
    volumes: int = 0
    size: int = 0  # bytes of the file


def backup_ref(group: Ref, number: int) -> Ref:
    """The `Ref` of a group's backup with this number."""
    return Ref(Kind.BACKUP, f"{group.id}.{number}", group.host)
