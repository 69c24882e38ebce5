"""What commands are called where one could not be done. One table; a test sees that none is left out."""

from __future__ import annotations

from engine import commands as c
from engine.commands import Command

NAMES: dict[type[Command], str] = {
    c.Rescan: "Rescan",
    c.Refresh: "Refresh",
    c.AddLuns: "Add LUN",
    c.RemoveLuns: "Remove LUN",
    c.InitDisks: "Write Signature",
    c.SetDiskUsage: "Set Disk Usage",
    c.Rename: "Rename",
    c.CreateGroup: "New Dynamic Disk Group",
    c.AddDisks: "Add Disk to Dynamic Disk Group",
    c.RemoveDisks: "Remove Disk from Dynamic Disk Group",
    c.DestroyGroup: "Destroy Dynamic Disk Group",
    c.DeportGroup: "Deport Dynamic Disk Group",
    c.ImportGroup: "Import Dynamic Disk Group",
    c.RestoreConfiguration: "Restore Configuration",
    c.SplitGroup: "Split Dynamic Disk Group",
    c.JoinGroups: "Join Dynamic Disk Group",
    c.CreateVolume: "New Volume",
    c.DeleteVolumes: "Delete Volume",
    c.GrowVolume: "Expand Volume",
    c.ShrinkVolume: "Shrink Volume",
    c.ResizeFileSystem: "Resize File System",
    c.StartVolumes: "Start Volume",
    c.StopVolumes: "Stop Volume",
    c.ResyncVolume: "Resynchronize",
    c.VerifyVolume: "Verify",
    c.ScrubVolume: "Verify and Repair",
    c.SetVolumeUsage: "Set Volume Usage",
    c.AddColumn: "Add Column",
    c.AddMirrors: "Add Mirror",
    c.RemoveMirrors: "Remove Mirror",
    c.BreakMirror: "Break Mirror",
    c.DetachPlex: "Detach Mirror",
    c.AttachPlex: "Attach Mirror",
    c.MoveSubdisks: "Move Subdisk",
    c.EvacuateDisk: "Evacuate Disk",
    c.SplitSubdisk: "Split Subdisk",
    c.JoinSubdisks: "Join Subdisks",
    c.PauseTask: "Pause Task",
    c.ResumeTask: "Resume Task",
    c.AbortTask: "Abort Task",
    c.ThrottleTask: "Throttle Task",
    c.ClearTasks: "Clear Tasks",
    c.AcknowledgeAlerts: "Acknowledge Alerts",
    c.ReactivateDisk: "Reactivate Disk",
    c.ReplaceDisk: "Replace Disk",
    c.RepairVolumes: "Repair Volume",
    c.UndoRelocation: "Undo Hot Relocation",
    c.AddLog: "Add Log",
    c.RemoveLog: "Remove Log",
    c.PrepareSnapshot: "Prepare",
    c.AbortSnapshot: "Snap Abort",
    c.TakeSnapshots: "Snap Shot",
    c.SnapBack: "Snap Back",
    c.ClearSnapshots: "Snap Clear",
    c.RefreshSnapshots: "Refresh Snapshots",
    c.AddSchedule: "Add Schedule",
    c.ChangeSchedule: "Change Schedule",
    c.RemoveSchedules: "Remove Schedule",
    c.RunSchedule: "Run Schedule",
    c.ChangeDrive: "Change Drive Letter and Path",
    c.FormatVolume: "Format",
    c.ChangeSettings: "Change Settings",
    c.SendTestNotification: "Send Test Notification",
}
UNNAMED = "The operation"


def failure_title(operation: str) -> str:
    """`Move Subdisk could not be done`: the title of a message, so that one sees what it is about."""
    return f"{operation} could not be done"


def failed(command: Command) -> str:
    """The title of the message about a command that was refused or failed."""
    return failure_title(NAMES.get(type(command), UNNAMED))
