"""One frozen record for each operator verb. They carry what was asked, and do nothing.

`encode` and `decode` write and read any of them as JSON with its name, for the socket, the task log and undo.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from engine.commands.base import MAX_SIZE, Command
from engine.commands.disks import AddLuns, InitDisks, Refresh, RemoveLuns, Rename, Rescan, SetDiskUsage
from engine.commands.drives import ChangeDrive, FormatVolume
from engine.commands.groups import (
    AddDisks,
    CreateGroup,
    DeportGroup,
    DestroyGroup,
    ImportGroup,
    JoinGroups,
    RemoveDisks,
    RestoreConfiguration,
    SplitGroup,
)
from engine.commands.mirrors import AddMirrors, AttachPlex, BreakMirror, DetachPlex, RemoveMirrors
from engine.commands.repair import ReactivateDisk, RepairVolumes, ReplaceDisk, UndoRelocation
from engine.commands.schedules import AddSchedule, ChangeSchedule, RemoveSchedules, RunSchedule
from engine.commands.settings import ChangeSettings, SendTestNotification
from engine.commands.snapshots import (
    AbortSnapshot,
    ClearSnapshots,
    Master,
    PrepareSnapshot,
    RefreshSnapshots,
    SnapBack,
    SnapChoice,
    TakeSnapshots,
)
from engine.commands.subdisks import EvacuateDisk, JoinSubdisks, Move, MoveSubdisks, SplitSubdisk, Target
from engine.commands.tasks import AbortTask, AcknowledgeAlerts, ClearTasks, PauseTask, ResumeTask, ThrottleTask
from engine.commands.volumes import (
    AddColumn,
    AddLog,
    CreateVolume,
    DeleteVolumes,
    GrowVolume,
    LogType,
    RemoveLog,
    ResizeFileSystem,
    ResyncVolume,
    ScrubVolume,
    SetVolumeUsage,
    ShrinkVolume,
    StartVolumes,
    StopVolumes,
    VerifyVolume,
)
from engine.records import Quiesce

__all__ = [
    "MAX_SIZE",
    "AbortSnapshot",
    "AbortTask",
    "AcknowledgeAlerts",
    "AddColumn",
    "AddDisks",
    "AddLog",
    "AddLuns",
    "AddMirrors",
    "AddSchedule",
    "AnyCommand",
    "AttachPlex",
    "BreakMirror",
    "ChangeDrive",
    "ChangeSchedule",
    "ChangeSettings",
    "ClearSnapshots",
    "ClearTasks",
    "Command",
    "CreateGroup",
    "CreateVolume",
    "DeleteVolumes",
    "DeportGroup",
    "DestroyGroup",
    "DetachPlex",
    "EvacuateDisk",
    "FormatVolume",
    "GrowVolume",
    "ImportGroup",
    "InitDisks",
    "JoinGroups",
    "JoinSubdisks",
    "LogType",
    "Master",
    "Move",
    "MoveSubdisks",
    "PauseTask",
    "PrepareSnapshot",
    "Quiesce",
    "ReactivateDisk",
    "Refresh",
    "RefreshSnapshots",
    "RemoveDisks",
    "RemoveLog",
    "RemoveLuns",
    "RemoveMirrors",
    "RemoveSchedules",
    "Rename",
    "RepairVolumes",
    "ReplaceDisk",
    "Rescan",
    "ResizeFileSystem",
    "RestoreConfiguration",
    "ResumeTask",
    "ResyncVolume",
    "RunSchedule",
    "ScrubVolume",
    "SendTestNotification",
    "SetDiskUsage",
    "SetVolumeUsage",
    "ShrinkVolume",
    "SnapBack",
    "SnapChoice",
    "SplitGroup",
    "SplitSubdisk",
    "StartVolumes",
    "StopVolumes",
    "TakeSnapshots",
    "Target",
    "ThrottleTask",
    "UndoRelocation",
    "VerifyVolume",
    "decode",
    "encode",
]

AnyCommand: TypeAlias = (
    Rescan | Refresh | AddLuns | RemoveLuns | InitDisks | SetDiskUsage | Rename
    | CreateGroup | AddDisks | RemoveDisks | DestroyGroup | DeportGroup | ImportGroup
    | RestoreConfiguration | SplitGroup | JoinGroups
    | CreateVolume | DeleteVolumes | GrowVolume | StartVolumes | StopVolumes | ResyncVolume | VerifyVolume
    | SetVolumeUsage | AddLog | RemoveLog | ShrinkVolume | ScrubVolume | ResizeFileSystem | AddColumn
    | AddMirrors | RemoveMirrors | BreakMirror | DetachPlex | AttachPlex
    | MoveSubdisks | EvacuateDisk | SplitSubdisk | JoinSubdisks
    | PauseTask | ResumeTask | AbortTask | ThrottleTask | ClearTasks | AcknowledgeAlerts
    | ReactivateDisk | ReplaceDisk | RepairVolumes | UndoRelocation
    | PrepareSnapshot | AbortSnapshot | TakeSnapshots | SnapBack | ClearSnapshots | RefreshSnapshots
    | AddSchedule | ChangeSchedule | RemoveSchedules | RunSchedule
    | ChangeDrive | FormatVolume
    | ChangeSettings | SendTestNotification
)  # fmt: skip


_DECODER: msgspec.json.Decoder[AnyCommand] = msgspec.json.Decoder(AnyCommand)


def encode(command: Command) -> str:
    """A command as one line of JSON."""
    return msgspec.json.encode(command).decode()


def decode(text: str | bytes) -> AnyCommand:
    """The command that `encode` wrote; msgspec.ValidationError for anything else."""
    return _DECODER.decode(text)
