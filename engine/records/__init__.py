"""The objects an operator sees, as frozen values keyed by `Ref`.

Identity is the `Ref`, never a Python object. A record links to others by their `Ref`. Fields under *derived* are set
by `engine.states.settle` alone; fields under *host* are true on this host only and never reach a private region.
"""

from __future__ import annotations

from engine.records.backups import Backup, backup_ref
from engine.records.base import Kind, Record, Ref, new_ref
from engine.records.disks import Disk, DiskStatus, DiskUsage, Enclosure, LeastStamp
from engine.records.groups import Group, GroupState
from engine.records.hosts import Alert, Connection, Host, Remedy, Severity
from engine.records.maps import DirtyLog, LogPlace
from engine.records.plexes import Origin, PieceState, Plex, PlexLayout, PlexState, SnapPlex, Subdisk
from engine.records.quiesce import Consistency, Freezable, FreezeBy, Quiesce, Quiescing
from engine.records.schedules import (
    LAST_DAY,
    MadeSet,
    Outcome,
    Pattern,
    RunResult,
    RunWay,
    Schedule,
    ScheduledRun,
)
from engine.records.settings import (
    MAIL_FIELDS,
    MailSecurity,
    Notification,
    RelocationMode,
    Settings,
    TaskDelay,
    settings_ref,
)
from engine.records.snapshots import Link, LinkSide
from engine.records.tables import DERIVED_FIELDS, HOST_FIELDS, PERSISTED_KINDS, RECORD_TYPES, AnyRecord
from engine.records.tasks import TASK_ENDED, Task, TaskParams, TaskState, TaskType
from engine.records.volumes import Volume, VolumeLayout, VolumeStatus

__all__ = [
    "DERIVED_FIELDS",
    "HOST_FIELDS",
    "LAST_DAY",
    "MAIL_FIELDS",
    "PERSISTED_KINDS",
    "RECORD_TYPES",
    "TASK_ENDED",
    "Alert",
    "AnyRecord",
    "Backup",
    "Connection",
    "Consistency",
    "DirtyLog",
    "Disk",
    "DiskStatus",
    "DiskUsage",
    "Enclosure",
    "Freezable",
    "FreezeBy",
    "Group",
    "GroupState",
    "Host",
    "Kind",
    "LeastStamp",
    "Link",
    "LinkSide",
    "LogPlace",
    "MadeSet",
    "MailSecurity",
    "Notification",
    "Origin",
    "Outcome",
    "Pattern",
    "PieceState",
    "Plex",
    "PlexLayout",
    "PlexState",
    "Quiesce",
    "Quiescing",
    "Record",
    "Ref",
    "RelocationMode",
    "Remedy",
    "RunResult",
    "RunWay",
    "Schedule",
    "ScheduledRun",
    "Settings",
    "Severity",
    "SnapPlex",
    "Subdisk",
    "Task",
    "TaskDelay",
    "TaskParams",
    "TaskState",
    "TaskType",
    "Volume",
    "VolumeLayout",
    "VolumeStatus",
    "backup_ref",
    "new_ref",
    "settings_ref",
]
