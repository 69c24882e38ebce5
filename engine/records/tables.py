"""Tables over all kinds of records: which field and which kind is kept where."""

from __future__ import annotations

from typing import TypeAlias

from engine.records.backups import Backup
from engine.records.base import Kind, Record
from engine.records.disks import Disk, Enclosure
from engine.records.groups import Group
from engine.records.hosts import Alert, Connection, Host
from engine.records.plexes import Plex, Subdisk
from engine.records.schedules import Schedule
from engine.records.settings import Settings
from engine.records.tasks import Task
from engine.records.volumes import Volume

AnyRecord: TypeAlias = (
    Host | Enclosure | Disk | Group | Volume | Plex | Subdisk | Task | Connection | Alert | Settings | Backup | Schedule
)


RECORD_TYPES: dict[Kind, type[Record]] = {
    Kind.HOST: Host,
    Kind.ENCLOSURE: Enclosure,
    Kind.DISK: Disk,
    Kind.GROUP: Group,
    Kind.VOLUME: Volume,
    Kind.PLEX: Plex,
    Kind.SUBDISK: Subdisk,
    Kind.TASK: Task,
    Kind.CONNECTION: Connection,
    Kind.ALERT: Alert,
    Kind.SETTINGS: Settings,
    Kind.BACKUP: Backup,
    Kind.SCHEDULE: Schedule,
}


HOST_FIELDS: dict[Kind, tuple[str, ...]] = {
    Kind.DISK: ("lun", "enclosure", "block_size", "present", "failing", "errors", "content", "paths"),
    Kind.GROUP: ("owner", "frozen"),
    Kind.SCHEDULE: ("next_run",),
    Kind.VOLUME: (
        "content",
        "content_size",
        "dirty_bytes",
        "changed",
        "apart",
        "held_s",
        "freezers",
        "drive",
        "mounted",
        "drive_users",
        "drive_note",
    ),
    Kind.TASK: (
        "state",
        "finished_at",
        "bytes_done",
        "bytes_copied",
        "eta_low_s",
        "eta_high_s",
        "result",
        "cleared",
    ),
}


DERIVED_FIELDS: dict[Kind, tuple[str, ...]] = {
    Kind.DISK: ("status", "free", "largest_free"),
    Kind.GROUP: ("disks", "volumes", "size", "free"),
    Kind.VOLUME: ("layout", "status", "copies", "serving"),
    Kind.PLEX: ("complete", "length"),
}


PERSISTED_KINDS = frozenset({Kind.GROUP, Kind.DISK, Kind.VOLUME, Kind.PLEX, Kind.SUBDISK, Kind.TASK, Kind.SCHEDULE})
"""Kinds that a group's private regions keep; the rest lives as long as the engine, or in the host's state folder."""
